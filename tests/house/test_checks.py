"""What is checked before the start: each fault is one sentence that says what to do."""

from __future__ import annotations

import os
import socket
import threading
from collections import namedtuple
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest

from breakwater import checks, paths
from breakwater.errors import SetupError


def fault(check: Callable[[], object]) -> str:
    with pytest.raises(SetupError) as caught:
        check()
    sentence = caught.value.sentence
    assert "\n" not in sentence and "; " in sentence
    return sentence


@pytest.mark.parametrize("given", ["", "0", "65536", "http", "８０", "-1"])
@pytest.mark.parametrize("name", ["BREAKWATER_PORT", "BREAKWATER_RASA_PORT", "BREAKWATER_ACTIONS_PORT"])
def test_a_port_is_a_port(name: str, given: str) -> None:
    if given == "":
        assert checks.read_setup({name: ""}).rasa_port == 5005
        return
    assert fault(lambda: checks.read_setup({name: given})).startswith(f"{name} is {given!r}")


def test_two_cannot_share_a_port() -> None:
    assert "its own port" in fault(lambda: checks.read_setup({"BREAKWATER_PORT": "5005"}))


def test_a_setting_of_the_front_door_is_told_too() -> None:
    assert "BREAKWATER_DEADLINE" in fault(lambda: checks.read_setup({"BREAKWATER_DEADLINE": "soon"}))


def test_secrets_are_in_no_representation() -> None:
    environment = {"BREAKWATER_SECRET": "zq-secret-zq-secret", "BREAKWATER_SMS_TOKENS": "zq-token"}
    setup = checks.read_setup(environment)
    assert setup.secret == "zq-secret-zq-secret" and "zq-" not in repr(setup)


@pytest.mark.parametrize(
    ("host", "url"),
    [("0.0.0.0", "http://127.0.0.1:8080"), ("::", "http://[::1]:8080"), ("10.0.0.1", "http://10.0.0.1:8080")],
)
def test_the_address_is_one_that_opens_here(host: str, url: str) -> None:
    assert checks.read_setup({"BREAKWATER_HOST": host}).url == url


def test_a_taken_port_names_who_has_it_and_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = fault(lambda: checks.check_port("127.0.0.1", port, "Rasa", "BREAKWATER_RASA_PORT"))
    assert f"port {port}, which Rasa needs, is taken by" in said and f"(process {os.getpid()})" in said
    assert "BREAKWATER_RASA_PORT" in said
    checks.check_port("127.0.0.1", port, "Rasa", "BREAKWATER_RASA_PORT")


def test_a_second_breakwater_is_told_apart() -> None:
    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"paths": {"/chat/messages": {}}}')

        def log_message(self, *ignored: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        said = fault(lambda: checks.check_port("127.0.0.1", server.server_port, "x", "BREAKWATER_PORT"))
    finally:
        server.shutdown()
        server.server_close()
    assert f"Breakwater is already running at http://127.0.0.1:{server.server_port}" in said


def test_an_address_of_another_machine_is_told() -> None:
    assert "no address of this machine" in fault(lambda: checks.check_port("192.0.2.1", 8080, "x", "X"))


def test_too_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = namedtuple("memory", "available")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory(800_000_000))
    said = fault(checks.check_memory)
    assert "needs 1.2 GB" in said and "has 0.8 GB" in said
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory(1_300_000_000))
    monkeypatch.setattr(checks, "CGROUP", Path("/nonexistent"))
    assert checks.check_memory() == 1_300_000_000


def test_a_containers_limit_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(checks, "CGROUP", tmp_path)
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("100\n")
    assert checks.available_memory() > 0
    (tmp_path / "memory.max").write_text("500\n")
    assert checks.available_memory() == 400


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert "conversations" in fault(lambda: checks.check_writable(tmp_path / "file" / "in", "conversations"))
    checks.check_writable(tmp_path / "new" / "folder", "conversations")
    assert list((tmp_path / "new" / "folder").iterdir()) == []


def test_a_broken_clinic_file_names_its_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "clinic.yml"
    monkeypatch.setattr(paths, "CLINIC", file)
    file.write_text("name: Elm\nfone: x\n")
    assert fault(checks.check_clinic).startswith("clinic.yml, line 2, fone")
    assert fault(checks.check_words).startswith("clinic.yml, line 2, fone")


def test_alerts_that_nobody_sends_are_not_announced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "clinic.yml"
    monkeypatch.setattr(paths, "CLINIC", file)
    file.write_text(
        "name: Elm\nprivacy: {notify_on_call: true, clinical_owner: Dr. Elm, response_policy: policy.pdf}\n"
    )
    assert "sends no alerts" in fault(checks.check_clinic)


def test_the_projects_own_texts_are_good() -> None:
    assert "rules, version" in checks.check_rules()
    words = checks.check_words()
    assert "Harbor Street Clinic" in words.text("welcome", "en")


def test_fetching_stays_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of the environment gets in between, and a dead port is no exception."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert checks.fetch(f"http://127.0.0.1:{port}/", 1) is None
    assert not checks.answers(f"http://127.0.0.1:{port}/")

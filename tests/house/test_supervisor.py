"""`breakwater run` with its real processes: the front door first, the loopback only, and a clean end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest
import requests
import yaml

from breakwater import checks, paths, supervisor
from breakwater.errors import SetupError
from tests.house.test_processes import eventually, gone

LINES = ("988", "741741", "911")


def free_ports(count: int) -> list[int]:
    """That many different ports that were free just now."""
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(probe.getsockname()[1]) for probe in probes]


class Run:
    """One `breakwater run` on free ports, in a folder of its own."""

    def __init__(self, folder: Path, **env: str) -> None:
        self.folder = folder
        self.port, self.rasa_port, self.actions_port = free_ports(3)
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "run.log"
        self.began = time.monotonic()
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "breakwater", "run"],
                cwd=paths.ROOT,
                stdout=out,
                stderr=out,
                start_new_session=True,
                env={
                    **os.environ,
                    "BREAKWATER_VAR": str(folder / "var"),
                    "BREAKWATER_PORT": str(self.port),
                    "BREAKWATER_RASA_PORT": str(self.rasa_port),
                    "BREAKWATER_ACTIONS_PORT": str(self.actions_port),
                    "BREAKWATER_SMS_TOKENS": "zq-token-zq-token",
                    **env,
                },
            )

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def pids(self) -> dict[str, int]:
        noted = json.loads((self.folder / "var" / "processes.json").read_text())
        return {name: pid for name, (pid, _) in noted.items()}

    def everything(self) -> set[int]:
        """Every process of this run, whoever is its parent by now."""
        mark = str(self.folder)
        found = set()
        for process in psutil.process_iter():
            try:
                if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(
                    "BREAKWATER_VAR", ""
                ).startswith(mark):
                    found.add(process.pid)
            except (psutil.Error, OSError):
                continue
        return found

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[type[Run]]:
    runs: list[Run] = []

    def starting(**env: str) -> Run:
        runs.append(Run(tmp_path, **env))
        return runs[-1]

    yield starting  # type: ignore[misc]
    for run in runs:
        run.end()


def says(url: str, text: str) -> Mapping[str, object]:
    session = requests.post(f"{url}/chat/sessions", json={}, timeout=10).json()["session"]
    answer = requests.post(f"{url}/chat/messages", json={"session": session, "text": text}, timeout=10)
    first: Mapping[str, object] = answer.json()["messages"][0]
    return first


@pytest.mark.e2e
@pytest.mark.rasa
@pytest.mark.timeout(240)
def test_from_start_to_ctrl_c(start: type[Run]) -> None:
    run = start()  # type: ignore[call-arg]
    assert eventually(lambda: "The front door answers" in run.said(), 20), run.said()

    # The crisis lines are there before the assistant is.
    reply = says(run.url, "I want to die")
    assert reply["kind"] == "crisis" and all(number in str(reply["text"]) for number in LINES)
    assert requests.get(f"{run.url}/readyz", timeout=10).status_code == 503
    assert "Breakwater is ready" not in run.said()

    assert eventually(lambda: f"Breakwater is ready: {run.url}" in run.said(), 180), run.said()
    assert "starting the assistant …" in run.said()
    assert requests.get(f"{run.url}/readyz", timeout=10).status_code == 200

    # Only the loopback, and each process only what it must know.
    pids = run.pids()
    assert set(pids) == {"supervisor", "the front door", "the action server", "Rasa"}
    for name, pid in pids.items():
        child = psutil.Process(pid)
        for connection in child.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN:
                assert connection.laddr.ip == "127.0.0.1", name
        environment = child.environ()
        if name in ("Rasa", "the action server"):
            assert "BREAKWATER_SMS_TOKENS" not in environment
            assert environment["RASA_TELEMETRY_ENABLED"] == "false"
            assert environment["LOG_LEVEL"] == "WARNING"
        if name == "the action server":
            assert "BREAKWATER_SECRET" not in environment
    assert (run.folder / "var" / "secret").stat().st_mode & 0o077 == 0

    everything = run.everything()
    assert set(pids.values()) <= everything
    began = time.monotonic()
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(15) == 0
    assert time.monotonic() - began < 8
    assert all(gone(pid) for pid in everything) and run.everything() == set()
    assert "Traceback" not in run.said() and run.said().strip().endswith("Stopping …")
    assert not (run.folder / "var" / "processes.json").exists()


@pytest.mark.e2e
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child's life to its parent's")
def test_nothing_outlives_a_killed_supervisor(start: type[Run]) -> None:
    run = start()  # type: ignore[call-arg]
    assert eventually(lambda: "starting the assistant" in run.said(), 60), run.said()
    assert eventually(lambda: len(run.everything()) >= 4, 20)
    run.process.kill()
    run.process.wait()
    assert eventually(lambda: run.everything() == set(), 10), run.everything()


@pytest.mark.e2e
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_during_the_start_ends_it_too(start: type[Run], number: signal.Signals) -> None:
    run = start()  # type: ignore[call-arg]
    assert eventually(lambda: "The front door answers" in run.said(), 20), run.said()
    run.process.send_signal(number)
    assert run.process.wait(15) == 0
    assert run.everything() == set()


@pytest.mark.e2e
@pytest.mark.full
@pytest.mark.rasa
@pytest.mark.timeout(400)
def test_a_frozen_rasa_is_started_again(start: type[Run]) -> None:
    run = start()  # type: ignore[call-arg]
    assert eventually(lambda: "Breakwater is ready" in run.said(), 180), run.said()
    frozen = run.pids()["Rasa"]
    os.kill(frozen, signal.SIGSTOP)
    assert says(run.url, "hello")["kind"] == "failsafe"
    assert eventually(lambda: "Rasa did not answer any more and was ended" in run.said(), 100)
    assert eventually(lambda: "Rasa answers again" in run.said(), 120)
    assert gone(frozen) and run.pids()["Rasa"] != frozen


def failed_start(folder: Path, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "breakwater", "run"],
        cwd=paths.ROOT,
        capture_output=True,
        timeout=60,
        env={
            **os.environ,
            "BREAKWATER_VAR": str(folder / "var"),
            "BREAKWATER_PORT": str(free_ports(1)[0]),
            **env,
        },
    )
    assert done.returncode == 1 and b"Traceback" not in done.stderr
    text = done.stderr.decode()
    assert text.startswith("breakwater: ") and len(text.splitlines()) == 1
    return text


@pytest.mark.e2e
def test_a_start_that_cannot_be_says_why(tmp_path: Path) -> None:
    clinic = tmp_path / "clinic.yml"
    clinic.write_text("name: Elm\nphone: 5550123\n")
    assert "clinic.yml, line 2, phone" in failed_start(tmp_path, BREAKWATER_CLINIC=str(clinic))
    (tmp_path / "in the way").write_text("")
    assert "cannot be" in failed_start(tmp_path, BREAKWATER_VAR=str(tmp_path / "in the way"))
    server = subprocess.Popen(
        [sys.executable, "-m", "http.server", "0", "--bind", "127.0.0.1"],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert server.stdout is not None
        port = server.stdout.readline().split(b"port ")[1].split()[0].decode()
        said = failed_start(tmp_path, BREAKWATER_RASA_PORT=port)
        assert f"port {port}, which Rasa needs, is taken" in said and f"(process {server.pid})" in said
    finally:
        server.kill()
        server.wait()


# Pieces


def setup(tmp_path: Path, **env: str) -> checks.Setup:
    return checks.read_setup({"BREAKWATER_SECRET": "zq-secret-zq-secret", **env})


def test_another_port_of_the_action_server_reaches_rasa(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "VAR", tmp_path)
    made = supervisor.rasa(setup(tmp_path, BREAKWATER_ACTIONS_PORT="5999"), tmp_path / "model.tar.gz")
    endpoints = Path(made.command[made.command.index("--endpoints") + 1])
    assert endpoints.parent == tmp_path
    said = yaml.safe_load(endpoints.read_text())
    assert said["action_endpoint"]["url"] == "http://127.0.0.1:5999/webhook"
    ours = yaml.safe_load((paths.ROOT / "endpoints.yml").read_text())
    assert {**said, "action_endpoint": None} == {**ours, "action_endpoint": None}


def test_the_usual_port_takes_the_file_as_it_stands(tmp_path: Path) -> None:
    made = supervisor.rasa(setup(tmp_path), tmp_path / "model.tar.gz")
    assert str(paths.ROOT / "endpoints.yml") in made.command


def test_no_secret_is_on_a_command_line(tmp_path: Path) -> None:
    made = setup(tmp_path, BREAKWATER_SMS_TOKENS="zq-token")
    for child in (
        supervisor.front_door(made),
        supervisor.action_server(made),
        supervisor.rasa(made, tmp_path / "model.tar.gz"),
    ):
        assert not any("zq-" in word for word in child.command)


def test_a_broken_endpoints_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    with pytest.raises(SetupError, match="endpoints"):
        supervisor.rasa(setup(tmp_path), tmp_path / "model.tar.gz")


class Terminal:
    def __init__(self, tty: bool) -> None:
        self.tty, self.text = tty, ""

    def isatty(self) -> bool:
        return self.tty

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        pass


def test_progress_rewrites_its_line_on_a_terminal() -> None:
    out = Terminal(tty=True)
    console = supervisor.Console(out)  # type: ignore[arg-type]
    console.progress("training … 1 s")
    console.progress("training … 2 s")
    console.say("done")
    assert out.text.endswith("\rdone\n") and "\n" not in out.text[:-1]


def test_progress_in_a_file_is_a_line_now_and_then() -> None:
    out = Terminal(tty=False)
    console = supervisor.Console(out)  # type: ignore[arg-type]
    for second in range(5):
        console.progress(f"training … {second} s")
    console.progress("starting … 0 s")
    assert out.text == "training … 0 s\nstarting … 0 s\n"


def test_nobody_listening_is_no_reason_to_stop() -> None:
    class Closed(Terminal):
        def write(self, text: str) -> None:
            raise BrokenPipeError

    console = supervisor.Console(Closed(tty=False))  # type: ignore[arg-type]
    console.say("hello")
    console.progress("hello … 1 s")

"""The doctor finds what is wrong, says what to do, and is not alarmed by what is right."""

from __future__ import annotations

import importlib.metadata
import json
import os
import socket
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from breakwater import checks, doctor, paths, training
from breakwater.doctor import BAD, GOOD, NOTE, Finding, Patient


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in ("SMS_TOKENS", "PUBLIC_URL", "TRACE", "SECRET", "STORE"):
        monkeypatch.delenv(f"BREAKWATER_{name}", raising=False)
    monkeypatch.setattr(paths, "VAR", tmp_path)
    return tmp_path


def patient(running: bool = False, **env: str) -> Patient:
    return Patient(checks.read_setup(env), running)


def found(check: doctor.Check, who: Patient | None = None) -> list[Finding]:
    return list(look(check, who or patient()))


def look(check: doctor.Check, who: Patient) -> Iterator[Finding]:
    """One check, as `look` runs it."""
    saved = doctor.CHECKS
    try:
        doctor.CHECKS = (("it", check),)
        yield from doctor.look(who)
    finally:
        doctor.CHECKS = saved


def clinic(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> None:
    file = folder / "clinic.yml"
    file.write_text(text)
    monkeypatch.setattr(paths, "CLINIC", file)


def state(findings: list[Finding]) -> str:
    assert len(findings) == 1
    if findings[0].state == BAD:
        assert findings[0].todo, "a fault without what to do"
    return findings[0].state


def test_this_installation_is_as_locked() -> None:
    assert state(found(doctor._python)) == GOOD
    assert found(doctor._packages)[0].state == GOOD


def test_a_package_that_differs_or_lacks_is_named() -> None:
    version = importlib.metadata.version("httpx")
    lock = (
        f"httpx=={version} \\\n    --hash=sha256:0\n"
        "starlette==0.0.1 \\\n    --hash=sha256:0\n"
        "nobody-has-this==1.0 \\\n"
        "tensorflow-macos==2.12.0 ; platform_machine == 'none' \\\n"
    )
    assert list(doctor.against_lock(lock)) == [
        f"starlette {importlib.metadata.version('starlette')} (locked 0.0.1)",
        "nobody-has-this missing (locked 1.0)",
    ]


def test_a_broken_clinic_file_is_a_fault_with_its_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clinic(monkeypatch, tmp_path, "name: Elm\nfone: x\n")
    finding = found(doctor._clinic)[0]
    assert finding.state == BAD and "line 2" in finding.said and "did you mean" in finding.todo


def test_the_texts_of_this_version_are_good() -> None:
    assert state(found(doctor._clinic)) == GOOD
    assert state(found(doctor._rules)) == GOOD
    assert state(found(doctor._words)) == GOOD


def test_the_store_is_looked_into(tmp_path: Path) -> None:
    assert state(found(doctor._folders)) == GOOD
    store = tmp_path / "breakwater.sqlite3"
    with sqlite3.connect(store) as base:
        base.execute("CREATE TABLE sessions (id)")
        base.executemany("INSERT INTO sessions VALUES (?)", [("x" * 200,)] * 500)
    assert state(found(doctor._folders)) == GOOD
    content = bytearray(store.read_bytes())
    content[4096:40000] = b"\xff" * (40000 - 4096)
    store.write_bytes(content)
    damaged = found(doctor._folders)
    assert state(damaged) == BAD and "move the file away" in damaged[0].todo
    store.write_bytes(b"not a database at all" * 100)
    assert state(found(doctor._folders)) == BAD
    assert state(found(doctor._folders, patient(BREAKWATER_STORE=":memory:"))) == NOTE


def test_no_model_is_to_know_and_a_damaged_one_to_mend(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = tmp_path / "0123456789abcdef.tar.gz"
    monkeypatch.setattr(training, "model_path", lambda: model)
    assert state(found(doctor._model)) == NOTE
    model.write_bytes(b"no archive")
    assert state(found(doctor._model)) == BAD


@pytest.mark.rasa
@pytest.mark.timeout(240)
def test_a_model_is_loaded_for_real(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    good = training.ensure_model(lambda text: None)
    monkeypatch.setattr(training, "model_path", lambda: good)
    assert state(found(doctor._model)) == GOOD
    # The same archive with its rules cut off: it opens, and does not load.
    bad = tmp_path / "0123456789abcdef.tar.gz"
    with tarfile.open(good) as old, tarfile.open(bad, "w:gz") as new:
        for member in old.getmembers():
            if "components" not in member.name:
                new.addfile(member, old.extractfile(member) if member.isfile() else None)
    monkeypatch.setattr(training, "model_path", lambda: bad)
    assert state(found(doctor._model)) == BAD


def test_a_taken_port_is_a_fault_unless_it_is_ours() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        who = patient(BREAKWATER_PORT=str(taken.getsockname()[1]))
        assert state(found(doctor._ports, who)) == BAD
        assert state(found(doctor._ports, Patient(who.setup, running=True))) == GOOD


def test_telemetry_that_is_on_is_found(tmp_path: Path) -> None:
    """In the running Rasa's own environment, not in ours."""
    for value, expected in (("true", BAD), ("false", GOOD)):
        rasa = subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(60)"],
            env={**os.environ, "RASA_TELEMETRY_ENABLED": value},
        )
        try:
            (tmp_path / "processes.json").write_text(json.dumps({"Rasa": [rasa.pid, 0]}))
            assert state(found(doctor._telemetry, patient(running=True))) == expected
        finally:
            rasa.kill()
            rasa.wait()
    assert state(found(doctor._telemetry)) == GOOD


def test_nothing_running_is_to_know_and_no_fault() -> None:
    assert state(found(doctor._answering)) == NOTE


def test_a_signed_text_message_is_answered_without_a_server() -> None:
    findings = found(doctor._texting)
    assert state(findings) == GOOD and "signed message is answered" in findings[0].said


# Before people in need use it


def test_trace_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert state(found(doctor._trace)) == GOOD
    assert state(found(doctor._trace, patient(BREAKWATER_TRACE="1"))) == BAD
    monkeypatch.setenv("BREAKWATER_TRACE", "yes")
    assert state(found(doctor._trace)) == BAD


def test_the_sample_clinic_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert state(found(doctor._own_clinic)) == BAD
    clinic(monkeypatch, tmp_path, f"name: {doctor.SAMPLE_NAME}\n")
    assert state(found(doctor._own_clinic)) == BAD
    clinic(monkeypatch, tmp_path, 'name: Elm\nphone: "555-555-0142"\n')
    assert state(found(doctor._own_clinic)) == BAD
    clinic(monkeypatch, tmp_path, 'name: Elm\nphone: "212-736-5000"\n')
    assert state(found(doctor._own_clinic)) == GOOD


def test_the_sample_is_the_one_that_comes_with_the_project() -> None:
    assert checks.check_clinic().name == doctor.SAMPLE_NAME


def test_lines_that_nobody_verified_are_listed() -> None:
    findings = found(doctor._lines)
    unverified = [record for record in checks.check_words().records if record.read is None]
    assert len(findings) == len(unverified) > 0
    assert all(finding.state == NOTE and finding.todo for finding in findings)


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    who = patient()
    assert state(found(doctor._secret_file, who)) == GOOD
    (tmp_path / "secret").chmod(0o644)
    findings = found(doctor._secret_file, who)
    assert state(findings) == BAD and "chmod 600" in findings[0].todo


def test_a_number_for_texting_needs_tokens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert state(found(doctor._texting_settings)) == NOTE
    clinic(monkeypatch, tmp_path, 'name: Elm\nsms: {number: "+12127365000"}\n')
    assert state(found(doctor._texting_settings)) == BAD
    assert state(found(doctor._texting_settings, patient(BREAKWATER_SMS_TOKENS="token"))) == GOOD


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://chat.example.org", BAD),
        ("https://localhost", BAD),
        ("https://127.0.0.1:8443", BAD),
        ("https://chat.example.org", GOOD),
    ],
)
def test_the_public_address_is_https_and_not_this_machine(url: str, expected: str) -> None:
    assert state(found(doctor._public_url, patient(BREAKWATER_PUBLIC_URL=url))) == expected


# The command


def examined(monkeypatch: pytest.MonkeyPatch, *findings: Finding) -> int:
    monkeypatch.setattr(doctor, "CHECKS", (("it", lambda patient: iter(findings)),))
    return doctor.examine()


def test_the_exit_status_says_whether_there_is_something_to_mend(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert examined(monkeypatch, Finding(GOOD, "one", "fine"), Finding(NOTE, "two", "so", "look")) == 0
    said = capsys.readouterr().out
    assert "✓" in said and "Nothing to mend, 1 to know, 1 good." in said and "→ look" in said
    assert examined(monkeypatch, Finding(BAD, "three", "broken [b] thing", "mend it")) == 1
    said = capsys.readouterr().out
    assert "✗" in said and "broken [b] thing" in said and "1 to mend" in said


def test_production_asks_more() -> None:
    usual = {what for what, _ in doctor.CHECKS}
    assert {what for what, _ in doctor.PRODUCTION} - usual >= {
        "trace",
        "own clinic",
        "line to check",
        "secret",
    }


def test_settings_that_cannot_be_read_are_a_fault(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BREAKWATER_PORT", "none")
    assert doctor.examine() == 1
    assert "BREAKWATER_PORT" in capsys.readouterr().out

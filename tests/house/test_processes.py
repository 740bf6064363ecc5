"""Processes end with us, logs stay small, and nothing that people wrote is written down."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from breakwater.processes import Log, Output, end_group, end_leftovers, guarded, remember, start_tied

WORDS = "nobody would miss zqcanary"
SLEEPER = "import time; time.sleep(60)"


def eventually(true: Callable[[], bool], seconds: float = 5) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if true():
            return True
        time.sleep(0.02)
    return true()


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def python(code: str, output: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    return start_tied((sys.executable, "-c", code), cwd=Path.cwd(), env=os.environ, output=output)


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ('  File "/srv/breakwater/actions/__init__.py", line 12, in run', True),
        (f"ValueError: could not read {WORDS}", "ValueError …"),
        (f"rasa.shared.exceptions.RasaException: {WORDS}", "rasa.shared.exceptions.RasaException …"),
        (
            f"2026-11-23 01:02:03 ERROR    rasa.core.processor  - failed on {WORDS}",
            "2026-11-23 01:02:03 ERROR    rasa.core.processor …",
        ),
        (
            json.dumps({"event": "rest.message.received.failure", "level": "error", "text": WORDS}),
            "ERROR rest.message.received.failure …",
        ),
        (json.dumps({"event": WORDS, "level": "error"}), None),
        (json.dumps({"event": "zqcanary", "level": "error"}), None),
        (json.dumps({"event": "a.b", "level": WORDS}), None),
        ("{" + WORDS, None),
        (WORDS, None),
        (f"ERROR: {WORDS}", None),
        (f"ERROR zqcanary {WORDS}", None),
        (f'    handle("{WORDS}")', None),
        (f'File "{WORDS}" said, line 3', None),
        (f"UserWarning: Failed to parse arguments in line '{WORDS}'", "UserWarning …"),
    ],
)
def test_only_place_and_kind_are_kept(line: str, kept: object) -> None:
    assert guarded(line) == (line if kept is True else kept)
    assert "zqcanary" not in (guarded(line) or "")


def test_our_own_json_lines_stay_but_for_what_libraries_said() -> None:
    line = json.dumps({"at": "2026", "level": "WARNING", "event": "store_fault", "reason": "locked"})
    assert guarded(line, own_json=True) == line
    said = json.dumps({"at": "2026", "level": "WARNING", "event": "asyncio", "text": WORDS})
    assert "zqcanary" not in (guarded(said, own_json=True) or "")
    assert guarded(line) is None


def output_of(code: str, log: Log) -> tuple[subprocess.Popen[bytes], Output]:
    process = python(code, subprocess.PIPE)
    assert process.stdout is not None
    return process, Output(process.stdout, log)


def test_a_start_that_fails_is_written_down_whole(tmp_path: Path) -> None:
    log = Log(tmp_path / "child.log")
    process, output = output_of("print('one'); print('two'); raise SystemExit('no model here')", log)
    process.wait()
    assert output.last(2) == ["two", "no model here"]
    output.ended()
    assert log.file.read_text() == "one\ntwo\nno model here\n"


def test_once_people_may_talk_only_what_is_guarded_is_written_down(tmp_path: Path) -> None:
    log = Log(tmp_path / "child.log")
    code = f"import sys; print('start {WORDS}', flush=True); sys.stdin.close(); raise KeyError('{WORDS}')"
    process, output = output_of(code, log)
    output.opened()
    process.wait()
    output.ended()
    text = log.file.read_text()
    assert "zqcanary" not in text and "KeyError …" in text
    assert output.last() == []


def test_what_is_said_between_opening_and_our_noticing_is_guarded_too(tmp_path: Path) -> None:
    log = Log(tmp_path / "child.log")
    process, output = output_of(f"print('{WORDS}')", log)
    process.wait()
    assert eventually(lambda: output._held != [])
    output.last()
    output.opened()
    output.ended()
    assert not log.file.exists() or "zqcanary" not in log.file.read_text()


def test_a_log_has_a_largest_size(tmp_path: Path) -> None:
    log = Log(tmp_path / "child.log", most=1000)
    for number in range(200):
        log.write(f"line {number:04} {'x' * 40}")
    sizes = [file.stat().st_size for file in tmp_path.iterdir()]
    assert len(sizes) == 2 and max(sizes) <= 1000
    assert "line 0199" in log.file.read_text()


def test_a_log_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    log = Log(tmp_path / "file" / "child.log")
    process, output = output_of("for _ in range(20000): print('x' * 60)", log)
    output.opened()
    for _ in range(3):
        log.write("line")
    assert process.wait(20) == 0
    assert log.lost >= 3


def test_everything_a_process_started_ends_with_it() -> None:
    code = (
        "import subprocess, sys, time;"
        f"p = subprocess.Popen([sys.executable, '-c', '{SLEEPER}']);"
        "print(p.pid, flush=True); time.sleep(60)"
    )
    process = python(code, subprocess.PIPE)
    assert process.stdout is not None
    grandchild = int(process.stdout.readline())
    began = time.monotonic()
    end_group(process, 3)
    assert time.monotonic() - began < 2
    assert eventually(lambda: gone(grandchild))


@pytest.mark.parametrize("deaf", ["stopped", "ignores SIGTERM"])
def test_a_process_that_does_not_listen_is_killed(deaf: str) -> None:
    ignore = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True)"
    code = f"{ignore}; {SLEEPER}"
    process = python(code, subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline()
    if deaf == "stopped":
        os.killpg(process.pid, signal.SIGSTOP)
    end_group(process, 0.3)
    assert process.returncode == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child's life to its parent's")
def test_a_child_dies_when_its_parent_is_killed(tmp_path: Path) -> None:
    code = f"""
import os, sys, time
from pathlib import Path
from breakwater.processes import start_tied
child = start_tied((sys.executable, "-c", {SLEEPER!r}), cwd=Path.cwd(), env=os.environ, output=-3)
print(child.pid, flush=True)
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert eventually(lambda: "sleep" in " ".join(psutil.Process(child).cmdline()[:3]))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert eventually(lambda: gone(child))


def test_what_an_earlier_run_left_is_ended(tmp_path: Path) -> None:
    file = tmp_path / "processes.json"
    left = subprocess.Popen([sys.executable, "-c", SLEEPER], start_new_session=True)
    died = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    remember(file, {"supervisor": died.pid, "Rasa": left.pid})
    died.kill()
    died.wait()
    assert end_leftovers(file) == 1
    assert gone(left.pid)
    assert not file.exists()


def test_nothing_is_ended_that_is_not_ours(tmp_path: Path) -> None:
    file = tmp_path / "processes.json"
    other = subprocess.Popen([sys.executable, "-c", SLEEPER], start_new_session=True)
    try:
        file.write_text(json.dumps({"Rasa": [other.pid, psutil.Process(other.pid).create_time() - 100]}))
        assert end_leftovers(file) == 0  # born at another time: the number was given anew
        remember(file, {"supervisor": os.getpid(), "Rasa": other.pid})
        assert end_leftovers(file) == 0  # its supervisor lives
        file.write_text("not json")
        assert end_leftovers(file) == 0
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()

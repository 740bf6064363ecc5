"""A child that dies or hangs comes back, with growing pauses; nothing is left when we end."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from breakwater.keeper import Child, Keeper, Timing
from breakwater.processes import Log
from tests.house.test_processes import eventually, gone

FAST = Timing(
    first_pause=0.05,
    longest_pause=0.4,
    healthy_for=0.5,
    probe_starting=0.05,
    probe_running=0.05,
    end_patience=0.5,
)
SLEEPER = "import time; time.sleep(60)"


class Kept:
    def __init__(self, tmp_path: Path, code: str, healthy: Callable[[], bool], **child: object) -> None:
        self.reports: list[str] = []
        self.times: list[float] = []
        self.log = Log(tmp_path / "child.log")
        made = Child("the child", (sys.executable, "-c", code), healthy, **child)  # type: ignore[arg-type]
        self.keeper = Keeper(made, self.log, self._report, FAST)
        self.keeper.start()

    def _report(self, sentence: str) -> None:
        self.reports.append(sentence)
        self.times.append(time.monotonic())

    def pid(self) -> int:
        assert eventually(lambda: self.keeper.ready.is_set() and self.keeper.pid is not None)
        assert self.keeper.pid is not None
        return self.keeper.pid

    def end(self) -> None:
        self.keeper.end()
        assert self.keeper.wait(5)


Keeping = Callable[..., Kept]


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[Keeping]:
    kept: list[Kept] = []

    def start(code: str, healthy: Callable[[], bool] = lambda: True, **child: object) -> Kept:
        kept.append(Kept(tmp_path, code, healthy, **child))
        return kept[-1]

    yield start
    for one in kept:
        one.end()


def deaths(reports: list[str]) -> list[str]:
    return [report for report in reports if "starting it again" in report]


def pauses(reports: list[str]) -> list[float]:
    return [float(report.rpartition(" in ")[2].split()[0]) for report in deaths(reports)]


def test_a_killed_child_comes_back(keep: Keeping) -> None:
    kept = keep(SLEEPER)
    first = kept.pid()
    os.kill(first, signal.SIGKILL)
    assert eventually(lambda: kept.keeper.starts == 2 and kept.keeper.ready.is_set())
    assert kept.pid() != first
    assert kept.reports == [
        "the child ended (SIGKILL); starting it again in 0.05 s",
        "the child answers again",
    ]


def test_pauses_grow_to_the_longest_and_no_further(keep: Keeping) -> None:
    kept = keep("raise SystemExit(3)", lambda: False)
    assert eventually(lambda: len(kept.reports) >= 6, 8)
    assert pauses(kept.reports)[:6] == [0.05, 0.1, 0.2, 0.4, 0.4, 0.4]
    assert all("ended while starting (exit 3)" in report for report in kept.reports)
    assert kept.keeper.failed_starts >= 6
    waited = kept.times[5] - kept.times[0]
    assert waited >= 0.05 + 0.1 + 0.2 + 0.4 + 0.4


def test_after_health_the_pause_is_short_again(keep: Keeping) -> None:
    kept = keep(SLEEPER)
    for _ in range(3):
        os.kill(kept.pid(), signal.SIGKILL)
        count = len(deaths(kept.reports)) + 1
        assert eventually(lambda count=count: len(deaths(kept.reports)) >= count)  # type: ignore[misc]
    assert pauses(kept.reports) == [0.05, 0.1, 0.2]
    pid = kept.pid()
    time.sleep(FAST.healthy_for + 0.3)
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: len(deaths(kept.reports)) == 4)
    assert pauses(kept.reports)[-1] == 0.05


def test_a_frozen_child_is_killed_and_started_again(keep: Keeping) -> None:
    frozen = threading.Event()
    kept = keep(SLEEPER, lambda: not frozen.is_set(), stuck_after=0.3)
    first = kept.pid()
    os.kill(first, signal.SIGSTOP)
    frozen.set()
    assert eventually(lambda: len(kept.reports) == 1)
    frozen.clear()
    assert "did not answer any more and was ended" in kept.reports[0]
    assert gone(first)
    assert kept.pid() != first


def test_a_short_silence_is_no_reason(keep: Keeping) -> None:
    frozen = threading.Event()
    kept = keep(SLEEPER, lambda: not frozen.is_set(), stuck_after=1.0)
    first = kept.pid()
    frozen.set()
    time.sleep(0.4)
    frozen.clear()
    time.sleep(1.0)
    assert kept.pid() == first and kept.reports == []


def test_a_start_that_never_ends_is_given_up(keep: Keeping) -> None:
    kept = keep(SLEEPER, lambda: False, start_patience=0.3)
    assert eventually(lambda: len(kept.reports) >= 1)
    assert "did not start and was ended" in kept.reports[0]


def test_the_last_words_of_a_failed_start_are_told(keep: Keeping) -> None:
    kept = keep("import sys; print('loading'); sys.exit('the model is broken')", lambda: False)
    assert eventually(lambda: kept.keeper.last_words != [])
    assert kept.keeper.last_words == ["loading", "the model is broken"]
    assert "the model is broken" in kept.log.file.read_text()


def test_what_is_said_after_the_port_opened_is_not_told(keep: Keeping) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    code = f"""
import socket, time
server = socket.create_server(("127.0.0.1", {port}))
time.sleep(0.5)
print("zqcanary said this", flush=True)
raise RuntimeError("zqcanary")
"""
    kept = keep(code, lambda: False, port=port)
    assert eventually(lambda: len(kept.reports) >= 1)
    text = kept.log.file.read_text()
    assert "zqcanary" not in text and "RuntimeError …" in text
    assert kept.keeper.last_words == []


def test_the_end_ends_the_child_and_is_quick(keep: Keeping) -> None:
    kept = keep(SLEEPER)
    pid = kept.pid()
    began = time.monotonic()
    kept.end()
    assert time.monotonic() - began < 1
    assert gone(pid)


def test_the_end_during_a_pause_starts_nothing_more(keep: Keeping) -> None:
    kept = keep("raise SystemExit(1)", lambda: False)
    assert eventually(lambda: len(kept.reports) >= 4)
    kept.end()
    starts = kept.keeper.starts
    time.sleep(0.6)
    assert kept.keeper.starts == starts
    assert not [p for p in psutil.Process().children() if p.status() != psutil.STATUS_ZOMBIE]


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    reports: list[str] = []
    child = Child("the child", (str(tmp_path / "none"),), lambda: True)
    keeper = Keeper(child, Log(tmp_path / "log"), reports.append, FAST)
    keeper.start()
    try:
        assert eventually(lambda: keeper.failed_starts >= 2)
        assert reports
    finally:
        keeper.end()
        assert keeper.wait(5)

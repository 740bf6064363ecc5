"""Keeps one process alive: starts it again when it dies or no longer answers, with growing pauses.

It gives up never, for somebody may be writing; it ends only when told to.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from breakwater import paths
from breakwater.processes import Log, Output, end_group, signal_group, start_tied


@dataclass(frozen=True)
class Child:
    """One process to keep alive.

    `healthy` asks it something; when that fails for `stuck_after` seconds it is ended and started again.
    `port` is where it will listen: from the moment it does, people may talk to it.
    """

    name: str
    command: tuple[str, ...]
    healthy: Callable[[], bool]
    port: int | None = None
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    cwd: Path = paths.ROOT
    stuck_after: float = 60.0
    start_patience: float = 180.0  # seconds that its start may take before it counts as stuck
    own_json: bool = False


@dataclass(frozen=True)
class Timing:
    """The pauses and clocks of keeping; tests make them short."""

    first_pause: float = 0.5
    longest_pause: float = 30.0
    healthy_for: float = 60.0  # seconds of health after which a pause is short again
    probe_starting: float = 0.25
    probe_running: float = 5.0
    end_patience: float = 4.0


class Keeper:
    """Keeps one child alive until `end`: starts it again when it dies or is stuck, with growing pauses."""

    def __init__(
        self, child: Child, log: Log, report: Callable[[str], None], timing: Timing = Timing()
    ) -> None:
        self.child = child
        self.starts = 0
        self.failed_starts = 0  # in a row, without ever having answered
        self.pid: int | None = None
        self.ready = threading.Event()
        self.last_words: list[str] = []
        self._log = log
        self._report = report
        self._timing = timing
        self._ending = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        # The child dies with this thread (see start_tied), so it lives as long as the child.
        self._thread = threading.Thread(target=self._keep, name=f"keep-{child.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Asks for the end; `wait` waits for it."""
        self._ending.set()

    def wait(self, patience: float) -> bool:
        self._thread.join(patience)
        return not self._thread.is_alive()

    def kill(self) -> None:
        if self._process is not None:
            signal_group(self._process, signal.SIGKILL)

    def _keep(self) -> None:
        pause = self._timing.first_pause
        while not self._ending.is_set():
            healthy_for, why = self._one_life()
            if self._ending.is_set():
                return
            if healthy_for >= self._timing.healthy_for:
                pause = self._timing.first_pause
            self._report(f"{self.child.name} {why}; starting it again in {pause:g} s")
            self._ending.wait(pause)
            pause = min(pause * 2, self._timing.longest_pause)

    def _one_life(self) -> tuple[float, str]:
        """From start to death: how many seconds it was healthy, and how it went."""
        child = self.child
        self.starts += 1
        self._log.write(f"--- start {self.starts}, {time.strftime('%Y-%m-%d %H:%M:%S')}")
        try:
            process = start_tied(child.command, cwd=child.cwd, env=child.env, output=subprocess.PIPE)
        except OSError as error:
            self.failed_starts += 1
            return 0.0, f"cannot be started ({error.strerror})"
        self._process, self.pid = process, process.pid
        assert process.stdout is not None
        output = Output(process.stdout, self._log, own_json=child.own_json)
        try:
            healthy_for, stuck = self._watch(process, output)
        finally:
            was_ready = self.ready.is_set()
            self.ready.clear()
            end_group(process, self._timing.end_patience if self._ending.is_set() else 0.0)
            self.pid = None
            output.ended()
        if was_ready:
            self.last_words = []
        else:
            self.failed_starts += 1
            self.last_words = output.last()
        if stuck:
            return (
                healthy_for,
                "did not answer any more and was ended" if was_ready else "did not start and was ended",
            )
        return healthy_for, _how_it_ended(process.returncode, was_ready)

    def _watch(self, process: subprocess.Popen[bytes], output: Output) -> tuple[float, bool]:
        """Until the process is gone, we are to end, or it is stuck (True); seconds of health before that."""
        child = self.child
        began = first_good = last_good = time.monotonic()
        listening = child.port is None
        while not self._ending.is_set():
            starting = not self.ready.is_set()
            # Waiting for the process, not for the clock: a death is seen at once.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(self._timing.probe_starting if starting else self._probe_pause())
                break
            now = time.monotonic()
            if not listening and _listens(child.port):
                listening = True
                output.opened()
            if listening and child.healthy():
                last_good = time.monotonic()
                if starting:
                    first_good = last_good
                    output.opened()
                    self.failed_starts = 0
                    self.last_words = []
                    self.ready.set()
                    if self.starts > 1:
                        self._report(f"{child.name} answers again")
            elif starting and now - began > child.start_patience:
                return 0.0, True
            elif not starting and now - last_good > child.stuck_after:
                return last_good - first_good, True
        return (last_good - first_good if self.ready.is_set() else 0.0), False

    def _probe_pause(self) -> float:
        # An end asked for must not wait for a long probe pause.
        until = time.monotonic() + self._timing.probe_running
        while time.monotonic() < until - 0.5 and not self._ending.is_set():
            if self._process is None or self._process.poll() is not None:
                return 0.01
            self._ending.wait(0.5)
        return 0.5


def _how_it_ended(status: int, was_ready: bool) -> str:
    when = "ended" if was_ready else "ended while starting"
    if status < 0:
        with contextlib.suppress(ValueError):
            return f"{when} ({signal.Signals(-status).name})"
    return f"{when} (exit {status})"


def _listens(port: int | None) -> bool:
    if port is None:
        return True
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0

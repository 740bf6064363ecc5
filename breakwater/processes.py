"""Starting a process so that it ends with us, ending it with all it started, and keeping its output.

What a process says while people talk to it may quote them: then only the place and the kind of a
fault are written down, never a message.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

# Runs first in the child: asks Linux to kill it when the starting thread is gone, even by kill -9,
# then becomes the real program. Not a preexec_fn: those may deadlock in a program with threads.
_TIE = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    os._exit(0)
os.execvp(sys.argv[2], sys.argv[2:])
"""

_PLACE = re.compile(r'\s*File "[^"]+", line \d+, in [\w<>.]+\s*')
_KIND = re.compile(r"(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Warning|Timeout|Rejection)(?=:|$)")
_LEVELS = "DEBUG|INFO|WARNING|ERROR|CRITICAL"
_LOGGED = re.compile(
    rf"(?:[\d:,.TZ-]+ )*(?:{_LEVELS})[: ]\s*(?:rasa|rasa_sdk|sanic|uvicorn|asyncio|actions)\b[\w.]*"
)
_EVENT = re.compile(r"[a-z_]+(?:\.[a-z_]+)+")


def start_tied(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    output: IO[bytes] | int,
) -> subprocess.Popen[bytes]:
    """Starts `command` in a session of its own, so that a Ctrl-C in the terminal is ours to pass on.

    On Linux it dies with the thread that calls this; elsewhere `end_leftovers` finds it at the next start.
    """
    tied = list(command)
    if sys.platform == "linux":
        tied = [sys.executable, "-I", "-S", "-c", _TIE, str(os.getpid()), *command]
    return subprocess.Popen(
        tied,
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Sends a signal to the process and everything it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def end_group(process: subprocess.Popen[bytes], patience: float) -> None:
    """SIGTERM, `patience` seconds to go by itself, SIGKILL; all that it started goes too."""
    if process.poll() is None:
        signal_group(process, signal.SIGTERM)
        # A stopped process takes no SIGTERM until it goes on.
        signal_group(process, signal.SIGCONT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
    signal_group(process, signal.SIGKILL)
    process.wait()


def remember(file: Path, pids: Mapping[str, int]) -> None:
    """Notes which processes are ours, for `end_leftovers`."""
    import psutil

    noted = {}
    for name, pid in pids.items():
        with contextlib.suppress(psutil.Error):
            noted[name] = [pid, psutil.Process(pid).create_time()]
    made = file.with_suffix(".new")
    made.write_text(json.dumps(noted), encoding="utf-8")
    made.replace(file)


def end_leftovers(file: Path) -> int:
    """Ends what an earlier run left behind when it was killed; nothing while that run lives.

    A pid counts only with the same moment of birth: it may belong to somebody else by now.
    """
    import psutil

    try:
        noted: dict[str, list[float]] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0
    alive = {}
    for name, (pid, born) in noted.items():
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(int(pid))
            if abs(process.create_time() - born) < 1 and process.status() != psutil.STATUS_ZOMBIE:
                alive[name] = process
    if "supervisor" in alive:
        return 0
    for process in alive.values():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    psutil.wait_procs(list(alive.values()), timeout=5)
    file.unlink(missing_ok=True)
    return len(alive)


class Log:
    """A file for a process's output that never grows beyond `most` bytes, with one older part kept."""

    def __init__(self, file: Path, most: int = 1_000_000) -> None:
        self.file = file
        self.most = most
        self.lost = 0  # lines that could not be written, say on a full disk
        self._lock = threading.Lock()

    def write(self, line: str) -> None:
        data = (line.rstrip("\n") + "\n").encode("utf-8", "replace")
        with self._lock:
            try:
                self.file.parent.mkdir(parents=True, exist_ok=True)
                if self.file.exists() and self.file.stat().st_size + len(data) > self.most:
                    self.file.replace(self.file.with_suffix(".old.log"))
                with self.file.open("ab") as out:
                    out.write(data)
            except OSError:
                # A log that cannot be written must not stop the process that speaks.
                self.lost += 1


class Output:
    """Reads one process's output to its end.

    Until `opened` is called nobody can have talked to the process: its words are held, whole, for
    `last`, and written if it dies. From then on only what `guarded` lets through is written.
    """

    def __init__(self, stream: IO[bytes], log: Log, *, own_json: bool = False, most: int = 60) -> None:
        self._stream = stream
        self._log = log
        self._own_json = own_json
        self._held: deque[str] = deque(maxlen=most)
        self._open = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def opened(self) -> None:
        with self._lock:
            self._open = True
            for line in self._held:
                self._write_guarded(line)
            self._held.clear()

    def last(self, most: int = 8) -> list[str]:
        """The last lines said before anybody could talk to it; empty afterwards."""
        self._thread.join(2)
        with self._lock:
            return list(self._held)[-most:]

    def ended(self) -> None:
        """The process is gone: what it said at a start that failed goes to the file whole."""
        self._thread.join(2)
        with self._lock:
            for line in self._held:
                self._log.write(line)

    def _read(self) -> None:
        with self._stream as stream:
            for raw in iter(lambda: stream.readline(20_000), b""):
                line = raw.decode("utf-8", "replace").rstrip()
                if not line:
                    continue
                with self._lock:
                    if self._open:
                        self._write_guarded(line)
                    else:
                        self._held.append(line)

    def _write_guarded(self, line: str) -> None:
        safe = guarded(line, own_json=self._own_json)
        if safe is not None:
            self._log.write(safe)


def guarded(line: str, *, own_json: bool = False) -> str | None:
    """What of a line may be written down while people talk: where and what kind, never a message.

    `own_json`: the JSON lines are our own front door's, which hold no message; only words that
    libraries said (`text`) are taken out of them.
    """
    if _PLACE.fullmatch(line):
        return line
    if line.startswith("{"):
        try:
            record = json.loads(line)
        except ValueError:
            return None
        if own_json and "at" in record:
            record.pop("text", None)
            return json.dumps(record)
        event, level = str(record.get("event")), str(record.get("level")).upper()
        if level in _LEVELS.split("|") and _EVENT.fullmatch(event):
            return f"{level} {event} …"
        return None
    found = _LOGGED.match(line) or _KIND.match(line)
    return f"{found.group()} …" if found else None

"""Screens every message: short ones here, long ones in a bounded worker, so that nobody else waits.

It always has a verdict. A worker that is late, full or dead means `concern`, source `failsafe`: the lines.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import pickle
import sys
from collections.abc import Callable
from typing import Any

import anyio

from breakwater import paths
from breakwater.frontdoor.screener import SIZE
from breakwater.safety.screen import screen
from breakwater.safety.verdict import Context, Level, Verdict

SHORT = 2000  # characters screened in this process: a few ms, and under 0.1 s for the worst that fit
WAITING_AT_MOST = 8  # long texts in the queue

FAILSAFE = Verdict(level=Level.CONCERN, types=("other",), source="failsafe")


class Screening:
    """`failed` is called with a reason when a long text could not be screened in time."""

    def __init__(self, deadline: float, failed: Callable[[str], object] = lambda reason: None) -> None:
        self._deadline = deadline
        self._failed = failed
        self._worker: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def verdict(self, text: str, context: Context) -> Verdict:
        """The verdict on all of `text`. Never raises but for cancellation."""
        if len(text) <= SHORT:
            return screen(text, context)
        if self._waiting >= WAITING_AT_MOST:
            self._failed("full")
            return _edges(text, context)
        self._waiting += 1
        try:
            with anyio.fail_after(self._deadline):
                async with self._turn:
                    return await self._ask(text, context)
        except TimeoutError:
            self._failed("late")
        except Exception:  # whatever ended the worker: the lines, and a new worker for the next one
            self._failed("died")
        finally:
            self._waiting -= 1
        return _edges(text, context)

    async def warm(self) -> None:
        """Start the worker before anybody needs it: its first second would be somebody's wait."""
        await self.verdict("." * (SHORT + 1), Context())

    async def close(self) -> None:
        self._end()

    async def _ask(self, text: str, context: Context) -> Verdict:
        worker = self._worker
        if worker is None or worker.returncode is not None:
            worker = self._worker = await _spawn()
        assert worker.stdin is not None and worker.stdout is not None
        try:
            question = pickle.dumps((text, context))
            worker.stdin.write(SIZE.pack(len(question)) + question)
            await worker.stdin.drain()
            size = SIZE.unpack(await worker.stdout.readexactly(SIZE.size))[0]
            answer: Any = pickle.loads(await worker.stdout.readexactly(size))
        except BaseException:  # also when cancelled: a half-read answer must not meet the next question
            self._end()
            raise
        if not isinstance(answer, Verdict):
            raise TypeError("the worker answered something else")
        return answer

    def _end(self) -> None:
        if self._worker is not None and self._worker.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._worker.kill()
        self._worker = None


def _edges(text: str, context: Context) -> Verdict:
    """Of a text that could not be screened whole: danger where people put it, at the end or the beginning."""
    found = max((screen(part, context) for part in (text[-SHORT:], text[:SHORT])), key=lambda one: one.level)
    return dataclasses.replace(found, spans=(), hits=()) if found.level >= Level.CRISIS else FAILSAFE


async def _spawn() -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "breakwater.frontdoor.screener",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=paths.ROOT,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, (str(paths.ROOT), os.environ.get("PYTHONPATH")))),
        },
    )

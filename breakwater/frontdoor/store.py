"""Where sessions and holds are kept: a file that may fail, behind a guard that may not.

Memory comes first and the file follows. No call waits longer than its patience, and "cannot be read" is
never mistaken for "is not there": the first counts as an open hold, the second as no session.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import sqlite3
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

PATIENCE = 0.15  # seconds that a turn gives the store
GATHERED = 0.1  # seconds that a row which nothing hangs on may wait for others
LOCK_WAIT = 0.1  # seconds that SQLite waits for somebody else's lock
PAUSES = (0.2, 0.5, 1.0, 2.0)  # seconds between attempts to write while a fault lasts
LOST_FOR = 24 * 3600.0  # seconds for which rows that were lost may have been open holds
SIDS_KEPT = 24 * 3600.0  # seconds for which a delivered message's id is remembered
SIDS_IN_MEMORY = 20_000
UNWRITTEN_AT_MOST = 20_000  # rows kept in memory for a store that does not take them
WAITING_AT_MOST = 64  # reads in the queue, beyond which a stuck disk is not asked again
EXPIRED_AT_ONCE = 500

FAULTS = ("locked", "full", "readonly", "corrupt", "deleted", "unopenable", "slow", "broken")


class StoreFault(Exception):
    """The store could not answer; `reason` is one of FAULTS."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Row:
    """One session as it is kept: no word of the person's, and when it ends (seconds since the epoch)."""

    record: str
    ends: float


class Backend(Protocol):
    """What keeps rows: blocking calls from two threads, reads from one and writes from the other.

    Everything that goes wrong is a StoreFault. `renew` begins again with an empty store after `corrupt` or
    `deleted`; what is left of the old one is set aside, never deleted.
    """

    def get(self, key: str) -> Row | None: ...
    def seen_sid(self, sid: str) -> bool: ...
    def write(self, rows: Mapping[str, Row | None], sids: Mapping[str, float]) -> None: ...
    def expire(self, now: float) -> list[str]: ...
    def lost_at(self) -> float | None: ...
    def renew(self, reason: str) -> None: ...
    def close(self) -> None: ...


class MemoryStore:
    """Rows in this process alone."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self._sids: dict[str, float] = {}

    def get(self, key: str) -> Row | None:
        return self._rows.get(key)

    def seen_sid(self, sid: str) -> bool:
        return sid in self._sids

    def write(self, rows: Mapping[str, Row | None], sids: Mapping[str, float]) -> None:
        for key, row in rows.items():
            if row is None:
                self._rows.pop(key, None)
            else:
                self._rows[key] = row
        self._sids.update(sids)

    def expire(self, now: float) -> list[str]:
        ended = {key: row for key, row in list(self._rows.items()) if row.ends <= now}
        for key in ended:
            del self._rows[key]
        for sid in [sid for sid, at in list(self._sids.items()) if at <= now - SIDS_KEPT]:
            del self._sids[sid]
        return [row.record for row in ended.values()]

    def lost_at(self) -> float | None:
        return None

    def renew(self, reason: str) -> None:
        self._rows.clear()
        self._sids.clear()

    def close(self) -> None:
        pass


SCHEMA = """
CREATE TABLE IF NOT EXISTS session
  (key TEXT PRIMARY KEY, record TEXT NOT NULL, ends REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS session_ends ON session (ends);
CREATE TABLE IF NOT EXISTS sid (sid TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value REAL NOT NULL) WITHOUT ROWID;
"""
HEADER = b"SQLite format 3\x00"


class SqliteStore:
    """One SQLite file in WAL mode; one connection to read and one to write.

    A mark beside the file says that it was once begun, so that a file deleted while the house was closed is
    not mistaken for the first day.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.mark = path.with_name(path.name + ".begun")
        self._opening = threading.RLock()
        self._reader: sqlite3.Connection | None = None
        self._writer: sqlite3.Connection | None = None
        self._probe: int | None = None
        self._lost_at: float | None = None

    def get(self, key: str) -> Row | None:
        with self._faults():
            row = self._reading().execute("SELECT record, ends FROM session WHERE key = ?", (key,)).fetchone()
        return None if row is None else Row(str(row[0]), float(row[1]))

    def seen_sid(self, sid: str) -> bool:
        with self._faults():
            return self._reading().execute("SELECT 1 FROM sid WHERE sid = ?", (sid,)).fetchone() is not None

    def write(self, rows: Mapping[str, Row | None], sids: Mapping[str, float]) -> None:
        kept = [(key, row.record, row.ends) for key, row in rows.items() if row is not None]
        gone = [(key,) for key, row in rows.items() if row is None]
        with self._faults():
            db = self._writing()
            with db:
                db.executemany("INSERT OR REPLACE INTO session VALUES (?, ?, ?)", kept)
                db.executemany("DELETE FROM session WHERE key = ?", gone)
                db.executemany("INSERT OR REPLACE INTO sid VALUES (?, ?)", list(sids.items()))

    def expire(self, now: float) -> list[str]:
        with self._faults():
            db = self._writing()
            with db:
                ended = db.execute(
                    "SELECT key, record FROM session WHERE ends <= ? LIMIT ?", (now, EXPIRED_AT_ONCE)
                ).fetchall()
                db.executemany("DELETE FROM session WHERE key = ?", [(key,) for key, _ in ended])
                db.execute("DELETE FROM sid WHERE at <= ?", (now - SIDS_KEPT,))
        return [str(record) for _, record in ended]

    def lost_at(self) -> float | None:
        return self._lost_at

    def renew(self, reason: str) -> None:
        with self._opening, self._faults():
            stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
            for ending in ("", "-wal", "-shm"):
                old = self.path.with_name(self.path.name + ending)
                if old.exists():
                    old.rename(self.path.with_name(f"{self.path.name}.{reason}-{stamp}{ending}"))
            self._let_go()
            self._open(lost=True)

    def close(self) -> None:
        with self._opening:
            for db in (self._reader, self._writer):
                if db is not None:
                    with contextlib.suppress(sqlite3.Error):
                        db.close()
            self._let_go()

    def _reading(self) -> sqlite3.Connection:
        with self._opening:
            self._check()
            assert self._reader is not None
            return self._reader

    def _writing(self) -> sqlite3.Connection:
        with self._opening:
            self._check()
            assert self._writer is not None
            return self._writer

    def _check(self) -> None:
        """Open when closed; a file that went, was swapped or overwritten since is a fault."""
        if self._probe is None:
            self._open(lost=self.mark.exists() and not self.path.exists())
            return
        ours = os.fstat(self._probe)
        try:
            there = self.path.stat()
        except FileNotFoundError:
            raise StoreFault("deleted") from None
        if (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino):
            raise StoreFault("deleted")
        # SQLite works from its cache and log and would not notice an overwritten file for a long time.
        if os.pread(self._probe, len(HEADER), 0) != HEADER:
            raise StoreFault("corrupt")

    def _open(self, lost: bool) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Made by us first, so that nobody else can read it. The descriptor stays open for as long as the
        # connections: closing any descriptor of the file would drop SQLite's locks on it.
        probe = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._writer = self._connect()
            self._writer.executescript(SCHEMA)
            if lost:
                with self._writer:
                    self._writer.execute("INSERT OR REPLACE INTO fact VALUES ('lost_at', ?)", (time.time(),))
            self._reader = self._connect()
            row = self._reader.execute("SELECT value FROM fact WHERE name = 'lost_at'").fetchone()
            self._lost_at = None if row is None else float(row[0])
            self.mark.touch(mode=0o600)
            self._probe = probe
        except BaseException:
            self._let_go()
            os.close(probe)
            raise

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=LOCK_WAIT, check_same_thread=False)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA secure_delete = ON")  # what was deleted is not left in free pages
        return db

    def _let_go(self) -> None:
        # Not closed here: the other thread may be in the middle of a call. They close with their last use,
        # and SQLite leaves the new file's log alone because the old file has been moved.
        self._reader = self._writer = None
        if self._probe is not None:
            os.close(self._probe)
            self._probe = None

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreFault(_reason(error)) from None
        except OSError:
            raise StoreFault("unopenable") from None


def _reason(error: sqlite3.Error) -> str:
    said = str(error).lower()
    if "locked" in said or "busy" in said:
        return "locked"
    if "full" in said:
        return "full"
    if "readonly" in said or "read-only" in said:
        return "readonly"
    if "not a database" in said or "malformed" in said or "no such table" in said or "no such column" in said:
        return "corrupt"
    if "unable to open" in said:
        return "unopenable"
    return "broken"


class Store:
    """The guard: what the turn talks to. Puts are noted in memory at once and written by a thread.

    While the backend fails, rows wait in memory and are written when it takes them again. After a lost file
    `on_lost` is called in the event loop, so that every session in memory is put once more.
    """

    def __init__(self, backend: Backend, on_fault: Callable[[str], None] = lambda reason: None) -> None:
        self.backend = backend
        self.faults: Counter[str] = Counter()
        self.on_lost: Callable[[], None] = lambda: None
        self._on_fault = on_fault
        self._faulty: dict[str, str] = {}  # "read" / "write" → reason, while it lasts
        self._unwritten: OrderedDict[str, Row | None] = OrderedDict()
        self._unwritten_sids: dict[str, float] = {}
        self._sids: OrderedDict[str, None] = OrderedDict()
        self._jobs: list[tuple[Callable[[], Any], Future[Any]]] = []
        self._changed = threading.Condition()
        self._closing = False
        self._urgent = False  # the writing thread has something to do now
        self._waking = False  # it will have in a moment
        self._era = 0  # how often the backend was renewed
        self._renewing = threading.Lock()
        self._reads: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = queue.SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._threads = [
            threading.Thread(target=self._read_all, name="store-reads", daemon=True),
            threading.Thread(target=self._write_all, name="store-writes", daemon=True),
        ]

    def start(self) -> None:
        """To be called once, in the event loop."""
        self._loop = asyncio.get_running_loop()
        for thread in self._threads:
            thread.start()
        self._reads.put((lambda: self.backend.get(""), Future()))  # opens the file before the first turn

    @property
    def fault(self) -> str | None:
        """What is wrong now, or None."""
        return self._faulty.get("read") or self._faulty.get("write")

    def lost_lately(self, now: float) -> bool:
        """Rows were lost so lately that somebody unknown may have an open hold."""
        lost = self.backend.lost_at()
        return lost is not None and 0 <= now - lost < LOST_FOR

    async def get(self, key: str, patience: float = PATIENCE) -> Row | None:
        """The row, None when there is none; StoreFault when that is not known within `patience` seconds."""
        with self._changed:
            if key in self._unwritten:
                return self._unwritten[key]
        row: Row | None = await self._read(lambda: self.backend.get(key), patience)
        return row

    async def seen_sid(self, sid: str, patience: float = PATIENCE) -> bool:
        """Whether a message with this id was answered; an unreadable store counts as not."""
        if sid in self._sids:
            return True
        try:
            return bool(await self._read(lambda: self.backend.seen_sid(sid), patience))
        except StoreFault:
            return False  # better two answers than none

    def put(self, key: str, row: Row, soon: bool = True) -> None:
        """Keep the row; with `soon` false it may wait for others, to be written with them at once."""
        self._note(key, row, soon)

    def delete(self, key: str) -> None:
        self._note(key, None, True)

    def add_sid(self, sid: str) -> None:
        self._sids[sid] = None
        while len(self._sids) > SIDS_IN_MEMORY:
            self._sids.popitem(last=False)
        with self._changed:
            self._unwritten_sids[sid] = time.time()
            self._wake()

    async def written(self, patience: float) -> bool:
        """Wait at most `patience` seconds for everything put so far; whether it is in the file."""
        if self.fault or patience <= 0:
            return False
        with contextlib.suppress(StoreFault):
            await self._job(lambda: None, patience)
            return True
        return False

    async def expire(self, now: float) -> list[str]:
        """Delete what has ended; the records of what was deleted (perhaps not yet all of it)."""
        with contextlib.suppress(StoreFault):
            return list(await self._job(lambda: self.backend.expire(now), 5.0))
        return []

    async def probe(self) -> str | None:
        """Ask the backend something, so that `fault` is true of this moment."""
        with contextlib.suppress(StoreFault):
            await self._read(lambda: self.backend.get(""), PATIENCE)
            await self._job(lambda: None, PATIENCE)
        return self.fault

    def close(self, patience: float = 2.0) -> None:
        """Write what waits, for at most `patience` seconds, and let go."""
        with self._changed:
            self._closing = True
            self._wake()
        self._reads.put(None)
        until = time.monotonic() + patience
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, until - time.monotonic()))
        if not any(thread.is_alive() for thread in self._threads):
            self.backend.close()

    def _note(self, key: str, row: Row | None, soon: bool) -> None:
        with self._changed:
            self._unwritten[key] = row
            self._unwritten.move_to_end(key)
            while len(self._unwritten) > UNWRITTEN_AT_MOST:
                self._unwritten.popitem(last=False)
            if soon:
                self._wake()
            elif not self._waking and self._loop is not None:
                self._waking = True
                self._loop.call_later(GATHERED, self._wake_later)

    def _wake(self) -> None:
        self._urgent = True
        self._changed.notify()

    def _wake_later(self) -> None:
        with self._changed:
            self._waking = False
            self._wake()

    async def _read(self, call: Callable[[], Any], patience: float) -> Any:
        if self._reads.qsize() >= WAITING_AT_MOST:
            self._fault("read", "slow")
            raise StoreFault("slow")
        future: Future[Any] = Future()
        self._reads.put((call, future))
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), patience)
        except asyncio.TimeoutError:
            self._fault("read", "slow")
            raise StoreFault("slow") from None

    async def _job(self, call: Callable[[], Any], patience: float) -> Any:
        """Run `call` in the writing thread after all that waits there."""
        future: Future[Any] = Future()
        with self._changed:
            self._jobs.append((call, future))
            self._wake()
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), patience)
        except asyncio.TimeoutError:
            raise StoreFault("slow") from None

    def _read_all(self) -> None:
        while (item := self._reads.get()) is not None:
            call, future = item
            era = self._era
            if not future.set_running_or_notify_cancel():
                continue  # the turn has gone on without it
            try:
                value = call()
            except Exception as error:  # a backend that breaks is a fault of the store, never of the turn
                fault = error if isinstance(error, StoreFault) else StoreFault("broken")
                self._fault("read", fault.reason)
                if self._lost(fault.reason):
                    self._renew(fault.reason, era)
                self._settle(future, fault)
            else:
                self._faulty.pop("read", None)
                future.set_result(value)

    def _write_all(self) -> None:
        tries = 0
        while True:
            with self._changed:
                while not self._urgent:
                    self._changed.wait()
                self._urgent = False
                rows, sids, jobs = dict(self._unwritten), dict(self._unwritten_sids), self._jobs
                self._jobs = []
                closing = self._closing
            era = self._era
            try:
                if rows or sids:
                    self.backend.write(rows, sids)
                self._written(rows, sids)
                for call, future in jobs:
                    if future.set_running_or_notify_cancel():
                        future.set_result(call())
            except Exception as error:  # as above: rows wait in memory and are tried again
                fault = error if isinstance(error, StoreFault) else StoreFault("broken")
                self._fault("write", fault.reason)
                for _, future in jobs:
                    self._settle(future, fault)
                if closing:
                    return
                self._urgent = True
                if not (self._lost(fault.reason) and self._renew(fault.reason, era)):
                    with self._changed:
                        self._changed.wait_for(lambda: self._closing, PAUSES[min(tries, len(PAUSES) - 1)])
                tries += 1
            else:
                tries = 0
                self._faulty.pop("write", None)
                if closing:
                    return

    def _written(self, rows: Mapping[str, Row | None], sids: Mapping[str, float]) -> None:
        with self._changed:
            for key, row in rows.items():
                if key in self._unwritten and self._unwritten[key] is row:
                    del self._unwritten[key]
            for sid in sids:
                self._unwritten_sids.pop(sid, None)

    @staticmethod
    def _lost(reason: str) -> bool:
        return reason in ("corrupt", "deleted")

    def _renew(self, reason: str, era: int) -> bool:
        """Begin again, unless the other thread has done so since `era`; False when that failed."""
        with self._renewing:
            if self._era != era:
                return True
            try:
                self.backend.renew(reason)
            except Exception as error:  # as above
                self._fault("write", error.reason if isinstance(error, StoreFault) else "broken")
                return False
            self._era += 1
            self._faulty.clear()
        if self._loop is not None and not self._loop.is_closed():
            with contextlib.suppress(RuntimeError):  # the loop closed meanwhile: nothing is left to keep
                self._loop.call_soon_threadsafe(lambda: self.on_lost())
        return True

    def _fault(self, side: str, reason: str) -> None:
        self._faulty[side] = reason
        self.faults[reason] += 1
        self._on_fault(reason)

    @staticmethod
    def _settle(future: Future[Any], fault: StoreFault) -> None:
        if not future.done() and (future.running() or future.set_running_or_notify_cancel()):
            future.set_exception(fault)

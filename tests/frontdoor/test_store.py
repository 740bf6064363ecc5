"""The store and its guard, against real files that are really locked, full, read-only, corrupt or gone."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from breakwater.frontdoor.store import MemoryStore, Row, SqliteStore, Store, StoreFault
from tests.frontdoor.house import House, has_lines, running, until
from tests.frontdoor.peer import Peer

CRISIS = "I want to die"
LATER = time.time() + 3600


def locked(path: Path) -> contextlib.AbstractContextManager[Any]:
    """Somebody else holds the file so that nobody may even read it."""

    @contextlib.contextmanager
    def hold() -> Iterator[None]:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=5)) as other:
            other.execute("PRAGMA locking_mode = EXCLUSIVE")
            other.execute("BEGIN IMMEDIATE")
            other.execute("DELETE FROM fact WHERE name = 'nothing'")
            yield
            other.execute("ROLLBACK")

    return hold()


def spoil(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"this is what a bad disk gives back " * 2000)


# The file alone


@pytest.fixture
def file(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "deep" / "sessions.sqlite3")
    yield store
    store.close()


def test_rows_come_back(file: SqliteStore) -> None:
    file.write({"a": Row("one", LATER), "b": Row("two", LATER)}, {"sid": time.time()})
    assert file.get("a") == Row("one", LATER)
    assert file.seen_sid("sid") and not file.seen_sid("other")
    file.write({"a": None}, {})
    assert file.get("a") is None and file.get("b") is not None


def test_what_has_ended_is_deleted_and_told(file: SqliteStore) -> None:
    file.write({"old": Row("gone", 10.0), "new": Row("stays", LATER)}, {"sid": 10.0})
    assert file.expire(time.time()) == ["gone"]
    assert file.get("old") is None and file.get("new") is not None
    assert not file.seen_sid("sid")


def test_deleted_rows_leave_nothing_in_the_file(file: SqliteStore) -> None:
    file.write({"a": Row("canary-in-a-record", LATER)}, {})
    file.write({"a": None}, {})
    file.close()
    assert b"canary-in-a-record" not in file.path.read_bytes()


def test_only_we_can_read_it(file: SqliteStore) -> None:
    file.write({"a": Row("one", LATER)}, {})
    assert file.path.stat().st_mode & 0o077 == 0


def test_a_file_deleted_while_the_house_was_closed_counts_as_lost(tmp_path: Path) -> None:
    first = SqliteStore(tmp_path / "sessions.sqlite3")
    first.write({"a": Row("one", LATER)}, {})
    assert first.lost_at() is None
    first.close()
    first.path.unlink()
    again = SqliteStore(first.path)
    assert again.get("a") is None
    assert again.lost_at() is not None
    again.close()


# The guard


def guarded(backend: Any, act: Callable[[Store], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        store = Store(backend)
        store.start()
        try:
            return await act(store)
        finally:
            await asyncio.to_thread(store.close)

    return asyncio.run(run())


def test_a_put_is_there_at_once_and_in_the_file_soon(file: SqliteStore) -> None:
    async def act(store: Store) -> None:
        store.put("a", Row("one", LATER))
        assert await store.get("a") == Row("one", LATER)
        assert await store.written(2.0)

    guarded(file, act)
    assert SqliteStore(file.path).get("a") == Row("one", LATER)


def test_closing_writes_what_waits(file: SqliteStore) -> None:
    async def act(store: Store) -> None:
        for number in range(200):
            store.put(str(number), Row("one", LATER))

    guarded(file, act)
    assert SqliteStore(file.path).get("199") is not None


def test_an_id_of_a_delivery_is_known_after_a_restart(file: SqliteStore) -> None:
    async def act(store: Store) -> None:
        store.add_sid("sid")
        assert await store.seen_sid("sid")

    guarded(file, act)

    async def again(store: Store) -> bool:
        return await store.seen_sid("sid")

    assert guarded(SqliteStore(file.path), again)


def test_unreadable_is_not_missing(file: SqliteStore) -> None:
    before = SqliteStore(file.path)
    before.write({"a": Row("one", LATER)}, {})
    before.close()
    lock = contextlib.ExitStack()

    async def act(store: Store) -> None:
        with lock:
            started = time.monotonic()
            with pytest.raises(StoreFault) as fault:
                await store.get("somebody")
            assert time.monotonic() - started < 0.5
            assert fault.value.reason in ("locked", "slow")
            assert store.fault
        assert await waited(lambda: store._reads.empty())
        assert await store.get("nobody") is None
        assert await store.get("a") == Row("one", LATER)
        assert store.fault is None
        assert sum(store.faults.values()) >= 1

    lock.enter_context(locked(file.path))  # before our own connections, so that it locks out readers too
    guarded(file, act)


def test_writes_wait_while_locked_and_are_made_up_for(file: SqliteStore) -> None:
    async def act(store: Store) -> None:
        store.put("before", Row("one", LATER))
        assert await store.written(2.0)
        with contextlib.closing(sqlite3.connect(file.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            store.put("a", Row("two", LATER))
            assert not await store.written(0.4)
            assert store.fault == "locked"
            assert await store.get("a") == Row("two", LATER)
            assert await store.get("before") == Row("one", LATER)
            other.execute("ROLLBACK")
        assert await waited(lambda: store.fault is None)

    guarded(file, act)
    assert SqliteStore(file.path).get("a") == Row("two", LATER)


async def waited(true: Callable[[], bool], seconds: float = 5.0) -> bool:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        await asyncio.sleep(0.02)
    return True


class Full(SqliteStore):
    """No more pages than it has: SQLite's own "full"."""

    full = False

    def _writing(self) -> sqlite3.Connection:
        db = super()._writing()
        db.execute(f"PRAGMA max_page_count = {1 if self.full else 1000000}")
        return db


class ReadOnly(SqliteStore):
    """SQLite's own "attempt to write a readonly database"."""

    read_only = False

    def _writing(self) -> sqlite3.Connection:
        db = super()._writing()
        db.execute(f"PRAGMA query_only = {int(self.read_only)}")
        return db


@pytest.mark.parametrize(
    "kind, attribute, reason", [(Full, "full", "full"), (ReadOnly, "read_only", "readonly")]
)
def test_a_full_or_read_only_store(tmp_path: Path, kind: type, attribute: str, reason: str) -> None:
    backend = kind(tmp_path / "sessions.sqlite3")

    async def act(store: Store) -> None:
        store.put("before", Row("one", LATER))
        assert await store.written(2.0)
        setattr(backend, attribute, True)
        store.put("a", Row("x" * 20_000, LATER))
        assert await waited(lambda: store.fault == reason)
        assert (await store.get("a")) is not None and (await store.get("before")) is not None
        setattr(backend, attribute, False)
        assert await waited(lambda: store.fault is None)

    guarded(backend, act)
    assert SqliteStore(backend.path).get("a") is not None


@pytest.mark.parametrize("harm", ["corrupt", "deleted", "swapped", "emptied", "folder gone"])
def test_a_lost_file_is_set_aside_and_everything_in_memory_is_put_again(file: SqliteStore, harm: str) -> None:
    async def act(store: Store) -> None:
        def put_all() -> None:
            store.put("in memory", Row("one", LATER))

        store.on_lost = put_all
        put_all()
        assert await store.written(2.0)
        if harm == "corrupt":
            spoil(file.path)
        elif harm == "deleted":
            file.path.unlink()
        elif harm == "swapped":
            file.path.rename(file.path.with_name("elsewhere"))
            file.path.write_bytes(b"")
        elif harm == "emptied":
            file.path.write_bytes(b"")
        else:
            for one in file.path.parent.iterdir():
                one.unlink()
            file.path.parent.rmdir()
        with contextlib.suppress(StoreFault):
            await store.get("nobody")
        assert await waited(lambda: store.fault is None and store.backend.lost_at() is not None)
        assert await store.get("nobody") is None
        assert store.lost_lately(time.time())
        assert await store.written(2.0)
        assert sum(store.faults.values()) == 1

    guarded(file, act)
    assert SqliteStore(file.path).get("in memory") == Row("one", LATER)
    aside = [
        one.name for one in file.path.parent.iterdir() if ".corrupt-" in one.name or ".deleted-" in one.name
    ]
    assert bool(aside) == (harm in ("corrupt", "swapped", "emptied") or any("wal" in name for name in aside))


def test_a_file_that_is_corrupt_from_the_start(tmp_path: Path) -> None:
    path = tmp_path / "sessions.sqlite3"
    path.write_bytes(b"not a database, and long enough to be taken for one " * 100)

    async def act(store: Store) -> None:
        with contextlib.suppress(StoreFault):
            await store.get("nobody")
        assert await waited(lambda: store.fault is None)
        store.put("a", Row("one", LATER))
        assert await store.written(2.0)

    guarded(SqliteStore(path), act)
    assert any(".corrupt-" in one.name for one in tmp_path.iterdir())


def test_a_path_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    async def act(store: Store) -> None:
        with pytest.raises(StoreFault):
            await store.get("nobody")
        store.put("a", Row("one", LATER))
        assert (await store.get("a")) == Row("one", LATER)
        assert store.fault == "unopenable"

    guarded(SqliteStore(tmp_path / "file" / "sessions.sqlite3"), act)


class Stuck(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def get(self, key: str) -> Row | None:
        self.go.wait(10)
        return super().get(key)

    def write(self, rows: Any, sids: Any) -> None:
        self.go.wait(10)
        super().write(rows, sids)


def test_a_disk_that_hangs_keeps_nobody_waiting() -> None:
    backend = Stuck()

    async def act(store: Store) -> None:
        started = time.monotonic()
        faults = await asyncio.gather(*(store.get(str(n)) for n in range(200)), return_exceptions=True)
        assert all(isinstance(fault, StoreFault) for fault in faults)
        store.put("a", Row("one", LATER))
        assert time.monotonic() - started < 0.5
        assert store.fault == "slow"
        backend.go.set()
        assert await waited(lambda: store._reads.empty())
        assert await store.get("b") is None
        assert store.fault is None

    guarded(backend, act)


# The front door with a broken store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.sqlite3"


def ready(house: House) -> dict[str, Any]:
    return house.http.get("/readyz").json()


def test_sessions_and_holds_outlive_a_restart(peer: Peer, path: Path) -> None:
    with running(peer, store=str(path)) as house:
        talk, held, phone = house.chat(), house.chat("es"), house.phone()
        choice = talk.say("hello")[0]["choices"][0]["id"]
        sender = talk.kept.conversation
        held.say(CRISIS)
        phone.text(CRISIS, sid="SM1")
        check = house.chat()
        check.say("what's the point of any of this anymore")
    with running(peer, store=str(path)) as house:
        for one in (talk, held, phone, check):
            one.house = house
        assert talk.pick(choice).json()["messages"][0]["kind"] == "say"
        assert house.peer.words()[-1] == '/choose{"skill":"breathing"}'
        assert house.peer.asked[-1]["sender"] == sender
        assert held.say("hello")[0]["kind"] == "hold"
        assert phone.text(CRISIS, sid="SM1") == []  # this delivery was answered
        assert has_lines(phone.text("hello")[0])
        # The open question is known again, though nothing of this talk is in memory.
        assert check.say("tonight")[0]["kind"] == "emergency"


def broken_files(path: Path) -> dict[str, Callable[[], contextlib.AbstractContextManager[Any]]]:
    @contextlib.contextmanager
    def corrupt() -> Iterator[None]:
        spoil(path)
        yield

    @contextlib.contextmanager
    def deleted() -> Iterator[None]:
        path.unlink()
        yield

    @contextlib.contextmanager
    def write_locked() -> Iterator[None]:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")

    return {"corrupt": corrupt, "deleted": deleted, "locked": write_locked}


@pytest.mark.parametrize("fault", ["corrupt", "deleted", "locked"])
def test_a_broken_store_costs_nobody_the_lines_or_the_talk(peer: Peer, path: Path, fault: str) -> None:
    with running(peer, store=str(path)) as house:
        talk, held, quiet, phone = house.chat(), house.chat(), house.chat(), house.phone()
        talk.say("hello")
        held.say(CRISIS)
        quiet.say(CRISIS)
        phone.text("hello")
        with broken_files(path)[fault]():
            started = time.monotonic()
            assert talk.say("more")[0]["kind"] == "say"
            assert held.say("more")[0]["kind"] == "hold"
            assert house.chat().say(CRISIS)[0]["kind"] == "crisis"
            assert phone.text(CRISIS) and has_lines(phone.text("hello")[0])
            assert time.monotonic() - started < 3
            until(lambda: any("store" in reason for reason in ready(house)["reasons"]) or fault != "locked")
            assert house.http.get("/healthz").status_code == 200
            assert house.http.get("/readyz").status_code == 200
        until(lambda: ready(house)["store"]["fault"] is None)
        assert sum(ready(house)["store"]["faults"].values()) >= 1
        assert house.turns.metrics.registry.get_sample_value(
            "breakwater_store_faults_total", {"reason": {"corrupt": "corrupt"}.get(fault, fault)}
        )
        held.say("and more")
    with running(peer, store=str(path)) as house:  # what was in memory has been put again
        held.house = talk.house = quiet.house = house
        assert held.say("hello")[0]["kind"] == "hold"
        assert quiet.say("hello")[0]["kind"] == "hold"
        assert talk.say("hello")[0]["kind"] == "say"


def test_an_unreadable_state_is_an_open_hold_until_it_can_be_read(
    peer: Peer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(peer, store=str(path)) as house:
        talk, held, phone, told = house.chat(), house.chat(), house.phone(), house.chat()
        talk.say("hello")
        told.say("hello")
        sender = talk.kept.conversation
        held.say("i took all of them ten minutes ago")
        phone.text("hello")
    with running(peer, store=str(path)) as house:
        talk.house = held.house = phone.house = told.house = house

        def fail(self: SqliteStore, key: str) -> Row | None:
            raise StoreFault("locked")

        with monkeypatch.context() as fault:
            fault.setattr(SqliteStore, "get", fail)
            for person in (talk, held):
                message = person.say("hello")[0]
                assert message["kind"] == "hold" and has_lines(message["text"])
            assert has_lines(phone.text("hello")[0])
            started = time.monotonic()
            assert told.say(CRISIS)[0]["kind"] == "crisis"
            assert time.monotonic() - started < 0.3
            # An id that is not ours is nobody's, whatever the store says.
            assert house.say({"session": "nobody's", "text": "hello"}).status_code == 404
        until(lambda: talk.kept is not None and talk.kept.settled, 5, "settling")
        # The talk is a talk again; the hold is the one it was; what came meanwhile is not lost.
        assert talk.say("hello")[0]["kind"] == "say"
        assert house.peer.asked[-1]["sender"] == sender
        assert held.kept.state.types == ("suicide", "medical") or "medical" in held.kept.state.types
        assert told.say("hello")[0]["kind"] == "hold"
        assert told.kept.state.types == ("suicide",)
    with running(peer, store=str(path)) as house:
        told.house = house
        assert told.say("hello")[0]["kind"] == "hold"


def test_a_session_that_was_not_there_after_all(
    peer: Peer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(peer, store=str(path)) as house:
        over = house.chat()
        over.end()
        house.sessions._ended.clear()
        with monkeypatch.context() as fault:
            fault.setattr(SqliteStore, "get", lambda self, key: (_ for _ in ()).throw(StoreFault("locked")))
            fault.setattr(Store, "get", _fails)
            assert over.say("hello")[0]["kind"] == "hold"
        until(lambda: over.kept is None, 5, "settling")
        assert over.send({"text": "hello"}).status_code == 404


async def _fails(self: Store, key: str, patience: float = 0.1) -> Row | None:
    raise StoreFault("locked")


def test_garbage_in_a_record_is_an_open_hold(peer: Peer, path: Path) -> None:
    with running(peer, store=str(path)) as house:
        chat, phone = house.chat(), house.phone()
        phone.text("hello")
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE session SET record = '{\"state\": 5'")
    with running(peer, store=str(path)) as house:
        chat.house = phone.house = house
        answer = chat.send({"text": "hello"})
        assert answer.json()["messages"][0]["kind"] == "hold"
        assert has_lines(phone.text("hello")[0])


def test_after_a_loss_an_unknown_texter_is_held_and_an_unknown_web_session_is_none(
    peer: Peer, path: Path
) -> None:
    with running(peer, store=str(path)) as house:
        chat, phone = house.chat(), house.phone()
        phone.text(CRISIS)
    spoil(path)
    with running(peer, store=str(path)) as house:
        chat.house = phone.house = house
        until(lambda: ready(house)["store"]["fault"] is None)
        held = phone.text("hello")[0]
        assert has_lines(held) and "I hear you" not in held
        refused = chat.send({"text": "hello"})
        assert refused.status_code == 404 and refused.json()["lines"]
        assert house.chat().say("hello")[0]["kind"] == "say"


def test_a_texters_hold_ends_after_a_day_with_a_return_that_names_nothing(peer: Peer, path: Path) -> None:
    with running(peer, store=str(path), hold_idle=1.0, texting_idle=1.0) as house:
        phone = house.phone()
        phone.text(CRISIS)
        assert has_lines(phone.text("hello")[0])
        time.sleep(1.1)
        back = phone.text("hello")
        assert "I hear you" in " ".join(back) and has_lines(" ".join(back))
        assert not any(word in " ".join(back).lower() for word in ("suicid", "die", "kill"))


def test_sweeping_forgets_conversations(peer: Peer, path: Path) -> None:
    with running(peer, store=str(path), idle=0.2, sessions_in_memory=2) as house:
        talks = [house.chat() for _ in range(5)]
        senders = {one["sender"] for one in house.peer.asked}
        assert len(house.sessions) == 2 and len(senders) == len(talks)
        time.sleep(0.3)
        loop_call(house, house.sessions.sweep)
        until(lambda: senders <= set(house.peer.forgotten), 5, "forgetting")
        assert len(house.sessions) == 0


def loop_call(house: House, call: Callable[[], Awaitable[Any]]) -> Any:
    future = asyncio.run_coroutine_threadsafe(call(), house.store._loop)
    return future.result(10)

"""Who is talking: sessions in memory first, their rows in the store, their last words nowhere else.

A state that cannot be read counts as an open hold until it can be. Nothing here keeps a name, a number or
an address: a session is known by a keyed hash.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import hmac
import json
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from breakwater.frontdoor.settings import Settings
from breakwater.frontdoor.store import PATIENCE, Row, Store, StoreFault
from breakwater.safety import protocol
from breakwater.safety.protocol import State, Step
from breakwater.safety.verdict import Context, Verdict
from breakwater.safety.words import Words

RECENT = 3  # last messages of the person that the screen may know
RECENT_AT_MOST = 500  # characters of each
TAG = 10  # characters of a web session's id that only this house can write
AFTERWARDS = 7 * 24 * 3600.0  # seconds for which a texter is known after a talk, as somebody and no more
UNSETTLED_PAUSE = 0.5  # seconds between attempts to read what could not be read
ENDED_KEPT = 5000  # ended sessions whose late messages must not open them again


@dataclass(frozen=True)
class Offer:
    """One choice that the person may pick: the assistant's payload, or the protocol's choice."""

    label: str
    payload: str | None = None
    choice: str | None = None


@dataclass(eq=False)
class Session:
    """One talk. `generation` rises whenever something is said that makes earlier turns out of date."""

    key: str
    channel: str
    state: State
    conversation: str
    created: float
    seen: float
    offers: dict[str, Offer] = field(default_factory=dict)
    rates: bool = False  # the assistant asked for a number
    asked: bool = False  # the assistant knows this conversation
    recent: deque[str] = field(default_factory=lambda: deque(maxlen=RECENT))
    generation: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    known: bool = True  # somebody has it: it is kept in memory and in the store
    settled: bool = True  # what the store has of it has been read
    unmerged: list[Verdict] = field(default_factory=list)  # on messages that came before it was read
    greets: bool = False  # by texting: who this is goes before the first ordinary answer

    @property
    def context(self) -> Context:
        return Context(asked=self.state.question, recent=tuple(self.recent))

    @property
    def language(self) -> str:
        return self.state.language

    def heard(self, text: str) -> None:
        self.recent.append(text[-RECENT_AT_MOST:])  # what comes next goes on from its end

    def move(self, step: Step) -> str | None:
        """Take the step's state; the id of the conversation that is over with it, if one is."""
        old = None
        if step.reply is not None or step.state.name != self.state.name or step.fresh:
            self.generation += 1
        self.state = step.state
        if step.fresh:
            old, self.conversation = self.conversation, new_conversation()
            # What was said before must not, together with the next message, begin the hold again.
            self.recent.clear()
        return old

    def record(self) -> str:
        return json.dumps(
            {
                "state": self.state.to_json(),
                "conversation": self.conversation,
                "created": self.created,
                "seen": self.seen,
                "rates": self.rates,
                "offers": {id_: [o.label, o.payload, o.choice] for id_, o in self.offers.items()},
            }
        )


def new_conversation() -> str:
    """A name for a conversation with the assistant; it tells nothing."""
    return "c-" + secrets.token_hex(16)


def new_choice_id() -> str:
    return secrets.token_urlsafe(9)


class Sessions:
    """All sessions. `forget` gets the id of every conversation that is over, and whether a turn is in it."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        words: Words,
        forget: Callable[[str, bool], object],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._store = store
        self._words = words
        self._forget = forget
        self._clock = clock
        self._here: OrderedDict[str, Session] = OrderedDict()
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._unsettled: dict[str, Session] = {}
        self._settling: asyncio.Task[None] | None = None
        store.on_lost = self._put_all

    def __len__(self) -> int:
        return len(self._here)

    # Names

    def new_id(self) -> str:
        """An id for a web session: unguessable, and recognisable as ours without the store."""
        chance = secrets.token_urlsafe(24)
        return chance + self._tag(chance)

    def ours(self, session_id: str) -> bool:
        """Whether this house once made this id."""
        chance, tag = session_id[:-TAG], session_id[-TAG:]
        return hmac.compare_digest(self._tag(chance).encode(), tag.encode("utf-8", "replace"))

    def web_key(self, session_id: str) -> str:
        return self._hash("web:" + session_id)

    def texting_key(self, sender: str) -> str:
        """`sender` as the provider writes it; "whatsapp:+1…" and "+1…" are two."""
        return self._hash("sms:" + sender)

    def sid_key(self, *parts: str) -> str:
        return self._hash("sid:" + "\0".join(parts))

    # Coming and going

    def here(self, key: str) -> Session | None:
        """The session if it is in memory and has not ended."""
        session = self._here.get(key)
        if session is None:
            return None
        if session.seen + self._idle(session) <= self._clock():
            self._drop(session)
            return None
        self._here.move_to_end(key)
        return session

    async def read(self, key: str) -> Row | None:
        """What the store has; StoreFault when that cannot be known in time."""
        return await self._store.get(key, PATIENCE)

    def seat(self, key: str, channel: str, language: str, row: Row | None) -> Session | None:
        """The session of a row that was read: for texting always one, on the web None when there is none."""
        if (here := self.here(key)) is not None:
            if not here.settled:
                self._settle(here, row)
            return here if here.known else None
        session = self._revive(key, channel, row)
        if session is not None:
            self._enter(session)
            return session
        if channel == "web":
            return None
        session = self.open(key, channel, language)
        if self._store.lost_lately(self._clock()):
            # Rows were lost in the last day: somebody unknown may have been in a hold, and texters have no
            # page whose memory would tell. The web has: there an unknown session is 404, with the lines.
            session.state, session.greets = unreadable(language), False
        return session

    def seat_unread(self, key: str, channel: str, language: str) -> Session:
        """A place for somebody whose row cannot be read: an open hold, until it can."""
        here = self.here(key)
        if here is None:
            here = self._new(key, channel, language)
            here.state, here.settled = unreadable(language), False
            self._enter(here)
        if not here.settled:
            self._unsettled[key] = here
            if self._settling is None or self._settling.done():
                self._settling = asyncio.get_running_loop().create_task(self._settle_all())
        return here

    def open(self, key: str, channel: str, language: str) -> Session:
        session = self._new(key, channel, language)
        session.greets = channel == "sms"
        self._enter(session)
        return session

    def passing(self, key: str, channel: str, language: str) -> Session:
        """A session for one message of somebody whom nobody knows: kept nowhere."""
        session = self._new(key, channel, language)
        session.known = False
        return session

    def over(self, session: Session, conversation: str) -> None:
        """The conversation has ended, and the assistant is to forget it, once no turn is in it."""
        if session.asked:
            self._forget(conversation, session.lock.locked())
        session.asked = False

    def may_reopen(self, key: str) -> bool:
        return key not in self._ended

    def put(self, session: Session, soon: bool = True) -> None:
        """Keep what the session is now: in memory it is already, in the store in a moment."""
        session.seen = self._clock()
        if session.known and session.settled:
            self._store.put(session.key, self._row(session), soon)

    async def end(self, key: str) -> None:
        """Forget the session, its hold and its conversation."""
        session = self.here(key)
        if session is None:
            try:
                session = self._revive(key, "web", await self.read(key))
            except StoreFault:
                session = None
        self._ended[key] = None
        while len(self._ended) > ENDED_KEPT:
            self._ended.popitem(last=False)
        if session is not None:
            self._drop(session)
        else:
            self._store.delete(key)

    async def sweep(self) -> None:
        """Let go of everything whose time is over."""
        now = self._clock()
        for session in [s for s in self._here.values() if s.seen + self._idle(s) <= now]:
            self._drop(session)
        for record in await self._store.expire(now):
            conversation = _read(record).get("conversation")
            if isinstance(conversation, str):
                self._forget(conversation, False)

    # Inside

    def _new(self, key: str, channel: str, language: str) -> Session:
        now = self._clock()
        state = dataclasses.replace(protocol.START, language=language)
        return Session(key, channel, state, new_conversation(), created=now, seen=now)

    def _enter(self, session: Session) -> None:
        self._here[session.key] = session
        self._here.move_to_end(session.key)
        if len(self._here) > self._settings.sessions_in_memory:
            for key, other in list(self._here.items())[:50]:
                if other.settled and not other.lock.locked() and other is not session:
                    del self._here[key]  # its row is in the store, or waits to be written
                    break

    def _drop(self, session: Session) -> None:
        session.known = False
        session.generation += 1
        session.recent.clear()
        self._here.pop(session.key, None)
        self._unsettled.pop(session.key, None)
        self.over(session, session.conversation)
        if session.channel == "sms":
            self._return(session)
            self._store.put(session.key, self._row(session))
        else:
            self._store.delete(session.key)

    def _return(self, session: Session) -> None:
        """A texter's talk is over; the next message is met as a return that names nothing."""
        if session.state.name != "talk" or session.state.pending is None:  # else it is one already
            session.state = protocol.expired(session.state)
        session.offers, session.rates = {}, False
        session.conversation = new_conversation()

    def _revive(self, key: str, channel: str, row: Row | None) -> Session | None:
        if row is None:
            return None
        data = _read(row.record)
        session = self._new(key, channel, "en")
        session.state, session.asked = State.from_json(str(data.get("state", ""))), True
        session.rates = data.get("rates") is True
        if isinstance(data.get("conversation"), str):
            session.conversation = data["conversation"]
        if isinstance(data.get("created"), (int, float)):
            session.created = float(data["created"])
        if isinstance(data.get("seen"), (int, float)):
            session.seen = float(data["seen"])
        session.offers = _offers(data.get("offers"))
        if session.seen + self._idle(session) > self._clock():
            return session
        if channel == "web":
            return None
        self._return(session)
        return session

    def _settle(self, session: Session, row: Row | None) -> None:
        """What the store had has been read at last: put together with what was said meanwhile."""
        session.settled = True
        self._unsettled.pop(session.key, None)
        stored = self._revive(session.key, session.channel, row)
        if stored is None and session.channel == "web" and not session.unmerged:
            self._drop(session)  # it had ended, or never was
            return
        if stored is not None:
            session.state, session.conversation, session.asked = stored.state, stored.conversation, True
            session.created, session.offers, session.rates = stored.created, stored.offers, stored.rates
        elif session.channel == "web" or not self._store.lost_lately(self._clock()):
            session.state = dataclasses.replace(protocol.START, language=session.language)
        if session.unmerged:
            session.offers = {}
        for verdict in session.unmerged:
            old = session.move(
                protocol.advance(session.state, verdict, "", channel=session.channel, words=self._words)
            )
            if old is not None:
                self.over(session, old)
        session.unmerged.clear()
        session.generation += 1
        self.put(session)

    async def _settle_all(self) -> None:
        while self._unsettled:
            await asyncio.sleep(UNSETTLED_PAUSE)
            for key, session in list(self._unsettled.items()):
                try:
                    row = await self.read(key)
                except StoreFault:
                    break  # not yet
                if not session.settled:
                    self._settle(session, row)

    def _put_all(self) -> None:
        """The store began anew: everything that is in memory goes into it."""
        for session in self._here.values():
            if session.known and session.settled:
                self._store.put(session.key, self._row(session))

    def _row(self, session: Session) -> Row:
        after = AFTERWARDS if session.channel == "sms" else 0.0
        return Row(session.record(), session.seen + self._idle(session) + after)

    def _idle(self, session: Session) -> float:
        if session.state.name != "talk":
            return self._settings.hold_idle
        return self._settings.idle if session.channel == "web" else self._settings.texting_idle

    def _tag(self, chance: str) -> str:
        return self._hash("id:" + chance)[:TAG]

    def _hash(self, what: str) -> str:
        return hmac.new(
            self._settings.secret, what.encode("utf-8", "surrogatepass"), hashlib.sha256
        ).hexdigest()


def unreadable(language: str) -> State:
    return dataclasses.replace(protocol.UNREADABLE, language=language)


def _read(record: str) -> Mapping[str, Any]:
    try:
        data = json.loads(record)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _offers(data: Any) -> dict[str, Offer]:
    offers = {}
    for id_, parts in data.items() if isinstance(data, dict) else ():
        if isinstance(parts, list) and len(parts) == 3 and isinstance(parts[0], str):
            offers[str(id_)] = Offer(parts[0], parts[1], parts[2])
    return offers

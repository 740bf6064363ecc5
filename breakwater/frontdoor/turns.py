"""One message's way, from the screen to the words that answer it: the same for the web and for texting.

There is always an answer. Danger is answered at once: it never waits for another turn, for the assistant or
for the store, and is never refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import time
import unicodedata
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import anyio

from breakwater.frontdoor import guard
from breakwater.frontdoor.client import Assistant, AssistantFault, Said, typed
from breakwater.frontdoor.limits import Limiter
from breakwater.frontdoor.metrics import Metrics, note, where
from breakwater.frontdoor.screening import Screening
from breakwater.frontdoor.sessions import Offer, Session, Sessions, new_choice_id, unreadable
from breakwater.frontdoor.settings import Settings
from breakwater.frontdoor.store import Row, Store, StoreFault
from breakwater.safety import protocol
from breakwater.safety.protocol import TEXT, Choice, Reply, State, Step
from breakwater.safety.verdict import Context, Level, Verdict
from breakwater.safety.words import Words

# What danger gives a healthy store, so that types known from before a restart count; a store that is known
# to be at fault gets nothing.
CRISIS_PATIENCE = 0.01
IN_FLIGHT_PATIENCE = 10.0  # seconds that a duplicate waits for the first delivery's answer

QUIET = Verdict(Level.NONE)
MALFORMED, NO_SESSION, NO_CHOICE, TOO_LARGE, TOO_FAST = 400, 404, 409, 413, 429


@dataclass(frozen=True)
class Message:
    """One message as a channel hands it over. `fault` is the code it is refused with unless it is danger."""

    channel: str
    key: str  # the session's; empty when the message names none that could be ours
    text: str = ""
    choice: str | None = None  # id of a choice, instead of text
    language: str = "en"  # of somebody whom we do not know yet
    address: str | None = None
    sid: str | None = None  # key of this delivery
    media: bool = False
    opts_out: bool = False  # a keyword that the provider has acted upon: it lets no answer through
    asks_who: bool = False
    fault: int | None = None


@dataclass(frozen=True)
class Answer:
    """What goes back: replies, or a refusal's code, or neither for a delivery that was answered before."""

    replies: tuple[Reply, ...] = ()
    refusal: int | None = None
    language: str = "en"
    verdict: Verdict = QUIET
    state: State = protocol.START
    opened: str | None = None  # id of the web session that this message opened
    options: tuple[str, ...] = ()  # ids of the choices that may be picked by their number, in order


@dataclass
class Course:
    """How far a message has come, for the last ring to know."""

    verdict: Verdict = QUIET
    session: Session | None = None
    failsafe: str | None = None
    opened: str | None = None


class Superseded(Exception):
    """Something newer was said while this turn waited."""


@dataclass
class Turns:
    """Everything that a turn needs."""

    settings: Settings
    words: Words
    store: Store
    sessions: Sessions
    screening: Screening
    assistant: Assistant
    metrics: Metrics
    _in_flight: dict[str, asyncio.Event] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._per_session = Limiter(self.settings.session_limit, 60)
        self._per_address = Limiter(self.settings.address_limit, 60)
        self._per_opener = Limiter(self.settings.opening_limit, 3600)

    async def take(self, message: Message) -> Answer:
        """The answer to one message. Never raises but for cancellation."""
        started = time.monotonic()
        course = Course()
        try:
            answer = await self._take(message, course, started)
        except Exception as error:  # the last ring: whatever broke, the lines leave, and it is counted
            answer = self._last_resort(message, course, error)
        self._account(message, course, answer, time.monotonic() - started)
        return answer

    async def _take(self, message: Message, course: Course, started: float) -> Answer:
        # 2 Screen, with what memory knows of the talk; the store is read meanwhile. Where danger could hang
        # on the last question and that had to be read first, the message is screened once more with it.
        session = self.sessions.here(message.key)
        reading = None
        if message.key and (session is None or not session.settled):
            reading = asyncio.ensure_future(self.sessions.read(message.key))
        verdict = course.verdict = await self._screen(message, session)
        if reading is not None:
            session = await self._seat(message, reading, verdict.level >= Level.CRISIS)
            if session is not None and session.state.question and verdict.level < Level.CRISIS:
                verdict = course.verdict = await self._screen(message, session)
        danger = verdict.level >= Level.CRISIS
        course.session = session

        # 3 Seen before? Too much? Danger is told only the first of these.
        async with self._delivery(message, danger) as answered:
            if answered:
                self.metrics.sms_duplicates.inc()
                return Answer(verdict=verdict)
            refusal = self._refusal(message, session)
            if refusal is not None and not danger:
                if session is not None and refusal == TOO_FAST:
                    session.heard(
                        message.text
                    )  # the other half may come next, and together they may be danger
                language = session.language if session is not None else message.language
                return Answer(refusal=refusal, language=language, verdict=verdict)
            if message.opts_out and not danger:
                return Answer(verdict=verdict)
            if session is None:
                session = course.session = self._stranger(message, course)

            # 4 The protocol. From here to the reply nothing waits: state and words belong together.
            open_before, offer = session.offers, None
            if message.choice is not None and not message.text:
                offer = session.offers.get(message.choice)
                session.offers = {}  # picked once
            text = offer.label if offer is not None else message.text
            step = protocol.advance(
                session.state,
                verdict,
                text,
                channel=session.channel,
                choice=offer.choice if offer is not None else None,
                words=self.words,
            )
            self._moved(session, step, verdict, message.text)
            language = session.language
            replies = [self._offered(session, step.reply)] if step.reply is not None else []
            options = _options(replies)

            # 5, 6 The assistant, where the protocol leaves the word to it.
            if step.ask == TEXT and message.asks_who and not replies:
                session.greets = False
                replies.append(protocol.welcome(session.language, session.channel, self.words))
            elif step.ask == TEXT and offer is None and not typed(message.text):
                replies.append(self._notice("media" if message.media else "empty", session))
            elif step.ask is not None:
                try:
                    said = await self._ask(session, step, self._meant(session, message, step, offer), started)
                except Superseded:
                    self.metrics.superseded.inc()
                    replies = [self._overtaken(session)]
                    options = _options(replies)
                except AssistantFault as fault:
                    course.failsafe = fault.reason
                    if not replies:  # else what has been said suffices
                        replies = [self._try_again(session, open_before)]
                        options = _options(replies)
                else:
                    spoken = self._spoken(session, said, step)
                    options = () if session.rates else _options(spoken)
                    replies += spoken
            self._greet(session, message, replies, verdict)
            self.sessions.put(session, soon=False)  # a state that changed is on its way

            # The last check. Rendering (7) is the channel's.
            checked, replaced = guard.check(replies, verdict)
            if replaced:
                self.metrics.replaced.inc()
                options = ()
            return Answer(checked, None, language, verdict, session.state, course.opened, options)

    async def welcome(self, language: str, address: str | None) -> tuple[str, Answer]:
        """Open a web session: its id (empty when refused) and the first messages."""
        if address is not None and not self._per_opener.take(address):
            return "", Answer(refusal=TOO_FAST, language=language)
        session_id = self.sessions.new_id()
        session = self.sessions.open(self.sessions.web_key(session_id), "web", language)
        replies = [protocol.welcome(language, "web", self.words)]
        start = Step(session.state, None, "/start", False, ())
        try:
            within = time.monotonic() - self.settings.deadline + self.settings.greeting_deadline
            said = await self._ask(session, start, "/start", within)
            replies += self._spoken(session, said, start)
        except (AssistantFault, Superseded) as fault:
            reason = fault.reason if isinstance(fault, AssistantFault) else "late"
            self.metrics.failsafe.labels(reason).inc()
            replies.append(self._not_ready(language))
        self.sessions.put(session, soon=False)
        checked, replaced = guard.check(replies, QUIET)
        if replaced:
            self.metrics.replaced.inc()
        for reply in checked:
            self.metrics.replies.labels("web", reply.kind).inc()
        return session_id, Answer(checked, None, language, state=session.state)

    # 2, 3

    async def _screen(self, message: Message, session: Session | None) -> Verdict:
        if message.choice is not None and not message.text:
            return QUIET  # our own words: the person typed nothing
        if session is None:
            return await self.screening.verdict(message.text, Context())
        return await self.screening.verdict(message.text, session.context)

    async def _seat(
        self, message: Message, reading: asyncio.Future[Row | None], danger: bool
    ) -> Session | None:
        """The person's session, with what the store has if that can be known in time."""
        patience = None if not danger else 0.0 if self.store.fault else CRISIS_PATIENCE
        done, _ = await asyncio.wait({reading}, timeout=patience)
        reading.add_done_callback(lambda task: task.cancelled() or task.exception())  # looked at, if ever
        try:
            if not done:
                raise StoreFault("slow")
            return self.sessions.seat(message.key, message.channel, message.language, reading.result())
        except StoreFault:
            return self.sessions.seat_unread(message.key, message.channel, message.language)

    @contextlib.asynccontextmanager
    async def _delivery(self, message: Message, danger: bool) -> AsyncIterator[bool]:
        """Whether this delivery was answered before; while the first is under way, its twin waits."""
        if message.sid is None:
            yield False
            return
        if (first := self._in_flight.get(message.sid)) is not None:
            with anyio.move_on_after(IN_FLIGHT_PATIENCE):
                await first.wait()
            yield True
            return
        mine = self._in_flight[message.sid] = asyncio.Event()
        try:
            patience = CRISIS_PATIENCE if danger else 0.15
            if await self.store.seen_sid(message.sid, 0.0 if danger and self.store.fault else patience):
                yield True
                return
            yield False
            self.store.add_sid(message.sid)
        finally:
            del self._in_flight[message.sid]
            mine.set()

    def _refusal(self, message: Message, session: Session | None) -> int | None:
        """Why this message is not heard, unless it is danger. Every message counts towards the limits."""
        within = message.address is None or self._per_address.take(message.address)
        if session is not None:
            within = self._per_session.take(session.key) and within
        if message.fault is not None:
            return message.fault
        if not within:
            return TOO_FAST
        if session is None:
            return NO_SESSION
        if message.choice is not None:
            offer = session.offers.get(message.choice)
            # In a check-in or a hold the assistant's choices are void.
            if offer is None or (offer.payload is not None and session.state.name != "talk"):
                return NO_CHOICE
        return None

    def _stranger(self, message: Message, course: Course) -> Session:
        """A session for danger from somebody unknown, so that the hold is a hold.

        An id that this house once made is open again; anybody else gets a new one with the answer, but for
        an address that opens more than its share and for an id that its owner has ended.
        """
        if message.key:
            known = self.sessions.may_reopen(message.key)
            return (self.sessions.open if known else self.sessions.passing)(
                message.key, message.channel, message.language
            )
        if message.address is not None and not self._per_opener.take(message.address):
            return self.sessions.passing("", message.channel, message.language)
        course.opened = self.sessions.new_id()
        return self.sessions.open(self.sessions.web_key(course.opened), message.channel, message.language)

    # 4

    def _moved(self, session: Session, step: Step, verdict: Verdict, text: str) -> None:
        old = session.move(step)
        if step.state.name != "talk":
            # Whoever has had these words knows who writes; a welcome later would only stand in their way.
            session.greets = False
        if old is not None:
            self.sessions.over(session, old)
        if verdict.level >= Level.CRISIS:
            if not session.settled:
                session.unmerged.append(verdict)
        elif text and not step.fresh:
            session.heard(text)
        if step.reply is not None or step.ask != TEXT:
            session.offers, session.rates = {}, False
            self.sessions.put(session)

    def _offered(self, session: Session, reply: Reply) -> Reply:
        """The protocol's reply with ids for its choices that hold for this session alone."""
        made = {new_choice_id(): choice for choice in reply.choices if session.known}
        session.offers = {id_: Offer(choice.label, choice=choice.id) for id_, choice in made.items()}
        return dataclasses.replace(
            reply, choices=tuple(Choice(id_, choice.label) for id_, choice in made.items())
        )

    # 5, 6

    def _overtaken(self, session: Session) -> Reply:
        """What an earlier turn gets: the newer reply stands, and so do the choices that came with it."""
        reply = protocol.superseded(session.state, session.channel, self.words)
        open_now = [Choice(id_, offer.label) for id_, offer in session.offers.items() if offer.choice]
        return dataclasses.replace(reply, choices=tuple(open_now))

    def _notice(self, name: str, session: Session) -> Reply:
        return protocol.notice(f"notice.{name}", session.language, session.channel, self.words)

    def _meant(self, session: Session, message: Message, step: Step, offer: Offer | None) -> str:
        """What the assistant is asked: a payload of ours, or the person's own words."""
        if step.ask is not None and step.ask != TEXT:
            return step.ask
        if offer is None:
            offer = self._typed_offer(session, message)
        if offer is not None and offer.payload is not None:
            return offer.payload
        return typed(message.text)

    def _typed_offer(self, session: Session, message: Message) -> Offer | None:
        """The choice whose label was typed, or by text message its number, where that is no answer itself."""
        offers = [offer for offer in session.offers.values() if offer.payload is not None]
        plain = _plain(message.text)
        for offer in offers:
            if plain and plain == _plain(offer.label):
                return offer
        if message.channel == "sms" and not session.rates:
            number = self.words.answers.number(message.text)
            if number is not None and 1 <= number <= len(offers):
                return offers[number - 1]
        return None

    async def _ask(self, session: Session, step: Step, asked: str, started: float) -> tuple[Said, ...]:
        """The assistant's answer in this session's turn; Superseded when something newer was said."""
        generation = session.generation
        seconds = self.settings.deadline if step.reply is None else self.settings.greeting_deadline
        until = started + seconds
        try:
            await self._turn_in(session, until)
            try:
                if session.generation != generation:
                    raise Superseded
                session.asked = True
                said = await self.assistant.say(
                    session.conversation,
                    asked,
                    language=session.language,
                    channel=session.channel,
                    deadline=until - time.monotonic(),
                )
            finally:
                session.lock.release()
        except AssistantFault:
            if session.generation != generation:
                raise Superseded from None
            raise
        if session.generation != generation:
            raise Superseded
        return said

    @staticmethod
    async def _turn_in(session: Session, until: float) -> None:
        try:
            with anyio.fail_after(max(0.0, until - time.monotonic())):
                await session.lock.acquire()
        except TimeoutError:
            raise AssistantFault("busy") from None

    def _try_again(self, session: Session, before: dict[str, Offer]) -> Reply:
        """We could not answer; the assistant's choices of before stay open."""
        session.offers = {id_: offer for id_, offer in before.items() if offer.payload is not None}
        choices = tuple(Choice(id_, offer.label) for id_, offer in session.offers.items())
        reply = protocol.failsafe(session.language, session.channel, self.words)
        return dataclasses.replace(reply, choices=choices)

    def _spoken(self, session: Session, said: Sequence[Said], step: Step) -> list[Reply]:
        """The assistant's messages, with new choices, and with the lines beneath where they belong."""
        session.offers = {}
        session.rates = any(one.step is not None and one.step["kind"] == "rate" for one in said)
        replies = []
        for number, one in enumerate(said, 1):
            offers = {new_choice_id(): Offer(label, payload) for label, payload in one.buttons}
            session.offers |= offers
            text, lines = one.text, step.lines if number == len(said) else ()
            if lines and not guard.names_lines(text):
                text += "\n" + self.words.text("reach.calm", session.language, session.channel)
            choices = tuple(Choice(id_, offer.label) for id_, offer in offers.items())
            replies.append(Reply("say" if one.step is None else "step", text, choices, lines, one.step))
        return replies

    def _greet(self, session: Session, message: Message, replies: list[Reply], verdict: Verdict) -> None:
        """By text message: who this is, before the first ordinary answer; and about pictures, beneath one."""
        if session.channel != "sms" or session.state.name != "talk" or verdict.level >= Level.CRISIS:
            return
        if message.media and typed(message.text):
            replies.append(self._notice("media", session))
        if session.greets:
            session.greets = False
            replies.insert(0, protocol.welcome(session.language, "sms", self.words))

    def _not_ready(self, language: str) -> Reply:
        text = self.words.error(503, language)
        if not guard.names_lines(text):
            text += "\n" + self.words.text("reach.calm", language)
        return Reply("failsafe", text, (), self.words.lines_for(language), None)

    # Afterwards

    def _last_resort(self, message: Message, course: Course, error: Exception) -> Answer:
        note("turn_broke", logging.ERROR, channel=message.channel, error=where(error))
        course.failsafe = "internal"
        session = course.session
        if session is not None and course.verdict.level >= Level.CRISIS:
            # The talk must stop though the protocol could not say how: an open hold.
            session.state, session.offers = unreadable(session.language), {}
            session.generation += 1
            with contextlib.suppress(Exception):  # the reply matters more than keeping it
                self.sessions.put(session)
        state = session.state if session is not None else unreadable(message.language)
        return Answer(
            (guard.fixed(course.verdict),), None, message.language, course.verdict, state, course.opened
        )

    def _account(self, message: Message, course: Course, answer: Answer, seconds: float) -> None:
        verdict = answer.verdict
        if message.choice is None:
            self.metrics.messages.labels(message.channel, verdict.level.label, verdict.type).inc()
        for reply in answer.replies:
            self.metrics.replies.labels(message.channel, reply.kind).inc()
        if course.failsafe is not None:
            self.metrics.failsafe.labels(course.failsafe).inc()
        if answer.refusal is not None:
            self.metrics.refused.labels(str(answer.refusal)).inc()
        if answer.replies:
            self.metrics.reply.labels(answer.replies[0].kind).observe(seconds)
        self.metrics.sessions.set(len(self.sessions))
        note(
            "turn",
            channel=message.channel,
            level=verdict.level.label,
            types=list(verdict.types),
            rules=list(verdict.rules),
            source=verdict.source,
            kinds=[reply.kind for reply in answer.replies],
            refusal=answer.refusal,
            failsafe=course.failsafe,
            ms=round(seconds * 1000, 1),
        )


def _options(replies: Sequence[Reply]) -> tuple[str, ...]:
    return tuple(choice.id for reply in replies for choice in reply.choices)


def _plain(text: str) -> str:
    """For comparing a typed label: letters and digits alone, without case and accents."""
    letters = unicodedata.normalize("NFKD", text[:400].casefold())
    return "".join(char for char in letters if char.isalnum())

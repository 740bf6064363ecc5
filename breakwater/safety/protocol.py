"""The protocol: from a state and a verdict to the next reply, as DESIGN.md's table says, row by row.

Pure and total: no clock, no store, no network, and no text that makes it raise. It never lets a message
at crisis or above pass without the lines, and never ends a hold without leaving words, confirmed once.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from breakwater.safety.verdict import TOPICS, TYPES, Level, Verdict
from breakwater.safety.words import (
    CHANNELS,
    CHECKINS,
    LANGUAGES,
    LAST_RESORT,
    LEAVES,
    SKILLS,
    Line,
    Words,
    default_words,
    has_lines,
    normalise,
)

__all__ = [
    "LAST_RESORT", "START", "TEXT", "UNREADABLE", "Choice", "Line", "Reply", "State", "Step", "advance",
    "expired", "failsafe", "has_lines", "notice", "offered", "superseded", "welcome",
]  # fmt: skip

TEXT: Final = "<the person's own words>"  # Step.ask: the assistant is asked with what the person wrote
MENU: Final = "/menu"
CALM: Final = "/calm"

VERSION: Final = 1
NAMES: Final = ("talk", "checkin", "hold")
KINDS: Final = ("say", "step", "checkin", "crisis", "emergency", "hold", "failsafe")


@dataclass(frozen=True)
class Choice:
    id: str
    label: str


@dataclass(frozen=True)
class Reply:
    """What is sent: paragraphs are parted by one line break, numbering is the front door's."""

    kind: str
    text: str
    choices: tuple[Choice, ...] = ()
    lines: tuple[Line, ...] = ()
    step: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class State:
    """Where one person's talk stands. Holds no word that anybody wrote."""

    name: str = "talk"
    level: Level = Level.NONE
    types: tuple[str, ...] = ()  # of the hold, or of the concern that a check-in asks about
    topics: tuple[str, ...] = ()
    topic: str | None = None  # check-in: its question; hold: "skills" once not dying has been said
    asked_topics: tuple[str, ...] = ()  # check-ins asked in this talk; hold: "suicide" once it was asked
    pending: str | None = None  # again | suicide | leave:KIND | skill:NAME:NUMBER | return
    said: tuple[tuple[str, int], ...] = ()  # words' key → which wording comes next
    language: str = "en"

    @property
    def question(self) -> str | None:
        """What the last reply asked, for Context.asked."""
        if self.name == "checkin":
            return self.topic
        if self.name == "talk":
            return None
        return "suicide" if self.pending == "suicide" else "safe_now"

    def to_json(self) -> str:
        return json.dumps({"version": VERSION, **dataclasses.asdict(self), "level": self.level.label})

    @classmethod
    def from_json(cls, text: str) -> State:
        """The state that `to_json` wrote; UNREADABLE, an open hold, for anything else whatever it is."""
        try:
            data = json.loads(text)
            if data.pop("version") != VERSION or set(data) != {
                field.name for field in dataclasses.fields(cls)
            }:
                return UNREADABLE
            data["level"] = Level.of(data["level"])
            data["said"] = tuple((key, turn) for key, turn in data["said"])
            for name in ("types", "topics", "asked_topics"):
                data[name] = tuple(data[name])
            state = cls(**data)
            return state if _sound(state) else UNREADABLE
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return UNREADABLE


_LEVELS: Final = {"talk": (Level.NONE,), "checkin": (Level.CONCERN,), "hold": (Level.CRISIS, Level.EMERGENCY)}
_PENDING: Final = frozenset(
    (
        *(None, "again", "suicide", "return"),
        *(f"leave:{kind}" for kind in LEAVES),
        *(f"skill:{name}:{n}" for name, steps in SKILLS.items() for n in range(1, steps + 1)),
    )
)


def _sound(state: State) -> bool:
    """Every field holds what it may hold, and they fit each other."""
    return (
        state.level in _LEVELS.get(state.name, ())
        and set(state.types) <= set(TYPES)
        and set(state.topics) <= set(TOPICS)
        and set(state.asked_topics) <= set(CHECKINS)
        and state.topic in (None, *CHECKINS, "skills")
        and (state.name != "checkin" or state.topic in CHECKINS)
        and state.pending in _PENDING
        and state.language in LANGUAGES
        and len(state.said) <= 500
        and all(isinstance(k, str) and type(n) is int and 0 <= n < 1000 for k, n in state.said)
    )


START: Final = State()
# A hold of no type: what was said is not known, and the replies must not claim that it is.
UNREADABLE: Final = State(name="hold", level=Level.CRISIS)


@dataclass(frozen=True)
class Step:
    """What is to be done about one message."""

    state: State
    reply: Reply | None = None  # sent now
    ask: str | None = None  # then: None = nothing, TEXT = the person's words, or a payload
    fresh: bool = False  # the assistant's conversation so far must not go on
    lines: tuple[Line, ...] = ()  # to stand beneath the assistant's answer


# ---------------------------------------------------------------------------------------------------------
# The tables: the questions with their answers, what leaves which hold, the fixed skills


@dataclass(frozen=True)
class Option:
    """One answer to a check-in's question: the typed answers that mean it, and where it leads."""

    id: str
    says: tuple[str, ...] = ()  # classes of answers.yml
    goes: str = "hold"  # hold | clear | skip | suicide (the suicide question comes next)
    types: tuple[str, ...] = ()  # of the hold; empty = those of the concern
    level: Level = Level.CRISIS
    topics: tuple[str, ...] = ()
    thanks: str = "checkin.no"


_YES = ("yes", "maybe")
_NO = Option("no", ("no", "misread"), "clear")
_SKIP = Option("skip", ("skip", "idk"), "skip")
_DYING = Option("dying", (), types=("suicide",))
_FEARED = Option("no", ("no", "misread"), "clear", thanks="checkin.no_images")

QUESTIONS: Final[Mapping[str, tuple[Option, ...]]] = {
    "suicide": (
        Option("yes", _YES, types=("suicide",)),
        Option("hurt", ("hurt",), types=("self_harm",)),
        _NO,
        _SKIP,
    ),
    "self_harm": (
        Option("yes", (*_YES, "hurt"), types=("self_harm",)),
        Option("die", types=("suicide", "self_harm")),
        _NO,
        _SKIP,
    ),
    # "Are you safe where you are?": here "no" is the alarm.
    "abuse": (
        Option("safe", ("yes", "leave_safe_now", "leave_safe_place"), "clear"),
        Option("unsafe", ("no", "unsafe"), types=("abuse",)),
        Option("unsure", ("maybe", "idk"), types=("abuse",)),
        Option("skip", ("skip",), "skip"),
    ),
    "violence": (
        Option("yes", ("yes",), types=("violence",)),
        Option("might", ("maybe",), types=("violence",)),
        _NO,
        _SKIP,
    ),
    "psychosis": (
        Option("yes", _YES, types=("suicide", "violence"), level=Level.EMERGENCY, topics=("psychosis",)),
        _NO,
        _SKIP,
    ),
    "postpartum": (
        Option("yes", _YES, types=("suicide", "violence"), topics=("postpartum",)),
        Option("images", (), "clear", thanks="checkin.no_images"),
        _NO,
        _SKIP,
    ),
    "intrusive": (Option("yes", ("yes",)), Option("unsure", ("maybe", "idk")), _FEARED, _SKIP),
    "eating": (Option("yes", _YES, types=("medical",)), _DYING, _NO, _SKIP),
    "relapse": (Option("body", _YES, types=("medical",)), _DYING, _NO, _SKIP),
    "medical": (
        Option("yes", _YES, types=("medical",), level=Level.EMERGENCY, topics=("ingestion",)),
        _DYING,
        _NO,
        _SKIP,
    ),
    "third_party": (
        Option("yes", _YES, topics=("third_party",)),
        Option("me", (), "suicide"),
        Option("no", ("no", "misread", "leave_with_someone"), "clear"),
        _SKIP,
    ),
    "other": (Option("yes", _YES, types=("other",)), _DYING, _NO, _SKIP),
}

# What leaves each kind of hold.
LEAVING: Final[Mapping[str, tuple[str, ...]]] = {
    "suicide": ("safe_now", "reached"),
    "self_harm": ("safe_now", "reached"),
    "violence": ("safe_now", "reached"),
    "other": ("safe_now", "reached"),
    "abuse": ("safe_place", "go"),
    "third_party": ("with_someone",),
    "emergency": ("care",),
}

# The fixed skills of the self-harm hold: kind and seconds of each step; its words are skill.NAME.NUMBER.
SKILL_STEPS: Final[Mapping[str, tuple[tuple[str, tuple[int, ...]], ...]]] = {
    "delay": (("do", ()), ("wait", (900,)), ("do", ())),
    "breathe": (("do", ()), ("breathe", (4, 6)), ("breathe", (4, 6))),
    "ground": (("ground", ()), ("ground", ()), ("ground", ())),
}
_BODY = frozenset({"ingestion", "wound"})


# ---------------------------------------------------------------------------------------------------------
# Public functions


def advance(
    state: State,
    verdict: Verdict,
    text: str,
    *,
    channel: str = "web",
    choice: str | None = None,
    words: Words | None = None,
) -> Step:
    """The one step of the protocol. `choice`: the id of an offered choice, picked by its button."""
    turn = _Turn(state, verdict, text, channel, choice, words or default_words())
    if verdict.level >= Level.CRISIS and not turn.own_label:
        return _alarm(turn)
    return {"hold": _in_hold, "checkin": _in_checkin, "talk": _in_talk}[turn.state.name](turn)


def failsafe(language: str, channel: str = "web", words: Words | None = None) -> Reply:
    """What is sent when the assistant cannot answer; true whether or not it got the message."""
    words, language = words or default_words(), language if language in LANGUAGES else "en"
    return Reply(
        "failsafe", words.text("failsafe", language, _channel(channel)), (), words.lines_for(language)
    )


def superseded(state: State, channel: str = "web", words: Words | None = None) -> Reply:
    """What an earlier message gets when a check-in or hold began while it was being answered."""
    turn = _Turn(state, Verdict(Level.NONE), "", channel, None, words or default_words())
    kind = "checkin" if turn.state.name == "checkin" else "hold"
    return turn.reply(kind, turn.state, turn.say("superseded"), turn.reach(turn.state))


def welcome(language: str, channel: str = "web", words: Words | None = None) -> Reply:
    """Who this is, who sees what, and the lines."""
    return notice("welcome", language, channel, words)


def notice(name: str, language: str, channel: str = "web", words: Words | None = None) -> Reply:
    """A fixed sentence with the lines: "welcome", "notice.media", "notice.empty"."""
    words, language = words or default_words(), language if language in LANGUAGES else "en"
    return Reply("say", words.text(name, language, _channel(channel)), (), words.lines_for(language))


def expired(state: State) -> State:
    """The state after a hold's 24 hours by SMS: the next message gets a return that names no topic."""
    return State(said=state.said, language=state.language, pending="return" if state.name == "hold" else None)


def offered(state: State, words: Words | None = None, channel: str = "web") -> tuple[Choice, ...]:
    """The choices that stand open in `state`, in the order of their numbers by SMS."""
    words, state = words or default_words(), state if _sound(state) else UNREADABLE
    return tuple(Choice(name, words.label(name, state.language, _channel(channel))) for name in _ids(state))


# ---------------------------------------------------------------------------------------------------------
# One message at hand


class _Turn:
    """What one message and its state come to: answers matched, language settled, wordings drawn in order."""

    def __init__(
        self, state: State, verdict: Verdict, text: str, channel: str, choice: str | None, words: Words
    ) -> None:
        language = verdict.language if verdict.language in LANGUAGES else state.language
        self.language = language if language in LANGUAGES else "en"
        state = state if _sound(state) else UNREADABLE
        self.state = dataclasses.replace(state, language=self.language)
        self.types = tuple(kind for kind in verdict.types if kind in TYPES)
        self.topics = tuple(topic for topic in verdict.topics if topic in TOPICS)
        self.verdict, self.words, self.channel = verdict, words, _channel(channel)
        self.unread = verdict.source == "failsafe"
        self.concern = self.unread or verdict.level >= Level.CONCERN
        self.question_mark = "?" in text
        self._text = text
        self._said = dict(state.said)
        ids = _ids(self.state)
        # A label is our own sentence: when a button sends exactly that, nothing in it is news.
        self.own_label = choice in ids and self._is_label(choice)
        self.picked = choice if choice in ids else self._typed(ids)
        # Leaving takes a message that the screen has read and found quiet.
        self.quiet = self.own_label or not self.concern
        self.answers = frozenset() if self.own_label else words.answers.classes(text)

    def _typed(self, ids: tuple[str, ...]) -> str | None:
        number = self.words.answers.number(self._text)
        if number is not None and 1 <= number <= len(ids):
            return ids[number - 1]
        # "I'm safe for now?" asks; it is not the answer of that label.
        return None if self.question_mark else next((name for name in ids if self._is_label(name)), None)

    def _is_label(self, name: str) -> bool:
        if len(self._text) > 200:
            return False
        typed = normalise(self._text)
        return any(normalise(self.words.label(name, language)) == typed for language in LANGUAGES)

    @property
    def hedged(self) -> bool:
        return not self.unread and self.words.answers.hedged_no(self._text)

    def means(self, *names: str) -> bool:
        """One of `names` was picked, or typed as the class of the same name."""
        return self.picked in names or (self.picked is None and bool(self.answers.intersection(names)))

    def say(self, key: str) -> str:
        """The next wording of `key`; each use moves on, so none comes twice in a row."""
        wordings = self.words.variants(key, self.language, self.channel)
        turn = self._said.get(key, 0) % len(wordings)
        if len(wordings) > 1:
            self._said[key] = (turn + 1) % len(wordings)
        return wordings[turn]

    def reach(self, state: State) -> str:
        """The sentence with the lines: 911 first in an emergency, the abuse lines where there is abuse."""
        now = "now" if _hold_kind(state) == "emergency" and state.name == "hold" else ""
        abuse = "abuse" if "abuse" in state.types else ""
        return self.say("reach." + ("_".join(part for part in (now, abuse) if part) or "calm"))

    def reply(
        self,
        kind: str,
        state: State,
        *parts: str,
        choices: bool = True,
        step: Mapping[str, Any] | None = None,
    ) -> Reply:
        return Reply(
            kind,
            "\n".join(part for part in parts if part),
            offered(state, self.words, self.channel) if choices else (),
            self.words.lines_for(self.language, state.types, state.topics, state.level),
            step,
        )

    def step(self, state: State, reply: Reply, ask: str | None = None, fresh: bool = False) -> Step:
        """Every step that speaks ends here, so that the record of wordings is never lost."""
        said = tuple(sorted(self._said.items()))
        return Step(dataclasses.replace(state, said=said, language=self.language), reply, ask, fresh)


def _channel(channel: str) -> str:
    return channel if channel in CHANNELS else "web"


def _union(*groups: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item for group in groups for item in group))


# ---------------------------------------------------------------------------------------------------------
# talk


def _in_talk(turn: _Turn) -> Step:
    if turn.unread:
        return _ask(turn, "other")
    if turn.concern:
        topic = _topic_of(turn)
        if topic not in turn.state.asked_topics:
            return _ask(turn, topic)
        lines = turn.words.lines_for(turn.language, turn.types, turn.topics)
        return Step(dataclasses.replace(turn.state, pending=None), None, TEXT, lines=lines)
    if "line_number" in turn.answers:
        return turn.step(
            turn.state, turn.reply("say", turn.state, turn.say("hold.keyword"), turn.reach(turn.state))
        )
    if turn.state.pending == "return":
        state = dataclasses.replace(turn.state, pending=None)
        return turn.step(state, turn.reply("say", state, turn.say("return")), TEXT)
    return Step(turn.state, None, TEXT)


def _topic_of(turn: _Turn) -> str:
    """Which question a concern asks for: the topics that need their own come first."""
    about = (*turn.topics, *turn.types)
    order = (
        "third_party", "psychosis", "intrusive", "postpartum", "suicide", "self_harm",
        "abuse", "violence", "eating", "relapse", "medical",
    )  # fmt: skip
    return next((topic for topic in order if topic in about), "other")


# ---------------------------------------------------------------------------------------------------------
# check-in


def _ask(turn: _Turn, topic: str, again: bool = False) -> Step:
    """The check-in: an opening that fits, the lines, then one question with its answers."""
    was = turn.state
    fresh = was.topic != topic
    state = dataclasses.replace(
        was,
        name="checkin",
        level=Level.CONCERN,
        types=turn.types if fresh or not was.types else was.types,
        topics=turn.topics if fresh or not was.topics else was.topics,
        topic=topic,
        asked_topics=_union(was.asked_topics, (topic,)),
        pending="again" if again else None,
    )
    opening = turn.say("checkin.again" if again else f"checkin.opening.{topic}")
    question = turn.say(f"checkin.question.{topic}")
    return turn.step(state, turn.reply("checkin", state, opening, turn.reach(state), question))


def _answered(turn: _Turn, topic: str) -> Option | None:
    """The answer to the open question that was picked, numbered or typed; None for any other message."""
    options = QUESTIONS[topic]
    if turn.picked is not None:
        return next((option for option in options if option.id == turn.picked), None)
    return next((option for option in options if turn.answers.intersection(option.says)), None)


def _in_checkin(turn: _Turn) -> Step:
    state, topic = turn.state, turn.state.topic or "other"
    option = _answered(turn, topic)
    # An answer that clears takes a quiet message, or one of our own labels, which is no news.
    ours = turn.quiet or (turn.picked is not None and not turn.unread)
    if option is not None and (option.goes == "hold" or ours):
        return _after_answer(turn, option)
    if turn.answers & {"keyword", "line_number"}:
        question = turn.say(f"checkin.question.{topic}")
        return turn.step(
            state, turn.reply("checkin", state, turn.say("hold.keyword"), turn.reach(state), question)
        )
    if turn.unread:
        return _ask(turn, topic, again=True)
    if turn.concern:
        new = _topic_of(turn)
        # A suicide question that still stands open gives way to no other.
        if new not in state.asked_topics and topic != "suicide":
            return _ask(turn, new)
    if (turn.concern or turn.hedged) and state.pending != "again":
        return _ask(turn, topic, again=True)
    return _back_to_talk(turn, "checkin.another", TEXT)


def _after_answer(turn: _Turn, option: Option) -> Step:
    if option.goes == "hold":
        types, topics, level = _meaning(turn.state, option)
        # Whoever says "not to die" has answered the question that the self-harm hold would ask.
        return _begin(turn, level, types, topics, answered=option.id == "hurt")
    if option.goes == "suicide":
        return _ask(turn, "suicide")
    if option.goes == "clear":
        return _back_to_talk(turn, option.thanks, MENU)
    return _back_to_talk(turn, "checkin.skip", CALM)


def _meaning(state: State, option: Option) -> tuple[tuple[str, ...], tuple[str, ...], Level]:
    """The types, topics and level of the hold that an answer begins."""
    kept = tuple(topic for topic in state.topics if topic != "third_party")
    return option.types or state.types or ("other",), _union(option.topics, kept), option.level


def _back_to_talk(turn: _Turn, key: str, ask: str) -> Step:
    """The lines once more, and the talk goes on."""
    was = turn.state
    reply = turn.reply("say", was, turn.say(key), turn.reach(was), choices=False)
    return turn.step(State(asked_topics=was.asked_topics), reply, ask)


# ---------------------------------------------------------------------------------------------------------
# crisis and emergency, in any state


def _alarm(turn: _Turn) -> Step:
    """A message at crisis or above; when it also answers an open question, the answer counts too."""
    level, types, topics = turn.verdict.level, turn.types, turn.topics
    open_question = {"checkin": turn.state.topic, "hold": turn.state.pending}.get(turn.state.name)
    option = _answered(turn, open_question) if open_question and open_question in QUESTIONS else None
    if option is None or option.goes != "hold":
        return _begin(turn, level, types, topics)
    more_types, more_topics, more_level = _meaning(turn.state, option)
    answered = option.id == "hurt" and "suicide" not in types
    return _begin(
        turn, max(level, more_level), _union(types, more_types), _union(topics, more_topics), answered
    )


def _begin(
    turn: _Turn, level: Level, types: tuple[str, ...], topics: tuple[str, ...], answered: bool = False
) -> Step:
    """The crisis reply, and the hold: begun, or raised when it was open already."""
    was, types = turn.state, types or ("other",)
    held = was.name == "hold"
    if _BODY.intersection(topics):
        types = _union(types, ("medical",))
    merged = _union(topics, was.topics if held else ())
    # Danger to the person who writes outranks danger to somebody else, whichever was told first.
    if (held and "third_party" not in was.topics) or "third_party" not in topics:
        merged = tuple(topic for topic in merged if topic != "third_party")
    state = State(
        name="hold",
        level=max(level, was.level if held else Level.CRISIS),
        types=_union(types, was.types if held else ()),
        topics=merged,
        topic="skills" if answered else was.topic if held else None,
        asked_topics=("suicide",) if answered else was.asked_topics if held else (),
        language=was.language,
    )
    kind = "emergency" if state.level >= Level.EMERGENCY else "crisis"
    parts = _crisis_parts(turn, state, types, topics)
    # By SMS the first text must be whole in two segments, so the numbered choices come with the next one.
    reply = turn.reply(kind, state, *parts, choices=turn.channel == "web")
    return turn.step(state, reply, fresh=not held)


def _crisis_parts(turn: _Turn, state: State, types: tuple[str, ...], topics: tuple[str, ...]) -> list[str]:
    """`types` and `topics` are what was said now and give the opening; the blocks come from the hold."""
    web, main, other = turn.channel == "web", types[0], "third_party" in topics
    discreet = not web and "abuse" in state.types
    parts: list[str] = []
    if state.level >= Level.EMERGENCY:
        lead = _lead(state, main, other, discreet)
        parts.append(turn.say(f"emergency.lead.{lead}"))
        parts.append(_medical(turn, state))
        parts.append(turn.say(f"emergency.stay.{lead}") if web else "")
        return [*parts, turn.reach(state)]
    if other:
        parts.append(turn.say(f"crisis.third_party.{'discreet' if discreet else 'opening'}"))
        parts.append(turn.say(f"crisis.third_party.about.{main}") if web else "")
    else:
        parts.append(turn.say(f"crisis.opening.{'abuse' if discreet else main}"))
        also = [kind for kind in state.types if kind not in (main, "medical", "other")]
        parts.extend(turn.say(f"crisis.also.{kind}") for kind in also if web)
    parts.append(_medical(turn, state))
    if web:
        parts.append(turn.say(f"crisis.then.{'third_party' if other else _hold_kind(state)}"))
    parts.append(turn.reach(state))
    if web and not other and "abuse" not in state.types:
        parts.append(turn.say("reach.texting"))
    return parts


def _lead(state: State, main: str, other: bool, discreet: bool) -> str:
    if discreet:
        return "abuse"
    if other:
        return "third_party"
    if "postpartum" in state.topics:
        return "baby"
    if "psychosis" in state.topics:
        return "psychosis"
    return main if main in ("abuse", "violence") else "self"


def _medical(turn: _Turn, state: State) -> str:
    """Poison Control and "do not wait": by what happened, or for both when it is not known."""
    if "medical" not in state.types:
        return ""
    body = _BODY.intersection(state.topics)
    if turn.channel == "web" and len(body) == 2:
        return turn.say("crisis.medical.wound") + "\n" + turn.say("crisis.medical.ingestion")
    return turn.say(f"crisis.medical.{min(body) if len(body) == 1 else 'other'}")


# ---------------------------------------------------------------------------------------------------------
# hold


def _hold_kind(state: State) -> str:
    """Whose leaving words and steps hold: danger to a body first, then somebody else's, then by type."""
    if state.level >= Level.EMERGENCY or "medical" in state.types or "attempt" in state.topics:
        return "emergency"
    if "third_party" in state.topics:
        return "third_party"
    return next((k for k in ("suicide", "self_harm", "abuse", "violence") if k in state.types), "other")


def _only_self_harm(state: State) -> bool:
    return state.name == "hold" and state.types == ("self_harm",) and _hold_kind(state) == "self_harm"


def _ids(state: State) -> tuple[str, ...]:
    """The ids of the choices that stand open."""
    pending = state.pending or ""
    if state.name == "checkin":
        return tuple(option.id for option in QUESTIONS[state.topic or "other"])
    if state.name != "hold":
        return ()
    if pending == "suicide":
        return tuple(option.id for option in QUESTIONS["suicide"])
    if pending.startswith("leave:"):
        return ("confirm_yes", "confirm_no")
    leaves = tuple(f"leave_{kind}" for kind in LEAVING[_hold_kind(state)])
    if not _only_self_harm(state):
        return ("no_call", "friend", *leaves)
    if pending.startswith("skill:"):
        return ("next", "skills", "no_call", *leaves)
    if state.topic == "skills":
        return (*SKILL_STEPS, "no_call", *leaves)
    return ("skills", "no_call", "friend", *leaves) if state.asked_topics else ("no_call", "friend", *leaves)


def _in_hold(turn: _Turn) -> Step:
    state, pending = turn.state, turn.state.pending or ""
    if pending.startswith("leave:") and (step := _confirm(turn, pending.removeprefix("leave:"))):
        return step
    if pending == "suicide" and (step := _suicide_answer(turn)):
        return step
    if kind := _leaving(turn):
        return _speak(turn, state, turn.say(f"leave.ask.{kind}"), pending=f"leave:{kind}")
    if not turn.unread:
        if _only_self_harm(state) and (step := _skills(turn)):
            return step
        if key := _side_question(turn):
            return _speak(turn, state, turn.say(key), pending=_kept(state))
        if _only_self_harm(state) and not state.asked_topics:
            return _ask_suicide(turn)
    kind = _hold_kind(state)
    if kind == "emergency" and "medical" in state.types:
        kind = "medical"  # the same leaving words, other steps
    opening = turn.say("hold.opening" if state.types else "hold.unreadable")
    return _speak(turn, state, opening, turn.say(f"hold.steps.{kind}"), pending=_kept(state))


def _speak(
    turn: _Turn,
    was: State,
    *parts: str,
    pending: str | None,
    topic: str | None = None,
    step: Mapping[str, Any] | None = None,
    last: str = "",
) -> Step:
    """A hold's reply: the words, always with the lines. `last` is a question that ends it."""
    state = dataclasses.replace(was, pending=pending, topic=topic or was.topic)
    return turn.step(state, turn.reply("hold", state, *parts, turn.reach(state), last, step=step))


def _kept(state: State) -> str | None:
    """A skill in progress goes on after a side question; an open question does not."""
    return state.pending if (state.pending or "").startswith("skill:") else None


def _leaving(turn: _Turn) -> str | None:
    """The leaving words of this hold's kind that were picked or typed; none in a question."""
    kinds = LEAVING[_hold_kind(turn.state)]
    if not turn.quiet or (turn.question_mark and turn.picked is None):
        return None
    return next((kind for kind in kinds if turn.means(f"leave_{kind}")), None)


def _confirm(turn: _Turn, kind: str) -> Step | None:
    """The answer to "are you sure?": yes ends the hold, and so do the same leaving words once more."""
    allowed = kind in LEAVING[_hold_kind(turn.state)]
    if (
        allowed
        and turn.quiet
        and not turn.question_mark
        and turn.means("confirm_yes", "yes", f"leave_{kind}")
    ):
        # Nothing of the hold stays, so a later concern is asked about again.
        state = State(language=turn.language)
        reply = turn.reply("say", state, turn.say(f"leave.done.{kind}"), turn.reach(state))
        # "I have to go" may mean that somebody is coming: nothing more is sent after it.
        return turn.step(state, reply, None if kind == "go" else MENU, fresh=True)
    if turn.means("confirm_no", "no", "not_yet"):
        return _speak(turn, turn.state, turn.say("leave.not_yet"), pending=None)
    return None


def _ask_suicide(turn: _Turn) -> Step:
    """The one question of the self-harm hold, asked once."""
    state = dataclasses.replace(turn.state, asked_topics=("suicide",))
    question = turn.say("checkin.question.suicide")
    return _speak(turn, state, turn.say("self_harm.ask"), pending="suicide", last=question)


def _suicide_answer(turn: _Turn) -> Step | None:
    option = _answered(turn, "suicide")
    if option is None:
        return None
    if option.id == "yes":
        return _begin(turn, Level.CRISIS, ("suicide",), ())
    if not turn.quiet:
        return None
    if option.id == "skip":
        return _speak(turn, turn.state, turn.say("self_harm.rather_not"), pending=None)
    return _speak(turn, turn.state, turn.say("self_harm.skills"), pending=None, topic="skills")


def _skills(turn: _Turn) -> Step | None:
    """The fixed skills, told step by step; None when the message asks for none of them."""
    state = turn.state
    if turn.means("skills") and state.asked_topics:
        return _speak(turn, state, turn.say("self_harm.skills"), pending=None, topic="skills")
    if turn.picked is not None and turn.picked in SKILL_STEPS:
        return _tell(turn, turn.picked, 1)
    if (state.pending or "").startswith("skill:") and turn.means("next"):
        _, name, number = (state.pending or "").split(":")
        if int(number) < len(SKILL_STEPS[name]):
            return _tell(turn, name, int(number) + 1)
        return _speak(turn, state, turn.say("self_harm.done"), pending=None)
    return None


def _tell(turn: _Turn, name: str, number: int) -> Step:
    kind, seconds = SKILL_STEPS[name][number - 1]
    step: dict[str, Any] = {"exercise": name, "number": number, "of": len(SKILL_STEPS[name]), "kind": kind}
    if seconds:
        step["seconds"] = list(seconds)
    words = turn.say(f"skill.{name}.{number}")
    return _speak(turn, turn.state, words, pending=f"skill:{name}:{number}", step=step)


def _side_question(turn: _Turn) -> str | None:
    """The key of the words for what people ask in a hold; None when it is something else."""
    if turn.means("keyword", "line_number"):
        return "hold.keyword"
    if turn.means("friend"):
        other = "third_party" in turn.state.topics
        return "hold.friend." + (
            "abuse" if "abuse" in turn.state.types else "third_party" if other else "self"
        )
    if turn.means("bye", "leave_go"):
        return "hold.bye"
    names = ("no_call", "police", "program", "misread")
    return next((f"hold.{name}" for name in names if turn.means(name)), None)

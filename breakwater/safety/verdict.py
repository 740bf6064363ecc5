"""What the screen says about one message, and why: plain frozen values.

A verdict never carries the message's text, so it may be logged and stored.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

Span = tuple[int, int]


class Level(enum.IntEnum):
    """How urgent a message is; the order is the order of urgency."""

    NONE = 0
    CONCERN = 1
    CRISIS = 2
    EMERGENCY = 3

    @property
    def label(self) -> str:
        return self.name.lower()

    @classmethod
    def of(cls, label: str) -> Level:
        """The level called `label`; KeyError for any other word."""
        return cls[label.upper()]


TYPES = ("suicide", "self_harm", "violence", "abuse", "medical", "other")

# What a rule may say beyond level and type; the protocol picks questions, blocks and
# leaving words by these.
TOPICS = (
    "third_party",  # the danger is somebody else's
    "ingestion",  # something was swallowed
    "wound",  # a wound that may need care
    "attempt",  # an attempt made or under way
    "psychosis",
    "relapse",
    "eating",
    "postpartum",
    "intrusive",  # unwanted images of harm, feared and not wished
)


@dataclass(frozen=True)
class Hit:
    """One rule that fired: half-open spans in code points of the text as given."""

    rule: str
    level: Level
    types: tuple[str, ...]
    spans: tuple[Span, ...]
    why: str


@dataclass(frozen=True)
class HeldBack:
    """One rule that matched and was lowered or dropped, and the context rule that did it."""

    rule: str
    by: str


@dataclass(frozen=True)
class Context:
    """What the screen may know of the talk: the bot's last question and the person's last messages."""

    asked: str | None = None
    recent: tuple[str, ...] = ()  # oldest first


@dataclass(frozen=True)
class Verdict:
    level: Level
    types: tuple[str, ...] = ()  # the main one first; empty at level none
    language: str = "und"  # en, es or und
    rules: tuple[str, ...] = ()
    spans: tuple[Span, ...] = ()
    held_back: tuple[HeldBack, ...] = ()
    source: str = "none"  # rule, second_opinion, none or failsafe
    rulebook: str = ""  # content hash of the rule book that decided
    topics: tuple[str, ...] = ()
    hits: tuple[Hit, ...] = ()

    @property
    def type(self) -> str:
        return self.types[0] if self.types else "none"

    def to_json(self) -> dict[str, Any]:
        """The shape that `breakwater screen` prints and the trace carries."""
        return {
            "level": self.level.label,
            "type": self.type,
            "types": list(self.types) or ["none"],
            "language": self.language,
            "rules": list(self.rules),
            "spans": [list(span) for span in self.spans],
            "held_back": [{"rule": held.rule, "by": held.by} for held in self.held_back],
            "source": self.source,
            "rulebook": self.rulebook,
        }

"""What stands around a match decides what it means: negation, another person, the past, a joke, the hour.

Nothing is lowered without a record of which context rule did it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from breakwater.safety.match import STRONG, Automaton, Found, Reading
from breakwater.safety.rulebook import ContextRule, Rule
from breakwater.safety.verdict import Level

REACH = 40  # words to both sides of a match in which a cue can matter


@dataclass(frozen=True)
class Judged:
    """A match after its surroundings were weighed. NONE: it was dropped, by `by`."""

    level: Level
    third_party: bool
    by: tuple[str, ...]


class Places:
    """Where cues and conditions stand in one reading, located only when and where they are asked for."""

    def __init__(
        self,
        automaton: Automaton,
        reading: Reading,
        symbols: Sequence[tuple[int, ...]],
        ended: Mapping[tuple[bool, int, str], Sequence[tuple[int, int]]],
    ) -> None:
        self._automaton = automaton
        self._reading = reading
        self._symbols = symbols
        self._ended = ended
        self._known: dict[tuple[int, int], Found | None] = {}
        self._some: dict[tuple[bool, int, str], list[Found]] = {}

    def has(self, context: bool, index: int, part: str) -> bool:
        return (context, index, part) in self._ended

    def any(self, context: bool, index: int, part: str) -> bool:
        return bool(self.some(context, index, part))

    def some(self, context: bool, index: int, part: str) -> list[Found]:
        """The first few places in the whole message."""
        key = (context, index, part)
        known = self._some.get(key)
        if known is None:
            known = self._some[key] = []
            for pattern, last in self._ended.get(key, ())[: 4 * REACH]:
                found = self._locate(pattern, last)
                if found is not None:
                    known.append(found)
                    if len(known) >= 8:
                        break
        return known

    def near(self, context: bool, index: int, part: str, hit: Found) -> list[Found]:
        """The places within reach of a match, bounded so that floods of cues cost only their length."""
        ended = self._ended.get((context, index, part))
        if not ended:
            return []
        low = bisect_left(ended, hit.start - REACH, key=_last)
        high = bisect_left(ended, hit.end + REACH, key=_last)
        out = []
        for pattern, last in ended[low:high][: 4 * REACH]:
            found = self._locate(pattern, last)
            if found is not None:
                out.append(found)
        return out

    def _locate(self, pattern: int, last: int) -> Found | None:
        key = (pattern, last)
        if key not in self._known:
            self._known[key] = self._automaton.locate(pattern, last, self._reading, self._symbols)
        return self._known[key]


def _last(ended: tuple[int, int]) -> int:
    return ended[1]


@dataclass(frozen=True)
class Cues:
    """Where the cues of one context rule stand in one reading."""

    places: Places
    index: int

    def near(self, part: str, hit: Found, everywhere: bool = False) -> list[Found]:
        if everywhere:
            return self.places.some(True, self.index, part)
        return self.places.near(True, self.index, part, hit)


def weigh(rule: Rule, hit: Found, reading: Reading, contexts: Sequence[tuple[ContextRule, Cues]]) -> Judged:
    """The level that a match of `rule` at `hit` keeps among the cues of its message."""
    level = rule.level
    raised = False
    third = False
    by: list[str] = []
    for context, cues in contexts:
        if not _concerns(context, rule):
            continue
        if not _holds(context, cues, hit, reading):
            continue
        if context.effect == "drop":
            return Judged(Level.NONE, third, (context.id,))
        if context.effect == "lower":
            if level > Level.CONCERN:
                level = Level.CONCERN
                by.append(context.id)
        elif context.effect == "raise":
            raised = True
        else:
            third = True
    if raised and level == Level.CRISIS:
        level = Level.EMERGENCY
    return Judged(level, third, tuple(by))


def _concerns(context: ContextRule, rule: Rule) -> bool:
    if context.language and context.language != rule.language:
        return False
    if context.kinds and rule.kind not in context.kinds:
        return False
    if rule.kind in context.not_kinds:
        return False
    if context.types and not context.types.intersection(rule.types):
        return False
    return not context.levels or rule.level in context.levels


def _holds(context: ContextRule, cues: Cues, hit: Found, reading: Reading) -> bool:
    everywhere = context.where == "message"
    placed = [cue for cue in cues.near("patterns", hit, everywhere) if _in_place(context, cue, hit, reading)]
    if context.shields and placed:
        placed = [
            cue
            for cue in placed
            if not any(
                shield.start < cue.end and cue.start < shield.end for shield in cues.near("shields", cue)
            )
        ]
    if not placed:
        return False
    if context.with_ and not any(
        everywhere or together(reading, found, hit) for found in cues.near("with", hit, everywhere)
    ):
        return False
    return not context.unless or not any(
        everywhere or together(reading, found, hit) for found in cues.near("unless", hit, everywhere)
    )


def _in_place(context: ContextRule, cue: Found, hit: Found, reading: Reading) -> bool:
    where = context.where
    if where == "message":
        return True
    if where == "inside":
        return cue.start >= hit.start and cue.end <= hit.end
    if where == "sentence":
        return together(reading, cue, hit)
    if where in ("before", "around") and cue.end <= hit.start:
        return hit.start - cue.end < context.within and _clear(context, reading, cue.end, hit.start)
    if where in ("after", "around") and cue.start >= hit.end:
        return cue.start - hit.end < context.within and _clear(context, reading, hit.end, cue.start)
    return where == "around" and cue.start < hit.end and hit.start < cue.end


def _clear(context: ContextRule, reading: Reading, start: int, end: int) -> bool:
    """Nothing between two places ends the reach of a cue: no sentence end, "but", or comma that counts."""
    stop = 1 if context.comma_stops else STRONG
    if any(reading.breaks[at] >= stop for at in range(start, end + 1) if at < len(reading.breaks)):
        return False
    return not context.not_across.intersection(reading.words[start : end + 1])


def together(reading: Reading, a: Found, b: Found) -> bool:
    """Both stand in one sentence."""
    first, second = (a, b) if a.start <= b.start else (b, a)
    return not any(reading.breaks[at] >= STRONG for at in range(first.end, second.start + 1))


def index(contexts: Sequence[ContextRule], places: Places) -> list[tuple[ContextRule, Cues]]:
    """The context rules whose cues may stand in this reading."""
    return [
        (context, Cues(places, number))
        for number, context in enumerate(contexts)
        if places.has(True, number, "patterns")
    ]

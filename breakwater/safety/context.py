"""What stands around a match decides what it means: negation, another person, the past, a joke, the hour.

Nothing is lowered without a record of which context rule did it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from breakwater.safety.match import STRONG, Found, Reading
from breakwater.safety.rulebook import ContextRule, Rule
from breakwater.safety.verdict import Level

REACH = 40  # words to both sides of a match in which a cue can matter


@dataclass(frozen=True)
class Judged:
    """A match after its surroundings were weighed. NONE: it was dropped, by `by`."""

    level: Level
    third_party: bool
    by: tuple[str, ...]


@dataclass(frozen=True)
class Cues:
    """Where the cues of one context rule stand in one reading."""

    cues: Sequence[Found]
    shields: Sequence[Found] = ()
    with_: Sequence[Found] = ()
    unless: Sequence[Found] = ()


def weigh(
    rule: Rule, hit: Found, reading: Reading, contexts: Sequence[tuple[ContextRule, Cues]]
) -> Judged:
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
    if context.with_ and not any(
        everywhere or together(reading, found, hit) for found in near(cues.with_, hit, everywhere)
    ):
        return False
    if context.unless and any(
        everywhere or together(reading, found, hit) for found in near(cues.unless, hit, everywhere)
    ):
        return False
    for cue in near(cues.cues, hit, everywhere):
        if any(shield.start < cue.end and cue.start < shield.end for shield in near(cues.shields, cue)):
            continue
        if _in_place(context, cue, hit, reading):
            return True
    return False


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
    """Nothing between two places ends the reach of a cue: no sentence end, no "but", no comma if it counts."""
    stop = 1 if context.comma_stops else STRONG
    if any(reading.breaks[at] >= stop for at in range(start, end + 1) if at < len(reading.breaks)):
        return False
    return not context.not_across.intersection(reading.words[start : end + 1])


def together(reading: Reading, a: Found, b: Found) -> bool:
    """Both stand in one sentence."""
    first, second = (a, b) if a.start <= b.start else (b, a)
    return not any(reading.breaks[at] >= STRONG for at in range(first.end, second.start + 1))


def near(places: Sequence[Found], hit: Found, everywhere: bool = False) -> Sequence[Found]:
    """The places within reach of a match; a bounded number, so that floods of cues cost no more than their length."""
    if len(places) <= REACH:
        return places
    if everywhere:
        return places[:REACH]
    low = bisect_left(places, hit.start - REACH, key=lambda found: found.end)
    high = bisect_left(places, hit.end + REACH, key=lambda found: found.end)
    return places[low:high][: 4 * REACH]


def index(
    contexts: Sequence[ContextRule], found: Mapping[tuple[int, str], Sequence[Found]]
) -> list[tuple[ContextRule, Cues]]:
    """The context rules whose cues stand in this reading, with where they stand."""
    out = []
    for number, context in enumerate(contexts):
        cues = found.get((number, "patterns"))
        if cues:
            out.append(
                (
                    context,
                    Cues(
                        cues,
                        found.get((number, "shields"), ()),
                        found.get((number, "with"), ()),
                        found.get((number, "unless"), ()),
                    ),
                )
            )
    return out

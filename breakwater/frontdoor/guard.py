"""The last check on the way out: no reply to danger, and none in a hold, leaves without the lines.

It trusts nothing before it: not the protocol, not its words, not the files they come from.
"""

from __future__ import annotations

from collections.abc import Sequence

from breakwater.safety.protocol import Reply
from breakwater.safety.verdict import Level, Verdict
from breakwater.safety.words import LAST_RESORT, Line

NUMBERS = ("988", "741741", "911")
WITH_LINES = frozenset(("checkin", "crisis", "emergency", "hold", "failsafe"))
DANGER = ("crisis", "emergency")
FIXED_LINES = (
    Line("988", "988", call="988", text="988"),
    Line("741741", "741741", text="741741", body="HOME"),
    Line("911", "911", call="911"),
)


def names_lines(text: str) -> bool:
    return all(number in text for number in NUMBERS)


def fixed(verdict: Verdict) -> Reply:
    """The words that need nothing."""
    kind = verdict.level.label if verdict.level >= Level.CRISIS else "failsafe"
    return Reply(kind, LAST_RESORT, (), FIXED_LINES, None)


def check(replies: Sequence[Reply], verdict: Verdict) -> tuple[tuple[Reply, ...], bool]:
    """The replies as they may leave, and whether the fixed words had to take their place."""
    if all(_whole(reply) for reply in replies) and _answers(replies, verdict):
        return tuple(replies), False
    return (fixed(verdict),), True


def _whole(reply: Reply) -> bool:
    return bool(reply.text.strip()) and (
        reply.kind not in WITH_LINES or (names_lines(reply.text) and bool(reply.lines))
    )


def _answers(replies: Sequence[Reply], verdict: Verdict) -> bool:
    if not replies:
        return False
    if verdict.level >= Level.CRISIS:  # the very first thing said, and as what it is
        return replies[0].kind in DANGER and names_lines(replies[0].text)
    if verdict.level >= Level.CONCERN:
        return any(names_lines(reply.text) and reply.lines for reply in replies)
    return True

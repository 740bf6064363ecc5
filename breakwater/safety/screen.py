"""The screen: one message in, one explained verdict out. Pure, and it never raises for any text.

An exception inside counts as a hit: the answer is then concern, source failsafe.
"""

from __future__ import annotations

from collections.abc import Sequence

from breakwater.safety import context as surroundings
from breakwater.safety import normalise
from breakwater.safety.match import Found, Reading
from breakwater.safety.rulebook import ContextRule, Rule, RuleBook, default_rulebook, load_rulebook
from breakwater.safety.verdict import Context, HeldBack, Hit, Level, Span, Verdict

__all__ = ["default_rulebook", "failsafe", "load_rulebook", "screen"]

ENOUGH = 3  # matches of one rule that count; more would say nothing new
RECENT_MESSAGES = 3
RECENT_WORDS = 40


def screen(text: str, context: Context = Context(), book: RuleBook | None = None) -> Verdict:  # noqa: B008
    """The verdict on one message. `book` is the installation's own when none is given."""
    try:
        return _screen(text, context, book or default_rulebook())
    except Exception:
        # The last ring: whatever breaks inside must end in help, never in silence. The source says it.
        return failsafe(book.version if book else "")


def failsafe(version: str = "") -> Verdict:
    """What is answered when the screen itself cannot: as if a rule had asked for the lines."""
    return Verdict(level=Level.CONCERN, types=("other",), source="failsafe", rulebook=version)


def _screen(text: str, context: Context, book: RuleBook) -> Verdict:
    readings = normalise.read(text, book.lexicon)
    language = normalise.language(text, readings, book.lexicon)
    result = _Result(book, context)
    for reading in readings:
        result.add(reading, 0)
    if context.recent and readings[0].words:
        joined, border = _joined(context.recent, readings[-1], book)
        if border:
            result.add(joined, border)
    return result.verdict(language)


def _joined(recent: Sequence[str], newest: Reading, book: RuleBook) -> tuple[Reading, int]:
    """The end of what was said before and the beginning of the newest message, as one reading."""
    out = Reading()
    for text in recent[-RECENT_MESSAGES:]:
        earlier = normalise.read(text[-2000:], book.lexicon)[-1]
        for at in range(len(earlier.words)):
            if at in earlier.alts:
                out.alts[len(out.words)] = earlier.alts[at]
            out.words.append(earlier.words[at])
            out.starts.append(0)
            out.ends.append(0)
            out.breaks.append(earlier.breaks[at])
    cut = max(0, len(out.words) - RECENT_WORDS)
    if cut:
        out = Reading(
            out.words[cut:], out.starts[cut:], out.ends[cut:], out.breaks[cut:],
            {at - cut: words for at, words in out.alts.items() if at >= cut},
        )  # fmt: skip
    border = len(out.words)
    for at in range(min(len(newest.words), RECENT_WORDS)):
        if at in newest.alts:
            out.alts[len(out.words)] = newest.alts[at]
        out.words.append(newest.words[at])
        out.starts.append(newest.starts[at])
        out.ends.append(newest.ends[at])
        out.breaks.append(newest.breaks[at])
    if border < len(out.words) and not recent[-1].rstrip().endswith((".", "!", "?", "…")):
        out.breaks[border] = 0  # the sentence goes on in the next message
    return out, border


class _Result:
    """Gathers what the readings of one message say."""

    def __init__(self, book: RuleBook, context: Context) -> None:
        self.book = book
        self.asked = context.asked
        self.hits: dict[int, tuple[Level, bool, set[Span]]] = {}
        self.held: dict[tuple[str, str], None] = {}

    def add(self, reading: Reading, border: int) -> None:
        """Weighs one reading; with a border only matches across it count (said in two messages)."""
        book = self.book
        automaton = book.automaton
        symbols = automaton.symbols(reading)
        ended = automaton.run(reading, symbols)
        if not ended:
            return
        candidates: list[tuple[int, int, int]] = []
        others: dict[tuple[bool, int, str], list[tuple[int, int]]] = {}
        for pattern, last in ended:
            owner = book.owners[pattern]
            if owner.context or owner.part != "patterns":
                others.setdefault((owner.context, owner.index, owner.part), []).append((pattern, last))
            elif not (border and last < border):
                asked = book.rules[owner.index].asked
                if not asked or self.asked in asked:
                    candidates.append((owner.index, pattern, last))
        if not candidates:
            return
        places = surroundings.Places(automaton, reading, symbols, others)
        contexts: list[tuple[ContextRule, surroundings.Cues]] | None = None
        counted: dict[int, int] = {}
        for index, pattern, last in candidates:
            if counted.get(index, 0) >= ENOUGH:
                continue
            rule = book.rules[index]
            if rule.with_ and not places.any(False, index, "with"):
                continue
            found = automaton.locate(pattern, last, reading, symbols)
            if found is None or (border and found.start >= border):
                continue
            if rule.unless and any(
                surroundings.together(reading, found, void)
                for void in places.near(False, index, "unless", found)
            ):
                continue
            if contexts is None:
                contexts = surroundings.index(book.contexts, places)
            judged = surroundings.weigh(rule, found, reading, contexts)
            for by in judged.by:
                self.held[(rule.id, by)] = None
            if judged.level == Level.NONE:
                continue
            counted[index] = counted.get(index, 0) + 1
            spans = {_span(reading, found, border)}
            if rule.with_:
                partners = [
                    other for other in places.some(False, index, "with") if other.end - other.start > 1
                ]
                spans.update(_span(reading, other, border) for other in partners[:ENOUGH])
            self._keep(index, judged.level, judged.third_party, spans)

    def _keep(self, index: int, level: Level, third: bool, spans: set[Span]) -> None:
        known = self.hits.get(index)
        if known is None:
            self.hits[index] = (level, third, spans)
        else:
            self.hits[index] = (max(level, known[0]), third and known[1], known[2] | spans)

    def verdict(self, language: str) -> Verdict:
        book = self.book
        if not self.hits:
            held = tuple(HeldBack(rule, by) for rule, by in self.held)
            return Verdict(Level.NONE, language=language, held_back=held, rulebook=book.version)
        order = sorted(self.hits, key=lambda index: (-self.hits[index][0], _main(book.rules[index]), index))
        hits = []
        types: dict[str, None] = {}
        topics: dict[str, None] = {}
        every: set[Span] = set()
        for index in order:
            rule = book.rules[index]
            level, third, spans = self.hits[index]
            spans = {span for span in spans if span[1] > span[0]}
            hits.append(Hit(rule.id, level, rule.types, tuple(sorted(spans)), rule.why))
            types.update(dict.fromkeys(rule.types))
            topics.update(dict.fromkeys(rule.topics))
            if third:
                topics["third_party"] = None
            every |= spans
        fired = {hit.rule: hit.level for hit in hits}
        return Verdict(
            level=hits[0].level,
            types=tuple(types),
            language=language,
            rules=tuple(hit.rule for hit in hits),
            spans=tuple(sorted(every)),
            held_back=tuple(
                HeldBack(rule, by) for rule, by in self.held if fired.get(rule, Level.NONE) <= Level.CONCERN
            ),
            source="rule",
            rulebook=book.version,
            topics=tuple(topics),
            hits=tuple(hits),
        )


def _main(rule: Rule) -> int:
    """Among rules of one level the main type comes from suicide first; a concern-only medical word last."""
    order = {"suicide": 0, "violence": 1, "self_harm": 2, "abuse": 3, "medical": 4, "other": 5}
    return order[rule.types[0]]


def _span(reading: Reading, found: Found, border: int) -> Span:
    start = max(found.start, border)
    if start >= found.end:
        return (0, 0)
    return (reading.starts[start], max(reading.ends[start : found.end]))

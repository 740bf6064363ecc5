"""Word patterns compiled into one automaton that reads a message once, word by word.

The work grows with the message, not with the number of patterns, and no pattern can blow up: gaps
are bounded when a pattern is read. It never looks at characters and knows nothing of rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MAX_GAP = 12
MAX_STATES = 30_000  # of the lazily built automaton; then it starts afresh
STRONG = 2  # a break that ends a sentence; see Reading.breaks

Element = tuple[
    Any, ...
]  # ("w", word) ("c", class) ("g", n) ("alt", seqs) ("opt", element) ("not", element) ("^",) …
Sequence_ = tuple[Element, ...]


class PatternError(ValueError):
    """A pattern that cannot be read; the text says what to do."""


@dataclass(frozen=True)
class Found:
    """Pattern number `pattern` covers the tokens start..end (half-open)."""

    pattern: int
    start: int
    end: int


@dataclass(frozen=True)
class WordClass:
    """Words that mean the same here, and phrases (sequences) that do too."""

    words: frozenset[str]
    phrases: tuple[Sequence_, ...] = ()


_TOKEN = re.compile(r"\s*(\.\.\d+|<\d+>|\^\^|\$\$|[\^$(|)?]|!?\{[a-z0-9_]+\}|!?[^\s{}()|?^$!]+)")


def parse(text: str, expand: Callable[[str], Sequence[str]], classes: Iterable[str]) -> list[Sequence_]:
    """The sequences a pattern stands for: one, or two when it holds `A <n> B` (either order).

    `expand` turns a word as written into the words a message would give. PatternError when unreadable.
    """
    parser = _Parser(text, expand, frozenset(classes))
    return parser.top()


class _Parser:
    def __init__(self, text: str, expand: Callable[[str], Sequence[str]], classes: frozenset[str]) -> None:
        self.text = text
        self.expand = expand
        self.classes = classes
        self.tokens: list[str] = []
        at = 0
        stripped = text.rstrip()
        while at < len(stripped):
            found = _TOKEN.match(stripped, at)
            if not found:
                raise PatternError(
                    f"cannot read {stripped[at:]!r}; words, {{class}}, ..n, (a|b), ? are known"
                )
            self.tokens.append(found.group(1))
            at = found.end()
        self.at = 0

    def top(self) -> list[Sequence_]:
        left = self.sequence()
        if self.peek().startswith("<"):
            within = self.gap(self.take()[1:-1])
            right = self.sequence()
            self.done()
            middle: Sequence_ = (("g", within),) if within else ()
            return [self.checked(left + middle + right), self.checked(right + middle + left)]
        self.done()
        return [self.checked(left)]

    def done(self) -> None:
        if self.at < len(self.tokens):
            raise PatternError(f"unexpected {self.peek()!r}; close every ( and use <n> once")

    def checked(self, sequence: Sequence_) -> Sequence_:
        if not sequence:
            raise PatternError("it is empty; write at least one word")
        if sequence[0][0] == "g" or sequence[-1][0] == "g":
            raise PatternError("it begins or ends with a gap; put words on both sides of ..n")
        if _shortest(sequence) == 0:
            raise PatternError("it would match nothing at all; at least one word must not be optional")
        return sequence

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1]

    def gap(self, digits: str) -> int:
        size = int(digits)
        if size > MAX_GAP:
            raise PatternError(f"a gap of {size} words is too wide; {MAX_GAP} is the most")
        return size

    def sequence(self) -> Sequence_:
        out: list[Element] = []
        while self.at < len(self.tokens):
            token = self.peek()
            if token in "|)" or token.startswith("<"):
                break
            out.extend(self.item())
        return tuple(out)

    def item(self) -> list[Element]:
        token = self.take()
        if token.startswith(".."):
            return [("g", self.gap(token[2:]))]
        if token in ("^", "$", "^^", "$$"):
            return [(token,)]
        if token == "?":
            raise PatternError("? must follow a word, a class or a bracket")
        elements: list[Element]
        if token == "(":
            seqs = [self.sequence()]
            while self.peek() == "|":
                self.take()
                seqs.append(self.sequence())
            if self.peek() != ")":
                raise PatternError("a ( is not closed")
            self.take()
            if not all(seqs):
                raise PatternError("an alternative in (a|b) is empty; use ? for optional words")
            elements = [("alt", tuple(seqs))]
        elif token.startswith("!"):
            inner = self.word(token[1:])
            if len(inner) != 1:
                raise PatternError(f"{token!r}: ! takes one word or one class")
            return [("not", inner[0])]
        else:
            elements = self.word(token)
        if self.peek() == "?":
            self.take()
            inner_seq = tuple(elements)
            return [("opt", inner_seq[0] if len(inner_seq) == 1 else ("alt", (inner_seq,)))]
        return elements

    def word(self, token: str) -> list[Element]:
        if token.startswith("{"):
            name = token[1:-1]
            if name not in self.classes:
                raise PatternError(f"unknown class {token}; define it under classes: or correct its name")
            return [("c", name)]
        words = self.expand(token)
        if not words:
            raise PatternError(f"{token!r} holds no letters")
        return [("w", word) for word in words]


def _shortest(sequence: Sequence_) -> int:
    total = 0
    for element in sequence:
        kind = element[0]
        if kind in ("w", "c"):
            total += 1
        elif kind == "alt":
            total += min(_shortest(seq) for seq in element[1])
    return total


def words_of(sequence: Sequence_) -> set[str]:
    """Every word that stands literally in a sequence."""
    out: set[str] = set()
    for element in sequence:
        kind = element[0]
        if kind == "w":
            out.add(element[1])
        elif kind == "alt":
            for seq in element[1]:
                out |= words_of(seq)
        elif kind in ("opt", "not"):
            out |= words_of((element[1],))
    return out


def _conditions(sequence: Sequence_) -> list[Element]:
    out: list[Element] = []
    for element in sequence:
        if element[0] == "not":
            out.append(element[1])
        elif element[0] == "opt":
            out.extend(_conditions((element[1],)))
        elif element[0] == "alt":
            for seq in element[1]:
                out.extend(_conditions(seq))
    return out


@dataclass
class Reading:
    """One way to read a message: words with their place in the text as given.

    breaks[i] is the break before word i: 0 none, 1 weak (comma), 2 strong (sentence, line, start).
    """

    words: list[str] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    breaks: list[int] = field(default_factory=list)
    alts: dict[int, tuple[str, ...]] = field(default_factory=dict)


@dataclass
class _Nfa:
    edges: list[dict[int, int]] = field(default_factory=list)
    eps: list[list[int]] = field(default_factory=list)
    skip: list[int] = field(default_factory=list)
    outs: list[list[int]] = field(default_factory=list)
    closures: dict[int, tuple[int, ...]] = field(default_factory=dict)

    def node(self) -> int:
        self.edges.append({})
        self.eps.append([])
        self.skip.append(-1)
        self.outs.append([])
        return len(self.edges) - 1

    def closure(self, node: int) -> tuple[int, ...]:
        known = self.closures.get(node)
        if known is None:
            seen = {node}
            stack = [node]
            while stack:
                for other in self.eps[stack.pop()]:
                    if other not in seen:
                        seen.add(other)
                        stack.append(other)
            known = tuple(n for n in seen if self.edges[n] or self.skip[n] >= 0 or self.outs[n])
            self.closures[node] = known
        return known


class _Lazy:
    """The part of the deterministic automaton that messages have needed so far; state 0 is the dead one."""

    def __init__(self) -> None:
        self.ids: dict[tuple[int, ...], int] = {(): 0}
        self.sets: list[tuple[int, ...]] = [()]
        self.next: list[dict[tuple[int, ...], int]] = [{}]  # by the symbols of a word
        self.after_break: list[dict[tuple[int, ...], int]] = [{}]  # the same for a word that opens a sentence
        self.outs: list[tuple[int, ...]] = [()]
        self.starts: dict[tuple[int, ...], int] = {}

    def state(self, nodes: set[int], outs: list[list[int]]) -> int:
        full = tuple(sorted(nodes))
        number = self.ids.get(full)
        if number is None:
            number = self.ids[full] = len(self.sets)
            self.sets.append(full)
            self.next.append({})
            self.after_break.append({})
            self.outs.append(tuple({pattern for node in full for pattern in outs[node]}))
        return number


class Automaton:
    """All patterns of a rule book, compiled."""

    def __init__(self, patterns: Sequence[Sequence_], classes: Mapping[str, WordClass]) -> None:
        self.patterns = list(patterns)
        self.classes = classes
        self._symbols: dict[Element, int] = {}
        self._of_word: dict[str, tuple[int, ...]] = {}
        self._phrases = {
            name: (*((("c#", name),),), *cls.phrases) if cls.words else cls.phrases
            for name, cls in classes.items()
            if cls.phrases
        }
        self._nfa = _Nfa()
        self._memo: dict[tuple[int, Element], int] = {}
        self._root = self._nfa.node()
        self._lengths: list[int] = []
        for number, sequence in enumerate(self.patterns):
            self._nfa.outs[self._walk(self._root, sequence)].append(number)
        self._memo.clear()
        self._index_words()
        self._root_set = self._nfa.closure(self._root)
        self._lazy = _Lazy()

    @property
    def size(self) -> int:
        return len(self._nfa.edges)

    def symbols(self, reading: Reading) -> list[tuple[int, ...]]:
        """What each word of a reading can stand for."""
        of = self._of_word
        number = self._number_symbols
        out: list[tuple[int, ...]] = []
        for word in reading.words:
            found = of.get(word)
            if word[:1].isdigit():
                found = (*(found or ()), *number(word))
            out.append(found or ())
        for place, words in reading.alts.items():
            merged = set(out[place])
            for word in words:
                merged.update(of.get(word, ()))
            out[place] = tuple(sorted(merged))
        return out

    def run(self, reading: Reading, symbols: Sequence[tuple[int, ...]]) -> list[tuple[int, int]]:
        """(pattern, index of its last word) for everything that may match, in order of the text.

        From each word a run of the automaton sets out and lives as long as some pattern can still go on;
        what a run may do next is worked out once and kept.
        """
        lazy = self._lazy
        if len(lazy.sets) > MAX_STATES:
            lazy = self._lazy = _Lazy()
        breaks = reading.breaks
        out: list[tuple[int, int]] = []
        active: set[int] = set()
        for at, sig in enumerate(symbols):
            broken = breaks[at] >= STRONG
            if active:
                following: set[int] = set()
                tables = lazy.after_break if broken else lazy.next
                for state in active:
                    target = tables[state].get(sig)
                    if target is None:
                        target = self._step(lazy, state, sig, broken)
                    if target:
                        following.add(target)
                active = following
            if sig:
                started = lazy.starts.get(sig)
                if started is None:
                    started = self._start(lazy, sig)
                if started:
                    active.add(started)
            if active:
                outs = lazy.outs
                ended: set[int] = set()
                for state in active:
                    if outs[state]:
                        ended.update(outs[state])
                out.extend((pattern, at) for pattern in sorted(ended))
                if len(lazy.sets) > 4 * MAX_STATES:  # one very long message must not eat the memory
                    fresh = _Lazy()
                    active = {fresh.state(set(lazy.sets[state]), self._nfa.outs) for state in active}
                    lazy = self._lazy = fresh
        return out

    def locate(
        self, pattern: int, last: int, reading: Reading, symbols: Sequence[tuple[int, ...]]
    ) -> Found | None:
        """The longest place of `pattern` that ends at word `last`, conditions checked; None if none holds."""
        ends = {last + 1}
        for element in reversed(self.patterns[pattern]):
            ends = self._back(element, ends, reading, symbols)
            if not ends:
                return None
        return Found(pattern, min(ends), last + 1)

    # building

    def _symbol(self, element: Element) -> int:
        return self._symbols.setdefault(element, len(self._symbols))

    def _walk(self, node: int, sequence: Sequence_) -> int:
        for element in sequence:
            node = self._child(node, element)
        return node

    def _child(self, node: int, element: Element) -> int:
        kind = element[0]
        if kind in ("not", "^", "$", "^^", "$$"):
            return node  # conditions are checked when a match is located
        key = (node, element)
        known = self._memo.get(key)
        if known is not None:
            return known
        nfa = self._nfa
        if kind == "w" or kind == "c#" or (kind == "c" and element[1] not in self._phrases):
            symbol = self._symbol(("c#", element[1]) if kind == "c" else element)
            target = nfa.edges[node].get(symbol, -1)
            if target < 0:
                target = nfa.node()
                nfa.edges[node][symbol] = target
        elif kind == "g":
            target = nfa.node()
            link = nfa.node()
            nfa.eps[node].append(link)
            for _ in range(element[1]):
                nfa.eps[link].append(target)
                following = nfa.node()
                nfa.skip[link] = following
                link = following
            nfa.eps[link].append(target)
        else:
            target = nfa.node()
            if kind == "opt":
                nfa.eps[node].append(target)
                ends = [self._child(node, element[1])]
            elif kind == "alt":
                ends = [self._walk(node, seq) for seq in element[1]]
            else:
                ends = [self._walk(node, seq) for seq in self._phrases[element[1]]]
            for end in ends:
                nfa.eps[end].append(target)
        self._memo[key] = target
        return target

    def _index_words(self) -> None:
        of: dict[str, set[int]] = {}
        for element, symbol in self._symbols.items():
            if element[0] == "w":
                of.setdefault(element[1], set()).add(symbol)
            else:
                for word in self.classes[element[1]].words:
                    of.setdefault(word, set()).add(symbol)
        for pattern in (*self.patterns, *(seq for seqs in self._phrases.values() for seq in seqs)):
            for condition in _conditions(pattern):
                self._index_not(condition, of)
        self._of_word = {word: tuple(sorted(symbols)) for word, symbols in of.items()}

    def _index_not(self, element: Element, of: dict[str, set[int]]) -> None:
        if element[0] == "w":
            of.setdefault(element[1], set()).add(self._symbol(element))
        else:
            symbol = self._symbol(("c#", element[1]))
            for word in self.classes[element[1]].words:
                of.setdefault(word, set()).add(symbol)

    def _number_symbols(self, word: str) -> tuple[int, ...]:
        if not word.isdigit():
            return ()
        out = []
        for name in ("number", "year") if len(word) == 4 and word[:2] in ("19", "20") else ("number",):
            symbol = self._symbols.get(("c#", name))
            if symbol is not None:
                out.append(symbol)
        return tuple(out)

    # running

    def _start(self, lazy: _Lazy, sig: tuple[int, ...]) -> int:
        number = lazy.starts[sig] = self._reach(lazy, self._root_set, sig, True)
        return number

    def _step(self, lazy: _Lazy, state: int, sig: tuple[int, ...], broken: bool) -> int:
        number = self._reach(lazy, lazy.sets[state], sig, broken)
        (lazy.after_break if broken else lazy.next)[state][sig] = number
        return number

    def _reach(self, lazy: _Lazy, nodes: Sequence[int], sig: tuple[int, ...], broken: bool) -> int:
        nfa = self._nfa
        closure = nfa.closure
        reached: set[int] = set()
        for node in nodes:
            edges = nfa.edges[node]
            if edges:
                for symbol in sig:
                    target = edges.get(symbol)
                    if target is not None:
                        reached.update(closure(target))
            if not broken and nfa.skip[node] >= 0:
                reached.update(closure(nfa.skip[node]))
        return lazy.state(reached, nfa.outs)

    def _back(
        self, element: Element, ends: set[int], reading: Reading, symbols: Sequence[tuple[int, ...]]
    ) -> set[int]:
        kind = element[0]
        if kind == "w" or kind == "c#" or (kind == "c" and element[1] not in self._phrases):
            symbol = self._symbols[("c#", element[1]) if kind == "c" else element]
            return {end - 1 for end in ends if end and symbol in symbols[end - 1]}
        if kind == "g":
            # A gap reaches over no sentence end, not even with nothing in it; adjoining words may.
            out = {end for end in ends if end >= len(symbols) or reading.breaks[end] < STRONG}
            for end in tuple(out):
                for step in range(1, element[1] + 1):
                    if end - step < 0 or reading.breaks[end - step] >= STRONG:
                        break
                    out.add(end - step)
            return out
        if kind == "opt":
            return ends | self._back(element[1], ends, reading, symbols)
        if kind == "not":
            inner = element[1]
            symbol = self._symbols[("c#", inner[1]) if inner[0] == "c" else inner]
            # What begins a new sentence does not follow: "I want to die. It rained." is no dyeing.
            return {
                e
                for e in ends
                if e >= len(symbols) or reading.breaks[e] >= STRONG or symbol not in symbols[e]
            }
        if kind == "^":
            return {e for e in ends if e >= len(symbols) or reading.breaks[e] >= STRONG}
        if kind == "$":
            return {e for e in ends if e >= len(symbols) or reading.breaks[e] >= STRONG}
        if kind == "^^":
            return {e for e in ends if e == 0}
        if kind == "$$":
            return {e for e in ends if e >= len(symbols)}
        seqs = element[1] if kind == "alt" else self._phrases[element[1]]
        out = set()
        for seq in seqs:
            places = ends
            for inner in reversed(seq):
                places = self._back(inner, places, reading, symbols)
                if not places:
                    break
            out |= places
        return out

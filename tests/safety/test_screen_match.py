"""The automaton: it finds what trying everything finds, and more patterns do not slow it."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from breakwater.safety.match import Automaton, PatternError, Reading, WordClass, parse

CLASSES = {
    "v": WordClass(frozenset({"a", "b"})),
    "p": WordClass(frozenset({"c"}), ((("w", "d"), ("w", "e")),)),
}


def _automaton(*patterns):
    sequences = [seq for text in patterns for seq in parse(text, lambda word: (word,), CLASSES)]
    return Automaton(sequences, CLASSES)


def _found(automaton, text):
    words, breaks = [], []
    pending = 2
    for token in text.split():
        if token == ".":
            pending = 2
            continue
        words.append(token)
        breaks.append(pending)
        pending = 0
    reading = Reading(words, list(range(len(words))), list(range(1, len(words) + 1)), breaks)
    symbols = automaton.symbols(reading)
    places = [
        automaton.locate(pattern, last, reading, symbols) for pattern, last in automaton.run(reading, symbols)
    ]
    return [(place.pattern, place.start, place.end) for place in places if place]


@pytest.mark.parametrize(
    ("pattern", "text", "spans"),
    [
        ("x y", "x y", [(0, 2)]),
        ("x y", "x z y", []),
        ("x ..1 y", "x z y", [(0, 3)]),
        ("x ..1 y", "x z z y", []),
        ("x ..2 y", "x . z y", []),
        ("x y", "x . y", [(0, 2)]),
        ("{v} y", "b y", [(0, 2)]),
        ("x {p} y", "x d e y", [(0, 4)]),
        ("x {p} y", "x c y", [(0, 3)]),
        ("x? y", "y", [(0, 1)]),
        ("x (a|b c) y", "x b c y", [(0, 4)]),
        ("x <2> y", "y z x", [(0, 3)]),
        ("x !{v}", "x a", []),
        ("x !{v}", "x z", [(0, 1)]),
        ("x !{v}", "x", [(0, 1)]),
        ("^ x", "y . x", [(1, 2)]),
        ("^ x", "y x", []),
        ("x $", "x y", []),
        ("x $", "x . y", [(0, 1)]),
        ("^^ x", "y . x", []),
        ("x $$", "x . y", []),
    ],
)
def test_each_part_of_the_language(pattern, text, spans):
    assert [(start, end) for _, start, end in _found(_automaton(pattern), text)] == spans


@pytest.mark.parametrize(
    "pattern", ["", "..3 x", "x ..3", "x ..13 y", "(x", "x)", "{unknown}", "x?", "? x", "!{v}", "(x|)"]
)
def test_a_pattern_that_cannot_work_is_refused(pattern):
    with pytest.raises(PatternError):
        _automaton(pattern)


def _naive(sequence, words, start):
    """All ends of `sequence` from `start`, by trying everything."""
    ends = {start}
    for kind, *rest in sequence:
        following = set()
        for end in ends:
            if kind == "g":
                following |= {end + skip for skip in range(rest[0] + 1) if end + skip <= len(words)}
            elif end < len(words) and (
                words[end] == rest[0] if kind == "w" else words[end] in CLASSES[rest[0]].words
            ):
                following.add(end + 1)
        ends = following
    return ends


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.lists(st.sampled_from(["x", "y", "{v}", "..2"]), min_size=1, max_size=5)
        .map(lambda parts: ["x", *parts, "y"])
        .map(" ".join),
        min_size=1,
        max_size=4,
    ),
    st.lists(st.sampled_from("abxyz"), max_size=14),
)
def test_it_finds_what_trying_everything_finds(patterns, words):
    automaton = _automaton(*patterns)
    expected = set()
    for number, sequence in enumerate(automaton.patterns):
        for start in range(len(words)):
            for end in _naive(sequence, words, start):
                expected.add((number, end))
    assert {(number, end) for number, _, end in _found(automaton, " ".join(words))} == expected


def test_ten_times_the_patterns_cost_little_more():
    def seconds(count):
        automaton = _automaton(*(f"want w{n} ..3 {{v}} w{n + 1}" for n in range(count)), "x y")
        text = " ".join(f"want w{n % 97} z a w{(n + 1) % 97}" for n in range(400))
        _found(automaton, text)
        best = 9.0
        for _ in range(5):
            started = time.process_time()
            _found(automaton, text)
            best = min(best, time.process_time() - started)
        return best

    assert seconds(5_000) < 2.0 * seconds(500)

"""How NLU reads: chat spelling, labels, skills, and the tokenizer's traps."""

from __future__ import annotations

import time

import pytest

from breakwater.assistant import reading


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("i dont know", "i don't know"),
        ("I DON’T KNOW", "i don't know"),
        ("im sad", "i'm sad"),
        ("i cant", "i can not"),
        ("cannot", "can't"),
        ("gonna", "going to"),
        ("idk", "i do not know"),
        ("whats 988", "what's 988"),
        ("feelin anxios rn", "feeling anxious right now"),
        ("sad!!!!!!", "sad"),
    ],
)
def test_chat_spelling_reads_like_its_plain_form(written: str, meant: str) -> None:
    assert reading.norms(written) == reading.norms(meant)


@pytest.mark.parametrize("run", ["!", "?", '"', "'", ".", "\U0001f62d", "a", "ha", "-", ")", "1"])
def test_long_runs_cost_nothing(run: str) -> None:
    began = time.perf_counter()
    reading.features(run * 8000)
    assert time.perf_counter() - began < 0.5


def test_only_the_beginning_of_a_long_text_is_read() -> None:
    assert reading.features("x " * 5000) == reading.features("x " * 1000)


@pytest.mark.parametrize(
    ("typed", "intent", "skill"),
    [
        ("Sad", "feel_sad", None),
        ("SOMETHING ELSE", "more", None),
        ("something else please", "more", None),
        ("Talk to a person.", "talk_to_person", None),
        ("5-4-3-2-1", "choose_skill", "grounding"),
        ("54321", "choose_skill", "grounding"),
        ("breathing", "choose_skill", "breathing"),
        ("Who sees this?", "ask_privacy", None),
        ("this isnt helping", "not_helping", None),
    ],
)
def test_a_typed_label_is_its_choice(typed: str, intent: str, skill: str | None) -> None:
    assert reading.typed_label(typed) == reading.Label(intent, skill)


def test_a_label_inside_a_sentence_is_no_choice() -> None:
    assert reading.typed_label("my menu at lunch made me sad") is None
    assert reading.typed_label("") is None


def test_no_label_means_two_things() -> None:
    seen: dict[tuple[str, ...], str] = {}
    known = reading.phrases()
    told = [(label, intent) for intent, labels in known["labels"].items() for label in labels]
    told += [(label, skill) for skill, names in known["skills"].items() for label in names["is"]]
    for label, meaning in told:
        assert seen.setdefault(reading.norms(label), meaning) == meaning, label


def test_the_longest_name_of_a_skill_wins() -> None:
    assert reading.skill_in("could you help me reach out to someone") == "reach_out"
    assert reading.skill_in("let's do muscle relaxation") == "muscles"
    assert reading.skill_in("hello there") is None


def test_word_families_hold_what_they_say() -> None:
    assert "c grieving" in reading.features("my aunt passed away")
    assert "c spanish_words" in reading.features("estoy muy triste")
    assert "c angry" not in reading.features("hello")

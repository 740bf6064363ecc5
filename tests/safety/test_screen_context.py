"""Context rules: what lowers, what drops, what raises, and where their reach ends."""

import pytest

from breakwater.safety import Level, default_rulebook, screen

BOOK = default_rulebook()


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("I don't want to kill myself", Level.NONE),
        ("I can't stop thinking about killing myself", Level.CRISIS),
        ("no, i want to die", Level.CRISIS),
        ("I'm not okay. I want to die", Level.CRISIS),
        ("not depressed but suicidal", Level.CRISIS),
        ("it's not that I want to kill myself", Level.NONE),
        ("killing myself isn't something I'd ever do", Level.NONE),
        ("I can't promise I won't kill myself", Level.CRISIS),
        ("why shouldn't I kill myself", Level.CRISIS),
        ("no me quiero matar", Level.NONE),
        ("no puedo dejar de pensar en matarme", Level.CRISIS),
    ],
)
def test_negation_reaches_its_clause_and_no_further(text, level):
    assert screen(text, book=BOOK).level == level


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("lol this homework, i want to kill myself", Level.CONCERN),
        ("i want to kill myself lol", Level.CRISIS),
        ("kms lol", Level.CONCERN),
        ("kms", Level.CRISIS),
        ("I wanted to kill myself ten years ago", Level.CONCERN),
        ("I wanted to kill myself ten years ago and now I want to again", Level.CRISIS),
        ("I killed myself in the game again", Level.NONE),
        ("jajaja me quiero matar con esta tarea", Level.CONCERN),
    ],
)
def test_jokes_games_and_the_past(text, level):
    assert screen(text, book=BOOK).level == level


@pytest.mark.parametrize(
    "text",
    [
        "i'm going to kill myself tonight",
        "i want to kill myself and i have a gun in my hand",
        "me voy a matar esta noche",
    ],
)
def test_time_and_means_raise(text):
    assert screen(text, book=BOOK).level == Level.EMERGENCY


def test_the_same_wish_is_raised_by_the_hour_alone():
    def level(text):
        return {hit.rule: hit.level for hit in screen(text, book=BOOK).hits}["en.suicide.want_die"]

    assert level("i want to die") == Level.CRISIS
    assert level("i want to die tonight") == Level.EMERGENCY


def test_adding_time_or_means_never_lowers():
    for text in ("i want to die", "i want to kill myself", "thinking about ending it all"):
        plain = screen(text, book=BOOK).level
        for tail in (" tonight", " and i have the pills right here", " goodbye everyone"):
            assert screen(text + tail, book=BOOK).level >= plain


@pytest.mark.parametrize(
    "after", ["It rained on Thursday.", "For real.", "To be honest.", "Of course I won't tell."]
)
def test_what_excuses_a_word_does_not_excuse_it_from_the_next_sentence(after: str) -> None:
    assert screen(f"I want to die. {after}").level >= Level.CRISIS

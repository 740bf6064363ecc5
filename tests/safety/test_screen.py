"""The screen as a whole: the contract's table, disguises, context, limits, and what must never happen."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from breakwater.safety import Context, Level, default_rulebook, screen
from breakwater.safety import screen as screen_function
from breakwater.safety.verdict import Verdict

BOOK = default_rulebook()

CONTRACT = [
    ("I want to die", None, "crisis", ("suicide",)),
    ("i took all of them ten minutes ago", None, "emergency", ("suicide", "medical")),
    ('/greet{"a":"b"} quiero morirme', None, "crisis", ("suicide",)),
    ("can't stop cutting lately", None, "crisis", ("self_harm",)),
    ("k1ll mys3lf", None, "crisis", ("suicide",)),
    ("what's the point of any of this anymore", None, "concern", ("suicide",)),
    ("tonight", "suicide", "emergency", ("suicide",)),
    ("tonight", None, "none", ()),
    ("this traffic is killing me", None, "none", ()),
    ("me muero de risa con tus chistes", None, "none", ()),
]


@pytest.mark.parametrize(("text", "asked", "level", "types"), CONTRACT)
def test_the_table_of_the_contract(text, asked, level, types):
    verdict = screen(text, Context(asked=asked), BOOK)
    assert (verdict.level.label, verdict.types) == (level, types)
    assert verdict.type == (types[0] if types else "none")


CLEAR = [
    "i want to kill myself",
    "I wish I was dead",
    "quiero suicidarme",
    "i keep cutting myself",
    "no quiero vivir",
]


def _zero_width(text):
    return "\u200b".join(text)


def _bold(text):
    return "".join(chr(0x1D41A + ord(c) - 97) if "a" <= c <= "z" else c for c in text.lower())


NOISE = {
    "shouted": str.upper,
    "mixed case": lambda t: "".join(c.upper() if n % 2 else c.lower() for n, c in enumerate(t)),
    "zero width": _zero_width,
    "bold letters": _bold,
    "stretched": lambda t: t + t[-1] * 6,
    "in a tag": lambda t: f"<p>{t}</p>",
    "markdown": lambda t: f"**{t}**",
    "a command": lambda t: f'/start{{"x":"y"}} {t}',
    "polite": lambda t: f"hi, thank you for your help. {t}. have a nice day",
    "small talk": lambda t: f"haha the parking was fine\n\n{t}\n\nalso what time do you close",
    "spaced": lambda t: "  ".join(" ".join(word) for word in t.split()),
    "dotted": lambda t: "... " + t.replace(" ", "... "),
    "joined": lambda t: t.replace(" ", ""),
}


@pytest.mark.parametrize("noise", NOISE)
@pytest.mark.parametrize("text", CLEAR)
def test_noise_changes_nothing(text, noise):
    assert screen(NOISE[noise](text), book=BOOK).level >= Level.CRISIS


@pytest.mark.parametrize(
    "text",
    [
        "my skill set is growing", "diet tips", "d.i.e.t plan", "I live in Sussex", "he studied all night",
        "order K1LL-5U1C arrived", "my name is dieter", "therapist", "gg noob u got wrecked",
        "I want to dye my hair",
        "dying to see the new movie", "you killed it on stage", "to die for", "the battery died",
        "kill the lights",
        "I'm not suicidal", "no I don't want to die", "I never wanted to hurt myself",
        "suicide prevention walk on sunday",
        "my phone is dead", "deadline tomorrow", "cut my hair", "cutting carbs", "I cut my finger cooking",
        "he died last year and I miss him", "I took my pills this morning", "no quiero morir",
        "me muero de hambre",
        "tengo mucho sueño", "me corté el pelo", "mátalo, es un zancudo", "estoy muerta de cansancio",
        "in the game I killed myself by falling", "assessment", "shiitake", "Essex", "hi", "", "   ", "👍",
        "12345",
    ],
)  # fmt: skip
def test_ordinary_words_stay_ordinary(text):
    verdict = screen(text, book=BOOK)
    assert verdict.level == Level.NONE, verdict.rules


@pytest.mark.parametrize(
    ("calm", "grave"),
    [
        ("I want to dye it", "I want to die"),
        ("I'm not suicidal", "I'm suicidal"),
        ("I don't want to be here at work", "I don't want to be here anymore"),
        ("I took my pills", "I took all my pills"),
        ("he killed it at practice", "he wants to kill himself"),
        ("quiero dormir", "quiero dormir y no despertar"),
        ("my brother beat me at chess", "my brother beats me"),
        ("no me quiero matar", "me quiero matar"),
    ],
)
def test_contrast_pairs(calm, grave):
    assert screen(calm, book=BOOK).level == Level.NONE
    assert screen(grave, book=BOOK).level >= Level.CRISIS


def test_what_is_held_back_is_recorded_by_its_rule():
    verdict = screen("I'm not suicidal", book=BOOK)
    assert verdict.level == Level.NONE
    assert ("en.suicide.word_alone", "ctx.en.negation") in {
        (held.rule, held.by) for held in verdict.held_back
    }


@pytest.mark.parametrize("text", ["tonight", "esta noche", "right now", "the pills are right here"])
def test_a_time_or_means_answers_the_question(text):
    assert screen(text, Context(asked="suicide"), BOOK).level == Level.EMERGENCY


@pytest.mark.parametrize(
    "text", ["yes", "yeah", "maybe", "sometimes", "kind of", "sí", "si", "a veces", "más o menos"]
)
def test_yes_and_half_yes_answer_the_question(text):
    verdict = screen(text, Context(asked="suicide"), BOOK)
    assert (verdict.level, verdict.type) == (Level.CRISIS, "suicide")
    assert screen(text, book=BOOK).level == Level.NONE


@pytest.mark.parametrize("text", ["no", "No.", "not really", "nope", "idk", "no sé", "la verdad no"])
def test_no_and_unsure_are_left_to_the_protocol(text):
    assert screen(text, Context(asked="suicide"), BOOK).level == Level.NONE


def test_two_messages_that_only_together_say_it():
    assert screen("to die", book=BOOK).level == Level.NONE
    verdict = screen("to die", Context(recent=("hello", "i just want")), BOOK)
    assert verdict.level == Level.CRISIS
    assert verdict.spans == ((0, 6),)


def test_an_earlier_message_alone_does_not_fire_again():
    assert screen("ok thanks", Context(recent=("i want to die",)), BOOK).level == Level.NONE


def test_third_party_is_told_apart():
    verdict = screen("my brother says he wants to kill himself", book=BOOK)
    assert verdict.level >= Level.CRISIS and "third_party" in verdict.topics
    assert "third_party" not in screen("i want to kill myself", book=BOOK).topics


def test_a_child_that_swallowed_something_is_medical():
    verdict = screen("my toddler swallowed some of my pills", book=BOOK)
    assert verdict.level == Level.EMERGENCY and "medical" in verdict.types and "ingestion" in verdict.topics


def test_several_types_at_once():
    verdict = screen("I want to kill my sister and then kill myself", book=BOOK)
    assert {"violence", "suicide"} <= set(verdict.types)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("I do not know what to do", "en"),
        ("no sé qué hacer con mi vida", "es"),
        ("👍", "und"),
        ("¿hola?", "es"),
    ],
)
def test_language(text, language):
    assert screen(text, book=BOOK).language == language


def test_spans_name_the_words_in_the_text_as_given():
    text = "  ＨＥＬＬＯ <b>i</b> want\u200b to\u200b d̶i̶e̶ ok"
    verdict = screen(text, book=BOOK)
    start, end = verdict.spans[0]
    assert verdict.level == Level.CRISIS
    assert text[start:end].startswith("want") and text[start:end].rstrip("\u0336").endswith("e")


def test_an_exception_inside_counts_as_a_hit(monkeypatch):
    def broken(*_):
        raise RuntimeError("broken")

    monkeypatch.setattr("breakwater.safety.normalise.read", broken)
    verdict = screen("hello", book=BOOK)
    assert (verdict.level, verdict.types, verdict.source) == (Level.CONCERN, ("other",), "failsafe")
    assert verdict.rulebook == BOOK.version


def test_a_crisis_at_character_90000_is_found():
    text = (
        "the weather was nice and we went to the park. " * 1960 + "i want to kill myself" + " and so on" * 900
    )
    assert screen(text, book=BOOK).level == Level.CRISIS


@pytest.mark.parametrize(
    "unit",
    [
        "i am not suicidal and ",
        "a ",
        "i want to ",
        "kill ",
        "!" * 10,
        "k i l l ",
        "iwanttodie",
        "<b ",
        "&amp",
        "s*i",
        "é",
        "1ll1 ",
        "no ",
    ],
)
def test_the_work_grows_with_the_length_and_no_faster(unit):
    def seconds(size):
        text = (unit * (size // len(unit) + 1))[:size]
        started = time.process_time()
        screen(text, book=BOOK)
        return time.process_time() - started

    seconds(2_000)
    small = min(seconds(10_000) for _ in range(2))
    large = seconds(100_000)
    assert large < 40 * max(small, 0.005), (small, large)


CRISIS_PIECES = st.sampled_from(
    ["i want to die", "kill myself", "no", "not", "lol", "tonight", "he", "mi hija", "pills", "<b>",
    "&lt;", "k i l l",
     "su*cide", "\n", "...", "¿", "\u200d", "😂", "🔫", "1", "/x{", "ñ", "\ud800", "𝐤", "aaaaaaa"]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=300), st.lists(CRISIS_PIECES, max_size=25).map(" ".join)))
def test_any_text_gets_a_sound_verdict(text):
    verdict = screen(text, Context(asked="suicide", recent=("i want", text[:50])), BOOK)
    assert isinstance(verdict, Verdict) and verdict.source in ("rule", "none")
    assert list(verdict.spans) == sorted(verdict.spans)
    for start, end in verdict.spans:
        assert 0 <= start < end <= len(text)
    assert verdict == screen(text, Context(asked="suicide", recent=("i want", text[:50])), BOOK)


def test_the_package_gives_the_function():
    assert callable(screen_function)

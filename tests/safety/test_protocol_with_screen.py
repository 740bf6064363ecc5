"""The protocol with the screen: our own labels, the answers to our questions, the way out of a hold."""

import itertools

import pytest

from breakwater.safety.protocol import LEAVING, QUESTIONS, START, advance, offered
from breakwater.safety.screen import screen
from breakwater.safety.verdict import Context, Level, Verdict
from breakwater.safety.words import LANGUAGES, LEAVES, default_words

WORDS = default_words()
HOLDS = {
    "suicide": Verdict(Level.CRISIS, ("suicide",)),
    "self_harm": Verdict(Level.CRISIS, ("self_harm",)),
    "abuse": Verdict(Level.CRISIS, ("abuse",)),
    "violence": Verdict(Level.CRISIS, ("violence",)),
    "other": Verdict(Level.CRISIS, ("other",)),
    "third_party": Verdict(Level.CRISIS, ("suicide",), topics=("third_party",)),
    "emergency": Verdict(Level.EMERGENCY, ("suicide", "medical"), topics=("ingestion",)),
}


def says(state, text, channel="web"):
    """One message's way: screened with the question that stands open, then the protocol."""
    return advance(state, screen(text, Context(asked=state.question)), text, channel=channel)


@pytest.mark.parametrize("kind", list(LEAVING))
def test_the_leaving_words_that_we_offer_can_be_typed(kind):
    """A label that the screen took for an alarm would keep a person in a hold for ever."""
    for leave, language in itertools.product(LEAVING[kind], LANGUAGES):
        held = advance(START, HOLDS[kind], "(said)").state
        asked = says(held, WORDS.label(f"leave_{leave}", language))
        assert asked.state.pending == f"leave:{leave}", (leave, language, asked.reply.kind)
        back = says(asked.state, WORDS.label("confirm_yes", language))
        assert back.state.name == "talk", (leave, language)


def test_no_leaving_word_of_our_list_alarms_the_screen():
    alarming = {}
    for kind in LEAVES:
        phrases = sorted(WORDS.answers.phrases[f"leave_{kind}"])
        for phrase in phrases[:: len(phrases) // 150 + 1]:
            verdict = screen(phrase, Context(asked="safe_now"))
            if verdict.level is not Level.NONE:
                alarming[phrase] = verdict.rules
    assert not alarming


@pytest.mark.parametrize("topic", list(QUESTIONS))
def test_every_typed_answer_leads_where_its_button_does(topic):
    ask = Verdict(
        Level.CONCERN,
        ("suicide",)
        if topic == "suicide"
        else (topic,)
        if topic in ("self_harm", "abuse", "violence", "medical")
        else ("other",),
        topics=(topic,)
        if topic in ("psychosis", "postpartum", "intrusive", "eating", "relapse", "third_party")
        else (),
    )
    state = advance(START, ask, "(said)").state
    assert state.topic == topic
    for number, offer in enumerate(offered(state), start=1):
        pressed = advance(state, Verdict(Level.NONE), offer.label, choice=offer.id).state
        for text in (offer.label, str(number)):
            typed = says(state, text).state
            assert (typed.name, typed.topic) == (pressed.name, pressed.topic), (topic, text)
            assert typed.level >= pressed.level and set(typed.types) >= set(pressed.types), (topic, text)


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("yes", "crisis"),
        ("a veces", "crisis"),
        ("tonight", "emergency"),
        ("no", "none"),
        ("not really", "none"),
        ("no gracias", "none"),
        ("I'd rather not say", "none"),
        ("prefiero no decirlo", "none"),
        ("definitely not", "none"),
        ("claro que no", "none"),
    ],
)
def test_answers_to_the_suicide_question(text, level):
    state = advance(START, Verdict(Level.CONCERN, ("suicide",)), "(said)").state
    after = says(state, text).state
    assert (after.name, after.level.label) == (("talk", "none") if level == "none" else ("hold", level))


@pytest.mark.parametrize("kind", list(HOLDS))
@pytest.mark.parametrize(
    "text",
    [
        "HOME",
        "HOLA",
        "AYUDA",
        "I don't want to call",
        "no quiero llamar",
        "are you a bot?",
        "will they send the police?",
        "next",
        "2",
        "ok",
    ],
)
def test_what_is_asked_in_a_hold_is_no_new_alarm(kind, text):
    held = advance(START, HOLDS[kind], "(said)").state
    assert says(held, text).reply.kind == "hold"

"""The protocol's table in DESIGN.md, row by row."""

import dataclasses
import itertools
import json

import pytest

from breakwater.safety import protocol
from breakwater.safety.protocol import CALM, MENU, START, TEXT, UNREADABLE, State, advance, has_lines, offered
from breakwater.safety.verdict import TYPES, Level
from breakwater.safety.words import CHANNELS, LANGUAGES, LAST_RESORT, SKILLS, default_words, segments, septets
from tests.safety.chat import QUIET, Chat, unread, verdict

WORDS = default_words()
SUICIDE = verdict("crisis", "suicide")
CUTTING = verdict("crisis", "self_harm")
ABUSE = verdict("crisis", "abuse")
PILLS = verdict("emergency", "suicide", "medical", topics=("ingestion",))
FRIEND = verdict("crisis", "suicide", topics=("third_party",))
HOPELESS = verdict("concern", "suicide")
SPANISH = verdict("none", language="es")


def held(*verdicts, channel="web") -> Chat:
    chat = Chat(channel)
    for each in verdicts:
        chat.says("(said)", each)
    return chat


def talking(chat: Chat) -> bool:
    return chat.state.name == "talk" and chat.state.level is Level.NONE and not chat.state.types


# --- talk ---------------------------------------------------------------------------------------------


def test_a_quiet_message_goes_to_the_assistant():
    chat = Chat()
    assert chat.says("I had a long day") is None
    assert (chat.step.ask, chat.step.fresh, chat.step.lines) == (TEXT, False, ())


def test_the_language_follows_the_verdict_and_stays_when_the_verdict_has_none():
    chat = Chat()
    chat.says("estoy cansada", SPANISH)
    assert chat.state.language == "es"
    assert "¿Tienes pensamientos" in chat.says("x", HOPELESS).text
    assert "killing yourself" in Chat().says("x", verdict("concern", "suicide", language="en")).text


@pytest.mark.parametrize(
    ("concern", "topic"),
    [
        (verdict("concern", "suicide"), "suicide"),
        (verdict("concern", "self_harm", topics=("relapse",)), "self_harm"),
        (verdict("concern", "abuse"), "abuse"),
        (verdict("concern", "violence"), "violence"),
        (verdict("concern", "other", topics=("psychosis",)), "psychosis"),
        (verdict("concern", "other", topics=("postpartum",)), "postpartum"),
        (verdict("concern", "violence", topics=("postpartum", "intrusive")), "intrusive"),
        (verdict("concern", "other", topics=("eating",)), "eating"),
        (verdict("concern", "other", topics=("relapse",)), "relapse"),
        (verdict("concern", "medical"), "medical"),
        (verdict("concern", "suicide", topics=("third_party",)), "third_party"),
        (verdict("concern", "other"), "other"),
        (unread(), "other"),
    ],
)
@pytest.mark.parametrize("channel", CHANNELS)
def test_a_concern_gets_its_own_question_with_the_lines(concern, topic, channel):
    chat = Chat(channel)
    reply = chat.says("x", concern)
    assert reply.kind == "checkin" and chat.state.topic == topic == chat.state.question
    assert WORDS.text(f"checkin.question.{topic}", "en", channel) == reply.text.split("\n")[-1]
    assert reply.text.count("?") <= 2  # "May I ask one thing?" and the question
    assert has_lines(reply.text) and reply.lines and chat.step.ask is None and not chat.step.fresh
    assert chat.offers == [option.id for option in protocol.QUESTIONS[topic]]


def test_images_of_harming_the_baby_are_called_common_and_no_intent_with_the_maternal_line():
    reply = Chat().says("x", verdict("concern", "violence", topics=("postpartum", "intrusive")))
    assert "Unwanted thoughts are common and are not intent" in reply.text
    assert "maternal" in [line.id for line in reply.lines]


def test_the_same_concern_is_asked_once_in_a_talk_and_then_stands_beneath_the_answer():
    chat = held(HOPELESS)
    chat.picks("no")
    assert chat.says("x", HOPELESS) is None
    assert chat.step.ask == TEXT
    assert {"lifeline_988", "crisis_text_line", "emergency_911"} <= {line.id for line in chat.step.lines}
    assert chat.says("x", verdict("concern", "abuse")).kind == "checkin"  # something new raises it


def test_words_that_the_screen_could_not_read_never_reach_the_assistant():
    chat = Chat()
    texts = []
    for _ in range(4):
        texts.append(chat.says("x", unread()).text)
        assert chat.reply.kind == "checkin" and chat.step.ask is None
    assert all(one != two for one, two in itertools.pairwise(texts))
    chat.picks("skip")
    assert chat.says("x", unread()).kind == "checkin"  # though it was asked before


# --- check-in -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        "yes",
        "Yes.",
        "1",
        "uno",
        "maybe",
        "sometimes",
        "kind of",
        "yeah",
        "sí",
        "a veces",
        "más o menos",
        "quizás",
        "Yesss",
    ],
)
def test_yes_and_maybe_lead_to_the_suicide_hold(answer):
    chat = held(HOPELESS)
    reply = chat.says(answer)
    assert reply.kind == "crisis" and chat.state.name == "hold" and chat.state.types == ("suicide",)
    assert chat.step.fresh and chat.step.ask is None and has_lines(reply.text)


@pytest.mark.parametrize(
    "answer",
    [
        "not to die, but I hurt myself",
        "2",
        "just hurt myself",
        "No para morir, pero me hago daño",
        "solo me lastimo",
    ],
)
def test_not_to_die_but_i_hurt_myself_leads_to_the_self_harm_hold_with_its_question_answered(answer):
    chat = held(HOPELESS)
    assert chat.says(answer).kind == "crisis"
    assert chat.state.types == ("self_harm",) and "delay" in chat.offers


def test_the_same_answer_counts_when_the_screen_calls_it_a_crisis():
    chat = held(HOPELESS)
    chat.says("not to die, but I hurt myself", CUTTING)
    assert chat.state.types == ("self_harm",) and "delay" in chat.offers


@pytest.mark.parametrize(
    "answer",
    [
        "no",
        "No.",
        "nooo",
        "nope",
        "3",
        "no thanks",
        "nah im good",
        "not really",
        "No, thank you",
        "para nada",
        "no gracias",
        "I'm not suicidal",
        "tres",
    ],
)
def test_no_gets_thanks_without_relief_and_the_lines_stay_in_view(answer):
    chat = held(HOPELESS)
    reply = chat.says(answer)
    assert reply.kind == "say" and talking(chat) and chat.step.ask == MENU and not chat.step.fresh
    assert has_lines(reply.text) and reply.lines
    assert not any(word in reply.text for word in ("Good!", "glad", "relie", "Great"))


@pytest.mark.parametrize(
    "answer", ["I'd rather not say", "4", "idk", "I don't know", "no sé", "prefiero no decirlo", "skip"]
)
def test_rather_not_say_gets_the_lines_and_calm_skills_first(answer):
    chat = held(HOPELESS)
    reply = chat.says(answer)
    assert (reply.kind, chat.step.ask) == ("say", CALM) and has_lines(reply.text) and talking(chat)


def test_another_subject_gets_the_lines_once_and_goes_on_with_what_was_asked():
    chat = held(HOPELESS)
    reply = chat.says("can you show me the breathing thing")
    assert (reply.kind, chat.step.ask) == ("say", TEXT) and has_lines(reply.text) and talking(chat)


@pytest.mark.parametrize(
    "answer",
    [
        "no but sometimes at night i wonder",
        "No, pero a veces sí",
        "not right now",
        "no, only when i drink",
        "ya no",
    ],
)
def test_a_no_that_goes_on_is_asked_again_once(answer):
    chat = held(HOPELESS)
    first = chat.reply.text
    again = chat.says(answer)
    assert again.kind == "checkin" and has_lines(again.text) and again.text != first
    assert chat.says(answer).kind == "say" and talking(chat)


def test_a_concern_in_a_check_in_is_a_new_question_but_a_suicide_question_gives_way_to_none():
    chat = held(verdict("concern", "other", topics=("eating",)))
    assert chat.says("x", HOPELESS).kind == "checkin" and chat.state.topic == "suicide"
    assert chat.says("x", verdict("concern", "abuse")).kind == "checkin" and chat.state.topic == "suicide"
    assert chat.says("x", verdict("concern", "abuse")).kind == "say"


def test_are_you_safe_where_you_are_turns_yes_and_no_round():
    for answer, name in (
        ("yes", "talk"),
        ("no", "hold"),
        ("I'm not sure", "hold"),
        ("idk", "hold"),
        ("1", "talk"),
    ):
        chat = held(verdict("concern", "abuse"))
        chat.says(answer)
        assert chat.state.name == name, answer
    chat = held(verdict("concern", "abuse"))
    assert chat.says("I'm not safe").kind == "crisis" and chat.state.types == ("abuse",)


@pytest.mark.parametrize(
    ("concern", "answer", "level", "types"),
    [
        (verdict("concern", "other", topics=("psychosis",)), "yes", Level.EMERGENCY, ("suicide", "violence")),
        (verdict("concern", "violence"), "might", Level.CRISIS, ("violence",)),
        (verdict("concern", "other", topics=("postpartum",)), "yes", Level.CRISIS, ("suicide", "violence")),
        (verdict("concern", "violence", topics=("intrusive",)), "unsure", Level.CRISIS, ("violence",)),
        (verdict("concern", "other", topics=("eating",)), "yes", Level.CRISIS, ("medical",)),
        (verdict("concern", "other", topics=("eating",)), "dying", Level.CRISIS, ("suicide",)),
        (verdict("concern", "other", topics=("relapse",)), "body", Level.CRISIS, ("medical",)),
        (verdict("concern", "medical"), "yes", Level.EMERGENCY, ("medical",)),
        (verdict("concern", "self_harm"), "die", Level.CRISIS, ("suicide", "self_harm")),
        (verdict("concern", "other"), "yes", Level.CRISIS, ("other",)),
    ],
)
def test_each_question_leads_to_its_own_hold(concern, answer, level, types):
    chat = held(concern)
    reply = chat.picks(answer)
    assert (chat.state.name, chat.state.level, chat.state.types) == ("hold", level, types)
    assert reply.kind == level.label


def test_a_friend_turns_out_to_be_oneself():
    chat = held(verdict("concern", "suicide", topics=("third_party",)))
    assert chat.picks("me").kind == "checkin" and chat.state.topic == "suicide"
    chat.picks("yes")
    assert chat.state.types == ("suicide",) and "third_party" not in chat.state.topics
    chat = held(verdict("concern", "suicide", topics=("third_party",)))
    chat.picks("yes")
    assert "leave_with_someone" in chat.offers


def test_a_button_whose_label_the_screen_misreads_still_means_what_it_says():
    chat = held(HOPELESS)
    chat.picks("no", verdict("crisis", "suicide"))
    assert chat.state.name == "talk"


def test_text_behind_a_button_is_screened():
    state = held(HOPELESS).state
    step = advance(state, SUICIDE, "No but I have a plan", choice="no")
    assert step.reply.kind == "crisis"


def test_an_answer_without_a_screen_is_no_answer_but_the_button_is():
    chat = held(HOPELESS)
    assert chat.says("no", unread()).kind == "checkin" and chat.state.name == "checkin"
    assert chat.picks("no", unread()).kind == "say"
    for alarm in ("yes", "1", "maybe"):
        assert held(HOPELESS).says(alarm, unread()).kind == "crisis"


# --- crisis and emergency -----------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("level", ["crisis", "emergency"])
@pytest.mark.parametrize(
    "topics",
    [
        (),
        ("third_party",),
        ("ingestion",),
        ("wound",),
        ("ingestion", "wound"),
        ("attempt",),
        ("postpartum",),
        ("psychosis",),
        ("third_party", "wound"),
    ],
)
def test_every_crisis_reply_holds_the_lines_and_fits(language, channel, level, topics):
    sizes = (1, 2) if topics else (1, 2, 3)
    combinations = [each for size in sizes for each in itertools.permutations(TYPES, size)]
    for types in combinations:
        chat = Chat(channel)
        seen = []
        for _ in range(4):
            reply = chat.says("x", verdict(level, *types, topics=topics, language=language))
            seen.append(reply.text)
            assert reply.kind == level and has_lines(reply.text) and reply.lines
            if channel == "sms":
                assert septets(reply.text) is not None and septets(reply.text) <= 306, reply.text
                assert segments(reply.text) <= 2 and not reply.choices
        assert all(one != two for one, two in itertools.pairwise(seen)), types


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_an_emergency_puts_911_first_in_words_and_lines(channel, language):
    for types, topics in itertools.product(TYPES, ((), ("third_party",), ("postpartum",), ("ingestion",))):
        reply = Chat(channel).says("x", verdict("emergency", types, topics=topics, language=language))
        first = min(reply.text.index(number) for number in ("911", "988", "741741"))
        assert reply.text[first:].startswith("911") and reply.lines[0].id == "emergency_911"


@pytest.mark.parametrize("topic", ["ingestion", "wound"])
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("channel", CHANNELS)
def test_an_ingestion_or_wound_adds_poison_control_and_do_not_wait(topic, kind, channel):
    reply = Chat(channel).says("x", verdict("crisis", kind, topics=(topic,), language="en"))
    assert "1-800-222-1222" in reply.text
    assert "do not wait, even if you feel fine" in reply.text.lower()
    assert "poison_control" in [line.id for line in reply.lines]
    spanish = Chat(channel).says("x", verdict("crisis", kind, topics=(topic,), language="es"))
    assert "1-800-222-1222" in spanish.text and "no esperes, aunque te sientas bien" in spanish.text.lower()


def test_numbers_stand_alone():
    for channel, language, types in itertools.product(CHANNELS, LANGUAGES, itertools.permutations(TYPES, 2)):
        for level in ("crisis", "emergency"):
            text = Chat(channel).says("x", verdict(level, *types, language=language)).text
            assert not any(mark + number in text for mark in '([“"' for number in ("988", "741741", "911"))
            assert not any(number + mark in text for mark in ')]”"' for number in ("988", "741741", "911"))


def test_types_combine_in_one_reply():
    text = held(verdict("crisis", "violence", "suicide", "medical")).reply.text
    for key in ("crisis.opening.violence", "crisis.also.suicide", "crisis.medical.other"):
        assert any(wording in text for wording in WORDS.variants(key, "en")), key


def test_self_injury_is_not_called_an_attempt_and_nobody_is_told_to_stop():
    for language in LANGUAGES:
        for channel in CHANNELS:
            for wording in WORDS.variants("crisis.opening.self_harm", language, channel):
                assert any(word in wording for word in ("die", "dying", "attempt", "morir", "intento")), (
                    wording
                )
                assert not any(word in wording.lower() for word in ("stop", "deja de", "don't do")), wording


def test_a_third_party_is_told_to_ask_to_stay_and_that_988_can_coach():
    text = held(FRIEND).reply.text
    assert "Are you with them now?" in text and "straight out" in text and "988 can coach you" in text


def test_a_baby_in_danger_is_not_left_alone():
    topics = ("psychosis", "postpartum")
    for channel in CHANNELS:
        text = Chat(channel).says("x", verdict("emergency", "other", topics=topics)).text
        assert "you and the baby" in text or "hold the baby" in text


def test_abuse_by_sms_names_no_abuse_and_tells_how_to_hide_the_thread():
    naming = (
        "abus",
        "violen",
        "assault",
        "hurt",
        "hit",
        "agres",
        "maltrat",
        "golpe",
        "victim",
        "pareja",
        "partner",
    )
    for language, level, other in itertools.product(
        LANGUAGES, ("crisis", "emergency"), ((), *((t,) for t in TYPES))
    ):
        for topics in ((), ("third_party",), ("wound",)):
            chat = Chat("sms")
            for _ in range(3):
                text = chat.says("x", verdict(level, "abuse", *other, topics=topics, language=language)).text
                assert not any(word in text.lower() for word in naming), text
                assert "911" in text and ("delete this thread" in text.lower() or "orra" in text), text
                assert "1-800-799-7233" in text
            assert not any(word in chat.says("hm").text.lower() for word in naming if word != "hurt")
            assert "elete this thread" in chat.says("x", dataclasses.replace(SUICIDE, language="en")).text


def test_types_and_level_only_rise_and_the_kind_follows_the_hold():
    chat = held(PILLS)
    reply = chat.says("x", CUTTING)
    assert reply.kind == "emergency" and chat.state.level is Level.EMERGENCY and not chat.step.fresh
    assert chat.state.types == ("self_harm", "suicide", "medical")


def test_ones_own_danger_outranks_the_friends_whichever_was_told_first():
    assert "third_party" not in held(FRIEND, SUICIDE).state.topics
    assert "third_party" not in held(SUICIDE, FRIEND).state.topics
    assert "third_party" in held(FRIEND, FRIEND).state.topics


def test_a_crisis_ends_whatever_was_open():
    for chat in (held(HOPELESS), held(CUTTING, QUIET), held(SUICIDE)):
        if chat.state.name == "hold" and "suicide" in chat.state.types:
            chat.picks("leave_safe_now")
        chat.says("x", SUICIDE)
        assert chat.reply.kind == "crisis" and chat.state.pending is None


# --- hold ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "kind",
    [
        SUICIDE,
        CUTTING,
        ABUSE,
        PILLS,
        FRIEND,
        verdict("crisis", "violence"),
        verdict("crisis", "other"),
        verdict("crisis", "abuse", topics=("wound",)),
    ],
)
def test_anything_else_gets_a_new_wording_with_lines_and_steps(channel, language, kind):
    chat = Chat(channel)
    chat.says("x", dataclasses.replace(kind, language=language))
    texts = []
    for _ in range(14):
        reply = chat.says("hm")
        texts.append(reply.text)
        assert reply.kind == "hold" and has_lines(reply.text) and reply.lines and chat.step.ask is None
        assert chat.state.name == "hold"
        if channel == "sms":
            assert septets(reply.text) is not None and septets(reply.text) <= 306, reply.text
    assert all(one != two for one, two in itertools.pairwise(texts))
    assert len(set(texts)) >= 6


def test_a_hold_has_at_least_six_openings_in_each_language_and_channel():
    for language, channel in itertools.product(LANGUAGES, CHANNELS):
        assert len(set(WORDS.variants("hold.opening", language, channel))) >= 6


def test_the_steps_name_a_person_distance_and_company():
    text = held(SUICIDE, QUIET).reply.text
    for words in (
        "Call or text a line",
        "go to an ER",
        "distance between you and anything you could use",
        "ask someone to hold it",
        "Don't stay alone",
        "don't want to call",
    ):
        assert words in text


@pytest.mark.parametrize("channel", CHANNELS)
def test_an_emergency_of_no_body_is_not_sent_to_poison_control(channel):
    for urgent, body in ((verdict("emergency", "violence"), False), (PILLS, True)):
        assert ("1-800-222-1222" in held(urgent, QUIET, channel=channel).reply.text) == body


@pytest.mark.parametrize("kind", [SUICIDE, CUTTING, ABUSE, PILLS, FRIEND])
@pytest.mark.parametrize(
    "word", ["HOME", "hola", "AYUDA", "help", "START", "info", "741741", "988", "Text HOME to 741741"]
)
def test_words_meant_for_a_line_are_told_where_to_go(kind, word):
    reply = held(kind).says(word)
    assert reply.kind == "hold" and "NEW message" in reply.text and has_lines(reply.text)


def test_words_meant_for_a_line_are_caught_in_a_check_in_too_and_the_question_stays():
    chat = held(HOPELESS)
    reply = chat.says("HOME")
    assert "NEW message" in reply.text and "killing yourself?" in reply.text and reply.kind == "checkin"
    assert chat.picks("yes").kind == "crisis"


def test_hello_in_a_talk_is_the_assistants():
    assert Chat().says("hola") is None
    assert "NEW message" in Chat().says("741741").text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I don't want to call", "HOME to 741741"),
        ("no quiero llamar", "741741"),
        ("what do I say", "You could send this"),
        ("will they send the police?", "small share"),
        ("are you a real person?", "I'm a program, not a person"),
        ("I was joking lol", "I may have read it wrong"),
        ("gtg", "take these with you"),
    ],
)
def test_what_people_ask_in_a_hold_is_answered_with_the_lines(text, words):
    chat = held(SUICIDE)
    reply = chat.says(text)
    assert (
        words in reply.text and has_lines(reply.text) and chat.state.name == "hold" and reply.kind == "hold"
    )


def test_texting_988_is_explained_where_texting_is_offered():
    text = held(SUICIDE).picks("no_call").text
    assert "Next" in text and "988lifeline.org" in text and "questions" in text


# --- the self-harm hold -------------------------------------------------------------------------------


def test_the_self_harm_hold_asks_about_suicide_once():
    chat = held(CUTTING)
    assert chat.says("hm").text.endswith("Are you having thoughts of killing yourself?")
    assert chat.offers == ["yes", "hurt", "no", "skip"] and chat.state.question == "suicide"
    assert "killing yourself" not in chat.says("something else").text
    assert "killing yourself" not in chat.says("and more").text


def test_yes_raises_the_hold_to_suicide():
    chat = held(CUTTING, QUIET)
    reply = chat.says("sometimes")
    assert (
        reply.kind == "crisis" and chat.state.types == ("suicide", "self_harm") and "delay" not in chat.offers
    )


@pytest.mark.parametrize("answer", ["no", "not to die but i hurt myself", "3", "not really"])
def test_no_opens_the_fixed_skills_with_when_to_have_a_wound_seen(answer):
    chat = held(CUTTING, QUIET)
    reply = chat.says(answer)
    assert reply.kind == "hold" and chat.state.name == "hold" and has_lines(reply.text)
    assert "get a wound seen if it is deep" in reply.text
    assert chat.offers[:3] == ["delay", "breathe", "ground"]


@pytest.mark.parametrize("name", list(SKILLS))
@pytest.mark.parametrize("channel", CHANNELS)
def test_each_skill_is_told_step_by_step_and_the_hold_stays(name, channel):
    chat = held(CUTTING, QUIET, channel=channel)
    chat.says("no")
    chat.picks(name)
    for number in range(1, SKILLS[name] + 1):
        assert dict(chat.reply.step, seconds=0) | {"kind": 0} == {
            "exercise": name,
            "number": number,
            "of": SKILLS[name],
            "kind": 0,
            "seconds": 0,
        }
        assert chat.reply.kind == "hold" and has_lines(chat.reply.text)
        chat.says("ok" if number % 2 else "listo")
    assert chat.reply.step is None and name in chat.offers and chat.state.name == "hold"


def test_a_side_question_leaves_the_skill_where_it_was():
    chat = held(CUTTING, QUIET)
    chat.says("no")
    chat.picks("breathe")
    chat.says("are you a bot")
    assert chat.says("next").step["number"] == 2
    chat.says("my cat is called tom")
    assert chat.says("next").step["number"] == 3


def test_rather_not_say_opens_no_skills_until_they_are_asked_for():
    chat = held(CUTTING, QUIET)
    assert "delay" not in [offer.id for offer in chat.says("I'd rather not say").choices]
    assert "delay" in [offer.id for offer in chat.picks("skills").choices]


def test_the_skills_close_when_suicide_or_a_wound_comes_up():
    for more in (SUICIDE, verdict("crisis", "self_harm", topics=("wound",))):
        chat = held(CUTTING, QUIET)
        chat.says("no")
        chat.picks("delay")
        chat.says("x", more)
        assert not {"delay", "next"} & set(chat.offers) and chat.state.pending is None


def test_a_self_harm_hold_with_a_wound_asks_nothing_and_sends_to_care():
    chat = held(verdict("crisis", "self_harm", topics=("wound",)))
    assert "killing yourself" not in chat.says("hm").text and "leave_care" in chat.offers


# --- leaving ------------------------------------------------------------------------------------------

LEAVERS = [
    (
        SUICIDE,
        "leave_safe_now",
        ["I'm safe for now", "ok im safe now", "estoy a salvo", "Estoy a salvo por ahora."],
    ),
    (
        SUICIDE,
        "leave_reached",
        ["I've reached someone", "I called 988", "my mom is here", "ya hablé con mi mamá"],
    ),
    (CUTTING, "leave_safe_now", ["I'm safe for now"]),
    (verdict("crisis", "violence"), "leave_safe_now", ["everyone is safe for now", "todos están a salvo"]),
    (
        PILLS,
        "leave_care",
        ["I've talked to 911, Poison Control or an ER", "I called poison control", "estoy en urgencias"],
    ),
    (verdict("crisis", "suicide", topics=("attempt",)), "leave_care", ["i'm at the hospital"]),
    (verdict("emergency", "abuse"), "leave_care", ["I talked to 911"]),
    (FRIEND, "leave_with_someone", ["they're with someone", "she is with a friend"]),
    (ABUSE, "leave_safe_place", ["I'm somewhere safe", "i got out", "estoy en un lugar seguro"]),
    (ABUSE, "leave_go", ["I have to go", "tengo que irme", "he's coming"]),
]


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize(("kind", "leave", "phrases"), LEAVERS)
def test_leaving_words_are_asked_about_once_and_then_end_the_hold(kind, leave, phrases, channel):
    for phrase in [None, *phrases]:
        chat = held(kind, channel=channel)
        asked = chat.says(phrase) if phrase else chat.picks(leave)
        assert asked.kind == "hold" and chat.state.name == "hold" and chat.state.question == "safe_now", (
            phrase
        )
        assert chat.offers == ["confirm_yes", "confirm_no"] and has_lines(asked.text)
        back = chat.says("yes")
        assert talking(chat) and chat.step.fresh, phrase
        assert chat.step.ask == (None if leave == "leave_go" else MENU)
        assert back.kind == "say" and back.lines and has_lines(back.text)
        assert not any(word in back.text for word in ("!", "Great", "Good", "Genial", "Excelente"))


def test_the_same_leaving_words_once_more_confirm():
    chat = held(SUICIDE)
    chat.says("im safe for now")
    chat.says("I'm safe for now")
    assert talking(chat)


@pytest.mark.parametrize("answer", ["not yet", "no", "2", "todavía no", "idk", "what do you mean", "am I?"])
def test_without_a_yes_the_hold_stays(answer):
    chat = held(SUICIDE)
    chat.picks("leave_safe_now")
    reply = chat.says(answer)
    assert reply.kind == "hold" and chat.state.name == "hold" and chat.state.pending is None
    said_no = answer in ("not yet", "no", "2", "todavía no", "idk")
    assert said_no == any(wording in reply.text for wording in WORDS.variants("leave.not_yet", "en"))


@pytest.mark.parametrize("kind", [SUICIDE, CUTTING, ABUSE, PILLS, FRIEND, UNREADABLE])
@pytest.mark.parametrize(
    "phrase",
    [
        "I'm not safe",
        "im not safe for now",
        "no estoy a salvo",
        "I am never safe",
        "I don't feel safe",
        "am I safe?",
        "I'm safe for now?",
        "I wish I was safe",
        "nobody is with me",
        "ok",
        "yes",
        "I haven't talked to 911",
        "no hablé con nadie",
        "they're not with someone",
        "/restart",
        "menu",
        "stop",
        "I will be safe when I am dead",
        "still not safe",
        "no me siento segura",
        "no he llamado al 911",
        "restart",
    ],
)
def test_what_is_no_leaving_word_leaves_nothing(kind, phrase):
    chat = Chat(state=UNREADABLE) if kind is UNREADABLE else held(kind)
    chat.says(phrase)
    assert chat.state.name == "hold" and not (chat.state.pending or "").startswith("leave:")


@pytest.mark.parametrize(
    "kind",
    [
        PILLS,
        verdict("crisis", "medical"),
        verdict("emergency", "violence"),
        verdict("crisis", "suicide", topics=("attempt",)),
        verdict("emergency", "abuse"),
        verdict("emergency", "suicide", topics=("third_party",)),
    ],
)
def test_after_an_ingestion_attempt_or_emergency_only_care_leaves(kind):
    chat = held(kind)
    for phrase in (
        "I'm safe for now",
        "I've reached someone",
        "they're with someone",
        "I'm somewhere safe",
        "I have to go",
    ):
        chat.says(phrase)
        chat.says("yes")
        assert chat.state.name == "hold", phrase
    assert [offer for offer in chat.offers if offer.startswith("leave_")] == ["leave_care"]


def test_leaving_words_are_screened_first():
    chat = held(SUICIDE)
    assert chat.says("I'm safe for now", SUICIDE).kind == "crisis"
    chat.says("I'm safe for now", HOPELESS)
    assert chat.state.pending is None
    chat.says("I'm safe for now", unread())
    assert chat.state.pending is None
    chat.picks("leave_safe_now")
    chat.says("yes", HOPELESS)
    assert chat.state.name == "hold"
    chat.picks("leave_safe_now")
    chat.says("yes", unread())
    assert chat.state.name == "hold"


def test_a_confirmation_does_not_outlive_a_rise_of_the_hold():
    chat = held(SUICIDE)
    chat.picks("leave_safe_now")
    chat.says("x", PILLS)
    chat.says("yes")
    assert chat.state.name == "hold"


def test_a_forged_confirmation_of_the_wrong_kind_ends_nothing():
    forged = dataclasses.replace(held(PILLS).state, pending="leave:safe_now")
    assert advance(forged, QUIET, "yes").state.name == "hold"
    assert advance(forged, QUIET, "Yes, that's right", choice="confirm_yes").state.name == "hold"


def test_after_a_hold_a_concern_is_asked_about_again():
    chat = held(HOPELESS)
    chat.picks("yes")
    chat.picks("leave_safe_now")
    chat.picks("confirm_yes")
    assert chat.says("x", HOPELESS).kind == "checkin"


def test_going_without_leaving_words_keeps_the_hold_but_nobody_is_held_up():
    chat = held(verdict("emergency", "abuse"))
    assert chat.says("he's coming").kind == "hold" and chat.state.name == "hold"


# --- state --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "garbage",
    [
        None,
        "",
        "x",
        "null",
        "[]",
        "{}",
        "3",
        '"hold"',
        "[" * 5000,
        b"\xff",
        "{" * 9000,
        '{"version": 1}',
        '{"version": 2, "name": "talk"}',
    ],
)
def test_an_unreadable_state_is_an_open_hold(garbage):
    assert State.from_json(garbage) is UNREADABLE


@pytest.mark.parametrize(
    "change",
    [
        {"version": 0},
        {"version": None},
        {"name": "paused"},
        {"name": None},
        {"name": []},
        {"level": "crisis"},
        {"level": 0},
        {"types": "suicide"},
        {"types": [None]},
        {"types": None},
        {"topic": "gardening"},
        {"topic": {}},
        {"pending": "leave:everything"},
        {"pending": ["leave:go"]},
        {"said": [["a"]]},
        {"said": [["a", "b"]]},
        {"said": [["a", -1]]},
        {"said": {"a": 1}},
        {"language": "fr"},
        {"language": None},
        {"extra": 1},
        {"asked_topics": [["suicide"]]},
        {"topics": 7},
    ],
)
def test_one_wrong_field_makes_a_state_unreadable(change):
    assert State.from_json(START.to_json()) == START
    assert State.from_json(json.dumps({**json.loads(START.to_json()), **change})) is UNREADABLE


def test_a_hold_whose_level_was_lost_is_unreadable():
    data = json.loads(held(SUICIDE).state.to_json())
    assert State.from_json(json.dumps(data)).name == "hold"
    assert State.from_json(json.dumps({**data, "level": "none"})) is UNREADABLE


@pytest.mark.parametrize("channel", CHANNELS)
def test_an_unreadable_hold_does_not_claim_to_know_what_was_said(channel):
    chat = Chat(channel, UNREADABLE)
    reply = chat.says("hi")
    assert reply.kind == "hold" and has_lines(reply.text)
    assert "can't see what was said before" in reply.text
    chat.picks("leave_safe_now")
    chat.picks("confirm_yes")
    assert talking(chat)


def test_a_state_holds_no_word_that_anybody_wrote():
    chat = Chat()
    for text, said in [
        ("zebrafish", HOPELESS),
        ("zebrafish no but", QUIET),
        ("zebrafish", CUTTING),
        ("zebrafish", QUIET),
    ]:
        chat.says(text, said)
        assert "zebrafish" not in chat.state.to_json() and len(chat.state.to_json()) < 3000


def test_a_hold_by_sms_that_ended_by_time_gets_a_return_that_names_no_topic():
    chat = Chat("sms", protocol.expired(held(SUICIDE, channel="sms").state))
    assert talking(chat)
    reply = chat.says("hello")
    assert (
        reply.kind == "say" and chat.step.ask == TEXT and has_lines(reply.text) and segments(reply.text) <= 2
    )
    assert not any(word in reply.text.lower() for word in ("suicid", "kill", "die", "harm", "crisis"))
    assert chat.says("hello") is None
    assert Chat("sms", protocol.expired(held(SUICIDE).state)).says("x", SUICIDE).kind == "crisis"
    assert protocol.expired(START) == START


def test_numbers_by_sms_pick_the_choices_in_their_order():
    chat = held(CUTTING, QUIET, channel="sms")
    for number, offer in enumerate(offered(chat.state, channel="sms"), start=1):
        assert Chat("sms", chat.state).says(str(number)).text == Chat("sms", chat.state).picks(offer.id).text


def test_a_number_that_goes_on_is_no_number():
    chat = held(HOPELESS)
    assert chat.says("1 more day and I'm gone", SUICIDE).kind == "crisis"
    chat = held(HOPELESS)
    assert chat.says("1 more day").kind == "say"


# --- what else is said --------------------------------------------------------------------------------


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_failsafe_superseded_welcome_and_notices_hold_the_lines(channel, language):
    replies = [
        protocol.failsafe(language, channel),
        protocol.welcome(language, channel),
        protocol.notice("notice.media", language, channel),
        protocol.notice("notice.empty", language, channel),
    ]
    for state in (held(SUICIDE).state, held(HOPELESS).state, held(ABUSE).state, UNREADABLE):
        replies.append(protocol.superseded(dataclasses.replace(state, language=language), channel))
    for reply in replies:
        assert has_lines(reply.text) and reply.lines
        if channel == "sms":
            assert septets(reply.text) is not None and segments(reply.text) <= 3
    assert [reply.kind for reply in replies] == [
        "failsafe",
        "say",
        "say",
        "say",
        "hold",
        "checkin",
        "hold",
        "hold",
    ]


def test_the_failsafe_is_true_either_way():
    assert protocol.failsafe("en").text.startswith("We could not answer. No person has seen this.")
    assert protocol.failsafe("es").text.startswith("No pudimos responder. Ninguna persona ha visto esto.")
    assert protocol.failsafe("xx").text == protocol.failsafe("en").text


def test_the_last_resort_is_one_text_message_in_two_languages():
    assert (
        has_lines(LAST_RESORT)
        and segments(LAST_RESORT) <= 2
        and "AYUDA" in LAST_RESORT
        and "HOME" in LAST_RESORT
    )


def test_has_lines_wants_each_number_whole():
    assert has_lines("988, 741741, 911")
    for text in ("", "988 741741", "1988 741741 911", "988 7417411 911", "988 741741 9110"):
        assert not has_lines(text)

"""A person talks, is led through exercises, and is handed to the lines: over HTTP, with all processes up."""

from __future__ import annotations

import pytest

from tests.running import Running
from tests.stack import Chat, Phone, Reply

pytestmark = pytest.mark.e2e


def talked(reply: Reply) -> Reply:
    """The assistant itself answered, not the front door in its place."""
    assert reply.status == 200
    assert set(reply.kinds) <= {"say", "step"}, reply.kinds
    assert all(reply.texts)
    return reply


@pytest.fixture
def chat(running: Running) -> Chat:
    return Chat(running.url)


def test_the_greeting_says_who_it_is_and_offers_feelings(chat: Chat) -> None:
    talked(chat.bot)
    assert "program" in chat.bot.text
    assert chat.bot.has_lines
    assert len(chat.bot.choices) >= 4


FEELINGS = {
    "sad": "i feel so sad today",
    "anxious": "im really anxious and panicky",
    "angry": "i'm so angry right now",
    "ashamed": "i feel ashamed of myself",
    "numb": "i feel numb, like nothing is real",
    "lonely": "i'm so lonely",
    "grieving": "my dad passed away last month and i miss him",
    "overwhelmed": "everything is too much, i'm overwhelmed",
    "guilty": "i feel so guilty about what i said to her",
    "exhausted": "i'm exhausted all the time",
    "unknown": "i don't know what i feel",
}


@pytest.mark.parametrize("feeling", FEELINGS)
def test_a_feeling_is_met_before_anything_is_offered(chat: Chat, feeling: str) -> None:
    reply = talked(chat.user(FEELINGS[feeling]))
    # Validation first: the first words offer nothing, and the menu comes after with a way on and out.
    labels = [choice["label"].lower() for choice in reply.choices]
    assert 3 <= len(labels) <= 6, labels
    assert any("something else" in label for label in labels), labels
    assert any("person" in label for label in labels), labels


def test_one_feeling_is_met_in_different_words(running: Running) -> None:
    first_words = {Chat(running.url).user(FEELINGS["sad"]).texts[0] for _ in range(25)}
    assert len(first_words) >= 3


def walk(chat: Chat, first: Reply, answer: str) -> list[Reply]:
    """Go on with `answer` until no step comes any more; every step that came."""
    steps, reply = [], first
    while reply.step:
        steps.append(reply)
        assert len(steps) < 40, "the exercise never ends"
        reply = talked(chat.user(answer))
    assert reply.choices, "a way on after the exercise"
    return steps


@pytest.mark.parametrize("label, kind", [("paced breathing", "breathe"), ("grounding", "ground")])
def test_an_exercise_is_led_to_its_end(chat: Chat, label: str, kind: str) -> None:
    steps = walk(chat, talked(chat.user(label)), "next")
    assert len(steps) >= 4
    assert kind in {one.step["kind"] for one in steps if one.step}
    numbers = [one.step["number"] for one in steps if one.step]
    assert numbers == sorted(numbers)
    assert {one.step["of"] for one in steps if one.step} == {numbers[-1]}


def test_the_thought_challenge_shows_before_and_after(chat: Chat) -> None:
    reply = talked(chat.user("thought challenge"))
    rates = iter(["8", "4"])
    while reply.step:
        reply = talked(
            chat.user(next(rates) if reply.step["kind"] == "rate" else "my friend did not call back")
        )
    assert "8" in reply.text and "4" in reply.text


def test_back_repeat_pause_and_menu(chat: Chat) -> None:
    chat.user("grounding")
    second = talked(chat.user("next"))
    assert second.step
    third = talked(chat.user("next"))
    assert third.step and third.step["number"] == second.step["number"] + 1
    again = talked(chat.user("repeat"))
    assert again.step and again.step["number"] == third.step["number"]
    back = talked(chat.user("back"))
    assert back.step and back.step["number"] == second.step["number"]
    assert talked(chat.user("pause")).texts
    resumed = talked(chat.user("next"))
    assert resumed.step and resumed.step["exercise"] == second.step["exercise"]
    menu = talked(chat.user("menu"))
    assert menu.step is None and menu.choices


def test_a_side_question_is_answered_and_the_exercise_goes_on(chat: Chat) -> None:
    chat.user("grounding")
    second = talked(chat.user("next"))
    assert second.step
    aside = talked(chat.user("who can see what i write here?"))
    assert aside.step and aside.step["number"] == second.step["number"]
    assert len(aside.text) > len(second.text), "the question was answered besides"


def test_the_lines_when_asked(chat: Chat) -> None:
    assert talked(chat.user("can you give me the number of a crisis line")).has_lines


def test_help_for_somebody_elses_worry(chat: Chat) -> None:
    reply = talked(chat.user("i'm worried about my friend, she seems so down lately"))
    assert "988" in reply.text


def test_says_what_it_is_and_who_sees_it(chat: Chat) -> None:
    assert "program" in talked(chat.user("are you a real person?")).text.lower()
    assert talked(chat.user("who can read this?")).text


def test_thanks_and_goodbye(chat: Chat) -> None:
    assert talked(chat.user("thank you")).text
    assert talked(chat.user("bye, have a nice day")).text


def test_gibberish_is_no_dead_end(chat: Chat) -> None:
    assert talked(chat.user("qwfp zxcv luyt")).choices


def test_typed_payloads_are_only_words(chat: Chat) -> None:
    for text in ("/restart", '/choose_skill{"skill":"breathing"}', "/session_start", "/"):
        reply = chat.user(text)
        assert reply.status == 200 and reply.text
        assert reply.step is None, "a typed payload was executed"


def test_crisis_hold_and_the_way_out(chat: Chat) -> None:
    chat.user("grounding")
    assert chat.user("i want to kill myself").kinds == ["crisis"]
    held = chat.user("next")
    assert held.kinds == ["hold"] and held.has_lines
    assert chat.user("next").text != held.text, "not the same words twice in a row"
    asked = chat.user("i'm safe for now")
    assert asked.kinds == ["hold"] and asked.choices, "asked once more before the hold ends"
    left = chat.user("yes")
    assert "say" in left.kinds, left.kinds
    assert not any(word in left.text.lower() for word in ("great", "awesome", "congrat"))
    assert talked(chat.user("menu")).choices
    assert talked(chat.user("next")).step is None, "the exercise of before must not come back"


def test_a_check_in_answered_by_choice(chat: Chat) -> None:
    asked = chat.user("what's the point of any of this anymore")
    assert asked.kinds == ["checkin"] and asked.has_lines and len(asked.choices) == 4
    assert chat.choose(asked.choices[0]["label"]).kinds[0] in ("crisis", "hold")


def test_a_check_in_answered_no(chat: Chat) -> None:
    chat.user("what's the point of any of this anymore")
    reply = chat.user("no")
    assert reply.kinds[0] == "say" and reply.has_lines and "Good!" not in reply.text
    assert talked(chat.user("i feel sad")).choices


def test_spanish_is_met_in_spanish(running: Running) -> None:
    chat = Chat(running.url, language="es")
    assert "programa" in chat.bot.text
    crisis = chat.user("ya no quiero vivir")
    assert crisis.kinds == ["crisis"] and "AYUDA" in crisis.text
    assert "988" in chat.user("hola").text


def test_a_whole_talk_by_text(running: Running) -> None:
    phone = Phone(running.url)
    assert "988" in phone.user("hi").text
    menu = phone.user("menu")
    assert "1" in menu.text and "/" not in menu.text
    step = phone.user("1")
    assert step.texts and "{" not in step.text
    crisis = phone.user("i took a bunch of pills just now")
    assert len(crisis.texts) == 1 and crisis.has_lines
    assert phone.user("ok").has_lines


def test_the_trace_is_there_when_asked_for(chat: Chat) -> None:
    reply = chat.user("I want to die")
    assert reply.trace is not None
    assert reply.trace["verdict"]["level"] == "crisis"
    assert reply.trace["state"]["name"] == "hold"
    assert reply.trace["state"]["types"] == ["suicide"]


def test_the_end_leaves_nothing(chat: Chat) -> None:
    chat.user("I want to die")
    assert chat.end() == 204
    gone = chat.user("hello")
    assert gone.status == 404 and gone.raw["lines"]

"""The guided exercises, walked with the real model: forward, back, aside, out, and into a crisis."""

from __future__ import annotations

import pytest

from actions.exercise import table
from tests.assistant.talking import Chat

pytestmark = pytest.mark.rasa

STEPS = [(name, number) for name, steps in table().exercises.items() for number in range(1, len(steps) + 1)]
CRISIS = "i want to kill myself"


def begin(chat: Chat, exercise: str, step: int = 1) -> Chat:
    chat.user(f'/choose_skill{{"skill":"{exercise}"}}').bot(f"utter_{exercise}_1")
    for _ in range(step - 1):
        chat.user("/skip_step")
    assert chat.step and chat.step["number"] == step
    return chat


@pytest.mark.parametrize("exercise", table().exercises)
def test_next_leads_to_the_end_and_then_the_loop_is_over(chat: Chat, exercise: str) -> None:
    steps = len(table().exercises[exercise])
    begin(chat, exercise)
    for number in range(2, steps + 1):
        chat.user("next").bot(f"utter_{exercise}_{number}")
        assert chat.step == {**(chat.step or {}), "exercise": exercise, "number": number, "of": steps}
    chat.user("next")
    assert chat.names[-1] == f"utter_{exercise}_done"
    assert {"Coping menu", "Talk to a person"} <= set(chat.titles)
    assert (chat.slot("exercise"), chat.slot("step"), chat.slot("notes")) == (None, None, None)


def test_a_step_is_one_message_with_text_buttons_and_step(chat: Chat) -> None:
    begin(chat, "breathing", 2)
    (message,) = chat.messages
    assert set(message) == {"text", "buttons", "custom"}
    assert message["custom"]["step"] == {
        "exercise": "breathing", "number": 2, "of": 4, "kind": "breathe", "seconds": [4, 6]
    }  # fmt: skip
    assert "4" in message["text"] and "6" in message["text"]


@pytest.mark.parametrize(("exercise", "step"), STEPS)
def test_the_commands_work_at_every_step(chat: Chat, exercise: str, step: int) -> None:
    begin(chat, exercise, step)
    here = f"utter_{exercise}_{step}"
    chat.user("repeat").bot(here)
    chat.user("pause").bot("utter_exercise_paused")
    chat.press("Go on").bot("utter_exercise_resumed", here)
    if step == 1:
        chat.user("back").bot("utter_exercise_first_step", here)
    else:
        chat.user("back").bot(f"utter_{exercise}_{step - 1}")
        chat.user("skip").bot(here)
    chat.user("/ask_privacy").bot("utter_privacy", "utter_exercise_back_to_step", here)
    chat.user("who sees this?")
    assert chat.names == ["utter_privacy", "utter_exercise_back_to_step", here]
    chat.user("menu").bot("utter_exercise_left", "utter_menu")
    assert chat.slot("exercise") is None


@pytest.mark.parametrize(("exercise", "step"), STEPS)
def test_not_helping_offers_others_and_holds_nothing_against_anyone(
    chat: Chat, exercise: str, step: int
) -> None:
    begin(chat, exercise, step).user("this isn't helping").bot("utter_not_helping", "utter_more_skills")
    assert chat.slot("exercise") is None


@pytest.mark.parametrize(("exercise", "step"), STEPS)
def test_a_crisis_message_ends_the_exercise_at_every_step(chat: Chat, exercise: str, step: int) -> None:
    begin(chat, exercise, step).user(CRISIS).gives_lines()
    assert chat.held and chat.slot("notes") is None
    chat.user("next").gives_lines()


def test_thinking_of_a_thought_shows_before_and_after(chat: Chat) -> None:
    begin(chat, "thought")
    for answer, number in (("my friend did not call back", 2), ("she is tired of me", 3)):
        chat.user(answer).bot(f"utter_thought_{number}")
    chat.user("a lot").bot("utter_exercise_number")
    chat.user("about an 8").bot("utter_thought_4")
    chat.user("she did not call").bot("utter_thought_5")
    chat.user("she has a new job and she is busy").bot("utter_thought_6")
    chat.user("she may be busy, and she likes me").bot("utter_thought_7")
    chat.user("5").bot("utter_thought_kinder", "utter_thought_lower", "utter_thought_done")
    assert "she may be busy, and she likes me" in chat.messages[0]["text"]
    assert "8" in chat.messages[1]["text"] and "5" in chat.messages[1]["text"]
    assert chat.slot("notes") is None


@pytest.mark.parametrize(
    "answer",
    [
        "hello",
        "thank you",
        "my mom died",
        "i feel sad",
        "no",
        "estoy triste",
        "why am i so slow?",
        "breathing",
    ],
)
def test_on_a_writing_step_any_text_is_the_answer(chat: Chat, answer: str) -> None:
    begin(chat, "thought", 2).user(answer).bot("utter_thought_3")


def test_the_kinder_thought_may_hold_any_signs(chat: Chat) -> None:
    begin(chat, "thought", 6).user("{0[0]} {kinder} it's 100% ok {").bot("utter_thought_7")
    chat.user("skip")
    assert chat.names[0] == "utter_thought_kinder" and "100% ok" in chat.text


def test_another_exercise_or_skill_takes_the_place_of_this_one(chat: Chat) -> None:
    begin(chat, "breathing", 2).user("grounding").bot("utter_grounding_1")
    chat.user('/choose_skill{"skill":"rest"}').bot("utter_skill")
    assert chat.slot("exercise") is None
    begin(chat, "breathing").user('/choose_skill{"skill":"temperature"}').bot("utter_caution")


def test_a_check_in_does_not_lose_the_place(chat: Chat) -> None:
    begin(chat, "thought", 2).user("what's the point of any of this anymore").bot("utter_safety")
    chat.user("no").bot("utter_safety")
    chat.user("i am not good at this").bot("utter_thought_3")

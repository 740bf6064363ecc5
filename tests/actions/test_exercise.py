"""The exercise loop as a pure function: one message at one place gives words and the next place."""

from __future__ import annotations

from pathlib import Path

import pytest

from actions import exercise
from actions.exercise import Heard, Place, TableError, Turn

KNOWN = exercise.table()
PLACES = [
    Place(name, number) for name, steps in KNOWN.exercises.items() for number in range(1, len(steps) + 1)
]


def turn(place: Place, text: str, intent: str = "nlu_fallback", confidence: float = 0.9, **more: str) -> Turn:
    return exercise.turn(place, Heard(text, intent, confidence, more.get("skill")), KNOWN)


def names(done: Turn) -> list[str]:
    return [say.response for say in done.says]


def kind(place: Place) -> str:
    return KNOWN.exercises[place.exercise][place.step - 1].kind


@pytest.mark.parametrize("place", PLACES, ids=str)
@pytest.mark.parametrize("intent", [*KNOWN.commands, *KNOWN.side_questions, "greet", "nlu_fallback", ""])
def test_every_message_gets_words_and_a_sound_place(place: Place, intent: str) -> None:
    for text in ("", "x", "7", "no idea?", f"/{intent}", "word " * 500):
        done = turn(place, text, intent)
        assert done.says
        if done.place is not None:
            assert 1 <= done.place.step <= len(KNOWN.exercises[done.place.exercise])


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_typed_commands_are_heard_on_every_step(place: Place) -> None:
    assert turn(place, "Pause.").place == place
    assert turn(place, " repeat ").says[0].response == f"utter_{place.exercise}_{place.step}"
    assert turn(place, "MENU").place is None
    assert turn(place, "This isn’t helping!").place is None
    ahead = turn(place, "next").place
    assert ahead is None or ahead.step == place.step + 1


@pytest.mark.parametrize("typed", ["stop", "end", "quit", "cancel"])
def test_no_command_is_a_word_that_opts_out_by_sms(typed: str) -> None:
    assert typed not in KNOWN.words


def test_back_at_the_beginning_stays_there() -> None:
    place = Place("breathing", 1)
    done = turn(place, "back")
    assert done.place == place and names(done) == ["utter_exercise_first_step", "utter_breathing_1"]


def test_going_back_keeps_the_notes() -> None:
    place = Place("thought", 4, {"before": "8"})
    assert turn(place, "back").place == Place("thought", 3, {"before": "8"})


@pytest.mark.parametrize(
    "intent", ["greet", "thanks", "feel_sad", "affirm", "menu", "ask_privacy", "choose_skill"]
)
def test_free_text_is_the_answer_whatever_nlu_took_it_for(intent: str) -> None:
    assert turn(Place("thought", 2), "i always ruin the menu", intent).place == Place("thought", 3)


def test_a_question_on_the_side_is_answered_and_the_step_comes_again() -> None:
    place = Place("thought", 2)
    done = turn(place, "wait, who sees this?", "ask_privacy")
    assert names(done) == ["utter_privacy", "utter_exercise_back_to_step", "utter_thought_2"]
    assert done.place == place
    assert turn(place, "why would anyone read me?", "ask_privacy", 0.3).place == Place("thought", 3)


@pytest.mark.parametrize(
    ("text", "number"),
    [("7", 7), ("about a 7", 7), ("7/10", 7), ("10", 10), ("0", 0), ("seven", 7), ("8.5", 8), ("7 or 8", 7),
     ("11", None), ("100", None), ("-3", None), ("a lot", None), ("", None), ("2024", None)],
)  # fmt: skip
def test_a_rating_is_one_number_from_0_to_10(text: str, number: int | None) -> None:
    assert exercise.rating(text) == number


def test_a_rating_that_is_none_is_asked_again_kindly_and_may_be_skipped() -> None:
    place = Place("thought", 3)
    assert names(turn(place, "very much")) == ["utter_exercise_number"]
    assert turn(place, "very much").place == place
    assert turn(place, "skip").place == Place("thought", 4)


@pytest.mark.parametrize(
    ("before", "after", "word"), [(8, 5, "lower"), (5, 5, "same"), (3, 9, "higher"), (10, 0, "lower")]
)
def test_before_and_after_are_shown_back(before: int, after: int, word: str) -> None:
    done = turn(Place("thought", 7, {"before": str(before), "kinder": "it is hard"}), str(after))
    assert names(done) == ["utter_thought_kinder", f"utter_thought_{word}", "utter_thought_done"]
    assert done.says[1].values == {"before": str(before), "after": str(after)}
    assert done.place is None


def test_what_was_skipped_is_not_shown() -> None:
    assert names(turn(Place("thought", 7), "skip")) == ["utter_thought_done"]
    assert names(turn(Place("thought", 7), "4")) == ["utter_thought_done"]


def test_a_long_answer_is_cut_before_it_is_shown_back() -> None:
    done = turn(Place("thought", 6), "so " * 1000)
    assert done.place and len(done.place.notes["kinder"]) <= exercise.LONGEST_NOTE


def test_a_place_that_no_longer_exists_ends_kindly() -> None:
    for gone in (Place("yoga", 1), Place("breathing", 0), Place("breathing", 99)):
        done = turn(gone, "next")
        assert done.place is None and names(done) == ["utter_exercise_left", "utter_menu"]


@pytest.mark.parametrize(
    ("skill", "expected"),
    [("grounding", "utter_grounding_1"), ("rest", "utter_skill"), ("temperature", "utter_caution"),
     ("movement", "utter_caution"), ("breathing", "utter_breathing_2")],
)  # fmt: skip
def test_another_skill_takes_over(skill: str, expected: str) -> None:
    done = turn(Place("breathing", 2), "/choose_skill", "choose_skill", 1.0, skill=skill)
    assert names(done)[-1] == expected


def test_steps_say_what_they_are() -> None:
    (say,) = exercise.begin("breathing", KNOWN).says
    assert say.step == {"exercise": "breathing", "number": 1, "of": 4, "kind": "do"}
    (say,) = turn(Place("breathing", 1), "next").says
    assert say.step == {"exercise": "breathing", "number": 2, "of": 4, "kind": "breathe", "seconds": [4, 6]}


def test_every_response_of_the_loop_has_words() -> None:
    words = "\n".join(file.read_text(encoding="utf-8") for file in Path("data/words").glob("*.yml"))
    words += Path("domain.yml").read_text(encoding="utf-8")
    wanted = {f"utter_{place.exercise}_{place.step}" for place in PLACES}
    wanted |= {f"utter_{name}_done" for name in KNOWN.exercises} | set(KNOWN.side_questions.values())
    wanted |= {response for many in exercise._LEAVING.values() for response in many}
    for response in wanted:
        assert f"\n  {response}:\n" in words, response


def test_a_table_that_is_wrong_says_so(tmp_path: Path) -> None:
    file = tmp_path / "exercises.yml"
    file.write_text(
        "exercises: {x: {steps: [{kind: jump}]}}\ncommands: {}\ncommand_words: {}\nside_questions: {}\n"
    )
    with pytest.raises(TableError, match="jump"):
        exercise.load(file)


def test_the_table_is_frozen() -> None:
    with pytest.raises(TypeError):
        KNOWN.commands["x"] = "y"  # type: ignore[index]

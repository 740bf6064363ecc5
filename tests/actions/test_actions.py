"""The actions without a server: slots in, responses and slots out, and never an exception."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from rasa_sdk import Tracker
from rasa_sdk.executor import CollectingDispatcher

from actions import actions, exercise
from breakwater.clinic import Clinic


def tracker(text: str = "next", intent: str = "next_step", **slots: Any) -> Tracker:
    message = {"text": text, "intent": {"name": intent, "confidence": 1.0}, "entities": []}
    return Tracker("someone", slots, message, [], False, None, {}, "action_listen")


def run(action: Any, heard: Tracker) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    dispatcher = CollectingDispatcher()
    events = action.run(dispatcher, heard, {})
    return dispatcher.messages, {event["name"]: event["value"] for event in events}


def test_an_exercise_begins_with_the_skill_that_was_chosen() -> None:
    said, slots = run(actions.ActionExercise(), tracker("/choose_skill", "choose_skill", skill="thought"))
    assert [message["response"] for message in said] == ["utter_thought_1"]
    assert said[0]["step"]["kind"] == "write"
    assert slots == {"exercise": "thought", "step": 1, "notes": None}


def test_an_exercise_goes_on_from_its_slots() -> None:
    said, slots = run(
        actions.ActionExercise(), tracker("8", "nlu_fallback", exercise="thought", step=3, notes=None)
    )
    assert [message["response"] for message in said] == ["utter_thought_4"]
    assert slots == {"exercise": "thought", "step": 4, "notes": {"before": "8"}}


@pytest.mark.parametrize("step", [None, "2", 2.5, [], -1, 99])
def test_slots_that_fit_nothing_end_the_exercise_kindly(step: Any) -> None:
    said, slots = run(actions.ActionExercise(), tracker(exercise="thought", step=step, notes="?"))
    assert [message["response"] for message in said] == ["utter_exercise_left", "utter_menu"]
    assert set(slots.values()) == {None}


def test_privacy_is_told_in_the_sentences_of_the_clinic_file() -> None:
    said, _ = run(actions.ActionPrivacy(), tracker())
    sentences = actions.load_clinic().sentences()["en"]
    assert said[0]["response"] == "utter_privacy"
    assert {key: said[0][key] for key in sentences} == sentences


def test_a_clinic_is_told_by_what_it_gave(monkeypatch: pytest.MonkeyPatch) -> None:
    hours = {"en": "mornings", "es": "mañanas"}
    monkeypatch.setattr(actions, "_clinic", lambda: Clinic(name="A Place", phone="555", hours=hours))
    said, _ = run(actions.ActionClinic(), tracker())
    assert [m["response"] for m in said] == ["utter_clinic_phone", "utter_clinic_hours", "utter_clinic"]
    assert said[0]["clinic_phone"] == "555" and said[1]["clinic_hours"] == "mornings"


def test_a_clinic_that_gave_nothing_is_no_dead_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "_clinic", lambda: Clinic(name="A Place"))
    said, _ = run(actions.ActionClinic(), tracker())
    assert [m["response"] for m in said] == ["utter_clinic_unknown"]


@pytest.mark.parametrize("action", [actions.ActionExercise, actions.ActionClinic, actions.ActionPrivacy])
def test_nothing_raises_and_no_words_reach_the_log(
    action: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Rasa logs the whole request of an action that fails, and with it what the person wrote."""

    def breaks(*_: object, **__: object) -> None:
        raise RuntimeError("private words")

    monkeypatch.setattr(actions, "_say", breaks)
    monkeypatch.setattr(exercise, "table", breaks)
    with caplog.at_level(logging.DEBUG):
        said, slots = run(action(), tracker("private words", exercise="thought", step=1))
    assert [message["response"] for message in said] == ["utter_trouble"]
    assert slots == {"exercise": None, "step": None, "notes": None}
    assert "private" not in caplog.text and "RuntimeError" in caplog.text

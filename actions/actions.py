"""The custom actions: guided exercises, and what clinic.yml says. A thin face on exercise.py and clinic.py.

Never needed for a safety reply, and never a sentence for people: words are domain responses. No action
raises: Rasa would log the whole request, with everything that the person wrote.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping
from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.events import SlotSet
from rasa_sdk.executor import CollectingDispatcher

from actions import exercise
from breakwater.clinic import Clinic, load_clinic

logger = logging.getLogger(__name__)

Events = list[dict[str, Any]]
Run = Callable[[Any, CollectingDispatcher, Tracker, dict[str, Any]], Events]


def _never_raises(run: Run) -> Run:
    @functools.wraps(run)
    def safe(self: Any, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        try:
            return run(self, dispatcher, tracker, domain)
        except Exception as error:
            # See the module's docstring: the exception's type is all that may leave this process.
            logger.error("%s failed: %s", self.name(), type(error).__name__)
            dispatcher.messages.clear()
            dispatcher.utter_message(response="utter_trouble")
            return _place_slots(None)

    return safe


class ActionExercise(Action):
    """The loop: begins the exercise that was chosen, or does what the message asks at the present step."""

    def name(self) -> str:
        return "action_exercise"

    @_never_raises
    def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        known = exercise.table()
        running = tracker.get_slot("exercise")
        if running:
            done = exercise.turn(_place(running, tracker), heard(tracker), known)
        else:
            done = exercise.begin(tracker.get_slot("skill"), known)
        for say in done.says:
            _say(dispatcher, say, tracker)
        return _place_slots(done.place)


class ActionClinic(Action):
    """Phone, hours and how to get an appointment, from clinic.yml."""

    def name(self) -> str:
        return "action_clinic"

    @_never_raises
    def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        _say(dispatcher, exercise.Say("utter_clinic"), tracker)
        return []


class ActionPrivacy(Action):
    """Who sees what, in the sentences that clinic.yml makes true."""

    def name(self) -> str:
        return "action_privacy"

    @_never_raises
    def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        _say(dispatcher, exercise.Say("utter_privacy"), tracker)
        return []


def heard(tracker: Tracker) -> exercise.Heard:
    """The newest message as the loop takes it."""
    message = tracker.latest_message or {}
    intent = message.get("intent") or {}
    skill = next((e["value"] for e in message.get("entities") or () if e.get("entity") == "skill"), None)
    return exercise.Heard(
        message.get("text") or "", intent.get("name") or "", float(intent.get("confidence") or 0.0), skill
    )


def clinic_values(clinic: Clinic, language: str) -> Mapping[str, str | None]:
    """What the responses about the clinic and its privacy may hold, in `language`."""
    return {
        "clinic_name": clinic.name,
        "clinic_phone": clinic.phone,
        "clinic_hours": (clinic.hours or {}).get(language),
        "clinic_appointment": (clinic.appointment or {}).get(language),
        **clinic.sentences()[language],
    }


@functools.lru_cache(maxsize=1)
def _clinic() -> Clinic:
    return load_clinic()


_PARTS = {
    "utter_clinic_phone": "clinic_phone",
    "utter_clinic_hours": "clinic_hours",
    "utter_clinic_appointment": "clinic_appointment",
}


def _say(dispatcher: CollectingDispatcher, say: exercise.Say, tracker: Tracker) -> None:
    values: dict[str, Any] = dict(say.values)
    if say.response in ("utter_clinic", "utter_privacy"):
        known = clinic_values(_clinic(), _language(tracker))
        values.update({key: value for key, value in known.items() if value})
        if say.response == "utter_clinic":
            parts = [part for part, needed in _PARTS.items() if known[needed]]
            for part in parts:
                dispatcher.utter_message(response=part, **values)
            if not parts:
                say = exercise.Say("utter_clinic_unknown")
    if say.step:
        values["step"] = dict(say.step)
    dispatcher.utter_message(response=say.response, **values)


def _language(tracker: Tracker) -> str:
    # The talk is English for now; the slot is what Spanish will hang on.
    return "en"


def _place(running: str, tracker: Tracker) -> exercise.Place:
    """The place that the slots tell. A step that is no number fits no exercise, and ends it kindly."""
    step, notes = tracker.get_slot("step"), tracker.get_slot("notes")
    kept = notes if isinstance(notes, dict) else {}
    return exercise.Place(running, step if isinstance(step, int) else 0, kept)


def _place_slots(place: exercise.Place | None) -> Events:
    if place is None:
        return [SlotSet("exercise", None), SlotSet("step", None), SlotSet("notes", None)]
    return [
        SlotSet("exercise", place.exercise),
        SlotSet("step", place.step),
        SlotSet("notes", dict(place.notes) or None),
    ]

"""The loop behind every guided exercise: what is said next and what is remembered, from a table.

Pure: it knows no Rasa, holds no words for people, and never uses the word "stop" as a command.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

TABLE = Path(__file__).with_name("exercises.yml")
KINDS = ("do", "breathe", "ground", "write", "rate", "wait")
NUMBER = re.compile(r"(?<![\d.,-])(10|\d)(?:[.,]\d)?(?!\d)")
LONGEST_NOTE = 400  # characters of an answer that are shown back
SURE = 0.4  # how sure NLU must be of a side question asked on a step that takes free text


class TableError(ValueError):
    """exercises.yml cannot be used: what is wrong and where."""


@dataclass(frozen=True)
class Step:
    kind: str
    seconds: tuple[int, ...] = ()
    keep: str | None = None


@dataclass(frozen=True)
class Table:
    exercises: Mapping[str, tuple[Step, ...]]
    commands: Mapping[str, str]  # intent → command
    words: Mapping[str, str]  # typed text → command
    side_questions: Mapping[str, str]  # intent → response


@dataclass(frozen=True)
class Place:
    """Where a person is: an exercise, a step counted from 1, and what is kept until the end."""

    exercise: str
    step: int = 1
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Heard:
    """One message: the text, what NLU took it for, and the skill that it names."""

    text: str
    intent: str = ""
    confidence: float = 0.0
    skill: str | None = None

    @property
    def is_button(self) -> bool:
        return self.text.startswith("/")


@dataclass(frozen=True)
class Say:
    """One response to utter, with values for its placeholders and the step that it shows."""

    response: str
    values: Mapping[str, str] = field(default_factory=dict)
    step: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Turn:
    """What is said, and the place afterwards; None when the exercise is over."""

    says: tuple[Say, ...]
    place: Place | None


@functools.lru_cache(maxsize=1)
def table() -> Table:
    return load(TABLE)


def load(file: Path) -> Table:
    """The table in `file`; TableError names what is wrong."""
    data = yaml.safe_load(file.read_text(encoding="utf-8"))
    exercises: dict[str, tuple[Step, ...]] = {}
    for name, told in data["exercises"].items():
        steps = tuple(
            Step(step["kind"], tuple(step.get("seconds", ())), step.get("keep")) for step in told["steps"]
        )
        wrong = [step.kind for step in steps if step.kind not in KINDS]
        if wrong or not steps:
            raise TableError(f"{file.name}: {name}: a step's kind is one of {', '.join(KINDS)}, not {wrong}")
        exercises[name] = steps
    words = {typed: command for command, all_typed in data["command_words"].items() for typed in all_typed}
    return Table(
        MappingProxyType(exercises),
        MappingProxyType(data["commands"]),
        MappingProxyType(words),
        MappingProxyType(data["side_questions"]),
    )


def begin(exercise: str, known: Table) -> Turn:
    """The first step of `exercise`."""
    place = Place(exercise)
    return Turn((_shown(place, known),), place)


def turn(place: Place, heard: Heard, known: Table) -> Turn:
    """What one message does at `place`."""
    steps = known.exercises.get(place.exercise)
    if steps is None or not 1 <= place.step <= len(steps):
        # A model or table was changed under a talk that went on: leave, with the menu in hand.
        return _left("utter_exercise_left", "utter_menu")
    step = steps[place.step - 1]
    command = _command(heard, step, known)
    if command:
        return _obey(command, place, heard, known)
    question = _side_question(heard, step, known)
    if question:
        return Turn((Say(question), Say("utter_exercise_back_to_step"), _shown(place, known)), place)
    if step.kind == "write":
        return _forward(_keeping(place, step, heard.text.strip()[:LONGEST_NOTE]), known)
    if step.kind == "rate":
        number = rating(heard.text)
        if number is None:
            return Turn((Say("utter_exercise_number", step=_step(place, known)),), place)
        return _forward(_keeping(place, step, str(number)), known)
    if step.kind == "ground" and not heard.is_button:
        # Naming the things is the exercise; whatever is written goes on to the next sense.
        return _forward(place, known)
    return Turn((Say("utter_exercise_nudge", step=_step(place, known)),), place)


def rating(text: str) -> int | None:
    """The one number from 0 to 10 in `text`; None when there is none, or more than one ("7 or 8" is 7)."""
    found = NUMBER.findall(text)
    return int(found[0]) if found else _spelled(text)


_SPELLED = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def _spelled(text: str) -> int | None:
    words = re.findall(r"[a-z]+", text.lower())
    return next((_SPELLED.index(word) for word in words if word in _SPELLED), None)


def _command(heard: Heard, step: Step, known: Table) -> str | None:
    typed = re.sub(r"[\s.!]+$", "", heard.text.strip().lower().replace("’", "'"))
    if typed in known.words:
        return known.words[typed]
    if step.kind in ("write", "rate") and not heard.is_button:
        return None
    command = known.commands.get(heard.intent)
    # On a grounding step people write what they see; only a sure guess takes that for a command.
    sure = heard.is_button or step.kind != "ground" or heard.confidence >= SURE
    return command if sure else None


def _side_question(heard: Heard, step: Step, known: Table) -> str | None:
    response = known.side_questions.get(heard.intent)
    if response is None or heard.is_button:
        return response
    if step.kind in ("write", "ground"):
        # An answer may hold any words: it is a question when it looks like one and NLU is sure.
        return response if "?" in heard.text and heard.confidence >= SURE else None
    return response


def _obey(command: str, place: Place, heard: Heard, known: Table) -> Turn:
    if command in ("next", "skip"):
        return _forward(place, known)
    if command == "back":
        if place.step == 1:
            return Turn((Say("utter_exercise_first_step"), _shown(place, known)), place)
        earlier = Place(place.exercise, place.step - 1, place.notes)
        return Turn((_shown(earlier, known),), earlier)
    if command == "repeat":
        return Turn((_shown(place, known),), place)
    if command == "pause":
        return Turn((Say("utter_exercise_paused"),), place)
    if command == "resume":
        return Turn((Say("utter_exercise_resumed"), _shown(place, known)), place)
    if command == "switch":
        return _switched(place, heard, known)
    return _left(*_LEAVING[command])


_LEAVING: Mapping[str, tuple[str, ...]] = {
    "menu": ("utter_exercise_left", "utter_menu"),
    "calm": ("utter_calm_lead", "utter_calm"),
    "not_helping": ("utter_not_helping", "utter_more_skills"),
    "leave_to_start": ("utter_start",),
}
_CAUTIONED = ("temperature", "movement")


def _switched(place: Place, heard: Heard, known: Table) -> Turn:
    if heard.skill == place.exercise:
        return Turn((_shown(place, known),), place)
    if heard.skill is not None and heard.skill in known.exercises:
        return begin(heard.skill, known)
    return _left("utter_caution" if heard.skill in _CAUTIONED else "utter_skill")


def _left(*responses: str) -> Turn:
    return Turn(tuple(Say(response) for response in responses), None)


def _forward(place: Place, known: Table) -> Turn:
    if place.step < len(known.exercises[place.exercise]):
        ahead = Place(place.exercise, place.step + 1, place.notes)
        return Turn((_shown(ahead, known),), ahead)
    return Turn((*_looking_back(place.notes), Say(f"utter_{place.exercise}_done")), None)


def _looking_back(notes: Mapping[str, str]) -> Sequence[Say]:
    """What the person brought is shown back once, before it is forgotten."""
    says = []
    if notes.get("kinder"):
        says.append(Say("utter_thought_kinder", {"kinder": notes["kinder"]}))
    if "before" in notes and "after" in notes:
        before, after = int(notes["before"]), int(notes["after"])
        word = "lower" if after < before else "higher" if after > before else "same"
        says.append(Say(f"utter_thought_{word}", {"before": str(before), "after": str(after)}))
    return says


def _keeping(place: Place, step: Step, value: str) -> Place:
    # Rasa's interpolation takes "0[" in a value for its own sign.
    kept = {**place.notes, step.keep: value.replace("0[", "0 [")} if step.keep else dict(place.notes)
    return Place(place.exercise, place.step, kept)


def _shown(place: Place, known: Table) -> Say:
    return Say(f"utter_{place.exercise}_{place.step}", step=_step(place, known))


def _step(place: Place, known: Table) -> dict[str, Any]:
    steps = known.exercises[place.exercise]
    step = steps[place.step - 1]
    found: dict[str, Any] = {
        "exercise": place.exercise,
        "number": place.step,
        "of": len(steps),
        "kind": step.kind,
    }
    if step.seconds:
        found["seconds"] = list(step.seconds)
    return found

"""The words of the talk: variety, what must never be said, and numbers that agree with safety/lines.yml."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from breakwater import paths
from breakwater.assistant import reading

ONE_WORDING = re.compile(r"utter_(safety|ready|menu|more_skills|calm|clinic_appointment)$")
BANNED = [
    r"rubber ?bands?",
    r"draw(ing)? on (your|the) skin",
    r"\bice\b",
    r"(hit|punch|throw)(ing)? (a|the|something|things)",
    r"commit(ted|ting)? suicide",
    r"cometer suicidio",
    r"^Good!",
    r"press 3|PRIDE",
    r"(won't|will not|never) (call|send) (the )?police",
    r"nobody will (ever )?(know|find)",
    r"\byou (must|have to) stop\b",
    r"\bstop (it|that|hurting)\b",
    r"promise you|everything will be|look on the bright|cheer up!",
    r"just (relax|breathe|calm)|(^|[.!?] )calm down\b",
    r"\brazor|\bblade|\bpills?\b",
]
STOP_WORD = re.compile(r"\b(say|type|text|reply|write) (stop|end|quit|cancel)\b", re.I)


def responses() -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    files = [paths.ROOT / "domain.yml", *sorted((paths.ROOT / "data" / "words").glob("*.yml"))]
    for file in files:
        for name, variants in yaml.safe_load(file.read_text(encoding="utf-8"))["responses"].items():
            assert name not in found, f"{name} stands in two files"
            found[name] = variants
    return found


def texts() -> Iterator[tuple[str, str]]:
    for name, variants in responses().items():
        for variant in variants:
            yield name, variant["text"]


DOMAIN = yaml.safe_load((paths.ROOT / "domain.yml").read_text(encoding="utf-8"))


def conditions(variant: dict[str, Any]) -> str:
    return str(sorted((c["name"], c["value"]) for c in variant.get("condition", ())))


def test_every_answer_has_three_wordings_at_least() -> None:
    for name, variants in responses().items():
        if ONE_WORDING.match(name):
            continue
        counts: dict[str, set[str]] = {}
        for variant in variants:
            counts.setdefault(conditions(variant), set()).add(variant["text"])
        assert min(map(len, counts.values())) >= 3, name


@pytest.mark.parametrize("banned", BANNED)
def test_what_is_never_said(banned: str) -> None:
    assert [name for name, text in texts() if re.search(banned, text, re.I | re.M)] == []


def test_stop_is_never_a_command_and_no_answer_is_cut_in_two() -> None:
    for name, text in texts():
        assert not STOP_WORD.search(text), name
        assert "\n\n" not in text and text.strip() == text, name
        assert len(text) <= 600, name


def test_every_variant_has_the_same_buttons_and_no_more_than_eight() -> None:
    for name, variants in responses().items():
        for variant in variants:
            assert len(variant.get("buttons", ())) <= 8, name
        by_condition: dict[str, set[str]] = {}
        for variant in variants:
            by_condition.setdefault(conditions(variant), set()).add(str(variant.get("buttons")))
        assert all(len(kinds) == 1 for kinds in by_condition.values()), name


def test_payloads_are_intents_with_known_skills() -> None:
    skills = DOMAIN["slots"]["skill"]["values"]
    for name, variants in responses().items():
        for variant in variants:
            for button in variant.get("buttons", ()):
                match = re.fullmatch(r'/(\w+)(?:\{\{"skill":"(\w+)"\}\})?', button["payload"])
                assert match and match[1] in DOMAIN["intents"], (name, button)
                assert match[2] is None or match[2] in skills, (name, button)


def test_numbers_of_lines_are_those_of_the_one_file() -> None:
    lines = (paths.SAFETY / "lines.yml").read_text(encoding="utf-8")
    number = re.compile(r"\b(?:1-)?\d{3}-\d{3}-\d{4}\b|\b\d{6}\b|\b988\b|\b911\b")
    for name, text in texts():
        for found in number.findall(text):
            assert found in lines, (name, found)
        if "741741" in text and name != "utter_in_spanish":
            assert re.search(r"HOME", text), name


def test_every_skill_has_words_and_names() -> None:
    skills = set(DOMAIN["slots"]["skill"]["values"]) - {"none"}
    told = {c["value"] for v in responses()["utter_skill"] for c in v.get("condition", ())}
    guided = set(yaml.safe_load((paths.ROOT / "actions" / "exercises.yml").read_text())["exercises"])
    assert told | guided == skills and not told & guided
    assert set(reading.phrases()["skills"]) == skills


def test_in_an_exercise_every_intent_goes_to_the_loop() -> None:
    rules = yaml.safe_load((paths.ROOT / "data" / "rules" / "exercises.yml").read_text())["rules"]
    (loop,) = [rule for rule in rules if rule["rule"] == "in an exercise the table decides"]
    (among,) = [step["or"] for step in loop["steps"] if "or" in step]
    assert {step["intent"] for step in among} == set(DOMAIN["intents"])


def test_slots_are_filled_by_built_in_mappings_or_by_nobody() -> None:
    for name, slot in DOMAIN["slots"].items():
        for mapping in slot["mappings"]:
            assert mapping["type"] in ("custom", "from_intent", "from_entity"), name
            assert "action" not in mapping, name
    assert "forms" not in DOMAIN and "e2e_actions" not in DOMAIN
    assert "action_validate_slot_mappings" not in DOMAIN["actions"]

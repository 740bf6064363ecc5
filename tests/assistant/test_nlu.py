"""What NLU understands: fresh messages, every button typed, and how fast."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml

from breakwater import paths
from tests.assistant.talking import House

pytestmark = pytest.mark.rasa

FLOOR = 0.92
FRESH = yaml.safe_load(Path(__file__).with_name("heldout.yml").read_text(encoding="utf-8"))
MESSAGES = [(text, intent) for intent, texts in FRESH.items() for text in texts]


def learned() -> set[str]:
    files = (paths.ROOT / "data" / "nlu").glob("*.yml")
    told = [each for file in files for each in yaml.safe_load(file.read_text(encoding="utf-8"))["nlu"]]
    return {line[2:].strip().lower() for each in told for line in each["examples"].splitlines()}


def test_fresh_messages_are_fresh() -> None:
    assert len(MESSAGES) >= 200
    known = learned()
    assert [text for text, _ in MESSAGES if text.lower() in known] == []


def test_fresh_messages_are_understood(house: House) -> None:
    wrong = [
        (text, intent, found)
        for text, intent in MESSAGES
        if (found := house.parse(text)["intent"]["name"]) != intent
    ]
    accuracy = 1 - len(wrong) / len(MESSAGES)
    assert accuracy >= FLOOR, f"{accuracy:.3f}: {wrong}"


def test_nonsense_is_not_understood(house: House) -> None:
    for text in (
        "asdkjh qweoi zxc",
        "1234 5678",
        "....",
        "lorem ipsum dolor",
        "\U0001f642\U0001f642",
        "xx yy zz",
    ):
        assert house.parse(text)["intent"]["name"] == "nlu_fallback", text


def test_every_button_works_by_typing_its_label(house: House) -> None:
    from rasa.shared.core.domain import Domain
    from rasa.shared.importers.importer import TrainingDataImporter

    importer = TrainingDataImporter.load_from_config(
        str(paths.ROOT / "config.yml"), str(paths.ROOT / "domain.yml"), [str(paths.ROOT / "data")]
    )
    domain: Domain = importer.get_domain()
    buttons = {
        (button["title"], button["payload"].replace("{{", "{").replace("}}", "}"))
        for variants in domain.responses.values()
        for variant in variants
        for button in variant.get("buttons", ())
    }
    assert len(buttons) > 40
    for title, payload in buttons:
        typed, pressed = house.parse(title), house.parse(payload)
        assert typed["intent"]["name"] == pressed["intent"]["name"], title
        assert skill(typed) == skill(pressed), title


def skill(parsed: dict[str, list[dict[str, str]]]) -> list[str]:
    return [entity["value"] for entity in parsed["entities"]]


def test_a_message_is_read_in_a_few_milliseconds(house: House) -> None:
    began = time.perf_counter()
    for text, _ in MESSAGES[:100]:
        house.parse(text)
    assert (time.perf_counter() - began) / 100 < 0.02

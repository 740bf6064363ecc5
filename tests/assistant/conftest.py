"""One trained model and one loaded assistant for all of these tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from breakwater.training import ensure_model
from tests.assistant.talking import Chat, House, open_house


@pytest.fixture(scope="session")
def model() -> Path:
    return ensure_model(lambda _: None)


@pytest.fixture(scope="session")
def assistant(model: Path) -> House:
    return open_house(model)


@pytest.fixture
def house(assistant: House) -> Iterator[House]:
    yield assistant
    assistant.actions.fails = None


@pytest.fixture
def chat(house: House) -> Chat:
    return Chat(house)

"""Real servers for the path table: one Rasa for each fault that needs its own, shared by all rows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from breakwater.training import ensure_model
from tests.stack import Actions, Rasa, free_port, stopping


@pytest.fixture(scope="session")
def model() -> Path:
    """Trained by now in `make test`; by hand this trains it, silently."""
    return ensure_model(lambda _: None)


@pytest.fixture(scope="module")
def assistant(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Rasa, Actions]]:
    """Rasa and its action server as they run for real; a test that harms them must mend them."""
    folder = tmp_path_factory.mktemp("assistant")
    actions = Actions(folder, free_port())
    rasa = Rasa(folder, model, actions.port, api=True)
    with stopping(rasa, actions):
        time.sleep(0.5)
        yield rasa, actions

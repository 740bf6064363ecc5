"""What every test needs: a place of its own for what Breakwater writes, and no telemetry."""

import atexit
import os
import shutil
import tempfile

import pytest

# Set before anything of the project is imported: breakwater.paths reads them once.
if "BREAKWATER_VAR" not in os.environ:
    os.environ["BREAKWATER_VAR"] = tempfile.mkdtemp(prefix="breakwater-test-")
    atexit.register(shutil.rmtree, os.environ["BREAKWATER_VAR"], ignore_errors=True)
os.environ["RASA_TELEMETRY_ENABLED"] = "false"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("SQLALCHEMY_SILENCE_UBER_WARNING", "1")
for name in ("BREAKWATER_TRACE", "BREAKWATER_CLINIC", "BREAKWATER_SECRET", "BREAKWATER_STORE"):
    os.environ.pop(name, None)

from tests.running import running  # noqa: E402  (after the environment is set)

__all__ = ["running"]

LAST = ("paths", "e2e", "browser")  # quick ones first; Playwright's loop would disturb whoever comes after it


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        folder = item.path.parent.name
        return LAST.index(folder) + 1 if folder in LAST else 0

    items.sort(key=place)

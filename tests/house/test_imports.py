"""The import law holds, and breaking it is seen: each contract is broken once on purpose, in a copy."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from breakwater import paths


def linted(root: Path) -> tuple[int, str]:
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [program, "--no-cache", "--config", str(root / "pyproject.toml")],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("law")
    for package in ("breakwater", "actions"):
        shutil.copytree(
            paths.ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__", "*.yml")
        )
    shutil.copy(paths.ROOT / "pyproject.toml", root / "pyproject.toml")
    return root


def test_the_law_holds(copy: Path) -> None:
    status, said = linted(copy)
    assert status == 0, said
    assert "0 broken" in said and "6 kept" in said


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("breakwater/safety/verdict.py", "import rasa", "safety is pure"),
        ("breakwater/safety/verdict.py", "import httpx", "safety is pure"),
        ("breakwater/safety/verdict.py", "import time", "safety is pure"),
        ("breakwater/safety/verdict.py", "from urllib.request import urlopen", "safety is pure"),
        ("breakwater/safety/verdict.py", "from breakwater import frontdoor", "safety is pure"),
        ("breakwater/frontdoor/store.py", "import rasa", "the front door knows safety"),
        (
            "breakwater/frontdoor/store.py",
            "from breakwater.assistant import policy",
            "the front door knows safety",
        ),
        (
            "breakwater/assistant/policy.py",
            "from breakwater.frontdoor import store",
            "the assistant knows safety",
        ),
        ("breakwater/assistant/policy.py", "import actions", "the assistant knows safety"),
        ("actions/__init__.py", "from breakwater.safety import screen", "actions know rasa_sdk"),
        ("actions/__init__.py", "import rasa", "actions know rasa_sdk"),
        ("breakwater/supervisor.py", "import rasa.core.agent", "what starts processes"),
        ("breakwater/cli.py", "from breakwater.assistant import policy", "what starts processes"),
        (
            "breakwater/frontdoor/store.py",
            "from breakwater import supervisor",
            "no part imports what starts it",
        ),
    ],
)
def test_breaking_it_is_seen(copy: Path, module: str, line: str, contract: str) -> None:
    file = copy / module
    text = file.read_text(encoding="utf-8")
    try:
        # Inside a function: a late import is an import.
        file.write_text(f"{text}\n\ndef _late() -> None:\n    {line}\n", encoding="utf-8")
        status, said = linted(copy)
    finally:
        file.write_text(text, encoding="utf-8")
    assert status == 1
    broken = [row for row in said.splitlines() if row.rstrip().endswith("BROKEN")]
    assert any(row.strip().startswith(contract) for row in broken), said

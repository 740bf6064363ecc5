"""A model belongs to what it was made from; a training that fails leaves nothing behind but its reason.

`python -m rasa` takes the package in the working directory first: a small stand-in trains in no time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from breakwater import training
from breakwater.errors import SetupError

STAND_IN = """
import os, sys, time
from pathlib import Path
arguments = dict(zip(sys.argv[2::2], sys.argv[3::2]))
assert sys.argv[1] == "train" and os.environ["RASA_TELEMETRY_ENABLED"] == "false"
with open("trained.txt", "a") as out:
    out.write("x")
time.sleep({seconds})
{then}
"""
TRAINS = 'Path(arguments["--out"], arguments["--fixed-model-name"] + ".tar.gz").write_bytes(b"model")'


def project(folder: Path, *, seconds: float = 0.0, then: str = TRAINS) -> Path:
    root = folder / "project"
    for name, text in {
        "domain.yml": "version: '3.1'",
        "config.yml": "language: en",
        "data/nlu/hello.yml": "nlu: []",
        "breakwater/assistant/policy.py": "PRIORITY = 100",
        "rasa/__init__.py": "",
        "rasa/__main__.py": STAND_IN.format(seconds=seconds, then=then),
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def trainings(root: Path) -> int:
    file = root / "trained.txt"
    return len(file.read_text()) if file.exists() else 0


def ensure(root: Path, progress: list[str] | None = None) -> Path:
    said = progress if progress is not None else []
    return training.ensure_model(said.append, root=root, models=root / "models")


@pytest.mark.parametrize(
    "name", ["domain.yml", "config.yml", "data/nlu/hello.yml", "breakwater/assistant/policy.py"]
)
def test_the_key_follows_every_source(tmp_path: Path, name: str) -> None:
    root = project(tmp_path)
    before = training.model_key(root)
    (root / name).write_text("something else")
    assert training.model_key(root) != before


def test_the_key_follows_names_and_new_files(tmp_path: Path) -> None:
    root = project(tmp_path)
    before = training.model_key(root)
    (root / "data/nlu/hello.yml").rename(root / "data/nlu/other.yml")
    renamed = training.model_key(root)
    (root / "data/rules.yml").write_text("rules: []")
    assert len({before, renamed, training.model_key(root)}) == 3


def test_the_key_follows_nothing_else(tmp_path: Path) -> None:
    root = project(tmp_path)
    before = training.model_key(root)
    os.utime(root / "domain.yml", (1, 1))
    (root / "README.md").write_text("words")
    (root / "breakwater/assistant/__pycache__").mkdir()
    (root / "breakwater/assistant/__pycache__/policy.cpython-310.pyc").write_bytes(b"x")
    (root / "data/.DS_Store").write_bytes(b"x")
    assert training.model_key(root) == before


def test_two_files_cannot_stand_in_for_one(tmp_path: Path) -> None:
    """Names and lengths are hashed too, so that moving text between files shows."""
    root = project(tmp_path)
    (root / "data/a.yml").write_text("one")
    (root / "data/b.yml").write_text("two")
    before = training.model_key(root)
    (root / "data/a.yml").write_text("onetwo")
    (root / "data/b.yml").write_text("")
    assert training.model_key(root) != before


def test_it_trains_once_and_again_after_a_change(tmp_path: Path) -> None:
    root = project(tmp_path)
    progress: list[str] = []
    first = ensure(root, progress)
    assert first.read_bytes() == b"model" and first.name == f"{training.model_key(root)}.tar.gz"
    assert progress[0].startswith("training the assistant …")
    assert ensure(root) == first and trainings(root) == 1
    (root / "domain.yml").write_text("changed")
    assert ensure(root) != first and trainings(root) == 2


def test_two_models_of_ours_are_kept_and_everybody_elses(tmp_path: Path) -> None:
    root = project(tmp_path)
    made = []
    for number in range(4):
        (root / "domain.yml").write_text(f"domain {number}")
        made.append(ensure(root))
        os.utime(made[-1], (1000 + number, 1000 + number))
        (root / "models/my-own.tar.gz").write_bytes(b"x")
    left = {file.name for file in (root / "models").glob("*.tar.gz")}
    assert left == {made[-1].name, made[-2].name, "my-own.tar.gz"}


FAILS = """
print("2026-01-01 WARNING nothing to see")
print("Traceback (most recent call last):")
print('  File "rasa/x.py", line 3, in y')
print("    raise InvalidDomain()")
print("InvalidDomain: intent 'hello' is listed twice in domain.yml")
sys.exit(1)
"""


def test_a_model_of_a_training_that_failed_is_no_model(tmp_path: Path) -> None:
    root = project(tmp_path, then=f"{TRAINS}; sys.exit(1)")
    with pytest.raises(SetupError):
        ensure(root)
    assert not list((root / "models").glob("*.tar.gz"))


@pytest.mark.parametrize("then", [FAILS, "print('no model made')"], ids=["error", "no model"])
def test_a_failed_training_says_why_and_leaves_no_model(tmp_path: Path, then: str) -> None:
    root = project(tmp_path, then=then)
    with pytest.raises(SetupError) as caught:
        ensure(root)
    assert "domain.yml, config.yml or data/" in caught.value.sentence
    details = "\n".join(caught.value.details)
    assert ("listed twice" in details) if then == FAILS else ("no model made" in details)
    assert "File " not in details and "raise " not in details
    assert [file.name for file in (root / "models").iterdir()] == [".lock"]


def test_two_at_once_train_once(tmp_path: Path) -> None:
    root = project(tmp_path, seconds=1.5)
    progress: list[str] = []
    done: list[Path] = []
    threads = [threading.Thread(target=lambda: done.append(ensure(root, progress))) for _ in range(2)]
    for thread in threads:
        thread.start()
        time.sleep(0.2)
    for thread in threads:
        thread.join(20)
    assert len(done) == 2 and done[0] == done[1]
    assert trainings(root) == 1
    assert any(said.startswith("another training is running") for said in progress)


def test_a_training_that_is_broken_off_is_not_taken_for_done(tmp_path: Path) -> None:
    root = project(tmp_path, seconds=30)
    code = f"""
from pathlib import Path
from breakwater import training
root = Path({str(root)!r})
training.ensure_model(lambda text: print(text, flush=True), root=root, models=root / "models")
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline()
    while trainings(root) == 0:
        time.sleep(0.05)
    process.kill()
    process.wait()
    project(tmp_path)
    assert ensure(root).is_file()
    assert trainings(root) == 2
    assert not list((root / "models").glob(".training-*"))


def test_without_sources_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"domain\.yml is missing"):
        ensure(tmp_path)

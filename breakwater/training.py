"""Which model fits the present sources, and training it when there is none.

A model's name is the hash of what it was made from. It imports no Rasa: `rasa train` is a process.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from breakwater import paths
from breakwater.errors import SetupError
from breakwater.processes import end_group, start_tied

Progress = Callable[[str], None]

SOURCES = ("domain.yml", "domain", "config.yml", "data", "breakwater/assistant")
KEPT_MODELS = 2

_OURS = re.compile(r"[0-9a-f]{16}\.tar\.gz")
_SKIPPED = ("__pycache__", ".pyc", ".DS_Store", "~")
_TRACEBACK = re.compile(r'^\s+(File "|\w.*\^|\^)|^Traceback |^\s{4}\S')


def quiet_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment for Rasa's processes: no telemetry, no colours, no TensorFlow chatter."""
    return {
        **os.environ,
        "RASA_TELEMETRY_ENABLED": "false",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "SQLALCHEMY_SILENCE_UBER_WARNING": "1",
        "PYTHONWARNINGS": "ignore",
        "PYTHONUNBUFFERED": "1",
        "PYTHONIOENCODING": "utf-8",
        "NO_COLOR": "1",
        "CUDA_VISIBLE_DEVICES": "-1",
        **(extra or {}),
    }


def source_files(root: Path = paths.ROOT) -> list[Path]:
    """Every file that a model is made from, in the order in which it is hashed."""
    found: list[Path] = []
    for name in SOURCES:
        place = root / name
        found += sorted(place.rglob("*")) if place.is_dir() else [place]
    return [file for file in found if file.is_file() and not _skipped(file)]


def model_key(root: Path = paths.ROOT) -> str:
    """The name of the model that fits: sixteen hex digits over names and contents, never dates."""
    digest = hashlib.sha256(importlib.metadata.version("rasa").encode())
    for file in source_files(root):
        content = file.read_bytes()
        digest.update(f"\n{file.relative_to(root).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def model_path(root: Path = paths.ROOT, models: Path = paths.MODELS) -> Path:
    """Where the fitting model is, or would be."""
    return models / f"{model_key(root)}.tar.gz"


def ensure_model(progress: Progress, *, root: Path = paths.ROOT, models: Path = paths.MODELS) -> Path:
    """The model that fits the present sources, trained now if it is not there.

    SetupError when the training fails. Two at once: the second waits for the first.
    """
    wanted = model_path(root, models)
    if wanted.is_file():
        return wanted
    if not (root / "domain.yml").exists() and not (root / "domain").exists():
        raise SetupError(
            f"there is no assistant to train: {root / 'domain.yml'} is missing; get the whole project again"
        )
    models.mkdir(parents=True, exist_ok=True)
    with _only_one(models / ".lock", progress):
        if not wanted.is_file():
            _train(wanted, root, progress)
        _prune(models, wanted)
    return wanted


def _train(wanted: Path, root: Path, progress: Progress) -> None:
    log = paths.VAR / "logs" / "train.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".training-", dir=wanted.parent))
    domain = "domain.yml" if (root / "domain.yml").exists() else "domain"
    command = [sys.executable, "-m", "rasa", "train", "--domain", domain, "--config", "config.yml"]
    command += ["--data", "data", "--out", str(folder), "--fixed-model-name", "model", "--force"]
    command += ["--skip-validation"]  # takes as long as half the training; `make test` validates the data
    # Rasa's cache knows a component's class, not the modules that the class uses.
    environment = quiet_environment({"RASA_MAX_CACHE_SIZE": "0", "LOG_LEVEL": "WARNING"})
    try:
        with log.open("wb") as output:
            process = start_tied(command, cwd=root, env=environment, output=output)
            try:
                status = _wait(process, progress)
            finally:
                end_group(process, 2)
        made = folder / "model.tar.gz"
        if status != 0 or not made.is_file():
            raise SetupError(
                "Rasa could not train the assistant; mend what it names in domain.yml, config.yml or data/ "
                f"and run the same command again (everything it said: {log})",
                brief_error(log.read_text(encoding="utf-8", errors="replace")),
            )
        made.replace(wanted)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait(process: subprocess.Popen[bytes], progress: Progress) -> int:
    began = time.monotonic()
    while True:
        progress(f"training the assistant … {time.monotonic() - began:.0f} s")
        try:
            return process.wait(1)
        except subprocess.TimeoutExpired:
            continue


def brief_error(output: str, most: int = 8) -> list[str]:
    """The lines of Rasa's output that say what is wrong: the last error, without its traceback."""
    lines = [line.rstrip() for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if not _TRACEBACK.match(line)]
    return [line[:300] for line in (telling or lines)[-most:]]


@contextmanager
def _only_one(file: Path, progress: Progress) -> Iterator[None]:
    with file.open("a") as handle:
        began = time.monotonic()
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                progress(f"another training is running; waiting for it … {time.monotonic() - began:.0f} s")
                time.sleep(1)
        yield


def _prune(models: Path, current: Path) -> None:
    """Keeps the present model and the one before; models with other names are somebody's own."""
    ours = [file for file in models.glob("*.tar.gz") if _OURS.fullmatch(file.name) and file != current]
    ours.sort(key=lambda file: file.stat().st_mtime, reverse=True)
    for file in ours[KEPT_MODELS - 1 :]:
        file.unlink(missing_ok=True)
    for left in models.glob(".training-*"):
        # Nobody else trains: we hold the lock, so this is what a killed training left behind.
        shutil.rmtree(left, ignore_errors=True)


def _skipped(file: Path) -> bool:
    return file.name.endswith(_SKIPPED) or any(part in _SKIPPED for part in file.parts)

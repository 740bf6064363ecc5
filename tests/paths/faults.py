"""The faults of DESIGN.md's promise 3, each made for real while talks are open."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack import FrontDoor

GARBAGE = b"this is not a database, it is what a bad disk gives back " * 4000


@contextlib.contextmanager
def locked(door: FrontDoor) -> Iterator[None]:
    """Another process holds the database for itself."""
    with contextlib.closing(sqlite3.connect(door.store, isolation_level=None, timeout=10)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@contextlib.contextmanager
def full(door: FrontDoor) -> Iterator[None]:
    """The disk is full, or, without root, the process may not let a file grow."""
    if small_disk(door.store.parent):
        filler = door.store.parent / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"\0" * 4096)
        yield
        filler.unlink()
    else:
        size = max(one.stat().st_size for one in door.store.parent.iterdir())
        limits = resource.prlimit(door.process.popen.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(door.process.popen.pid, resource.RLIMIT_FSIZE, (size, limits[1]))
        yield
        resource.prlimit(door.process.popen.pid, resource.RLIMIT_FSIZE, limits)


@contextlib.contextmanager
def read_only(door: FrontDoor) -> Iterator[None]:
    """The disk comes back read-only after a restart, as a failing one does (without root: no write bits)."""
    folder = door.store.parent
    door.process.stop()
    if small_disk(folder):
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    else:
        for one in (*folder.iterdir(), folder):
            one.chmod(0o500 if one.is_dir() else 0o400)
    with pytest.raises(OSError):  # else this machine can't make the fault, and a pass would mean nothing
        door.store.open("r+b").close()
    door.start()
    yield
    if small_disk(folder):
        # A file that is still open for writing would keep the disk busy; none is.
        subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)
    else:
        for one in (folder, *folder.iterdir()):
            one.chmod(0o700 if one.is_dir() else 0o600)


@contextlib.contextmanager
def corrupt(door: FrontDoor) -> Iterator[None]:
    for one in door.store.parent.glob(door.store.name + "*"):
        if one.suffix != ".sqlite3-shm" and not one.name.endswith("-shm"):
            with one.open("r+b") as file:
                file.write(GARBAGE)
    yield


@contextlib.contextmanager
def deleted(door: FrontDoor) -> Iterator[None]:
    for one in door.store.parent.glob(door.store.name + "*"):
        one.unlink()
    yield


@contextlib.contextmanager
def folder_gone(door: FrontDoor) -> Iterator[None]:
    for one in door.store.parent.iterdir():
        one.unlink()
    if small_disk(door.store.parent):
        yield
    else:
        shutil.rmtree(door.store.parent)
        yield


STORE_FAULTS = {
    "store locked": locked,
    "store full": full,
    "store read-only": read_only,
    "store corrupt": corrupt,
    "store deleted": deleted,
    "store's folder gone": folder_gone,
}


@contextlib.contextmanager
def disk(folder: Path) -> Iterator[Path]:
    """A folder for a store: a small disk of its own where the machine lets us mount one."""
    folder.mkdir(parents=True, exist_ok=True)
    mounted = (
        os.geteuid() == 0
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
        ).returncode
    )
    try:
        yield folder
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def small_disk(folder: Path) -> bool:
    return folder.is_mount()

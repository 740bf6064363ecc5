"""The whole of Breakwater as `breakwater run` starts it, once for all tests that talk to it from outside."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from tests.stack import PUBLIC_URL, SECRET, SMS_TOKEN, Process, free_port, stopping


@dataclass(frozen=True)
class Running:
    url: str
    folder: Path
    process: Process
    log: Path


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("running")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    env = {
        **os.environ,
        "BREAKWATER_PORT": str(port),
        "BREAKWATER_RASA_PORT": str(free_port()),
        "BREAKWATER_ACTIONS_PORT": str(free_port()),
        "BREAKWATER_VAR": str(folder),
        "BREAKWATER_SECRET": SECRET,
        "BREAKWATER_SMS_TOKENS": SMS_TOKEN,
        "BREAKWATER_PUBLIC_URL": PUBLIC_URL,
        "BREAKWATER_TRACE": "1",
        # Every test comes from one address; the limits have tests of their own.
        "BREAKWATER_LIMIT_ADDRESS": "0",
        "BREAKWATER_LIMIT_OPENING": "0",
    }
    log = folder / "run.log"
    process = Process([sys.executable, "-m", "breakwater", "run"], log, env)
    everything = Running(url, folder, process, log)
    with stopping(everything):
        process.wait_ready(lambda: requests.get(f"{url}/readyz", timeout=5).status_code == 200, 240)
        yield everything

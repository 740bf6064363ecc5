"""Children die, and the talk goes on: the front door answers throughout, and holds outlive restarts."""

from __future__ import annotations

import time

import psutil
import pytest
import requests

from tests.running import Running
from tests.stack import Chat, Phone, wait_until

pytestmark = pytest.mark.e2e


def child(running: Running, *words: str) -> psutil.Process:
    for one in psutil.Process(running.process.popen.pid).children(recursive=True):
        if all(word in one.cmdline() for word in words):
            return one
    raise AssertionError(f"no child runs {words}")


def ready(running: Running) -> bool:
    return requests.get(f"{running.url}/readyz", timeout=5).status_code == 200


def test_rasa_killed_is_started_again_and_meanwhile_the_lines_are_there(running: Running) -> None:
    chat = Chat(running.url)
    child(running, "rasa", "run").kill()
    reply = chat.user("hello")
    assert reply.kinds == ["failsafe"] and reply.has_lines
    assert chat.user("I want to die").kinds == ["crisis"]
    wait_until(lambda: not ready(running), 15, "readiness to tell of the fault")
    wait_until(lambda: ready(running), 90, "Rasa's return")
    assert set(Chat(running.url).user("hello").kinds) == {"say"}


def test_a_hold_outlives_the_front_door(running: Running) -> None:
    chat, phone = Chat(running.url), Phone(running.url)
    chat.user("I want to die")
    phone.user("I want to die")
    time.sleep(0.5)
    door = child(running, "breakwater.frontdoor")
    door.kill()
    wait_until(lambda: not door.is_running(), 10, "the front door's end")
    wait_until(lambda: requests.get(f"{running.url}/healthz", timeout=2).ok, 20, "the front door's return")
    assert chat.user("hello").kinds == ["hold"]
    assert phone.user("hello").has_lines
    wait_until(lambda: ready(running), 60, "readiness")


def test_nobodys_words_are_in_any_file(running: Running) -> None:
    """Everything that Breakwater wrote to its folder: store, logs, and its own output."""
    canaries = {name: f"zq{name}canary" for name in ("talk", "crisis", "sms", "exercise", "broken")}
    chat, phone = Chat(running.url), Phone(running.url, number="+15559876543")
    chat.user(f"hello {canaries['talk']}")
    chat.user("thought challenge")
    chat.user(f"nobody called {canaries['exercise']}")
    chat.user(f"I want to die {canaries['crisis']}")
    phone.user(f"hello {canaries['sms']}")
    requests.post(
        f"{running.url}/chat/messages", data=f'{{"session": 7, "text": "{canaries["broken"]}"', timeout=5
    )
    time.sleep(1)
    found = []
    for file in running.folder.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            found += [(file.name, name) for name, word in canaries.items() if word.encode() in content]
            found += [(file.name, "number")] if b"5559876543" in content else []
    assert not found
    metrics = requests.get(f"{running.url}/metrics", timeout=5).text
    assert not any(word in metrics for word in canaries.values())

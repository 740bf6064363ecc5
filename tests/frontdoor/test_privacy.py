"""What a person wrote is in no log, no figure, no file and no error: a canary goes down every path."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from breakwater.frontdoor.metrics import JsonLines
from breakwater.safety import protocol
from tests.frontdoor.house import House, Phone, running
from tests.frontdoor.peer import Peer

CANARY = "quetzalcanary"
NUMBER = "+15558675309"


@contextlib.contextmanager
def logged() -> Iterator[io.StringIO]:
    """Everything that any logger says at any level, as the front door writes it and as it comes."""
    out = io.StringIO()
    handlers = [logging.StreamHandler(out), logging.StreamHandler(out)]
    handlers[0].setFormatter(JsonLines())
    root = logging.getLogger()
    level = root.level
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield out
    finally:
        root.setLevel(level)
        for handler in handlers:
            root.removeHandler(handler)


def down_every_path(house: House, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Sessions that were used; the canary went into all that a person can write."""
    texts = [
        f"hello {CANARY}",
        f"/{CANARY}",
        f"what's the point of any of this anymore {CANARY}",
        f"I want to die {CANARY}",
        f"{CANARY} \ud800",
        f"{CANARY} " * 1000,
    ]
    used = []
    for text in texts:
        chat = house.chat()
        used.append(chat.session)
        for said in (text, "no", text):
            house.say(json.dumps({"session": chat.session, "text": said}).encode())
        chat.pick(CANARY)
        Phone(house, NUMBER).text(text.replace("\ud800", ""), sid=f"SM{CANARY}")
    for body in (
        f'{{"text": "{CANARY}',
        f'{{"session": "{CANARY}", "text": "I want to die {CANARY}"}}',
        CANARY,
    ):
        house.say(body.encode())
        house.http.post("/chat/sessions", content=body.encode())
    house.say(CANARY.encode() * 100_000)
    house.http.get(f"/{CANARY}")
    house.http.delete(f"/chat/sessions/{CANARY}")
    Phone(house, NUMBER).text(CANARY, token="another")
    for answer in ([{"text": CANARY}], [{"text": None, "said": CANARY}], CANARY.encode()):
        house.peer.answer = lambda asked, answer=answer: answer
        house.chat().say(f"hello {CANARY}")
    with monkeypatch.context() as broken:

        def advance(*_: object, **__: object) -> None:
            raise RuntimeError(f"in the middle of {CANARY}")

        broken.setattr(protocol, "advance", advance)
        house.chat().say(f"hello {CANARY}")
        broken.setattr("breakwater.frontdoor.render.messages", advance)
        house.http.post("/chat/sessions")
    house.chat().end()
    return used


def test_no_word_leaves_a_trace(peer: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "sessions.sqlite3"
    with logged() as log, running(peer, store=str(file)) as house:
        sessions = down_every_path(house, monkeypatch)
        figures = house.http.get("/metrics").text
    written = log.getvalue()
    assert '"event": "turn"' in written and '"event": "turn_broke"' in written
    kept = b"".join(one.read_bytes() for one in tmp_path.iterdir())
    with contextlib.closing(sqlite3.connect(file)) as db:
        rows = db.execute("SELECT count(*) FROM session").fetchone()[0]
        assert rows > 3
    for secret in (CANARY, NUMBER, NUMBER[3:]):
        assert secret not in _without_client(written), secret
        assert secret not in figures
        assert secret.encode() not in kept
    for session in sessions:
        assert session not in _without_client(written)
        assert session.encode() not in kept
    assert NUMBER not in repr(peer.asked)


def _without_client(written: str) -> str:
    """Without what the test's own HTTP client says of itself."""
    words = ("HTTP Request", "send_request", "receive_response", "response_closed", "connect_tcp", "close.")
    return "\n".join(line for line in written.splitlines() if not any(word in line for word in words))


def test_an_exception_is_logged_without_its_words() -> None:
    with logged() as log:
        try:
            raise ValueError(CANARY)
        except ValueError:
            logging.getLogger("uvicorn.error").exception("it broke with %s", CANARY)
    json_lines = [line for line in log.getvalue().splitlines() if line.startswith("{")]
    assert len(json_lines) == 1 and "ValueError at test_privacy.py" in json_lines[0]
    assert CANARY not in json_lines[0]


def test_a_line_of_the_log_says_what_was_decided(house: House) -> None:
    with logged() as log:
        house.chat().say("I want to die")
    lines = [json.loads(line) for line in log.getvalue().splitlines() if '"event": "turn"' in line]
    assert len(lines) == 1
    turn = lines[0]
    assert turn["channel"] == "web" and turn["level"] == "crisis" and turn["types"] == ["suicide"]
    assert turn["rules"] and turn["kinds"] == ["crisis"] and turn["ms"] >= 0
    assert set(turn) == {
        "at", "severity", "event", "channel", "level", "types", "rules", "source", "kinds",
        "refusal", "failsafe", "ms",
    }  # fmt: skip

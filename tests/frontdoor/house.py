"""The front door as it runs, in this process, on a port of its own; and people who talk to it over HTTP."""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
import threading
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
from starlette.applications import Starlette
from twilio.request_validator import RequestValidator

from breakwater.frontdoor import __main__ as frontdoor
from breakwater.frontdoor.app import create_app
from breakwater.frontdoor.settings import Settings
from breakwater.safety.words import load_words
from tests.frontdoor.peer import Peer

SECRET = "a secret that only tests use"
TOKEN = "an auth token that only tests use"
PUBLIC = "https://chat.clinic.example"
WORDS = load_words().for_clinic("Test Clinic", None)
NUMBERS = ("988", "741741", "911")


def settings(**changes: Any) -> Settings:
    base = Settings(
        secret=SECRET.encode(),
        deadline=1.0,
        greeting_deadline=0.5,
        sms_tokens=(TOKEN,),
        public_url=PUBLIC,
        session_limit=0,
        address_limit=0,
        opening_limit=0,
    )
    return dataclasses.replace(base, **changes)


@dataclass
class House:
    url: str
    app: Starlette
    peer: Peer
    http: httpx.Client
    settings: Settings

    @property
    def turns(self) -> Any:
        return self.app.state.turns

    @property
    def sessions(self) -> Any:
        return self.app.state.sessions

    @property
    def store(self) -> Any:
        return self.app.state.store

    def chat(self, language: str = "en") -> Chat:
        answer = self.http.post("/chat/sessions", json={"language": language})
        assert answer.status_code == 200, answer.text
        return Chat(self, answer.json()["session"], answer.json())

    def say(self, body: Any, **options: Any) -> httpx.Response:
        """One POST to /chat/messages; bytes go as they are."""
        if isinstance(body, bytes):
            return self.http.post("/chat/messages", content=body, **options)
        return self.http.post("/chat/messages", json=body, **options)

    def phone(self, number: str | None = None) -> Phone:
        return Phone(self, number or f"+1555{secrets.randbelow(10**7):07d}")

    def metric(self, name: str, **labels: str) -> float:
        return self.turns.metrics.registry.get_sample_value(f"breakwater_{name}", labels) or 0.0


@dataclass
class Chat:
    house: House
    session: str
    opened: dict[str, Any]

    def say(self, text: str) -> list[dict[str, Any]]:
        answer = self.send({"text": text})
        assert answer.status_code == 200, answer.text
        return answer.json()["messages"]

    def pick(self, choice: str) -> httpx.Response:
        return self.send({"choice": choice})

    def send(self, body: dict[str, Any]) -> httpx.Response:
        return self.house.say({"session": self.session, **body})

    def end(self) -> int:
        return self.house.http.delete(f"/chat/sessions/{self.session}").status_code

    @property
    def kept(self) -> Any:
        """The session inside the house."""
        return self.house.sessions.here(self.house.sessions.web_key(self.session))


@dataclass
class Phone:
    house: House
    number: str
    answer: httpx.Response | None = None

    def text(self, body: str, sid: str | None = None, token: str = TOKEN, **fields: str) -> list[str]:
        """The texts that come back."""
        form = {
            "MessageSid": sid or "SM" + secrets.token_hex(16),
            "From": self.number,
            "To": "+15550000000",
            "Body": body,
            "NumMedia": "0",
            "FromCity": "",
            **fields,
        }
        self.answer = self.send(form, RequestValidator(token).compute_signature(f"{PUBLIC}/sms", form))
        if self.answer.status_code != 200:
            return []
        return [message.text or "" for message in ElementTree.fromstring(self.answer.content).iter("Message")]

    def send(self, form: Any, signature: str) -> httpx.Response:
        return self.house.http.post("/sms", data=form, headers={"X-Twilio-Signature": signature})


@contextlib.contextmanager
def running(peer: Peer, **changes: Any) -> Iterator[House]:
    changed = settings(assistant_url=peer.url, **changes)
    app = create_app(changed, WORDS)
    server, door = frontdoor.server(app), frontdoor.listen("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, args=([door],), daemon=True)
    thread.start()
    until(lambda: server.started, 10, "the start")
    url = f"http://127.0.0.1:{door.getsockname()[1]}"
    try:
        with httpx.Client(base_url=url, timeout=30, trust_env=False) as http:
            yield House(url, app, peer, http, changed)
    finally:
        server.should_exit = True
        thread.join(10)


def until(true: Callable[[], Any], seconds: float = 5.0, what: str = "it") -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"{what} did not happen within {seconds:g} s"
        time.sleep(0.01)


def has_lines(text: str) -> bool:
    return all(number in text for number in NUMBERS)

"""Rasa's side of the front door over real HTTP: the secret, honest errors, and nobody's words in them."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from rasa.core.channels.channel import UserMessage
from rasa.core.lock_store import InMemoryLockStore
from sanic import Sanic

from breakwater.assistant import trust
from breakwater.assistant.channel import HEADER, FrontDoorChannel
from breakwater.assistant.store import BoundedTrackerStore

pytestmark = pytest.mark.rasa

SECRET = "a secret for this test"
WORDS = "my private words"


class Agent:
    """Stands for Rasa's agent: `answers` is what a turn sends, or the exception that it raises."""

    def __init__(self) -> None:
        self.lock_store = InMemoryLockStore()
        self.tracker_store = BoundedTrackerStore()
        self.answers: list[dict[str, Any]] | Exception = []
        self.heard: list[UserMessage] = []

    async def handle_message(self, message: UserMessage) -> None:
        self.heard.append(message)
        if isinstance(self.answers, Exception):
            raise self.answers
        for answer in self.answers:
            await message.output_channel.send_response(message.sender_id, dict(answer))


class Server:
    def __init__(self, secret: str | None, name: str) -> None:
        self.agent = Agent()
        self.loop = asyncio.new_event_loop()
        app = Sanic(name, configure_logging=False)
        app.ctx.agent = self.agent
        handler: Callable[[UserMessage], Awaitable[Any]] = self.agent.handle_message
        app.blueprint(FrontDoorChannel(secret).blueprint(handler), url_prefix="/webhooks/breakwater")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(app,), daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    def _serve(self, app: Sanic) -> None:
        asyncio.set_event_loop(self.loop)

        async def start() -> None:
            server = await app.create_server(
                "127.0.0.1", self.port, return_asyncio_server=True, access_log=False
            )
            await server.startup()
            await server.start_serving()
            self._ready.set()

        self.loop.run_until_complete(start())
        self.loop.run_forever()

    def end(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)

    def send(self, body: Any = None, secret: str | None = SECRET, **kwargs: Any) -> requests.Response:
        headers = {} if secret is None else {"X-Breakwater-Secret": secret.encode()}
        url = f"http://127.0.0.1:{self.port}/webhooks/breakwater/webhook"
        return requests.post(url, json=body, headers=headers, timeout=5, **kwargs)

    def delete(self, sender: str, secret: str = SECRET) -> requests.Response:
        url = f"http://127.0.0.1:{self.port}/webhooks/breakwater/conversations/{sender}"
        return requests.delete(url, headers={"X-Breakwater-Secret": secret}, timeout=5)


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    server = Server(SECRET, "channel_test")
    yield server
    server.end()


@pytest.fixture
def server(running: Server) -> Server:
    running.agent.answers, running.agent.heard = [{"text": "hello"}], []
    return running


def message(text: Any = WORDS, sender: Any = "s1", **metadata: Any) -> dict[str, Any]:
    return {"sender": sender, "message": text, "metadata": metadata}


@pytest.mark.parametrize("secret", [None, "", "wrong", SECRET + " x", "ü"])
def test_without_the_secret_it_is_shut(server: Server, secret: str | None) -> None:
    answer = server.send(message(), secret=secret)
    assert (answer.status_code, answer.json()) == (403, {"error": "forbidden"})
    assert server.agent.heard == []


def test_without_a_secret_of_its_own_it_is_shut_to_everybody() -> None:
    shut = FrontDoorChannel(None)
    for given in ({}, {HEADER: ""}, {HEADER: "x"}):
        assert not shut._knows(SimpleNamespace(headers=given))  # type: ignore[arg-type]


def test_a_turn_comes_back_whole(server: Server) -> None:
    step = {"exercise": "breathing", "number": 1, "of": 4, "kind": "do"}
    buttons = [{"title": "Next", "payload": "/next_step"}]
    server.agent.answers = [{"text": "one"}, {"text": "two", "buttons": buttons, "step": step}]
    answer = server.send(message())
    assert answer.status_code == 200
    assert answer.json() == [{"text": "one"}, {"text": "two", "buttons": buttons, "custom": {"step": step}}]


def test_what_rasa_is_told(server: Server) -> None:
    server.send(message(screened=True, language="es", channel="sms", input_channel="x"))
    (heard,) = server.agent.heard
    assert (heard.text, heard.sender_id, heard.input_channel) == (WORDS, "s1", "breakwater")
    assert heard.metadata["language"] == "es" and heard.metadata["channel"] == "sms"
    assert trust.screened(heard.metadata) and "input_channel" not in heard.metadata


@pytest.mark.parametrize("claim", [{}, {"screened": False}, {"screened": "true"}, {"screened_by": "x"}])
def test_only_screened_true_is_screened(server: Server, claim: dict[str, Any]) -> None:
    server.send(message(**claim))
    assert not trust.screened(server.agent.heard[0].metadata)


def test_an_exception_is_a_500_without_anybodys_words(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.agent.answers = RuntimeError(WORDS)
    with caplog.at_level(logging.DEBUG):
        answer = server.send(message())
    assert answer.status_code == 500 and WORDS not in answer.text and WORDS not in caplog.text
    assert "RuntimeError" in caplog.text


def test_silence_is_a_500(server: Server) -> None:
    server.agent.answers = []
    answer = server.send(message())
    assert (answer.status_code, answer.json()) == (500, {"error": "silent"})


@pytest.mark.parametrize(
    "body",
    [None, [], "x", {}, {"sender": "s"}, message(text=None), message(text=7), message(text=["x"]),
     message(sender=""), message(sender=5), message(sender="x" * 300), {**message(), "metadata": [1]}],
)  # fmt: skip
def test_what_the_front_door_never_sends_is_refused(server: Server, body: Any) -> None:
    answer = server.send(body)
    assert (answer.status_code, answer.json()) == (400, {"error": "malformed"})
    assert server.agent.heard == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("/menu", "/menu"),
        ('/choose_skill{"skill":"breathing"}', '/choose_skill{"skill":"breathing"}'),
        ("/restart my private words", "restart my private words"),
        ('/greet{"x": "private"}', 'greet{"x": "private"}'),
        (" //menu now", "menu now"),
        ("/greet@1.0", "greet@1.0"),
    ],
)
def test_what_only_looks_like_a_payload_is_words(server: Server, text: str, told: str) -> None:
    """Rasa prints a payload that it cannot parse."""
    server.send(message(text))
    assert server.agent.heard[0].text == told


def test_a_long_text_is_cut(server: Server) -> None:
    server.send(message("x" * 50_000))
    assert len(server.agent.heard[0].text) == 2000


def test_delete_forgets_the_talk(server: Server) -> None:
    store = server.agent.tracker_store
    for sender in ("gone", "stays"):
        asyncio.run(store.save(store.init_tracker(sender)))
    assert server.delete("gone", "wrong").status_code == 403
    assert server.delete("gone").status_code == 204
    assert list(asyncio.run(store.keys())) == ["stays"]
    assert server.delete("gone").status_code == 204

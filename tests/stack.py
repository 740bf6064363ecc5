"""Real processes for the tests, and people who talk to them: a browser's chat, a phone, a stand-in peer.

Every process listens on the loopback only and is ended by the pid that was started.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import requests
from twilio.request_validator import RequestValidator

ROOT = Path(__file__).resolve().parents[1]
SECRET = "test-secret-for-the-loopback"
SMS_TOKEN = "test-token-0123456789"
PUBLIC_URL = "https://chat.clinic.example"
LINES = ("988", "741741", "911")


_given_ports: set[int] = set()


def free_port() -> int:
    """A free port that this test run has not given to anybody else yet."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port not in _given_ports:
            _given_ports.add(port)
            return port


def wait_until(true: Callable[[], bool], seconds: float, what: str) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(requests.RequestException):
            if true():
                return
        time.sleep(0.1)
    raise AssertionError(f"{what} did not happen within {seconds:.0f} s")


class Process:
    """One started process; its output goes to a file that is shown when it fails to start."""

    def __init__(self, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        with log.open("ab") as out:
            self.popen = subprocess.Popen(
                list(command),
                cwd=ROOT,
                env={
                    **os.environ,
                    "RASA_TELEMETRY_ENABLED": "false",
                    "TF_CPP_MIN_LOG_LEVEL": "3",
                    **(env or {}),
                },
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def wait_ready(self, ready: Callable[[], bool], seconds: float) -> None:
        def check() -> bool:
            if self.popen.poll() is not None:
                raise AssertionError(f"ended with {self.popen.returncode}:\n{self.log.read_text()[-3000:]}")
            return ready()

        wait_until(check, seconds, f"the start of {self.popen.args!r}")

    def freeze(self) -> None:
        os.killpg(self.popen.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.killpg(self.popen.pid, signal.SIGCONT)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait(10)

    def stop(self) -> None:
        if self.popen.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self.popen.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(8)
        self.kill()


class Actions:
    """The action server, as the supervisor starts it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.port = port
        self.process = Process(
            [sys.executable, "-m", "rasa_sdk", "--actions", "actions", "--port", str(port)],
            folder / "actions.log",
            {"SANIC_HOST": "127.0.0.1"},  # it would listen on all addresses otherwise
        )
        url = f"http://127.0.0.1:{port}/health"
        self.process.wait_ready(lambda: requests.get(url, timeout=1).ok, 30)


class Rasa:
    """A Rasa server with our channel; `model` may be a path that does not exist or is no model."""

    def __init__(
        self,
        folder: Path,
        model: Path,
        actions_port: int,
        *,
        api: bool = False,
        ready: bool = True,
        module: str = "rasa",
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        endpoints = folder / "endpoints.yml"
        written = (ROOT / "endpoints.yml").read_text(encoding="utf-8")
        endpoints.write_text(written.replace(":5055/", f":{actions_port}/"), encoding="utf-8")
        command = [sys.executable, "-m", module, "run", "-i", "127.0.0.1", "-p", str(self.port)]
        command += ["--model", str(model), "--endpoints", str(endpoints), "--credentials", "credentials.yml"]
        if api:
            command += ["--enable-api"]
        self.process = Process(command, folder / "rasa.log", {"BREAKWATER_SECRET": SECRET})
        if ready:
            self.process.wait_ready(lambda: requests.get(self.url, timeout=1).ok, 90)


class FrontDoor:
    """The front door, started as the supervisor starts it, asking the assistant at `assistant`."""

    def __init__(
        self,
        folder: Path,
        assistant: str,
        *,
        store: Path | None = None,
        module: str = "breakwater.frontdoor",
        port: int | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.store = store or folder / "store" / "breakwater.sqlite3"
        self.store.parent.mkdir(parents=True, exist_ok=True)
        self.environment = {
            "BREAKWATER_PORT": str(self.port),
            "BREAKWATER_ASSISTANT_URL": assistant,
            "BREAKWATER_SECRET": SECRET,
            "BREAKWATER_STORE": str(self.store),
            "BREAKWATER_VAR": str(folder),
            "BREAKWATER_SMS_TOKENS": SMS_TOKEN,
            "BREAKWATER_PUBLIC_URL": PUBLIC_URL,
            "BREAKWATER_TRACE": "1",
            # All these people come from one address; the limit of a session stays.
            "BREAKWATER_LIMIT_ADDRESS": "0",
            "BREAKWATER_LIMIT_OPENING": "0",
            **(env or {}),
        }
        self.folder, self.module = folder, module
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", self.module]
        self.process = Process(command, self.folder / "frontdoor.log", self.environment)
        self.process.wait_ready(lambda: requests.get(f"{self.url}/healthz", timeout=1).ok, 30)


@dataclass
class Reply:
    """What came back for one message, the same for web and SMS."""

    status: int
    kinds: list[str]
    texts: list[str]
    choices: list[dict[str, str]]
    lines: list[dict[str, str]]
    seconds: float
    raw: Any
    trace: dict[str, Any] | None = None
    step: dict[str, Any] | None = None

    @property
    def text(self) -> str:
        return "\n".join(self.texts)

    @property
    def has_lines(self) -> bool:
        return all(number in self.text for number in LINES)


class Chat:
    """A person in the browser's chat: `chat.user("hello")`, then look at `chat.bot`."""

    channel = "web"

    def __init__(self, url: str, session: str | None = None, language: str = "en") -> None:
        self.url = url
        self.http = requests.Session()
        self.bot = Reply(0, [], [], [], [], 0.0, None)
        if session is None:
            answer = self.http.post(f"{url}/chat/sessions", json={"language": language}, timeout=20)
            answer.raise_for_status()
            session = answer.json()["session"]
            self.bot = web_reply(answer, 0.0)
        self.session = session

    def user(self, text: str) -> Reply:
        return self.send({"session": self.session, "text": text})

    def choose(self, label: str) -> Reply:
        chosen = next(choice for choice in self.bot.choices if label.lower() in choice["label"].lower())
        return self.send({"session": self.session, "choice": chosen["id"]})

    def send(self, body: Any) -> Reply:
        start = time.monotonic()
        answer = self.http.post(f"{self.url}/chat/messages", json=body, timeout=30)
        self.bot = web_reply(answer, time.monotonic() - start)
        return self.bot

    def end(self) -> int:
        return self.http.delete(f"{self.url}/chat/sessions/{self.session}", timeout=10).status_code


def web_reply(answer: requests.Response, seconds: float) -> Reply:
    body = answer.json()
    messages = body.get("messages", [])
    last: Mapping[str, Any] = messages[-1] if messages else {}
    return Reply(
        status=answer.status_code,
        kinds=[message["kind"] for message in messages],
        texts=[message["text"] for message in messages],
        choices=list(last.get("choices", [])),
        lines=[line for message in messages for line in message["lines"]],
        seconds=seconds,
        raw=body,
        trace=next((message["trace"] for message in messages if "trace" in message), None),
        step=next((message["step"] for message in messages if message.get("step")), None),
    )


class Phone:
    """A person who texts the clinic's number through Twilio's webhook, with real signatures."""

    channel = "sms"

    def __init__(self, url: str, number: str | None = None, token: str = SMS_TOKEN) -> None:
        self.url = url
        self.number = number or f"+1555{secrets.randbelow(10**7):07d}"
        self.validator = RequestValidator(token)
        self.http = requests.Session()
        self.bot = Reply(0, [], [], [], [], 0.0, None)

    def user(self, text: str, sid: str | None = None, **fields: str) -> Reply:
        form = {
            "MessageSid": sid or "SM" + secrets.token_hex(16),
            "AccountSid": "AC" + "0" * 32,
            "From": self.number,
            "To": "+15550000000",
            "Body": text,
            "NumMedia": "0",
            "FromCity": "",
            **fields,
        }
        signature = self.validator.compute_signature(f"{PUBLIC_URL}/sms", form)
        start = time.monotonic()
        answer = self.http.post(
            f"{self.url}/sms", data=form, headers={"X-Twilio-Signature": signature}, timeout=30
        )
        taken = time.monotonic() - start
        texts = []
        if answer.status_code == 200:
            texts = [message_text(one) for one in ElementTree.fromstring(answer.content).iter("Message")]
        self.bot = Reply(answer.status_code, [], texts, [], [], taken, answer.text)
        return self.bot


def message_text(element: ElementTree.Element) -> str:
    return "".join(element.itertext()).strip()


@dataclass
class StandIn:
    """A real HTTP server in another's place: it answers as the test says, and counts its calls."""

    answer: Callable[[bytes], tuple[int, str, bytes] | None]
    port: int = field(default_factory=free_port)
    calls: int = 0

    def __enter__(self) -> StandIn:
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                outer.calls += 1
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                answered = outer.answer(body)
                if answered is None:
                    self.close_connection = True
                    return
                status, kind, content = answered
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_DELETE = do_POST

            def log_message(self, *_: Any) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            allow_reuse_address = True
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                pass  # a client that gave up after its deadline is what these tests are about

        self.server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def as_json(content: Any, status: int = 200) -> tuple[int, str, bytes]:
    return status, "application/json", json.dumps(content).encode()


class Started(Protocol):
    """Whoever has a process; a test may put another in its place, and the one there at the end is ended."""

    process: Process


@contextlib.contextmanager
def stopping(*started: Started) -> Iterator[None]:
    try:
        yield
    finally:
        for one in started:
            if one.process.popen.poll() is None:
                one.process.thaw()
            one.process.stop()

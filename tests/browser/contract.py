"""A small server that plays the front door's side of the contract over real HTTP, with the real widget files.

It exists to fail on command (hang, break, forget, refuse) and to say exactly what a test wants to see drawn.
It must never stand in for the real front door where the real one can be asked.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from breakwater import paths

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
)
TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}

Message = dict[str, Any]

L988 = {"id": "988", "label": "988 Suicide & Crisis Lifeline", "call": "988", "text": "988"}
L741741 = {"id": "741741", "label": "Crisis Text Line", "text": "741741", "body": "HOME"}
L911 = {"id": "911", "label": "Emergency", "call": "911"}
CHAT = {"id": "chat", "label": "988 by chat", "url": "https://988lifeline.org/chat/"}
LINES = [L988, L741741, L911]


def message(
    text: str,
    kind: str = "say",
    choices: tuple[str, ...] = (),
    lines: list[dict[str, str]] | None = None,
    step: dict[str, Any] | None = None,
) -> Message:
    offered = [{"id": label.lower().replace(" ", "-"), "label": label} for label in choices]
    return {"kind": kind, "text": text, "choices": offered, "lines": lines or [], "step": step}


WELCOME = message(
    "Hi. I am a program, not a person, and I do not diagnose. Nobody watches this chat. The staff of "
    "Harbor Street Clinic do not read what you write here. It is kept for 24 hours, then deleted.\n\n"
    "In danger now, call 911. To reach a person any time, call or text 988, or text HOME to 741741.\n\n"
    "How are you right now?",
    choices=("Anxious", "Sad", "Angry", "Numb", "Lonely", "I don't know"),
)
HEARD = message(
    "That sounds like a lot to carry. Anxious can feel as if the body were sounding an alarm that nobody "
    "else can hear.\n\nWould something small help right now, or would you rather just tell me more?",
    choices=("Slow breathing", "Look around me", "Tell more", "Not now"),
)
CHECKIN = message(
    "Thank you for saying it. When everything feels pointless, I would rather ask than guess.\n\n"
    "Are you having thoughts of killing yourself?\n\nYou can reach a person any time: call or text 988, text "
    "HOME to 741741, or in danger now call 911.",
    "checkin",
    ("Yes", "Not to die, but I hurt myself", "No", "I'd rather not say"),
    LINES,
)
CRISIS = message(
    "I'm glad you told me. What you feel matters, and this needs a person, not a program.\n\n"
    "Call or text 988, or text HOME to 741741. If you are in danger right now, call 911.\n\n"
    "You can do it from here, and you do not need the right words: “I'm not okay” is enough.",
    "crisis",
    (),
    [*LINES, CHAT],
)
EMERGENCY = message(
    "Please call 911 now. Do not wait, even if you feel fine.\n\nThen call or text 988, or text HOME to "
    "741741, and stay with someone if you can.",
    "emergency",
    (),
    [L911, L988, L741741],
)
HOLD = message(
    "I'm still here, and the lines are still the right place: call or text 988, text HOME to 741741, in "
    "danger call 911.\n\n· Reach a line, a person you trust, or an ER.\n· Put distance between you and "
    "anything you could use, or ask someone to hold it.\n· Try not to be alone right now.",
    "hold",
    ("I don't want to call", "I'm safe for now"),
    LINES,
)
FAILSAFE = message(
    "We could not answer. No person has seen this. Call or text 988, text HOME to 741741, in danger call "
    "911.",
    "failsafe",
    (),
    LINES,
)
STEP = message(
    "Let your shoulders drop. Breathe in through your nose for 4, and out as if through a straw for 6. Eyes "
    "open is fine. If slow breathing feels wrong, breathe as you like and just watch the circle.",
    "step",
    ("Next", "Again", "Pause", "Menu"),
    step={"exercise": "paced_breathing", "number": 2, "of": 5, "kind": "breathe", "seconds": [4, 6]},
)
BYE = message("You are back at the menu. Take your time.", choices=("Slow breathing", "Just talk"))

ANSWERS = {
    "i feel so anxious today": HEARD,
    "anxious": HEARD,
    "slow-breathing": STEP,
    "slow breathing": STEP,
    "what's the point of any of this anymore": CHECKIN,
    "yes": CRISIS,
    "i want to die": CRISIS,
    "is anyone there": FAILSAFE,
    "quiero morirme": {**CRISIS, "text": "Llama al 988 y oprime 2, envía AYUDA al 741741, o llama al 911."},
    "i took all of them ten minutes ago": EMERGENCY,
    "next": message(
        "Well done with your time.",
        "step",
        ("Next", "Menu"),
        step={**STEP["step"], "number": 3, "kind": "do"},
    ),
}


@dataclass
class Contract:
    """mode: "" answers; else a status ("404", "429", …), "hang", "slow", "empty", "html", "bare" or "drop".

    "hang" never answers, "slow" answers once `released` is set, "bare" is what a proxy says: 429 in HTML.
    """

    url: str = ""
    mode: str = ""
    opening: str = ""
    sessions: set[str] = field(default_factory=set)
    held: set[str] = field(default_factory=set)
    deleted: list[str] = field(default_factory=list)
    posts: list[dict[str, Any]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def reply(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        said = str(body.get("choice", body.get("text", ""))).lower().strip()
        answer = ANSWERS.get(said)
        session = body.get("session")
        if answer is None or answer["kind"] not in ("crisis", "emergency"):
            if session not in self.sessions:
                return 404, error("session", "This chat has ended.")
            if session in self.held:
                answer = HOLD
        if answer and answer["kind"] in ("crisis", "emergency"):
            self.held.add(str(session))
        extra = {"language": "es"} if said.startswith("quiero") else {}
        return 200, {"messages": [answer or BYE], **extra}


def error(code: str, reason: str) -> dict[str, Any]:
    return {"error": code, "reason": reason, "lines": LINES}


def handler(contract: Contract) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Nothing that people write is printed."""

        def send(self, status: int, kind: str, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Content-Security-Policy", CSP)
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            self.wfile.write(content)

        def json(self, status: int, content: object) -> None:
            self.send(status, "application/json", json.dumps(content).encode())

        def do_GET(self) -> None:
            name = "index.html" if self.path == "/" else self.path.removeprefix("/widget/")
            file = paths.WIDGET / name
            if "/" in name or not file.is_file():
                self.json(404, {})
            else:
                self.send(200, TYPES[file.suffix[1:]], file.read_bytes())

        def do_DELETE(self) -> None:
            session = self.path.rsplit("/", 1)[-1]
            contract.deleted.append(session)
            contract.sessions.discard(session)
            contract.held.discard(session)
            if contract.mode == "500":
                return self.json(500, error("internal", "Something broke."))
            self.send_response(204)
            self.end_headers()

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            opens = self.path == "/chat/sessions"
            mode = contract.opening if opens else contract.mode
            if not opens:
                contract.posts.append(body)
            if mode == "slow":
                contract.released.wait(60)
                mode = ""
            if mode == "hang":
                contract.released.wait(60)
                self.close_connection = True
            elif mode == "bare":
                self.send(429, "text/html", b"<h1>Too Many Requests</h1>")
            elif mode == "drop":
                self.close_connection = True
            elif mode == "empty":
                self.json(200, {"messages": [], "session": "s"})
            elif mode == "html":
                self.send(200, "text/html", b"<h1>It works!</h1>")
            elif mode:
                self.json(int(mode), error("failed", "A reason in the server's words."))
            elif opens:
                session = secrets.token_urlsafe(12)
                contract.sessions.add(session)
                self.json(200, {"session": session, "messages": [WELCOME]})
            else:
                self.json(*contract.reply(body))

    return Handler


@contextmanager
def serving() -> Iterator[Contract]:
    contract = Contract()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(contract))
    server.daemon_threads = True
    contract.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield contract
    finally:
        contract.released.set()
        server.shutdown()
        server.server_close()
        thread.join(5)

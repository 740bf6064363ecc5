"""The assistant's channel as the front door sees it: a real HTTP server that answers as a test says."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

MENU = [
    {"title": "Breathing", "payload": '/choose{"skill":"breathing"}'},
    {"title": "Grounding", "payload": '/choose{"skill":"grounding"}'},
]


def say(
    text: str = "I hear you.", buttons: list[dict[str, str]] | None = None, **more: Any
) -> list[dict[str, Any]]:
    return [{"text": text, **({"buttons": buttons} if buttons else {}), **more}]


@dataclass
class Peer:
    """`answer` gets the request's JSON and gives what goes into the body: JSON, or bytes as they are."""

    secret: str
    answer: Callable[[dict[str, Any]], Any] = lambda asked: say(buttons=MENU)
    status: int = 200
    kind: str = "application/json"
    asked: list[dict[str, Any]] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    forgets: bool = True
    hold: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.hold.set()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.headers.get("X-Breakwater-Secret") != outer.secret:
                    return self._send(403, b"[]")
                outer.asked.append(asked)
                outer.hold.wait(20)
                answer = outer.answer(asked)
                if answer is None:
                    self.close_connection = True
                    return
                self._send(outer.status, answer if isinstance(answer, bytes) else json.dumps(answer).encode())

            def do_DELETE(self) -> None:
                if outer.forgets:
                    outer.forgotten.append(self.path.rsplit("/", 1)[-1])
                self._send(204 if outer.forgets else 500, b"")

            def _send(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", outer.kind)
                if status != 204:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                pass  # a client that gave up is part of these tests

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def words(self) -> list[str]:
        """What the assistant was asked, the house's own questions left out."""
        return [one["message"] for one in self.asked if one["message"] not in ("/start", "/ready")]

    def close(self) -> None:
        self.hold.set()
        self._server.shutdown()
        self._server.server_close()


def slowly(seconds: float, answer: Any = None) -> Callable[[dict[str, Any]], Any]:
    def wait(asked: dict[str, Any]) -> Any:
        time.sleep(seconds)
        return say() if answer is None else answer

    return wait

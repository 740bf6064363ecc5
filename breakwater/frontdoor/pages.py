"""The page and the widget's files, health, metrics and the interface's description.

Serves only the files that lie in the widget's folder by name; never a path that somebody makes up.
"""

from __future__ import annotations

import gzip
import hashlib
import hmac
import mimetypes
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.requests import Request
from starlette.responses import Response

from breakwater import paths
from breakwater.frontdoor import render
from breakwater.frontdoor.client import Assistant, AssistantFault
from breakwater.frontdoor.limits import is_loopback
from breakwater.frontdoor.metrics import Metrics
from breakwater.frontdoor.sessions import new_conversation
from breakwater.frontdoor.settings import Settings
from breakwater.frontdoor.store import Store
from breakwater.safety.words import LAST_RESORT

DESCRIPTION = Path(__file__).with_name("openapi.yml")
SERVED = (".html", ".js", ".css", ".svg", ".png", ".ico", ".woff2", ".txt", ".map")
READY_FOR = 2.0  # seconds that an answer to "ready?" is good for
CANARY_DEADLINE = 3.0
A_YEAR = "public, max-age=31536000, immutable"
ASK_AGAIN = "public, no-cache"


@dataclass(frozen=True)
class File:
    content: bytes
    packed: bytes
    kind: str
    hash: str
    stamp: tuple[int, int]


class Files:
    """The files of one folder, read again when they change."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, File] = {}

    def get(self, name: str) -> File | None:
        if "/" in name or name.startswith(".") or not name.endswith(SERVED):
            return None
        path = self._folder / name
        try:
            stat = path.stat()
            stamp = (stat.st_mtime_ns, stat.st_size)
            known = self._read.get(name)
            if known is None or known.stamp != stamp:
                content = path.read_bytes()
                kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
                kind += "; charset=utf-8" if kind.startswith("text/") or kind.endswith("javascript") else ""
                hash_ = hashlib.sha256(content).hexdigest()[:20]
                known = self._read[name] = File(
                    content, gzip.compress(content, 9, mtime=0), kind, hash_, stamp
                )
            return known
        except (OSError, ValueError):
            return None


class Pages:
    """Everything that is looked at and not talked to."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        store: Store,
        assistant: Assistant,
        forget: Callable[[str, bool], object],
        folder: Path = paths.WIDGET,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._store = store
        self._assistant = assistant
        self._forget = forget
        self._files = Files(folder)
        self._ready: tuple[float, str | None] = (-READY_FOR, None)
        self._canarys = new_conversation()  # one at a time, however often it is asked in vain
        self._description: bytes | None = None

    async def page(self, request: Request) -> Response:
        file = self._files.get("index.html")
        if file is None:
            return Response(LAST_RESORT, 503, media_type="text/plain")
        # Not kept: nothing of a talk is to come back with the page.
        return Response(file.content, 200, {"Cache-Control": "no-store"}, media_type="text/html")

    async def file(self, request: Request) -> Response | None:
        file = self._files.get(request.path_params["name"])
        if file is None:
            return None
        fresh = A_YEAR if request.query_params.get("v") == file.hash else ASK_AGAIN
        headers = {"ETag": f'"{file.hash}"', "Cache-Control": fresh, "Vary": "Accept-Encoding"}
        if f'"{file.hash}"' in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        content = file.content
        if "gzip" in request.headers.get("accept-encoding", "") and len(file.packed) < len(content):
            content, headers["Content-Encoding"] = file.packed, "gzip"
        return Response(content, 200, headers, media_type=file.kind)

    async def health(self, request: Request) -> Response:
        return _json({"status": "ok"})

    async def ready(self, request: Request) -> Response:
        """Whether the assistant really answers. A faulty store is said, but does not make us unready."""
        asked, fault = self._ready
        if time.monotonic() - asked >= READY_FOR:
            fault = await self._canary()
            self._ready = (time.monotonic(), fault)
        store = await self._store.probe()
        reasons = [f"assistant: {fault}"] if fault else []
        body = {
            "ready": not reasons,
            "reasons": reasons + ([f"store: {store}"] if store else []),
            "store": {"fault": store, "faults": dict(self._store.faults)},
        }
        return _json(body, 503 if reasons else 200)

    async def metrics(self, request: Request) -> Response | None:
        if not self._may_see(request):
            return None
        return Response(generate_latest(self._metrics.registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    async def description(self, request: Request) -> Response:
        if self._description is None:
            self._description = render.as_json(yaml.safe_load(DESCRIPTION.read_text(encoding="utf-8")))
        return Response(self._description, media_type="application/json")

    async def _canary(self) -> str | None:
        try:
            await self._assistant.say(
                self._canarys, "/ready", language="en", channel="web", deadline=CANARY_DEADLINE
            )
        except AssistantFault as fault:
            return fault.reason
        self._forget(self._canarys, False)
        self._canarys = new_conversation()
        return None

    def _may_see(self, request: Request) -> bool:
        token = self._settings.metrics_token
        given = request.headers.get("authorization", "")
        if token is not None:
            return hmac.compare_digest(given.encode("utf-8", "replace"), f"Bearer {token}".encode())
        # A proxy on this machine has a loopback address too; what it passes on is not from here.
        passed_on = "x-forwarded-for" in request.headers or "forwarded" in request.headers
        return not passed_on and is_loopback(request.client.host if request.client else None)


def _json(body: Any, status: int = 200) -> Response:
    return Response(render.as_json(body), status, media_type="application/json")

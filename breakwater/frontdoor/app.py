"""Puts the front door together: its parts, its routes, the headers on everything that leaves.

It loads rule book, words and clinic.yml at start and stops there when one is broken; once it runs, nothing
that breaks inside reaches a person as silence.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from breakwater.frontdoor import guard, render
from breakwater.frontdoor.client import Assistant
from breakwater.frontdoor.metrics import Metrics, note, where
from breakwater.frontdoor.pages import Pages
from breakwater.frontdoor.screening import Screening
from breakwater.frontdoor.sessions import Sessions
from breakwater.frontdoor.settings import IN_MEMORY, Settings
from breakwater.frontdoor.sms import Texting
from breakwater.frontdoor.store import MemoryStore, SqliteStore, Store
from breakwater.frontdoor.turns import Answer, Turns
from breakwater.frontdoor.web import Chat
from breakwater.safety.screen import default_rulebook
from breakwater.safety.verdict import Level, Verdict
from breakwater.safety.words import LAST_RESORT, Words, load_words

SWEEP_EVERY = 60.0  # seconds
FORGET_PAUSES = (0.0, 2.0, 10.0, 60.0, 300.0)  # seconds before each attempt to have a conversation forgotten
FORGETTING_AT_MOST = 2000

Endpoint = Callable[[Request], Awaitable["Response | None"]]


class Forgetting:
    """Has ended conversations deleted by the assistant, in the background, again when it does not answer."""

    def __init__(self, assistant: Assistant, deadline: float) -> None:
        self._assistant = assistant
        self._deadline = deadline
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, conversation: str, busy: bool) -> None:
        if len(self._tasks) < FORGETTING_AT_MOST:
            task = asyncio.get_running_loop().create_task(self._forget(conversation, busy))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _forget(self, conversation: str, busy: bool) -> None:
        if busy:  # a turn that is under way would bring it back
            await asyncio.sleep(self._deadline)
        for pause in FORGET_PAUSES:
            await asyncio.sleep(pause)
            if await self._assistant.forget(conversation):
                return
        note("conversation_not_forgotten", logging.WARNING)

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def create_app(settings: Settings, words: Words | None = None) -> Starlette:
    """The application. Raises what the rule book's and the words' loaders raise."""
    default_rulebook()
    words = words or load_words().for_clinic("", None)
    metrics = Metrics()
    backend = MemoryStore() if settings.store == IN_MEMORY else SqliteStore(Path(settings.store))
    store = Store(backend, on_fault=lambda reason: metrics.store_faults.labels(reason).inc())
    assistant = Assistant(settings.assistant_url, settings.secret, metrics.assistant.observe)
    forget = Forgetting(assistant, settings.deadline)
    sessions = Sessions(settings, store, words, forget)
    screening = Screening(settings.screen_deadline, lambda reason: metrics.failsafe.labels("screen").inc())
    turns = Turns(settings, words, store, sessions, screening, assistant, metrics)
    chat = Chat(turns)
    texting = Texting(turns, chat)
    pages = Pages(settings, metrics, store, assistant, forget)

    def found(endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        async def or_not_found(request: Request) -> Response:
            return await endpoint(request) or chat.refuse(request, 404, code="not_found")

        return or_not_found

    async def refused(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        code = {404: "not_found", 405: "method"}.get(status, "malformed")
        response = chat.refuse(request, status, code=code)
        for name, value in (getattr(error, "headers", None) or {}).items():
            response.headers[name] = value  # Allow
        return response

    async def sweeping() -> None:
        while True:
            await asyncio.sleep(SWEEP_EVERY)
            try:
                await sessions.sweep()
            except Exception as error:  # the next round may do better; the log says what it was
                note("sweep_broke", logging.ERROR, error=where(error))

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        store.start()
        sweeper = asyncio.get_running_loop().create_task(sweeping())
        warming = asyncio.get_running_loop().create_task(screening.warm())
        note("started", texting=bool(settings.sms_tokens), trace=settings.trace)
        yield
        sweeper.cancel()
        warming.cancel()
        await screening.close()
        await forget.close()
        await assistant.close()
        await asyncio.to_thread(store.close)
        note("stopped")

    app = Starlette(
        routes=[
            Route("/chat/sessions", chat.open, methods=["POST"]),
            Route("/chat/sessions/{session}", chat.end, methods=["DELETE"]),
            Route("/chat/messages", chat.say, methods=["POST"]),
            Route("/sms", texting.receive, methods=["POST"]),
            Route("/sms/status", texting.status, methods=["POST"]),
            Route("/", pages.page),
            Route("/widget/{name}", found(pages.file)),
            Route("/healthz", pages.health),
            Route("/readyz", pages.ready),
            Route("/metrics", found(pages.metrics)),
            Route("/openapi.json", pages.description),
        ],
        exception_handlers={HTTPException: refused},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.turns, app.state.sessions, app.state.store = turns, sessions, store
    app.add_middleware(Edge, settings=settings, metrics=metrics)
    return app


class Edge:
    """The outermost ring: headers on every response, and words instead of a broken one."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        self._last_words = _last_words()
        self._origins = frozenset(settings.embed_origins)
        ancestors = " ".join(("'self'", *settings.embed_origins)) if settings.embed_origins else "'none'"
        self._page = {
            "Content-Security-Policy": (
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
                f"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors {ancestors}"
            ),
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Permissions-Policy": "camera=(), geolocation=(), microphone=(), interest-cohort=()",
            "Cross-Origin-Opener-Policy": "same-origin",
            "X-Robots-Tag": "noindex",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False
        cors = self._cors(scope)

        async def with_headers(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in {**self._page, **cors}.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        if scope["method"] == "OPTIONS" and "Access-Control-Allow-Origin" in cors:
            await Response(status_code=204)(scope, receive, with_headers)
            return
        try:
            await self._app(scope, receive, with_headers)
        except ClientDisconnect:
            return  # nobody is there to be answered
        except Exception as error:  # the outermost ring: silence is the one thing that must not leave
            note("request_broke", logging.ERROR, error=where(error))
            self._metrics.failsafe.labels("internal").inc()
            if not begun:
                path = scope["path"]
                words = next(
                    (made for start, made in self._last_words.items() if path.startswith(start)), None
                )
                await (words or self._last_words["/"])()(scope, receive, with_headers)

    def _cors(self, scope: Scope) -> dict[str, str]:
        """Pages of the clinic that embed the widget inline may talk; anybody's page may load its files."""
        path = scope["path"]
        if path.startswith("/widget/"):
            return {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}
        resource = {"Cross-Origin-Resource-Policy": "same-origin"}
        if not path.startswith("/chat/"):
            return resource
        origin = Headers(scope=scope).get("origin", "")
        if origin not in self._origins:
            return resource | {"Vary": "Origin"}
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Methods": "POST, DELETE",
            "Access-Control-Allow-Headers": "Content-Type",
            "Access-Control-Max-Age": "600",
            "Cross-Origin-Resource-Policy": "cross-origin",
            "Vary": "Origin",
        }


def _last_words() -> dict[str, Callable[[], Response]]:
    """What a person gets when even refusing broke, by the path's beginning: made at start, from nothing."""
    reply = guard.fixed(Verdict(Level.NONE))
    twiml = render.twiml([LAST_RESORT])
    messages = render.as_json({"messages": render.messages(Answer((reply,)), False)})
    lines = render.lines(reply.lines)
    refusal = render.as_json({"error": "internal", "reason": LAST_RESORT, "lines": lines})
    return {
        "/sms": lambda: Response(twiml, media_type="text/xml"),
        "/chat/": lambda: Response(messages, media_type="application/json"),
        "/": lambda: Response(refusal, 503, media_type="application/json"),
    }

"""The chat's HTTP: sessions, messages, the end of a talk, and refusals that always carry the lines.

Every body is read and screened before anything is refused: what cannot be parsed may still say that
somebody is in danger.
"""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import Response

from breakwater.frontdoor import render
from breakwater.frontdoor.limits import address_of
from breakwater.frontdoor.turns import MALFORMED, TOO_LARGE, Answer, Message, Turns
from breakwater.safety.words import LANGUAGES

BODY_AT_MOST = 1024 * 1024  # bytes
DRAINED_AT_MOST = 8 * 1024 * 1024  # bytes read and dropped, so that a client hears why it was refused
BODY_WITHIN = 20.0  # seconds
ID_AT_MOST = 100  # characters

# What JSON calls each refusal; the sentence for people is in safety/words.yml under its number.
CODES = {
    400: "malformed",
    403: "forbidden",
    404: "session",
    405: "method",
    409: "choice",
    413: "too_large",
    429: "too_fast",
    500: "internal",
    503: "not_ready",
}


class Chat:
    """The endpoints under /chat."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._settings = turns.settings

    async def open(self, request: Request) -> Response:
        raw, too_large = await read_body(request)
        language, fault, heard = _opening(raw, asked_language(request))
        if fault is not None or too_large or heard:  # nothing is to be said here, but it may have been
            message = Message(
                "web", "", heard, language=language, fault=TOO_LARGE if too_large else MALFORMED
            )
            answer = await self._take(request, message)
            if answer.refusal is None or fault is not None or too_large:
                return self._answered(request, answer)
        session, answer = await self._turns.welcome(language, self._address(request))
        if answer.refusal is not None:
            return self.refuse(request, answer.refusal, answer.language)
        return self._json({"session": session, **self._body(answer)})

    async def say(self, request: Request) -> Response:
        raw, too_large = await read_body(request)
        message = self._message(raw, too_large, asked_language(request))
        return self._answered(request, await self._take(request, message))

    async def end(self, request: Request) -> Response:
        session = request.path_params["session"]
        if len(session) <= ID_AT_MOST and self._turns.sessions.ours(session):
            await self._turns.sessions.end(self._turns.sessions.web_key(session))
        return Response(status_code=204)

    def refuse(self, request: Request, status: int, language: str | None = None, code: str = "") -> Response:
        """A refusal that says why, with the lines."""
        language = language or asked_language(request)
        words = self._turns.words
        body = {
            "error": code or CODES[status],
            "reason": words.error(status, language),
            "lines": render.lines(words.lines_for(language)),
        }
        return self._json(body, status)

    async def _take(self, request: Request, message: Message) -> Answer:
        return await self._turns.take(dataclasses.replace(message, address=self._address(request)))

    def _answered(self, request: Request, answer: Answer) -> Response:
        if answer.refusal is not None:
            return self.refuse(request, answer.refusal, answer.language)
        return self._json(self._body(answer))

    def _body(self, answer: Answer) -> dict[str, Any]:
        body: dict[str, Any] = {
            "messages": render.messages(answer, self._settings.trace),
            "language": answer.language,
        }
        if answer.opened is not None:
            body["session"] = answer.opened
        if self._settings.trace:
            body["trace"] = render.trace_of(answer)
        return body

    def _message(self, raw: bytes, too_large: bool, language: str) -> Message:
        """What was sent, or all of it that could be read as the text of a message that is at fault."""
        text = decode(raw)
        try:
            body = parse(text)
        except ValueError:
            return Message(
                "web", "", readable(text), language=language, fault=TOO_LARGE if too_large else MALFORMED
            )
        session, said, choice = (
            (body.get(name) for name in ("session", "text", "choice"))
            if isinstance(body, dict)
            else (None,) * 3
        )
        key = ""
        if isinstance(session, str) and len(session) <= ID_AT_MOST and self._turns.sessions.ours(session):
            key = self._turns.sessions.web_key(session)
        whole = isinstance(session, str) and not too_large
        if whole and isinstance(said, str) and choice is None:
            return Message("web", key, said, language=language)
        if whole and isinstance(choice, str) and said is None:
            return Message("web", key, choice=choice[:ID_AT_MOST], language=language)
        fault = TOO_LARGE if too_large else MALFORMED
        return Message("web", key, "\n".join(strings(body)), language=language, fault=fault)

    def _address(self, request: Request) -> str | None:
        peer = request.client.host if request.client else None
        return address_of(peer, request.headers.getlist("x-forwarded-for"), self._settings.trusted_proxies)

    @staticmethod
    def _json(body: Any, status: int = 200) -> Response:
        return Response(render.as_json(body), status, media_type="application/json")


async def read_body(request: Request) -> tuple[bytes, bool]:
    """At most BODY_AT_MOST bytes of the body, and whether there was more. Late ones are not waited for."""
    chunks: list[bytes] = []
    size = 0
    with anyio.move_on_after(BODY_WITHIN):
        async for chunk in request.stream():
            if size < BODY_AT_MOST:
                chunks.append(chunk[: BODY_AT_MOST - size])
            size += len(chunk)
            if size > DRAINED_AT_MOST:
                break
    return b"".join(chunks), size > BODY_AT_MOST


def asked_language(request: Request) -> str:
    """Of somebody whom we do not know: what their browser asks for first."""
    first = request.headers.get("accept-language", "").lower().lstrip()
    return "es" if first.startswith("es") else "en"


def decode(raw: bytes) -> str:
    """As JSON may come, with whatever is no text replaced."""
    return raw.decode(json.detect_encoding(raw), "replace")


def parse(text: str) -> Any:
    """The JSON value; ValueError for anything doubtful, a key given twice included."""
    try:
        # Numbers are of no use here, and a million digits would take seconds as an integer.
        return json.loads(text, object_pairs_hook=_once, parse_int=float)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key twice")
    return found


def strings(value: Any) -> list[str]:
    """Every string in a JSON value, in order."""
    found: list[str] = []
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            found.append(one)
        elif isinstance(one, list):
            waiting.extend(reversed(one))
        elif isinstance(one, dict):
            waiting.extend(part for pair in reversed(one.items()) for part in (pair[1], pair[0]))
    return found


_ESCAPE = re.compile(r'\\(u[0-9a-fA-F]{4}|["\\/bfnrt])')
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": " ", "f": " ", "n": "\n", "r": "\n", "t": "\t"}


def readable(text: str) -> str:
    """Broken JSON as a person might have meant it: escapes undone, and each value on a line of its own."""

    def undone(match: re.Match[str]) -> str:
        what = match[1]
        return chr(int(what[1:], 16)) if what[0] == "u" else _ESCAPES[what]

    return _ESCAPE.sub(undone, re.sub(r'(?<!\\)"\s*[,:}\]]', "\n", text))


def _opening(raw: bytes, language: str) -> tuple[str, int | None, str]:
    """The language asked for, a fault, and everything said in a body that is at fault."""
    text = decode(raw)
    if not text.strip():
        return language, None, ""
    try:
        body = parse(text)
    except ValueError:
        return language, MALFORMED, readable(text)
    asked = body.pop("language", None) if isinstance(body, dict) else ""
    heard = "\n".join(strings([body, asked])) if asked not in LANGUAGES else "\n".join(strings(body))
    if asked is not None and asked not in LANGUAGES:
        return language, MALFORMED, heard
    return str(asked or language), None, heard

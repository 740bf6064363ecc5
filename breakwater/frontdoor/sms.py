"""Twilio's webhook: a signed form in, TwiML out, for text messages and WhatsApp.

Nothing is done for a request whose signature is wrong. Numbers are hashed at once; they reach no log, no
store and not the assistant. Media is never fetched.
"""

from __future__ import annotations

import dataclasses
import hmac
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import Response
from twilio.request_validator import RequestValidator, add_port, remove_port

from breakwater.frontdoor import render
from breakwater.frontdoor.turns import TOO_FAST, Message, Turns
from breakwater.frontdoor.web import Chat, asked_language, read_body
from breakwater.safety.protocol import Reply
from breakwater.safety.words import LAST_RESORT

FIELDS_AT_MOST = 200
# One of these alone opts out: the provider has answered, and lets nothing more through. END, QUIT and CANCEL
# are left to the talk: clinics are advised to take them out of the provider's list.
OPT_OUT = frozenset(("stop", "stopall", "unsubscribe", "optout", "revoke", "alto"))
# One of these alone, outside a hold, asks who this is.
WHO = frozenset(("help", "info", "ayuda", "start", "unstop"))
STATUSES = frozenset(
    [
        "accepted",
        "queued",
        "sending",
        "sent",
        "delivered",
        "undelivered",
        "failed",
        "receiving",
        "received",
        "read",
        "canceled",
        "scheduled",
    ]
)


class Fields:
    """A form as it was sent, every value of every field, for Twilio's own signature code."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)

    def __iter__(self) -> Iterable[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def getlist(self, name: str) -> list[str]:
        return self._values[name]

    def get(self, name: str, default: str = "") -> str:
        return self._values.get(name, [default])[0]


class Texting:
    """The endpoints /sms and /sms/status."""

    def __init__(self, turns: Turns, chat: Chat) -> None:
        self._turns = turns
        self._chat = chat
        self._validators = [RequestValidator(token) for token in turns.settings.sms_tokens]

    async def receive(self, request: Request) -> Response:
        fields = await self._signed(request)
        if isinstance(fields, Response):
            return fields
        try:
            return await self._answer(fields)
        except Exception:  # the last ring: the turn has its own, so this is rendering; the lines leave
            self._turns.metrics.failsafe.labels("internal").inc()
            return _twiml([LAST_RESORT])

    async def status(self, request: Request) -> Response:
        """A delivery report: counted."""
        fields = await self._signed(request)
        if isinstance(fields, Response):
            return fields
        status = fields.get("MessageStatus") or fields.get("SmsStatus")
        self._turns.metrics.sms_status.labels(status if status in STATUSES else "other").inc()
        return Response(status_code=204)

    async def _answer(self, fields: Fields) -> Response:
        sessions = self._turns.sessions
        sender, text = fields.get("From"), _said(fields)
        whatsapp = sender.startswith("whatsapp:")
        sid = fields.get("MessageSid") or fields.get("SmsMessageSid")
        media = fields.get("NumMedia", "0").strip() not in ("", "0") or bool(fields.get("Latitude"))
        message = Message(
            channel="sms",
            key=sessions.texting_key(sender),
            text=text,
            # The same id with other words is not the same message.
            sid=sessions.sid_key(sid, sender, text) if sid else None,
            media=media,
            opts_out=fields.get("OptOutType").upper() == "STOP" or _keyword(text) in OPT_OUT,
            asks_who=fields.get("OptOutType").upper() in ("START", "HELP") or _keyword(text) in WHO,
        )
        answer = await self._turns.take(message)
        headers = {}
        if self._turns.settings.trace:
            headers["X-Breakwater-Trace"] = render.as_json(render.trace_of(answer)).decode("ascii")
        if answer.refusal is not None:
            answer = dataclasses.replace(answer, replies=(self._refused(answer.refusal, answer.language),))
        return _twiml(render.texts(answer, self._turns.words, whatsapp), headers)

    def _refused(self, code: int, language: str) -> Reply:
        words = self._turns.words
        text = words.text(f"error.{code if code == TOO_FAST else 500}", language, "sms")
        return Reply("failsafe", text, (), words.lines_for(language), None)

    async def _signed(self, request: Request) -> Fields | Response:
        """The form when its signature is good; else the refusal."""
        raw, too_large = await read_body(request)
        fields = None
        if not too_large:
            fields = parse_form(raw)
        url = self._turns.settings.public_url + request.url.path
        if request.url.query:
            url += "?" + request.url.query
        given = request.headers.get("x-twilio-signature", "")
        if fields is None or not self._good(url, fields, given):
            self._turns.metrics.sms_refused.inc()
            return self._chat.refuse(request, 413 if too_large else 403, asked_language(request))
        return fields

    def _good(self, url: str, fields: Fields, given: str) -> bool:
        """Compared with every token and both ways of writing the port, in the same time for any outcome."""
        parts = urlsplit(url)
        good = False
        for validator in self._validators:
            for address in {add_port(parts), remove_port(parts)}:
                computed = validator.compute_signature(address, fields)
                good |= hmac.compare_digest(computed.encode(), given.encode("utf-8", "replace"))
        return good


def parse_form(raw: bytes) -> Fields | None:
    """The form with its blank fields; None when it is no form."""
    try:
        text = raw.decode("ascii")
        return Fields(parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS_AT_MOST))
    except ValueError:
        return None


def _said(fields: Fields | Mapping[str, str]) -> str:
    """Everything that the person may have written: the text or caption, and the button's words."""
    parts = []
    for name in ("Body", "ButtonText", "ListTitle", "Label"):
        if (value := fields.get(name, "")) and value not in parts:
            parts.append(value)
    return "\n".join(parts)


def _keyword(text: str) -> str:
    return text.strip().strip(".!").lower()


def _twiml(bodies: list[str], headers: Mapping[str, str] | None = None) -> Response:
    return Response(render.twiml(bodies), 200, dict(headers or {}), media_type="text/xml")

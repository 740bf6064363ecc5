"""Rasa's side of the front door: one message in, all of the turn's messages out, or an honest 500.

It is shut without the shared secret, never answers an empty 200, and never puts a person's words into
a log or an error.
"""

from __future__ import annotations

import hmac
import logging
import os
import re
from asyncio import CancelledError
from collections.abc import Awaitable, Callable
from typing import Any

from rasa.core.channels.channel import CollectingOutputChannel, InputChannel, UserMessage
from sanic import Blueprint, response
from sanic.request import Request
from sanic.response import HTTPResponse

from breakwater.assistant import trust

logger = logging.getLogger(__name__)

NAME = "breakwater"
HEADER = "x-breakwater-secret"
SECRET = "BREAKWATER_SECRET"
LONGEST = 2000  # characters; the front door has screened the whole message
LONGEST_SENDER = 200

PAYLOAD = re.compile(r'/[a-z_]{2,40}(\{"skill": ?"[a-z_]{2,40}"\})?')

_EXTRAS = ("step",)  # what an action adds to a message beside text and buttons


class TurnOutput(CollectingOutputChannel):
    """Collects each of the turn's messages whole: text, buttons and the exercise step in one."""

    @classmethod
    def name(cls) -> str:
        return NAME

    async def send_response(self, recipient_id: str, message: dict[str, Any]) -> None:
        found: dict[str, Any] = {"text": message.get("text") or ""}
        if message.get("buttons"):
            found["buttons"] = [
                {"title": button["title"], "payload": button["payload"]} for button in message["buttons"]
            ]
        custom = {
            **(message.get("custom") or {}),
            **{key: message[key] for key in _EXTRAS if message.get(key)},
        }
        if custom:
            found["custom"] = custom
        if found["text"] or custom:
            self.messages.append(found)


class FrontDoorChannel(InputChannel):
    """POST …/webhook and DELETE …/conversations/{sender}, both behind the secret of BREAKWATER_SECRET."""

    def __init__(self, secret: str | None) -> None:
        self._secret = secret or ""
        if not self._secret:
            logger.warning("%s is not set: the front door's channel is shut.", SECRET)

    @classmethod
    def name(cls) -> str:
        return NAME

    @classmethod
    def from_credentials(cls, credentials: dict[str, Any] | None) -> FrontDoorChannel:
        # Rasa refuses a YAML file with an unset ${VARIABLE}; plain `rasa run` must start without one.
        return cls((credentials or {}).get("secret") or os.environ.get(SECRET))

    def blueprint(self, on_new_message: Callable[[UserMessage], Awaitable[Any]]) -> Blueprint:
        routes = Blueprint("breakwater_front_door")

        @routes.get("/")
        async def health(_: Request) -> HTTPResponse:
            return response.json({"status": "ok"})

        @routes.post("/webhook")
        async def receive(request: Request) -> HTTPResponse:
            if not self._knows(request):
                return _refused()
            message = _message(request)
            if message is None:
                return response.json({"error": "malformed"}, status=400)
            try:
                await on_new_message(message)
            except CancelledError:
                logger.error("A turn was cancelled.")
                return _failed("cancelled")
            except Exception as error:
                # A turn may break anywhere in Rasa, and the exception may quote the message: its type is
                # all that is said. The front door answers 500 with its own words.
                logger.error("A turn failed: %s", type(error).__name__)
                return _failed("turn_failed")
            answers = message.output_channel.messages
            return response.json(answers) if answers else _failed("silent")

        @routes.delete("/conversations/<sender:str>")
        async def forget(request: Request, sender: str) -> HTTPResponse:
            if not self._knows(request):
                return _refused()
            agent = request.app.ctx.agent
            # Under the lock: a turn in flight would write the talk back.
            async with agent.lock_store.lock(sender):
                await _forget(agent.tracker_store, sender)
            return response.empty(status=204)

        return routes

    def _knows(self, request: Request) -> bool:
        given = request.headers.get(HEADER, "")
        # Compared as bytes: compare_digest refuses strings beyond ASCII.
        return bool(self._secret) and hmac.compare_digest(given.encode(), self._secret.encode())


def _message(request: Request) -> UserMessage | None:
    """The message as Rasa takes it, or None when the body is not what the front door sends."""
    try:
        body = request.json
    except Exception:
        # Sanic raises its own InvalidUsage, which would quote the body back.
        return None
    if not isinstance(body, dict):
        return None
    sender, text, told = body.get("sender"), body.get("message"), body.get("metadata") or {}
    if not (isinstance(sender, str) and isinstance(text, str) and isinstance(told, dict)):
        return None
    if not 0 < len(sender) <= LONGEST_SENDER:
        return None
    metadata: dict[str, Any] = {key: told[key] for key in ("language", "channel") if key in told}
    if told.get("screened") is True:
        metadata = trust.mark(metadata)
    # Rasa prints a payload that it cannot parse, so what only looks like one goes on as the words it is.
    words = text[:LONGEST] if PAYLOAD.fullmatch(text) else text[:LONGEST].lstrip("/ \t\r\n")
    return UserMessage(words, TurnOutput(), sender, input_channel=NAME, metadata=metadata)


async def _forget(store: Any, sender: str) -> None:
    # Rasa wraps the store that endpoints.yml names into one that survives errors.
    inner = getattr(store, "_tracker_store", store)
    for each in {id(s): s for s in (inner, getattr(store, "_fallback_tracker_store", None)) if s}.values():
        if hasattr(each, "forget"):
            await each.forget(sender)
        elif hasattr(each, "store"):
            each.store.pop(sender, None)


def _refused() -> HTTPResponse:
    return response.json({"error": "forbidden"}, status=403)


def _failed(code: str) -> HTTPResponse:
    return response.json({"error": code}, status=500)

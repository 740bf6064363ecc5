"""Speaks to the assistant's channel over HTTP and believes nothing that it says without looking.

Whatever comes back is either well-formed messages or an AssistantFault; never silence, never a half answer.
"""

from __future__ import annotations

import json
import time
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import anyio

TEXT_AT_MOST = 2000  # characters of a message that the assistant gets
ANSWER_AT_MOST = 256 * 1024  # bytes
MESSAGES_AT_MOST = 20
SAID_AT_MOST = 4000  # characters of one message of the assistant's
BUTTONS_AT_MOST = 20
STEP_KINDS = ("breathe", "ground", "write", "rate", "wait", "do")

# U+002F and what looks like it: fraction and division slashes, box drawing, full width and the like.
SLASHES = frozenset("/⁄∕╱⧸／⟋〳⼃丿𝈺̷̸")
UNSEEN = frozenset(("Cc", "Cf", "Mn", "Me", "Cn", "Co", "Cs"))
BLANKS = frozenset("ㅤᅟᅠᅠ⠀឴឵")  # seen by nobody, though no space by their category


class AssistantFault(Exception):
    """No usable answer; `reason` is late, refused, error, assistant_status, shape or empty."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Said:
    """One message of the assistant's: its text, (label, payload) of its buttons, the step of an exercise."""

    text: str
    buttons: tuple[tuple[str, str], ...] = ()
    step: Mapping[str, Any] | None = None


class Assistant:
    """The assistant behind `url`. `observe` gets the seconds of each answer."""

    def __init__(
        self, url: str, secret: bytes, observe: Callable[[float], object] = lambda seconds: None
    ) -> None:
        self._webhook = f"{url}/webhooks/breakwater/webhook"
        self._conversations = f"{url}/webhooks/breakwater/conversations/"
        self._observe = observe
        self._secret = secret.decode()
        self._session: aiohttp.ClientSession | None = None

    async def say(
        self, conversation: str, message: str, *, language: str, channel: str, deadline: float
    ) -> tuple[Said, ...]:
        """The assistant's answer within `deadline` seconds. AssistantFault for anything else."""
        body = json.dumps(
            {
                "sender": conversation,
                "message": message,
                "metadata": {"screened": True, "language": language, "channel": channel},
            }
        ).encode()
        started = time.monotonic()
        try:
            with anyio.fail_after(max(0.0, deadline)):
                raw = await self._post(body)
        except TimeoutError:
            raise AssistantFault("late") from None
        except aiohttp.ClientConnectorError:
            raise AssistantFault("refused") from None
        except (aiohttp.ClientError, OSError):
            raise AssistantFault("error") from None
        finally:
            self._observe(time.monotonic() - started)
        return read_answer(raw)

    async def forget(self, conversation: str, deadline: float = 5.0) -> bool:
        """Delete the conversation; whether the assistant said that it did."""
        try:
            with anyio.fail_after(deadline):
                async with self._http().delete(self._conversations + conversation) as answer:
                    return answer.status in (200, 204, 404)
        except (TimeoutError, aiohttp.ClientError, OSError):
            return False

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _http(self) -> aiohttp.ClientSession:
        """One session for all; aiohttp wants it made inside the event loop."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # Rasa's server closes idle connections after 5 s: let go of them first.
                connector=aiohttp.TCPConnector(limit=100, keepalive_timeout=3.0),
                headers={"X-Breakwater-Secret": self._secret},
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=None
                ),  # the turn's deadline is over all
                trust_env=False,  # the assistant is on this machine: no proxy between
            )
        return self._session

    async def _post(self, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json"}
        async with self._http().post(
            self._webhook, data=body, headers=headers, allow_redirects=False
        ) as answer:
            if answer.status != 200:
                raise AssistantFault("assistant_status")
            raw = b""
            async for chunk in answer.content.iter_any():
                raw += chunk
                if len(raw) > ANSWER_AT_MOST:
                    raise AssistantFault("shape")
            return raw


def read_answer(raw: bytes) -> tuple[Said, ...]:
    """The messages in an answer of the channel; AssistantFault "shape" or "empty"."""
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError):
        raise AssistantFault("shape") from None
    if not isinstance(data, list) or len(data) > MESSAGES_AT_MOST:
        raise AssistantFault("shape")
    if not data:
        raise AssistantFault("empty")
    return tuple(_said(item) for item in data)


def _said(item: Any) -> Said:
    text = item.get("text") if isinstance(item, dict) else None
    if not isinstance(text, str) or not text.strip() or len(text) > SAID_AT_MOST:
        raise AssistantFault("shape")
    buttons = item.get("buttons") or []
    if not isinstance(buttons, list) or len(buttons) > BUTTONS_AT_MOST:
        raise AssistantFault("shape")
    custom = item.get("custom")
    step = custom.get("step") if isinstance(custom, dict) else None
    return Said(clean(text).strip(), tuple(_button(button) for button in buttons), _step(step))


def _button(button: Any) -> tuple[str, str]:
    title = button.get("title") if isinstance(button, dict) else None
    payload = button.get("payload") if isinstance(button, dict) else None
    if not isinstance(title, str) or not isinstance(payload, str) or not title.strip() or not payload.strip():
        raise AssistantFault("shape")
    return clean(title).strip()[:200], payload[:TEXT_AT_MOST]


def _step(step: Any) -> Mapping[str, Any] | None:
    """The step with its known keys alone; a wrong one costs its picture, not the words."""
    if not isinstance(step, dict):
        return None
    exercise, number, of, kind = (step.get(key) for key in ("exercise", "number", "of", "kind"))
    if not (isinstance(exercise, str) and type(number) is int and type(of) is int and kind in STEP_KINDS):
        return None
    known: dict[str, Any] = {"exercise": exercise, "number": number, "of": of, "kind": kind}
    seconds = step.get("seconds")
    if isinstance(seconds, list) and all(type(value) in (int, float) for value in seconds):
        known["seconds"] = seconds
    return known


def clean(text: str) -> str:
    """The text with lone surrogates replaced, so that every encoder takes it."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def typed(text: str) -> str:
    """What a person typed as the assistant may get it: never a payload, at most TEXT_AT_MOST characters.

    Empty when nothing is left but slashes, blanks and characters that nobody sees.
    """
    text = clean(text)
    start, slashed = 0, False
    for start, char in enumerate(text):  # noqa: B007 - the place where the loop stopped is the result
        if char in SLASHES:
            slashed = True
        elif not _unseen(char):
            break
    else:
        return ""
    return (text[start:] if slashed else text.strip())[:TEXT_AT_MOST]


def _unseen(char: str) -> bool:
    return char.isspace() or char in BLANKS or unicodedata.category(char) in UNSEEN

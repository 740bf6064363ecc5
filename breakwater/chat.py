"""`breakwater chat`: one talk in the terminal, over HTTP like any browser's.

It keeps nothing: the talk is deleted on the server when it ends here.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TextIO

import requests

from breakwater.errors import SetupError
from breakwater.safety.words import LAST_RESORT

TIMEOUT = 20.0
QUIT = ("/quit", "/exit")
HELP = "Write and press Enter; a number picks a choice; /quit or Ctrl-D ends the talk and deletes it."

Message = Mapping[str, Any]


class Chat:
    """One session with the front door at `url`."""

    def __init__(self, url: str, language: str) -> None:
        self.url = url.rstrip("/")
        self.language = language
        self._http = requests.Session()
        self._http.trust_env = False  # no proxy stands between us and this machine
        self._session = ""
        self._choices: Sequence[Mapping[str, str]] = ()

    def open(self) -> list[Message]:
        answer = self._ask("POST", "/chat/sessions", {"language": self.language})
        self._session = str(answer["session"])
        return self._noted(answer)

    def send(self, typed: str) -> list[Message]:
        """The bot's messages; `typed` is a choice's number or any text. SetupError when nobody answers."""
        picked = self._picked(typed)
        said = {"choice": picked} if picked else {"text": typed}
        return self._noted(self._ask("POST", "/chat/messages", {"session": self._session, **said}))

    def close(self) -> None:
        if self._session:
            with contextlib.suppress(requests.RequestException):
                self._http.delete(f"{self.url}/chat/sessions/{self._session}", timeout=5)
            self._session = ""

    def _picked(self, typed: str) -> str | None:
        if typed.strip().isascii() and typed.strip().isdigit():
            number = int(typed)
            if 1 <= number <= len(self._choices):
                return self._choices[number - 1]["id"]
        return None

    def _noted(self, answer: Mapping[str, Any]) -> list[Message]:
        messages: list[Message] = list(answer.get("messages", ()))
        self._choices = next((m["choices"] for m in reversed(messages) if m.get("choices")), ())
        return messages

    def _ask(self, method: str, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            answer = self._http.request(method, f"{self.url}{path}", json=body, timeout=TIMEOUT)
            content = answer.json()
        except (requests.ConnectionError, requests.Timeout):
            raise SetupError(
                f"nothing answers at {self.url}; start Breakwater with `make run` in another terminal, "
                "or give its address with --url",
                (LAST_RESORT,) if self._session else (),
            ) from None
        except (requests.RequestException, ValueError):
            raise SetupError(
                f"what answers at {self.url} is not Breakwater; give its address with --url"
            ) from None
        if not isinstance(content, dict) or not ("messages" in content or "error" in content):
            raise SetupError(f"what answers at {self.url} is not Breakwater; give its address with --url")
        if "error" in content:
            return {"messages": [_as_message(content)], "session": self._session}
        return content


def _as_message(error: Mapping[str, Any]) -> Message:
    """An error's reason and lines, shown like a message: they may be what somebody needs now."""
    return {
        "kind": "error",
        "text": str(error.get("reason", "")),
        "choices": [],
        "lines": error.get("lines", []),
    }


def shown(message: Message) -> Iterator[str]:
    """A message as lines of a terminal: text, the crisis lines, numbered choices."""
    yield from str(message["text"]).splitlines()
    for line in message.get("lines", ()):
        ways = []
        if line.get("call"):
            ways.append(f"call {line['call']}")
        if line.get("text"):
            ways.append(
                f"text {line['body']} to {line['text']}" if line.get("body") else f"text {line['text']}"
            )
        if line.get("url"):
            ways.append(str(line["url"]))
        yield f"  · {line['label']}: {', '.join(ways)}"
    for number, choice in enumerate(message.get("choices", ()), 1):
        yield f"  {number}. {choice['label']}"


def talk(url: str, language: str, read: Callable[[], str] | None = None, out: TextIO | None = None) -> int:
    """Talks until /quit or the end of input; 0."""
    out = out or sys.stdout
    chat = Chat(url, language)
    try:
        print(HELP, file=out)
        _show(chat.open(), out)
        for typed in _typed(read or _read_line, out):
            _show(chat.send(typed), out)
    finally:
        chat.close()
    return 0


def _typed(read: Callable[[], str], out: TextIO) -> Iterator[str]:
    while True:
        try:
            typed = read()
        except (EOFError, KeyboardInterrupt):
            print(file=out)
            return
        if typed.strip().lower() in QUIT:
            return
        if typed.strip():
            yield typed


def _read_line() -> str:
    return input("> ")


def _show(messages: Sequence[Message], out: TextIO) -> None:
    for message in messages:
        print(file=out)
        for line in shown(message):
            # What a terminal would take for a command is not text.
            print("".join(char for char in line if char.isprintable()), file=out)
    print(file=out, flush=True)

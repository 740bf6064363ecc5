"""Turns replies into what each channel carries: JSON for the web, numbered menus for phones.

It writes no words of its own, and never lets a payload, a choice's id or markup reach a phone.
"""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from breakwater.frontdoor import guard
from breakwater.frontdoor.turns import Answer
from breakwater.safety.protocol import Reply
from breakwater.safety.words import Line, Words, gsm7, segments

SEGMENTS = 3  # of one text message
LETTERS = 1500  # of one WhatsApp message
PIECES = 6  # messages for one answer
ROOM_TO_COUNT = len("(1/2) ")

_MARKUP = (
    (re.compile(r"\[([^\]\n]*)\]\(([^)\s]*)\)"), r"\1 \2"),
    (re.compile(r"(\*\*|__|``|~~)(?=\S)(.+?)(?<=\S)\1"), r"\2"),
    (re.compile(r"(?<![\w*])([*`])(?=\S)([^*`\n]+?)(?<=\S)\1(?![\w*])"), r"\2"),
    (re.compile(r"^#{1,6}\s+", re.M), ""),
    (re.compile(r"</?[a-zA-Z][^<>\n]*>"), ""),
)
_NOT_XML = re.compile(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_json(body: Any) -> bytes:
    """Every letter outside ASCII escaped, so that nothing in it can fail to be sent."""
    return json.dumps(body, separators=(",", ":")).encode("ascii")


def messages(answer: Answer, trace: bool) -> list[dict[str, Any]]:
    """CONTRACT.md's M for each reply."""
    return [_message(reply, answer if trace else None) for reply in answer.replies]


def lines(found: Iterable[Line]) -> list[dict[str, str]]:
    return [line.to_json() for line in found]


def trace_of(answer: Answer) -> dict[str, Any]:
    state = answer.state
    return {
        "verdict": answer.verdict.to_json(),
        "state": {"name": state.name, "types": list(state.types), "level": state.level.label},
    }


def _message(reply: Reply, traced: Answer | None) -> dict[str, Any]:
    message: dict[str, Any] = {
        "kind": reply.kind,
        "text": reply.text,
        "choices": [{"id": choice.id, "label": choice.label} for choice in reply.choices],
        "lines": lines(reply.lines),
        "step": dict(reply.step) if reply.step is not None else None,
    }
    if traced is not None:
        message["trace"] = trace_of(traced)
    return message


# Text messages


def texts(answer: Answer, words: Words, whatsapp: bool = False) -> list[str]:
    """The answer as text messages, the first of which suffices where there is danger."""
    if len(answer.replies) == 1 and answer.replies[0].kind in guard.DANGER:
        return [_clean(answer.replies[0].text)]  # short, whole, alone
    blocks: list[str] = []
    for reply in answer.replies:
        text = _clean(reply.text)
        if reply.lines and not guard.names_lines(text):
            text += "\n" + words.text("reach.calm", answer.language, "sms")
        blocks += text.split("\n")
        if menu := _menu(reply, answer.options):
            blocks.append(menu)
    if not whatsapp:
        blocks = [gsm7(block) for block in blocks]
    pieces = _pack(blocks, _fits_whatsapp if whatsapp else _fits)
    if len(pieces) > 1:
        if any(reply.kind in guard.WITH_LINES for reply in answer.replies) and not guard.names_lines(
            pieces[0]
        ):
            # The order in which a phone gets them is nobody's to promise: each must be enough.
            pieces.insert(0, words.text("reach.calm", answer.language, "sms"))
        pieces = [f"({number}/{len(pieces)}) {piece}" for number, piece in enumerate(pieces, 1)]
    return pieces


def twiml(bodies: Sequence[str]) -> bytes:
    response = ElementTree.Element("Response")
    for body in bodies:
        ElementTree.SubElement(response, "Message").text = _NOT_XML.sub("", body)
    declaration = b'<?xml version="1.0" encoding="UTF-8"?>'
    return declaration + ElementTree.tostring(response, encoding="unicode").encode()


def _menu(reply: Reply, options: Sequence[str]) -> str:
    """The choices with their numbers; where a number is itself an answer, their labels alone."""
    numbered = [
        f"{options.index(choice.id) + 1} {choice.label}" for choice in reply.choices if choice.id in options
    ]
    if numbered:
        return "\n".join(numbered)
    return " / ".join(choice.label for choice in reply.choices if not choice.label.strip().isdigit())


def _clean(text: str) -> str:
    for pattern, kept in _MARKUP:
        text = pattern.sub(kept, text)
    return "\n".join(line.strip() for line in text.split("\n") if line.strip())


def _fits(text: str) -> bool:
    return segments("x" * ROOM_TO_COUNT + text) <= SEGMENTS


def _fits_whatsapp(text: str) -> bool:
    return ROOM_TO_COUNT + len(text) <= LETTERS


def _pack(blocks: Sequence[str], fits: Callable[[str], bool]) -> list[str]:
    """As few messages as hold all blocks in order, cut between blocks, then sentences, then words."""
    pieces: list[str] = []
    for block in blocks:
        whole = f"{pieces[-1]}\n{block}" if pieces else block
        if fits(whole):
            pieces[-1:] = [whole]
            continue
        for part in _parts(block, fits):
            joined = f"{pieces[-1]}\n{part}" if pieces and part == block else ""
            if joined and fits(joined):
                pieces[-1] = joined
            else:
                pieces.append(part)
    return pieces[:PIECES]


def _parts(block: str, fits: Callable[[str], bool]) -> list[str]:
    if fits(block):
        return [block]
    for between in (r"(?<=\n)", r"(?<=[.!?…])\s+", r"\s+", r""):
        units = [unit for unit in re.split(between, block) if unit] if between else list(block)
        if len(units) > 1 and all(fits(unit) for unit in units):
            glue = " " if between.endswith(r"\s+") else ""
            parts = [units[0]]
            for unit in units[1:]:
                longer = parts[-1] + glue + unit
                if fits(longer):
                    parts[-1] = longer
                else:
                    parts.append(unit)
            return [part.strip() for part in parts]
    return [block]

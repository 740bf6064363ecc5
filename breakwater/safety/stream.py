"""`breakwater screen` and `breakwater explain`: JSON lines in and out, and a verdict told to a person.

Each line is answered as it comes and forgotten; nothing a person wrote is ever printed by `run_screen`.
"""

from __future__ import annotations

import json
from typing import Any, BinaryIO, TextIO

from breakwater.safety.rulebook import RuleBook
from breakwater.safety.screen import screen
from breakwater.safety.verdict import Context, Level, Verdict

_SURROGATES = dict.fromkeys(range(55296, 57344), "�")


class _BadLine(ValueError):
    """A line that holds no message; says what is wrong and in which line, never what was written."""


def run_screen(stdin: BinaryIO, stdout: TextIO, book: RuleBook) -> int:
    """Answers every line of `stdin` on `stdout`, in order. 0, or 2 when a line could not be read."""
    status = 0
    for number, raw in enumerate(stdin, 1):
        line = raw.decode("utf-8", errors="replace").strip()
        if number == 1:
            line = line.lstrip("\ufeff")
        if not line:
            continue
        id_: Any = None
        try:
            data = _loads(line, number)
            id_ = _scalar(data.get("id"))
            text, context = _message(data, number)
        except _BadLine as problem:
            status = 2
            answer: dict[str, Any] = {"id": id_, "error": str(problem)}
        else:
            answer = {"id": id_, **screen(text, context, book).to_json()}
        stdout.write(json.dumps(answer, ensure_ascii=True) + "\n")
        stdout.flush()
    return status


def explain(text: str, book: RuleBook, context: Context = Context()) -> str:  # noqa: B008
    """The verdict on `text` for a person: level, each rule with its why, the words, what was held back."""
    verdict = screen(text, context, book)
    out = [_headline(verdict)]
    if verdict.spans:
        out += ["", "  " + marked(text, verdict)]
    for hit in verdict.hits:
        words = ", ".join(repr(text[start:end]) for start, end in hit.spans)
        out += ["", f"  {hit.rule}  ({hit.level.label}: {', '.join(hit.types)})", f"    why:   {hit.why}"]
        if words:
            out.append(f"    words: {words}")
    if verdict.held_back:
        reasons = {context_rule.id: context_rule.why for context_rule in book.contexts}
        out += ["", "  held back"]
        out += [f"    {held.rule} by {held.by}: {reasons.get(held.by, '')}" for held in verdict.held_back]
    out += ["", f"  rule book {verdict.rulebook}, source {verdict.source}"]
    return "\n".join(out)


def marked(text: str, verdict: Verdict) -> str:
    """The text with the words that rules matched between ⟦ and ⟧."""
    opens = [0] * (len(text) + 1)
    for start, end in verdict.spans:
        opens[start] += 1
        opens[end] -= 1
    out: list[str] = []
    depth = 0
    for at, change in enumerate(opens):
        if depth == 0 and depth + change > 0:
            out.append("⟦")
        elif depth > 0 and depth + change == 0:
            out.append("⟧")
        depth += change
        if at < len(text):
            out.append(text[at])
    return "".join(out)


def _headline(verdict: Verdict) -> str:
    if verdict.level == Level.NONE:
        return f"none ({verdict.language})"
    topics = f"; topics: {', '.join(verdict.topics)}" if verdict.topics else ""
    return f"{verdict.level.label}: {', '.join(verdict.types)} ({verdict.language}{topics})"


def _loads(line: str, number: int) -> dict[str, Any]:
    try:
        data = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        at = getattr(error, "pos", 0)
        raise _BadLine(f"line {number}: not readable as JSON at character {at + 1}") from None
    except ValueError:  # an integer of thousands of digits
        raise _BadLine(f"line {number}: a number in it is too long") from None
    if not isinstance(data, dict):
        raise _BadLine(f"line {number}: must be a JSON object with id and text")
    return data


def _scalar(value: Any) -> Any:
    return value if isinstance(value, (str, int, float, bool)) else None


def _message(data: dict[str, Any], number: int) -> tuple[str, Context]:
    text = data.get("text")
    if not isinstance(text, str):
        raise _BadLine(f"line {number}: text must be a string")
    given = data.get("context")
    if given is None:
        return text.translate(_SURROGATES), Context()
    if not isinstance(given, dict):
        raise _BadLine(f"line {number}: context must be an object")
    asked = given.get("asked")
    if asked is not None and not isinstance(asked, str):
        raise _BadLine(f"line {number}: context.asked must be a string or null")
    recent = given.get("recent") or []
    if not isinstance(recent, list) or not all(isinstance(item, str) for item in recent):
        raise _BadLine(f"line {number}: context.recent must be a list of strings")
    return text.translate(_SURROGATES), Context(asked, tuple(item.translate(_SURROGATES) for item in recent))

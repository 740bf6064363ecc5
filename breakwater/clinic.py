"""Reads and checks clinic.yml, and makes every sentence about who sees what from its values.

It never guesses: a value that is not understood stops the start, with its line and what to do.
Nothing in clinic.yml can take away 988, 741741 or 911.
"""

from __future__ import annotations

import difflib
import functools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from breakwater import paths

SCHEMA = paths.ROOT / "docs" / "clinic.schema.json"
LANGUAGES = ("en", "es")
SENTENCES = ("who_sees", "kept", "not_watched", "emergency")
ALWAYS_THERE = ("988", "741741", "911")

_REMOVAL = re.compile(r"remove|hide|disable|delete|without|except|exclude|drop|off\b|no_|not_", re.I)


@dataclass(frozen=True)
class Privacy:
    staff_read_transcripts: bool = False
    retention_hours: int = 24
    notify_on_call: bool = False
    clinical_owner: str | None = None
    response_policy: str | None = None


@dataclass(frozen=True)
class Sms:
    number: str | None = None


@dataclass(frozen=True)
class Clinic:
    """What clinic.yml says. `hours` and `appointment` hold one text for each language."""

    name: str
    phone: str | None = None
    hours: Mapping[str, str] | None = None
    appointment: Mapping[str, str] | None = None
    languages: tuple[str, ...] = LANGUAGES
    lines: tuple[Mapping[str, Any], ...] = ()
    privacy: Privacy = Privacy()
    embed_origins: tuple[str, ...] = ()
    sms: Sms = Sms()

    def sentences(self, texts: Path | None = None) -> dict[str, dict[str, str]]:
        """{"en": {"who_sees": …, "kept": …, "not_watched": …, "emergency": …}, "es": {…}}, all of
        them true of this clinic. ClinicError when safety/privacy.yml lacks one."""
        file = texts or paths.SAFETY / "privacy.yml"
        found = _privacy_texts(file)
        hours = self.privacy.retention_hours
        picked = {
            "who_sees": "staff_read" if self.privacy.staff_read_transcripts else "staff_do_not_read",
            "kept": "one_hour" if hours == 1 else "days" if _whole_days(hours) else "hours",
            "not_watched": "on_call_alert" if self.privacy.notify_on_call else "no_alert",
            "emergency": "always",
        }
        number = str(hours // 24 if _whole_days(hours) else hours)
        return {
            language: {
                key: found[key][variant][language].replace("{name}", self.name).replace("{n}", number)
                for key, variant in picked.items()
            }
            for language in LANGUAGES
        }


@dataclass(frozen=True)
class Problem:
    """One mistake in a file: where it stands, what was expected, what was found, what to do."""

    file: str
    line: int
    key: str
    expected: str
    found: str
    todo: str

    def __str__(self) -> str:
        where = f"{self.file}, line {self.line}" + (f", {self.key}" if self.key else "")
        return f"{where}: expected {self.expected}, found {self.found}; {self.todo}"


class ClinicError(Exception):
    """clinic.yml, or the texts made from it, cannot be used. `problems` holds every mistake found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        more = len(self.problems) - 1
        super().__init__(str(self.problems[0]) + (f" (and {more} more like it)" if more else ""))


def load_clinic(path: Path = paths.CLINIC) -> Clinic:
    """The clinic that `path` describes. ClinicError names file, line and key."""
    document = _read(path)
    problems = [*_against_schema(document), *document.problems]
    if not problems:
        problems = list(_beyond_schema(document))
    if problems:
        raise ClinicError(problems)
    return _build(document.data)


def _build(data: Mapping[str, Any]) -> Clinic:
    return Clinic(
        name=data["name"].strip(),
        phone=data.get("phone"),
        hours=_frozen(data.get("hours")),
        appointment=_frozen(data.get("appointment")),
        languages=tuple(data.get("languages", LANGUAGES)),
        lines=tuple(_frozen(line) or {} for line in data.get("lines", ())),
        privacy=Privacy(**data.get("privacy", {})),
        embed_origins=tuple(data.get("embed_origins", ())),
        sms=Sms(**data.get("sms", {})),
    )


def _frozen(value: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    return None if value is None else MappingProxyType(dict(value))


def _whole_days(hours: int) -> bool:
    return hours >= 48 and hours % 24 == 0


# Reading: YAML nodes keep their lines, plain values do not.

Place = tuple[str | int, ...]


@dataclass(frozen=True)
class _Document:
    file: str
    data: Any
    lines: Mapping[Place, int]
    key_lines: Mapping[Place, int]
    problems: tuple[Problem, ...]

    def problem(self, place: Place, expected: str, found: str, todo: str, *, at_key: bool = False) -> Problem:
        lines = self.key_lines if at_key and place in self.key_lines else self.lines
        line = lines.get(place) or self.lines.get(place[:-1], 1)
        return Problem(self.file, line, _key(place), expected, found, todo)


def _read(path: Path) -> _Document:
    file = path.name
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        todo = "put it back, for instance with `git checkout clinic.yml`, or set BREAKWATER_CLINIC"
        raise ClinicError([Problem(file, 1, "", f"a file at {path}", "none", todo)]) from None
    except (OSError, UnicodeDecodeError) as error:
        todo = "make it a readable text file in UTF-8"
        raise ClinicError([Problem(file, 1, "", "a text file", type(error).__name__, todo)]) from None
    lines: dict[Place, int] = {}
    key_lines: dict[Place, int] = {}
    problems: list[Problem] = []
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        data = _value(loader, node, (), lines, key_lines, problems, file, ()) if node is not None else None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = str(getattr(error, "problem", None) or "something else")
        todo = "check indentation, colons and quotes there and on the line before"
        line = mark.line + 1 if mark else 1
        raise ClinicError([Problem(file, line, "", "YAML that can be read", what, todo)]) from None
    finally:
        loader.dispose()
    return _Document(file, data, lines, key_lines, tuple(problems))


def _value(
    loader: yaml.SafeLoader,
    node: yaml.Node,
    place: Place,
    lines: dict[Place, int],
    key_lines: dict[Place, int],
    problems: list[Problem],
    file: str,
    above: tuple[yaml.Node, ...],
) -> Any:
    """The plain value of a node; lines are noted, keys given twice are problems."""
    lines[place] = node.start_mark.line + 1
    if node in above:
        raise yaml.MarkedYAMLError(problem="an alias inside itself", problem_mark=node.start_mark)
    within = (*above, node)
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else "?"
            inner = (*place, key)
            if key in mapping:
                line = key_node.start_mark.line + 1
                first = f"the same key again (first on line {key_lines[inner]})"
                problems.append(Problem(file, line, _key(inner), "each key once", first, "keep one of them"))
                continue
            key_lines[inner] = key_node.start_mark.line + 1
            mapping[key] = _value(loader, value_node, inner, lines, key_lines, problems, file, within)
        return mapping
    if isinstance(node, yaml.SequenceNode):
        return [
            _value(loader, item, (*place, number), lines, key_lines, problems, file, within)
            for number, item in enumerate(node.value)
        ]
    return loader.construct_object(node)


def _key(place: Place) -> str:
    """("lines", 0, "call") → lines[0].call"""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


# Checking


@functools.lru_cache(maxsize=1)
def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return schema


def _against_schema(document: _Document) -> Iterator[Problem]:
    import jsonschema

    validator = jsonschema.Draft7Validator(_schema())
    for error in validator.iter_errors(document.data):
        yield from _said_plainly(document, error)


def _said_plainly(document: _Document, error: Any) -> Iterator[Problem]:
    place: Place = tuple(error.absolute_path)
    if error.validator == "anyOf" and isinstance(error.instance, dict):
        deeper = [
            inner for inner in error.context if inner.validator in ("additionalProperties", "minProperties")
        ]
        deeper += [inner for inner in error.context if len(inner.path) > 0]
        if deeper:
            for inner in deeper:
                yield from _said_plainly(document, inner)
            return
    expected = str(error.schema.get("description", error.schema.get("title", "something else")))
    if error.validator == "additionalProperties":
        known = list(error.schema["properties"])
        for key in [key for key in error.instance if key not in known]:
            yield _unknown_key(document, (*place, key), known, error.instance[key])
    elif error.validator == "required":
        for key in error.validator_value:
            if key not in error.instance:
                todo = f"add a line `{key}: …`" if place == () else f"add `{key}: …` here"
                what = _properties(error.schema)[key].get("description", "a value")
                yield document.problem((*place, key), str(what), "nothing", todo)
    else:
        yield document.problem(place, expected, _described(error.instance), _what_to_do(error))


def _properties(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = schema.get("properties", {})
    return found


def _unknown_key(document: _Document, place: Place, known: Sequence[str], value: Any) -> Problem:
    key = str(place[-1])
    if any(number in f"{key} {value}" for number in ALWAYS_THERE) or _REMOVAL.search(key):
        expected = "only lines to add"
        todo = "988, 741741 and 911 are always shown and cannot be taken out; remove this key"
        return document.problem(place, expected, f"the unknown key {key!r}", todo, at_key=True)
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    todo = f"did you mean {close[0]!r}?" if close else "remove it or correct it"
    return document.problem(
        place, "one of " + ", ".join(known), f"the unknown key {key!r}", todo, at_key=True
    )


def _described(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"{str(value).lower()} (true or false)"
    if isinstance(value, (int, float)):
        return f"{value} (a number)"
    if isinstance(value, str):
        shown = value if len(value) <= 60 else value[:57] + "…"
        return f'the text "{shown}"' if value else "an empty text"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return "several keys (" + ", ".join(list(map(str, value))[:4]) + ")"
    return f"a {type(value).__name__}"


def _what_to_do(error: Any) -> str:
    value = error.instance
    if isinstance(value, (int, float)) and not isinstance(value, bool) and _accepts_text(error.schema):
        return "put it in quotes"
    if error.validator == "uniqueItems":
        return "remove the second of the same"
    if error.validator == "pattern" and "origin" in _key(tuple(error.absolute_path)):
        return "write the scheme and host alone: no path, no final slash, no *"
    if error.validator == "type" and error.validator_value == "boolean" and isinstance(value, str):
        return "write true or false without quotes"
    return "correct it"


def _accepts_text(schema: Mapping[str, Any]) -> bool:
    if schema.get("type") == "string" or "$ref" in schema:
        return True
    return any(_accepts_text(branch) for branch in schema.get("anyOf", ()))


def _beyond_schema(document: _Document) -> Iterator[Problem]:
    """What a schema cannot say: texts for every language, line numbers, who answers for alerts."""
    data = document.data
    languages = data.get("languages", LANGUAGES)
    for key in ("hours", "appointment"):
        yield from _every_language(document, (key,), data.get(key), languages)
    if data.get("phone") and not 7 <= len(_digits(data["phone"])) <= 15:
        found = _described(data["phone"])
        yield document.problem(("phone",), "7 to 15 digits", found, "write the whole number, or null")
    seen: set[str] = set()
    for number, line in enumerate(data.get("lines", ())):
        yield from _line(document, ("lines", number), line, languages, seen)
    privacy = data.get("privacy", {})
    for key in ("clinical_owner", "response_policy"):
        if privacy.get("notify_on_call") and not privacy.get(key):
            what = _properties(_properties(_schema())["privacy"])[key]["description"]
            todo = f"add privacy.{key}, or set notify_on_call to false"
            yield document.problem(("privacy", "notify_on_call"), f"privacy.{key}, {what}", "nothing", todo)


def _every_language(
    document: _Document, place: Place, texts: object, languages: Sequence[str]
) -> Iterator[Problem]:
    if isinstance(texts, dict):
        for language in languages:
            if language not in texts:
                todo = f"add `{language}: …`, or take {language} out of languages"
                yield document.problem((*place, language), "text for each of languages", "nothing", todo)


def _line(
    document: _Document, place: Place, line: Mapping[str, Any], languages: Sequence[str], seen: set[str]
) -> Iterator[Problem]:
    yield from _every_language(document, (*place, "label"), line["label"], languages)
    if line["id"] in seen:
        found = f"{line['id']!r} a second time"
        yield document.problem((*place, "id"), "an id of its own for each line", found, "rename one")
    seen.add(line["id"])
    if not line.get("call") and not line.get("text"):
        todo = 'add `call: "…"` or `text: "…"`: people in need must be able to reach it'
        yield document.problem(place, "a line with a number to call or to text", "none", todo)
    for key in ("call", "text"):
        if key not in line:
            continue
        digits = _digits(line[key])
        if digits in ALWAYS_THERE:
            todo = f"remove this line: {digits} is always shown, and cannot be changed here"
            yield document.problem((*place, key), "a number of the clinic's own", digits, todo)
        elif not 3 <= len(digits) <= 15:
            found = _described(line[key])
            yield document.problem((*place, key), "3 to 15 digits", found, "write the whole number")
    if line.get("body") and not line.get("text"):
        todo = 'add `text: "…"`, or remove body'
        yield document.problem((*place, "body"), "a number to text this word to", "none", todo)


def _digits(number: str) -> str:
    return re.sub(r"[^0-9]", "", number)


# Sentences


def _within(data: Any, *keys: str) -> Any:
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data


@functools.lru_cache(maxsize=4)
def _privacy_texts(file: Path) -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    """The checked texts of safety/privacy.yml: key → variant → language → sentence."""
    wanted = {
        "who_sees": ("staff_do_not_read", "staff_read"),
        "kept": ("one_hour", "hours", "days"),
        "not_watched": ("no_alert", "on_call_alert"),
        "emergency": ("always",),
    }
    document = _read(file)
    data = document.data if isinstance(document.data, dict) else {}
    problems = list(document.problems)
    for key, variants in wanted.items():
        for variant in variants:
            for language in LANGUAGES:
                text = _within(data, key, variant, language)
                place: Place = (key, variant, language)
                if not isinstance(text, str) or not text.strip():
                    problems.append(document.problem(place, "a sentence", _described(text), "write it"))
                elif key == "emergency" and not all(number in text for number in ALWAYS_THERE):
                    expected = "a sentence that names 911, 988 and 741741"
                    problems.append(document.problem(place, expected, _described(text), "put them back"))
    if problems:
        raise ClinicError(problems)
    return {
        key: {
            variant: {language: " ".join(data[key][variant][language].split()) for language in LANGUAGES}
            for variant in variants
        }
        for key, variants in wanted.items()
    }

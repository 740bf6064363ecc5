"""Reads the rule book that clinicians write (YAML under safety/rules/) and compiles it.

Whatever is wrong stops here, with file, line, rule and what to do; a rule book that loads can be used
for any text. It must never guess what an unreadable rule meant.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from breakwater import paths
from breakwater.safety.match import Automaton, PatternError, Sequence_, WordClass, parse, words_of
from breakwater.safety.normalise import Lexicon, plain_words, spelling_index
from breakwater.safety.verdict import TOPICS, TYPES, Level

EFFECTS = ("drop", "lower", "raise", "third_party")
PLACES = ("before", "after", "around", "inside", "sentence", "message")
ASKED = (
    "suicide", "self_harm", "safe_now", "abuse", "psychosis", "relapse", "eating", "postpartum",
    "intrusive", "violence", "other",
)  # fmt: skip
_BUILT_IN = {"number": WordClass(frozenset()), "year": WordClass(frozenset())}


class RuleBookError(Exception):
    """Something in the rule book cannot be used; says where it stands and what to do."""

    def __init__(self, file: str, line: int | None, rule: str | None, problem: str) -> None:
        self.file, self.line, self.rule, self.problem = file, line, rule, problem
        where = file + (f", line {line}" if line else "") + (f", {rule}" if rule else "")
        super().__init__(f"{where}: {problem}")


@dataclass(frozen=True)
class Rule:
    """One family of language: what it means when it is found."""

    id: str
    level: Level
    types: tuple[str, ...]
    topics: tuple[str, ...]
    kind: str
    why: str
    source: str
    since: str
    asked: tuple[str, ...]
    match: tuple[str, ...]
    no_match: tuple[str, ...]
    patterns: tuple[str, ...]
    with_: bool
    unless: bool
    file: str
    line: int

    @property
    def language(self) -> str:
        """en or es: an id begins with it."""
        return self.id.split(".")[0]


@dataclass(frozen=True)
class ContextRule:
    """What stands around a match and lowers, drops, raises or turns it."""

    id: str
    effect: str
    where: str
    within: int
    why: str
    not_across: frozenset[str]
    comma_stops: bool
    kinds: frozenset[str]
    not_kinds: frozenset[str]
    types: frozenset[str]
    levels: frozenset[Level]
    with_: bool
    unless: bool
    shields: bool
    file: str
    line: int

    @property
    def language(self) -> str:
        """en or es when its words can only weigh rules of that language (ctx.en.…), else nothing."""
        part = self.id.split(".")[1] if "." in self.id else ""
        return part if part in ("en", "es") else ""


@dataclass(frozen=True)
class Owner:
    """Whose pattern it is: rule or context rule by index, and which part of it."""

    context: bool
    index: int
    part: str  # patterns, with, unless, shields


@dataclass(frozen=True)
class RuleBook:
    rules: tuple[Rule, ...] = field(repr=False)
    contexts: tuple[ContextRule, ...] = field(repr=False)
    lexicon: Lexicon = field(repr=False)
    automaton: Automaton = field(repr=False)
    owners: tuple[Owner, ...] = field(repr=False)
    version: str = ""

    def rule(self, id_: str) -> Rule:
        """The rule of that id; KeyError when there is none."""
        for rule in self.rules:
            if rule.id == id_:
                return rule
        raise KeyError(id_)


def load_rulebook(folder: Path = paths.SAFETY / "rules") -> RuleBook:
    """Every YAML file under `folder`, checked and compiled. RuleBookError for whatever is wrong."""
    return _Loader(folder).load()


@lru_cache(maxsize=1)
def default_rulebook() -> RuleBook:
    """The installation's own rule book, loaded once."""
    return load_rulebook()


class _LineLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    pass


def _mapping(loader: Any, node: Any) -> dict[Any, Any]:
    out: dict[Any, Any] = {}
    loader.flatten_mapping(node)
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in out:
            raise yaml.constructor.ConstructorError(None, None, f"{key!r} stands twice", key_node.start_mark)
        out[key] = loader.construct_object(value_node, deep=True)
    out["__line__"] = node.start_mark.line + 1
    return out


_LineLoader.add_constructor("tag:yaml.org,2002:map", _mapping)
# Words such as yes, no, on stay words; numbers stay as written.
_LineLoader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag == "tag:yaml.org,2002:null"]
    for first, resolvers in _LineLoader.yaml_implicit_resolvers.items()
}

_RULE_KEYS = {
    "id", "level", "types", "topics", "kind", "why", "source", "since", "asked", "patterns", "with",
    "unless", "match", "no_match", "false_alarms",
}  # fmt: skip
_CONTEXT_KEYS = {
    "id", "effect", "where", "within", "why", "cues", "shields", "with", "unless", "not_across",
    "comma_stops", "kinds", "not_kinds", "types", "levels",
}  # fmt: skip


class _Loader:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: list[tuple[str, dict[str, Any]]] = []
        self.lexicon = Lexicon()
        self.classes: dict[str, WordClass] = dict(_BUILT_IN)
        self.names: set[str] = set(_BUILT_IN)
        self.sequences: list[Sequence_] = []
        self.owners: list[Owner] = []
        self.keys: set[str] = set()
        self.ids: dict[str, str] = {}

    def load(self) -> RuleBook:
        version = self.read_files()
        lexicon = self.read_lexicon()
        self.read_classes()
        rules = tuple(self.read_rules())
        contexts = tuple(self.read_contexts())
        if not rules:
            raise RuleBookError(
                str(self.folder), None, None, "no rule stands here; add files with screen_rules:"
            )
        known: set[str] = set()
        for sequence in self.sequences:
            known |= words_of(sequence)
        for cls in self.classes.values():
            known |= cls.words
            for phrase in cls.phrases:
                known |= words_of(phrase)
        keys = frozenset(self.keys)
        lexicon = Lexicon(
            expand=lexicon.expand,
            also=lexicon.also,
            emoji=lexicon.emoji,
            plain=lexicon.plain,
            known=frozenset(known),
            keys=keys,
            english=lexicon.english,
            spanish=lexicon.spanish,
            deletes=spelling_index(key for key in keys if key.isalpha()),
            fold=lexicon.fold,
        )
        automaton = Automaton(self.sequences, self.classes)
        return RuleBook(rules, contexts, lexicon, automaton, tuple(self.owners), version)

    def read_files(self) -> str:
        if not self.folder.is_dir():
            raise RuleBookError(
                str(self.folder), None, None, "the folder of the rule book is missing; restore it"
            )
        digest = hashlib.sha256()
        for path in sorted(self.folder.rglob("*.yml")):
            name = path.relative_to(self.folder).as_posix()
            try:
                raw = path.read_bytes()
                data = yaml.load(raw, Loader=_LineLoader)
            except OSError as error:
                raise RuleBookError(
                    name, None, None, f"cannot be read ({error.strerror}); check its rights"
                ) from None
            except yaml.YAMLError as error:
                mark = getattr(error, "problem_mark", None)
                problem = getattr(error, "problem", None) or "unreadable"
                raise RuleBookError(
                    name,
                    mark.line + 1 if mark else None,
                    None,
                    f"not readable as YAML ({problem}); mend this line",
                ) from None
            if data is None:
                continue
            if not isinstance(data, dict):
                raise RuleBookError(name, 1, None, "must hold lexicon:, classes:, screen_rules: or contexts:")
            for key in data:
                if key not in ("lexicon", "classes", "screen_rules", "contexts", "__line__"):
                    raise RuleBookError(
                        name, data["__line__"], None,
                        f"unknown key {key!r}; lexicon, classes, screen_rules and contexts are known",
                    )  # fmt: skip
            digest.update(name.encode() + b"\0" + raw + b"\0")
            self.files.append((name, data))
        return digest.hexdigest()[:12]

    def read_lexicon(self) -> Lexicon:
        expand: dict[str, tuple[str, ...]] = {}
        also: dict[str, tuple[str, ...]] = {}
        emoji: dict[str, str] = {}
        plain: set[str] = set()
        english: set[str] = set()
        spanish: set[str] = set()
        for name, data in self.files:
            part = data.get("lexicon")
            if part is None:
                continue
            for key, value in part.items():
                line = part["__line__"]
                if key == "expand":
                    expand.update({str(k): tuple(str(v).split()) for k, v in _items(value, name, line, key)})
                elif key == "also":
                    for k, v in _items(value, name, line, key):
                        parts = [str(item) for item in v] if isinstance(v, list) else str(v).split()
                        also[str(k)] = tuple(parts)
                elif key == "emoji":
                    emoji.update({str(k): str(v) for k, v in _items(value, name, line, key)})
                elif key in ("plain", "english", "spanish"):
                    target = {"plain": plain, "english": english, "spanish": spanish}[key]
                    target.update(str(value).split())
                elif key != "__line__":
                    raise RuleBookError(
                        name, line, None,
                        f"unknown key {key!r} in lexicon; expand, also, emoji, plain, english, spanish exist",
                    )  # fmt: skip
        self.lexicon = Lexicon(
            expand=expand,
            also=also,
            emoji=emoji,
            plain=frozenset(plain | english | spanish),
            english=frozenset(english),
            spanish=frozenset(spanish),
        )
        return self.lexicon

    def expand(self, text: str) -> tuple[str, ...]:
        return plain_words(text, self.lexicon)

    def read_classes(self) -> None:
        raw: dict[str, tuple[str, int, list[str]]] = {}
        for file, data in self.files:
            part = data.get("classes") or {}
            if not isinstance(part, dict):
                raise RuleBookError(file, None, None, "classes: must name each class with its words")
            for name, value in part.items():
                if name == "__line__":
                    continue
                line = part["__line__"]
                if isinstance(value, dict):
                    line = value["__line__"]
                    unknown = set(value) - {"words", "phrases", "key", "__line__"}
                    if unknown:
                        raise RuleBookError(
                            file,
                            line,
                            f"class {name}",
                            f"unknown key {sorted(unknown)[0]!r}; words, phrases, key",
                        )
                    items = str(value.get("words") or "").split() + _texts(value.get("phrases"))
                    if str(value.get("key")) == "true":
                        self.keys.update(
                            word for item in items if " " not in item and "{" not in item
                            for word in self.expand(item)
                            if len(self.expand(item)) == 1
                        )  # fmt: skip
                elif isinstance(value, list):
                    items = _texts(value)
                else:
                    items = str(value or "").split()
                if not items:
                    raise RuleBookError(
                        file, line, f"class {name}", "it is empty; give it words or remove it"
                    )
                if name in raw or name in _BUILT_IN:
                    first = raw[name][0] if name in raw else "the engine"
                    problem = f"defined before in {first}; give one of the two another name"
                    raise RuleBookError(file, line, f"class {name}", problem)
                raw[str(name)] = (file, line, items)
        self.names |= set(raw)
        phrases: dict[str, tuple[Sequence_, ...]] = {}
        for name, (file, line, items) in raw.items():
            words: set[str] = set()
            found: list[Sequence_] = []
            for item in items:
                try:
                    for sequence in parse(item, self.expand, self.names):
                        if len(sequence) == 1 and sequence[0][0] == "w":
                            words.add(sequence[0][1])
                        else:
                            found.append(sequence)
                except PatternError as error:
                    raise RuleBookError(file, line, f"class {name}", f"in {item!r}: {error}") from None
            phrases[name] = tuple(found)
            self.classes[name] = WordClass(frozenset(words), tuple(found))
        for name, (file, line, _) in raw.items():
            _check_cycle(name, phrases, file, line)

    def read_rules(self) -> Iterator[Rule]:
        number = 0
        for file, data in self.files:
            for entry in self.entries(file, data, "screen_rules"):
                line = entry["__line__"]
                id_ = self.identity(entry, file)
                self.known_keys(entry, _RULE_KEYS, file, id_)
                types = _words(entry.get("types"))
                topics = _words(entry.get("topics"))
                asked = _words(entry.get("asked"))
                self.among(types, TYPES, "type", file, line, id_)
                self.among(topics, TOPICS, "topic", file, line, id_)
                self.among(asked, ASKED, "question in asked", file, line, id_)
                if not types:
                    raise RuleBookError(
                        file, line, id_, f"it names no types; one or more of {', '.join(TYPES)}"
                    )
                if {"ingestion", "wound"} & set(topics) and "medical" not in types:
                    types = (*types, "medical")
                for needed in ("why", "source", "since"):
                    if not str(entry.get(needed) or "").strip():
                        raise RuleBookError(file, line, id_, f"{needed}: is missing; write it in a sentence")
                match, no_match = _texts(entry.get("match")), _texts(entry.get("no_match"))
                if not match or not no_match:
                    raise RuleBookError(file, line, id_, "it needs examples under match: and under no_match:")
                if not self.compile(entry, "patterns", file, id_, Owner(False, number, "patterns")):
                    raise RuleBookError(file, line, id_, "patterns: is missing; write at least one")
                with_ = self.compile(entry, "with", file, id_, Owner(False, number, "with"))
                unless = self.compile(entry, "unless", file, id_, Owner(False, number, "unless"))
                yield Rule(
                    id=id_,
                    level=self.level(entry.get("level"), file, line, id_),
                    types=types,
                    topics=topics,
                    kind=str(entry.get("kind") or "other"),
                    why=str(entry["why"]).strip(),
                    source=str(entry["source"]).strip(),
                    since=str(entry["since"]),
                    asked=asked,
                    match=tuple(match),
                    no_match=tuple(no_match),
                    patterns=tuple(_texts(entry.get("patterns"))),
                    with_=with_,
                    unless=unless,
                    file=file,
                    line=line,
                )
                number += 1

    def read_contexts(self) -> Iterator[ContextRule]:
        number = 0
        for file, data in self.files:
            for entry in self.entries(file, data, "contexts"):
                line = entry["__line__"]
                id_ = self.identity(entry, file)
                self.known_keys(entry, _CONTEXT_KEYS, file, id_)
                effect, where = str(entry.get("effect")), str(entry.get("where"))
                self.among((effect,), EFFECTS, "effect", file, line, id_)
                self.among((where,), PLACES, "place in where", file, line, id_)
                if not str(entry.get("why") or "").strip():
                    raise RuleBookError(file, line, id_, "why: is missing; write it in a sentence")
                types = _words(entry.get("types"))
                self.among(types, TYPES, "type", file, line, id_)
                within = str(entry.get("within") or "0")
                if not within.isdigit() or (
                    where in ("before", "after", "around") and not 0 < int(within) <= 30
                ):
                    raise RuleBookError(
                        file, line, id_, f"within: {within!r} must be a number of words from 1 to 30"
                    )
                if not self.compile(entry, "cues", file, id_, Owner(True, number, "patterns")):
                    raise RuleBookError(file, line, id_, "cues: is missing; write at least one")
                yield ContextRule(
                    id=id_,
                    effect=effect,
                    where=where,
                    within=int(within),
                    why=str(entry["why"]).strip(),
                    not_across=frozenset(_words(entry.get("not_across"))),
                    comma_stops=str(entry.get("comma_stops") or "") == "true",
                    kinds=frozenset(_words(entry.get("kinds"))),
                    not_kinds=frozenset(_words(entry.get("not_kinds"))),
                    types=frozenset(types),
                    levels=frozenset(self.level(v, file, line, id_) for v in _words(entry.get("levels"))),
                    with_=self.compile(entry, "with", file, id_, Owner(True, number, "with")),
                    unless=self.compile(entry, "unless", file, id_, Owner(True, number, "unless")),
                    shields=self.compile(entry, "shields", file, id_, Owner(True, number, "shields")),
                    file=file,
                    line=line,
                )
                number += 1

    # small checks

    def entries(self, file: str, data: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
        entries = data.get(key) or []
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise RuleBookError(
                file, data["__line__"], None, f"{key}: must be a list of entries, each with an id"
            )
        return entries

    def identity(self, entry: Mapping[str, Any], file: str) -> str:
        id_ = str(entry.get("id") or "")
        if not id_:
            raise RuleBookError(file, entry["__line__"], None, "this entry has no id; give it one of its own")
        if id_ in self.ids:
            raise RuleBookError(
                file,
                entry["__line__"],
                id_,
                f"the id stands already in {self.ids[id_]}; ids are never used twice",
            )
        self.ids[id_] = f"{file}, line {entry['__line__']}"
        return id_

    def known_keys(self, entry: Mapping[str, Any], known: set[str], file: str, id_: str) -> None:
        for key in entry:
            if key not in known and key != "__line__":
                raise RuleBookError(
                    file, entry["__line__"], id_, f"unknown key {key!r}; known are {', '.join(sorted(known))}"
                )

    def among(
        self, values: Sequence[str], known: Sequence[str], what: str, file: str, line: int, id_: str
    ) -> None:
        for value in values:
            if value not in known:
                raise RuleBookError(
                    file, line, id_, f"unknown {what} {value!r}; known are {', '.join(known)}"
                )

    def level(self, value: Any, file: str, line: int, id_: str) -> Level:
        labels = [level.label for level in Level if level]
        self.among((str(value),), labels, "level", file, line, id_)
        return Level.of(str(value))

    def compile(self, entry: Mapping[str, Any], key: str, file: str, id_: str, owner: Owner) -> bool:
        texts = _texts(entry.get(key))
        for text in texts:
            try:
                found = parse(text, self.expand, self.names)
            except PatternError as error:
                raise RuleBookError(file, entry["__line__"], id_, f"in {key}, {text!r}: {error}") from None
            self.sequences.extend(found)
            self.owners.extend([owner] * len(found))
        return bool(texts)


def _items(value: Any, file: str, line: int, key: str) -> list[tuple[Any, Any]]:
    if not isinstance(value, dict):
        raise RuleBookError(file, line, None, f"{key}: must give a meaning for each word")
    return [(k, v) for k, v in value.items() if k != "__line__"]


def _texts(value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, list):
        return [str(item) for item in value]
    return [str(value)]


def _words(value: Any) -> tuple[str, ...]:
    if isinstance(value, list):
        return tuple(str(item) for item in value)
    return tuple(str(value or "").replace(",", " ").split())


def _check_cycle(name: str, phrases: Mapping[str, tuple[Sequence_, ...]], file: str, line: int) -> None:
    seen: set[str] = set()
    stack = [name]
    while stack:
        for phrase in phrases.get(stack.pop(), ()):
            for used in _classes_of(phrase):
                if used == name:
                    raise RuleBookError(
                        file, line, f"class {name}", "it holds itself; take it out of its own phrases"
                    )
                if used not in seen:
                    seen.add(used)
                    stack.append(used)


def _classes_of(sequence: Sequence_) -> set[str]:
    out: set[str] = set()
    for element in sequence:
        if element[0] == "c":
            out.add(element[1])
        elif element[0] in ("opt", "not"):
            out |= _classes_of((element[1],))
        elif element[0] == "alt":
            for seq in element[1]:
                out |= _classes_of(seq)
    return out

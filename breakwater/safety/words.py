"""The safety words: loads every sentence, line and typed answer from YAML and checks them at start.

It never decides anything (the protocol does), never makes up wording, and never lets a clinic take
988 or 741741 out. A fault in a file stops the start with the file, the line and the key.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from breakwater import paths
from breakwater.safety.verdict import TOPICS, TYPES, Level

LANGUAGES = ("en", "es")
CHANNELS = ("web", "sms")

# Read by nobody unless every file has failed: it needs no file, and fits one text message of two segments.
LAST_RESORT = (
    "In danger now? Call 911. Call or text 988, or text HOME to 741741, any time. "
    "Si hay peligro ahora, llama al 911. Llama al 988 y oprime 2, o manda AYUDA al 741741, a toda hora."
)

# libyaml's loader reads the same and is ten times as fast, where it was built in.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# GSM 03.38; letters outside it turn the whole text into UCS-2 with half the room.
_GSM7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM7_TWO = frozenset("\f^{}\\[~]|€")
_PLAIN = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "...", "`": "'"})


class WordsError(ValueError):
    """A safety file that cannot be used: where, which key, and what was expected."""

    def __init__(self, file: str, line: int, key: str, expected: str) -> None:
        super().__init__(f"safety/{file}:{line}: {key}: {expected}")
        self.file, self.line, self.key, self.expected = file, line, key, expected


# ---------------------------------------------------------------------------------------------------------
# Text messages


def septets(text: str) -> int | None:
    """How many GSM-7 septets `text` takes, or None when a letter forces UCS-2."""
    total = 0
    for letter in text:
        if letter in _GSM7:
            total += 1
        elif letter in _GSM7_TWO:
            total += 2
        else:
            return None
    return total


def segments(text: str) -> int:
    """How many segments a phone company makes of `text` (3GPP TS 23.040): 160/153 septets, or 70/67 units."""
    if not text:
        return 0
    if (count := septets(text)) is not None:
        return 1 if count <= 160 else _packed(text, 153, lambda letter: 2 if letter in _GSM7_TWO else 1)
    units = len(text.encode("utf-16-le", "surrogatepass")) // 2
    return 1 if units <= 70 else _packed(text, 67, lambda letter: 2 if ord(letter) > 0xFFFF else 1)


def _packed(text: str, room: int, size: Any) -> int:
    """Segments when no letter of two places may be cut in two."""
    count, used = 1, 0
    for letter in text:
        if used + size(letter) > room:
            count, used = count + 1, 0
        used += size(letter)
    return count


def gsm7(text: str) -> str:
    """`text` with every letter that GSM-7 lacks written plainly (á → a); what has no plain letter is left."""
    out = []
    for letter in text.translate(_PLAIN):
        if letter in _GSM7 or letter in _GSM7_TWO:
            out.append(letter)
            continue
        plain = "".join(c for c in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(c))
        out.append(plain if septets(plain) is not None else letter)
    return "".join(out)


# ---------------------------------------------------------------------------------------------------------
# Lines


@dataclass(frozen=True)
class Line:
    """One line as a person sees it, in one language."""

    id: str
    label: str
    call: str | None = None
    text: str | None = None
    body: str | None = None
    url: str | None = None

    def to_json(self) -> dict[str, str]:
        return {key: value for key, value in dataclasses.asdict(self).items() if value is not None}


@dataclass(frozen=True)
class LineRecord:
    """One line as the file holds it; `shown_for` are types, topics, or "always"."""

    id: str
    label: Mapping[str, str]
    call: str | None
    text: str | None
    body: Mapping[str, str]
    url: str | None
    kind: str
    hours: str
    shown_for: tuple[str, ...]
    source: str
    read: str | None  # the month in which the source was read; None = not verified

    def line(self, language: str) -> Line:
        return Line(self.id, self.label[language], self.call, self.text, self.body.get(language), self.url)


LINE_KINDS = ("crisis", "emergency", "medical", "support", "referral", "clinic")
EMERGENCY, LIFELINE, TEXT_LINE, POISON = "emergency_911", "lifeline_988", "crisis_text_line", "poison_control"
REQUIRED_LINES = {EMERGENCY: "911", LIFELINE: "988", TEXT_LINE: "741741", POISON: "1-800-222-1222"}


# ---------------------------------------------------------------------------------------------------------
# What people answer


@dataclass(frozen=True)
class Answers:
    """Whole short answers by class, compared after `normalise`; politeness around them is allowed."""

    phrases: Mapping[str, frozenset[str]]
    around: Mapping[str, frozenset[str]]
    negations: frozenset[str]
    numbers: Mapping[str, int]
    number_around: frozenset[str]

    def classes(self, text: str) -> frozenset[str]:
        """The classes whose whole answer `text` is; empty for anything longer than a short answer."""
        found: set[str] = set()
        for form in _forms(text):
            cores: dict[frozenset[str], frozenset[str]] = {}  # classes share what may stand around
            for name, around in self.around.items():
                if around not in cores:
                    cores[around] = frozenset(_cores(form, around))
                if not cores[around].isdisjoint(self.phrases[name]):
                    found.add(name)
        return frozenset(found)

    def number(self, text: str) -> int | None:
        """1 for "1", "one", "the first", "opción 1"; None when `text` is no plain number."""
        for form in _forms(text):
            for core in _cores(form, self.number_around):
                if core in self.numbers:
                    return self.numbers[core]
        return None

    def hedged_no(self, text: str) -> bool:
        """A "no" that goes on ("no but sometimes"): neither a plain no nor another subject."""
        words = normalise(text[:400]).split()
        if (
            len(words) > 1
            and words[0] in self.negations
            and not self._is("no", " ".join(words[:_ANSWER_WORDS]))
        ):
            return not self.phrases["but"].isdisjoint(words[1:]) or self._is("hedge", " ".join(words))
        return any(self._is("hedge", form) for form in _forms(text))

    def _is(self, name: str, form: str) -> bool:
        return any(core in self.phrases[name] for core in _cores(form, self.around[name]))


def normalise(text: str) -> str:
    """Lower case, no accents, no apostrophes, other marks as spaces: "I'm SAFE!" → "im safe"."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    plain = re.sub(r"['’‘`´]", "", plain)
    kept = (c if c.isalnum() else " " for c in plain if not unicodedata.combining(c) and c.isprintable())
    return " ".join("".join(kept).split())


_ANSWER_WORDS = 16  # a message of more words is no short answer


def _forms(text: str, limit: int = 120) -> Iterator[str]:
    """The normal forms of a short answer, with drawn-out letters ("nooo") written once or twice."""
    if len(text) > limit:
        return
    form = normalise(text)
    if not form or form.count(" ") >= _ANSWER_WORDS:
        return
    yield form
    for times in (r"\1", r"\1\1"):
        shorter = re.sub(r"([a-z])\1{2,}", times, form)
        if shorter and shorter != form:
            yield shorter


def _cores(form: str, around: frozenset[str]) -> Iterator[str]:
    """`form` and what is left of it when phrases of `around` are taken off either end."""
    words = tuple(form.split())
    seen = {words}
    waiting = [words]
    while waiting:
        now = waiting.pop()
        yield " ".join(now)
        for size in range(1, min(len(now) - 1, 6) + 1):
            for cut, rest in ((now[:size], now[size:]), (now[-size:], now[:-size])):
                if rest not in seen and " ".join(cut) in around:
                    seen.add(rest)
                    waiting.append(rest)


# ---------------------------------------------------------------------------------------------------------
# The words


@dataclass(frozen=True)
class Spec:
    """What one key of words.yml must hold: at least `variants` wordings for each of `channels`."""

    variants: int = 1
    channels: tuple[str, ...] = CHANNELS
    septets: int = 306  # room in one text message, for each wording by SMS


_WEB = ("web",)
CHECKINS = (
    "suicide", "self_harm", "abuse", "violence", "psychosis", "postpartum",
    "intrusive", "eating", "relapse", "medical", "third_party", "other",
)  # fmt: skip
HOLDS = ("suicide", "self_harm", "abuse", "violence", "third_party", "emergency", "other")
STEPS = (*HOLDS, "medical")
LEADS = ("self", "third_party", "abuse", "violence", "psychosis", "baby")
LEAVES = ("safe_now", "reached", "care", "with_someone", "safe_place", "go")
SKILLS = {"delay": 3, "breathe": 3, "ground": 3}  # how many steps each has
CHOICES = (
    "yes", "no", "hurt", "die", "dying", "skip", "safe", "unsafe", "unsure", "might", "images", "body", "me",
    "no_call", "friend", "skills", "delay", "breathe", "ground", "next", "confirm_yes", "confirm_no",
    *(f"leave_{kind}" for kind in LEAVES),
)  # fmt: skip
ERRORS = ("400", "403", "404", "409", "413", "429", "500", "503")
CLINIC_KEYS = ("who_sees", "kept", "not_watched", "emergency")

# The parts of a crisis text by SMS: opening 112 + medical 100 + reach 92 + two line breaks = 306 septets.
SCHEMA: dict[str, Spec] = {
    "clinic.name": Spec(),
    "clinic.reach": Spec(),
    "clinic.reach_by_phone": Spec(),
    **{f"clinic.{key}": Spec() for key in CLINIC_KEYS},
    "welcome": Spec(septets=459),
    "return": Spec(2),
    "failsafe": Spec(),
    "superseded": Spec(2, septets=212),
    "notice.media": Spec(),
    "notice.empty": Spec(),
    **{f"error.{code}": Spec() for code in ERRORS},
    "reach.calm": Spec(3, septets=92),
    "reach.abuse": Spec(3, septets=92),
    "reach.now": Spec(3, septets=92),
    "reach.now_abuse": Spec(3, septets=92),
    "reach.texting": Spec(channels=_WEB),
    **{f"crisis.opening.{kind}": Spec(3, septets=112) for kind in TYPES},
    **{f"crisis.also.{kind}": Spec(channels=_WEB) for kind in TYPES if kind not in ("medical", "other")},
    **{f"crisis.then.{kind}": Spec(channels=_WEB) for kind in HOLDS},
    "crisis.third_party.opening": Spec(3, septets=112),
    "crisis.third_party.discreet": Spec(3, septets=112),
    **{f"crisis.third_party.about.{kind}": Spec(channels=_WEB) for kind in TYPES},
    **{f"crisis.medical.{kind}": Spec(septets=100) for kind in ("ingestion", "wound", "other")},
    **{f"emergency.lead.{kind}": Spec(3, septets=112) for kind in LEADS},
    **{f"emergency.stay.{kind}": Spec(channels=_WEB) for kind in LEADS},
    **{f"checkin.opening.{topic}": Spec(3, septets=130) for topic in CHECKINS},
    **{f"checkin.question.{topic}": Spec(septets=80) for topic in CHECKINS},
    "checkin.again": Spec(3, septets=130),
    "checkin.no": Spec(3, septets=212),
    "checkin.no_images": Spec(2, septets=212),
    "checkin.skip": Spec(3, septets=212),
    "checkin.another": Spec(3, septets=212),
    **{f"choice.{name}": Spec() for name in CHOICES},
    "hold.opening": Spec(7, septets=90),
    "hold.unreadable": Spec(3, septets=90),
    **{f"hold.steps.{kind}": Spec(2, septets=120) for kind in STEPS},
    "hold.keyword": Spec(2, septets=212),
    "hold.no_call": Spec(2, septets=212),
    "hold.friend.self": Spec(2, septets=212),
    "hold.friend.third_party": Spec(2, septets=212),
    "hold.friend.abuse": Spec(2, septets=212),
    "hold.police": Spec(2, septets=212),
    "hold.program": Spec(2, septets=212),
    "hold.misread": Spec(2, septets=212),
    "hold.bye": Spec(2, septets=212),
    **{f"leave.ask.{kind}": Spec(2, septets=212) for kind in LEAVES},
    **{f"leave.done.{kind}": Spec(septets=212) for kind in LEAVES},
    "leave.not_yet": Spec(3, septets=212),
    "self_harm.ask": Spec(2, septets=130),
    "self_harm.rather_not": Spec(2, septets=212),
    "self_harm.skills": Spec(2, septets=212),
    "self_harm.done": Spec(2, septets=212),
    **{f"skill.{name}.{n}": Spec(septets=212) for name, steps in SKILLS.items() for n in range(1, steps + 1)},
}
PLACEHOLDERS = ("clinic", "clinic_reach", *CLINIC_KEYS)

ANSWER_CLASSES = (
    "yes", "maybe", "hurt", "no", "skip", "idk", "hedge", "but", "unsafe", "keyword", "line_number", "next",
    "no_call", "friend", "police", "program", "misread", "bye", "skills", "not_yet",
    *(f"leave_{kind}" for kind in LEAVES),
)  # fmt: skip


@dataclass(frozen=True)
class Words:
    """Every safety sentence, line and typed answer, ready for one clinic."""

    texts: Mapping[tuple[str, str, str], tuple[str, ...]]  # (key, language, channel) → wordings
    records: tuple[LineRecord, ...]
    answers: Answers

    def variants(self, key: str, language: str, channel: str = "web") -> tuple[str, ...]:
        """Every wording of `key`; KeyError for a key that SCHEMA does not know."""
        return self.texts[key, language, channel]

    def text(self, key: str, language: str, channel: str = "web", turn: int = 0) -> str:
        """The wording of `key` for its `turn`-th use: they come in order, so no two in a row are the same."""
        wordings = self.variants(key, language, channel)
        return wordings[turn % len(wordings)]

    def label(self, choice: str, language: str, channel: str = "web") -> str:
        return self.text(f"choice.{choice}", language, channel)

    def error(self, code: int, language: str) -> str:
        """What a person reads with an error's status code; 500's words for a code that has none."""
        return self.text(f"error.{code if str(code) in ERRORS else 500}", language)

    def line(self, line_id: str, language: str) -> Line:
        return next(record.line(language) for record in self.records if record.id == line_id)

    def all_lines(self, language: str) -> tuple[Line, ...]:
        return tuple(record.line(language) for record in self.records)

    def lines_for(
        self,
        language: str,
        types: Iterable[str] = (),
        topics: Iterable[str] = (),
        level: Level = Level.CONCERN,
    ) -> tuple[Line, ...]:
        """The lines that fit, 911 first when it is urgent, treatment information last; never empty."""
        about = {"always", "clinic", *types, *topics}
        urgent = level >= Level.EMERGENCY or "medical" in about
        chosen = [record for record in self.records if about.intersection(record.shown_for)]
        chosen.sort(key=lambda record: _rank(record, urgent))
        return tuple(record.line(language) for record in chosen)

    def for_clinic(
        self,
        name: str,
        phone: str | None,
        extra_lines: Sequence[Mapping[str, Any]] = (),
        sentences: Mapping[str, Mapping[str, str]] | None = None,
    ) -> Words:
        """The same words with a clinic's name, phone, lines and who-sees-what sentences in them."""
        fill: dict[tuple[str, str], str] = {}
        for language in LANGUAGES:
            given = (sentences or {}).get(language, {})
            own = {key: given.get(key) or self._template(f"clinic.{key}", language) for key in CLINIC_KEYS}
            own["clinic"] = name or self._template("clinic.name", language)
            reach = self._template("clinic.reach_by_phone" if phone else "clinic.reach", language)
            own["clinic_reach"] = reach.replace("{clinic}", own["clinic"]).replace("{phone}", phone or "")
            # The sentences that clinic.yml leaves out name the clinic themselves.
            for key in CLINIC_KEYS:
                if not given.get(key):
                    own[key] = own[key].replace("{clinic}", own["clinic"])
            fill.update({(language, key): value for key, value in own.items()})
        known = {record.id for record in self.records}
        extra = [_clinic_line(line, index, known) for index, line in enumerate(extra_lines)]
        last = [record for record in self.records if record.kind == "referral"]
        first = [record for record in self.records if record.kind != "referral"]
        return dataclasses.replace(
            self,
            texts={
                (key, language, channel): tuple(_filled(text, language, channel, fill) for text in wordings)
                if not key.startswith("clinic.")
                else wordings
                for (key, language, channel), wordings in self.texts.items()
            },
            records=(*first, *extra, *last),
        )

    def _template(self, key: str, language: str) -> str:
        return self.texts[key, language, "web"][0]


def _rank(record: LineRecord, urgent: bool) -> int:
    order = (EMERGENCY, POISON, LIFELINE, TEXT_LINE) if urgent else (LIFELINE, TEXT_LINE, EMERGENCY, POISON)
    if record.id in order:
        return order.index(record.id)
    return {"crisis": 4, "clinic": 6, "referral": 7}.get(record.kind, 5)


def _filled(text: str, language: str, channel: str, fill: Mapping[tuple[str, str], str]) -> str:
    def value(match: re.Match[str]) -> str:
        found = fill[language, match[1]]
        return gsm7(found) if channel == "sms" else found

    return re.sub(r"\{(\w+)\}", value, text)


def _clinic_line(line: Mapping[str, Any], index: int, known: set[str]) -> LineRecord:
    """A clinic's own line; one with the id of ours is set beside ours and never takes its place."""
    label = line.get("label") or ""
    labels = {code: str(label.get(code) or next(iter(label.values()))) for code in LANGUAGES} \
        if isinstance(label, Mapping) and label else {code: str(label) for code in LANGUAGES}  # fmt: skip
    body = line.get("body")
    bodies = body if isinstance(body, Mapping) else {code: str(body) for code in LANGUAGES} if body else {}
    name = str(line.get("id") or f"clinic_{index + 1}")
    return LineRecord(
        id=name if name not in known else f"clinic_{name}",
        label=labels,
        call=str(line["call"]) if line.get("call") else None,
        text=str(line["text"]) if line.get("text") else None,
        body=dict(bodies),
        url=str(line["url"]) if line.get("url") else None,
        kind="clinic",
        hours="",
        shown_for=("clinic",),
        source="clinic.yml",
        read=None,
    )


def has_lines(text: str) -> bool:
    """988, 741741 and 911 all stand in `text`, each as a number of its own."""
    return all(re.search(rf"(?<!\d){number}(?!\d)", text) for number in ("988", "741741", "911"))


# ---------------------------------------------------------------------------------------------------------
# Loading


def load_words(folder: Path = paths.SAFETY) -> Words:
    """Reads words.yml, lines.yml and answers.yml; WordsError names the first fault."""
    records = _load_lines(_File.read(folder, "lines.yml"))
    numbers = {digits for r in records for n in (r.call, r.text) if n for digits in (_digits(n),)}
    texts = _load_texts(_File.read(folder, "words.yml"), numbers)
    words = Words(texts, records, _load_answers(_File.read(folder, "answers.yml")))
    return words


@functools.cache
def default_words() -> Words:
    """The words of the installation, for no clinic in particular; read once."""
    return load_words().for_clinic("", None)


@dataclass(frozen=True)
class _File:
    """One YAML file as plain strings, lists and dicts, with the line of every key."""

    name: str
    data: Any
    lines: Mapping[str, int]

    @classmethod
    def read(cls, folder: Path, name: str) -> _File:
        try:
            source = (folder / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise WordsError(
                name, 0, "-", f"a readable UTF-8 file is expected ({type(error).__name__})"
            ) from error
        try:
            node = yaml.compose(source, Loader=_LOADER)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            problem = getattr(error, "problem", None) or "not YAML"
            raise WordsError(
                name, mark.line + 1 if mark else 0, "-", f"YAML is expected: {problem}"
            ) from error
        lines: dict[str, int] = {}
        return cls(name, _plain(node, "", lines, name), lines)

    def fail(self, key: str, expected: str) -> WordsError:
        at = key
        while at and at not in self.lines:
            at = at.rpartition(".")[0]
        return WordsError(self.name, self.lines.get(at, 1), key or "-", expected)

    def mapping(self, value: Any, key: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.fail(key, "a mapping (key: value) is expected")
        return value

    def strings(self, value: Any, key: str) -> tuple[str, ...]:
        """One string or a list of them, none empty."""
        found = value if isinstance(value, list) else [value]
        if not found or not all(isinstance(item, str) and item.strip() for item in found):
            raise self.fail(key, "a sentence, or a list of sentences, none of them empty, is expected")
        return tuple(found)


def _plain(node: Any, key: str, lines: dict[str, int], name: str) -> Any:
    """Strings as they stand: `no` stays "no", 988 stays "988"."""
    if node is None:
        return {}
    lines.setdefault(key, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        out: dict[str, Any] = {}
        for key_node, value in node.value:
            path = f"{key}.{key_node.value}" if key else str(key_node.value)
            line = key_node.start_mark.line + 1
            if key_node.value in out:
                raise WordsError(name, line, path, "this key stands here twice")
            lines[path] = line
            out[str(key_node.value)] = _plain(value, path, lines, name)
        return out
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, f"{key}.{index}", lines, name) for index, item in enumerate(node.value)]
    return node.value


def _load_texts(file: _File, numbers: set[str]) -> dict[tuple[str, str, str], tuple[str, ...]]:
    leaves = dict(_leaves(file, file.mapping(file.data, ""), ""))
    for key in leaves:
        if key not in SCHEMA:
            raise file.fail(key, "this key is not known here; see SCHEMA in breakwater/safety/words.py")
    texts: dict[tuple[str, str, str], tuple[str, ...]] = {}
    for key, spec in SCHEMA.items():
        if key not in leaves:
            raise file.fail(key, "missing; " + _wanted(spec))
        for channel, language in itertools.product(spec.channels, LANGUAGES):
            texts[key, language, channel] = _wordings(
                file, key, leaves[key], spec, channel, language, numbers
            )
    return texts


def _leaves(file: _File, tree: dict[str, Any], key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every entry that speaks: a mapping with a language or a channel in it."""
    if set(tree) & {*LANGUAGES, *CHANNELS}:
        yield key, tree
        return
    for name, value in tree.items():
        path = f"{key}.{name}" if key else name
        yield from _leaves(file, file.mapping(value, path), path)


def _wanted(spec: Spec) -> str:
    return f"{' and '.join(LANGUAGES)}, each with at least {spec.variants} wording(s), are expected"


def _wordings(
    file: _File, key: str, leaf: dict[str, Any], spec: Spec, channel: str, language: str, numbers: set[str]
) -> tuple[str, ...]:
    split = bool(set(leaf) & set(CHANNELS))
    allowed = set(spec.channels) if split else set(LANGUAGES)
    if extra := set(leaf) - allowed:
        raise file.fail(f"{key}.{min(extra)}", f"only {' and '.join(sorted(allowed))} are expected here")
    where = f"{key}.{channel}" if split else key
    if split and channel not in leaf:
        raise file.fail(where, f"missing; the words for {channel} are expected")
    branch = file.mapping(leaf[channel] if split else leaf, where)
    if extra := set(branch) - set(LANGUAGES):
        raise file.fail(f"{where}.{min(extra)}", f"only {' and '.join(LANGUAGES)} are expected here")
    where = f"{where}.{language}"
    if language not in branch:
        raise file.fail(where, "missing; " + _wanted(spec))
    found = file.strings(branch[language], where)
    if len(set(found)) < max(spec.variants, len(found)):
        raise file.fail(where, f"at least {spec.variants} wording(s), no two the same, are expected")
    for wording in found:
        _check_wording(file, where, wording, numbers)
    if channel == "sms" and not split:
        found = tuple(gsm7(wording) for wording in found)
    if channel == "sms":
        for wording in found:
            _check_sms(file, where, wording, spec)
    return found


def _check_wording(file: _File, key: str, wording: str, numbers: set[str]) -> None:
    for name in re.findall(r"\{(.*?)\}", wording):
        if name not in PLACEHOLDERS and not (key.startswith("clinic.") and name == "phone"):
            raise file.fail(key, f"only {', '.join(PLACEHOLDERS)} are expected between braces")
    for number in re.findall(r"\d+(?:-\d+)*", wording):
        if len(_digits(number)) > 2 and _digits(number) not in numbers:
            raise file.fail(key, f"{number} is the number of no line; a number of lines.yml is expected")
    if "\n\n" in wording or wording != wording.strip():
        raise file.fail(key, "no blank line, and no space at either end, is expected")


def _check_sms(file: _File, key: str, wording: str, spec: Spec) -> None:
    bare = re.sub(r"\{\w+\}", "", wording)
    count = septets(bare)
    if count is None:
        letters = " ".join(sorted({letter for letter in bare if septets(letter) is None}))
        raise file.fail(key, f"only GSM-7 letters are expected in words for sms; not: {letters}")
    if count > spec.septets:
        raise file.fail(key, f"at most {spec.septets} letters are expected by sms; this has {count}")


def _digits(number: str) -> str:
    return re.sub(r"\D", "", number)


_LINE_KEYS = {
    "id",
    "label",
    "call",
    "text",
    "body",
    "url",
    "kind",
    "hours",
    "for",
    "source",
    "read",
    "verified",
}


def _load_lines(file: _File) -> tuple[LineRecord, ...]:
    data = file.mapping(file.data, "")
    if set(data) != {"lines"} or not isinstance(data["lines"], list):
        raise file.fail("lines", "one list called lines is expected")
    records: list[LineRecord] = []
    for index, item in enumerate(data["lines"]):
        records.append(_load_line(file, file.mapping(item, f"lines.{index}"), f"lines.{index}"))
        if len({record.id for record in records}) < len(records):
            raise file.fail(f"lines.{index}.id", "an id that no other line has is expected")
    for line_id, number in REQUIRED_LINES.items():
        record = next((record for record in records if record.id == line_id), None)
        if record is None or number not in (record.call, record.text):
            raise file.fail("lines", f"the line {line_id} with the number {number} is expected")
        if line_id != POISON and "always" not in record.shown_for:
            raise file.fail("lines", f"the line {line_id} is expected to be shown for always")
    return tuple(records)


def _load_line(file: _File, item: dict[str, Any], key: str) -> LineRecord:
    if extra := set(item) - _LINE_KEYS:
        raise file.fail(f"{key}.{min(extra)}", f"only {', '.join(sorted(_LINE_KEYS))} are expected")
    for name in ("id", "kind", "source"):
        if not isinstance(item.get(name), str) or not item[name].strip():
            raise file.fail(f"{key}.{name}", "missing; a text is expected")
    label = file.mapping(item.get("label"), f"{key}.label")
    if set(label) != set(LANGUAGES) or not all(label.values()):
        raise file.fail(f"{key}.label", "a label in en and in es is expected")
    body = file.mapping(item.get("body", {}), f"{key}.body")
    if set(body) - set(LANGUAGES):
        raise file.fail(f"{key}.body", "the word to send, in en and es, is expected")
    if not any(item.get(name) for name in ("call", "text", "url")):
        raise file.fail(key, "call, text or url is expected: a line without a number helps nobody")
    for name in ("call", "text"):
        if item.get(name) and not re.fullmatch(r"\d+(-\d+)*", item[name]):
            raise file.fail(f"{key}.{name}", "digits, with hyphens between them, are expected")
    if item.get("url") and not item["url"].startswith("https://"):
        raise file.fail(f"{key}.url", "an address that begins with https:// is expected")
    if item["kind"] not in LINE_KINDS:
        raise file.fail(f"{key}.kind", f"one of {', '.join(LINE_KINDS)} is expected")
    shown_for = item.get("for", [])
    if not isinstance(shown_for, list) or set(shown_for) - {"always", *TYPES, *TOPICS}:
        raise file.fail(f"{key}.for", "a list of types, topics or always is expected")
    if bool(item.get("read")) == (item.get("verified") == "false"):
        raise file.fail(f"{key}.read", "either read: YYYY-MM or verified: false is expected")
    if item.get("read") and not re.fullmatch(r"\d{4}-\d{2}", item["read"]):
        raise file.fail(f"{key}.read", "a month such as 2026-11 is expected")
    return LineRecord(
        id=item["id"],
        label=label,
        call=item.get("call") or None,
        text=item.get("text") or None,
        body=body,
        url=item.get("url") or None,
        kind=item["kind"],
        hours=item.get("hours", ""),
        shown_for=tuple(shown_for),
        source=item["source"],
        read=item.get("read"),
    )


def _load_answers(file: _File) -> Answers:
    data = file.mapping(file.data, "")
    wanted = {"classes", "slots", "polite", "negations", "numbers", "number_around"}
    if set(data) != wanted:
        raise file.fail(min(set(data) ^ wanted), f"exactly {', '.join(sorted(wanted))} are expected")
    slots = {
        name: _phrases(file, value, f"slots.{name}", {})
        for name, value in file.mapping(data["slots"], "slots").items()
    }
    polite = _phrases(file, data["polite"], "polite", {})
    negations = _phrases(file, data["negations"], "negations", {})
    classes = file.mapping(data["classes"], "classes")
    if set(classes) != set(ANSWER_CLASSES):
        odd = min(set(classes) ^ set(ANSWER_CLASSES))
        raise file.fail(f"classes.{odd}", f"exactly these classes are expected: {', '.join(ANSWER_CLASSES)}")
    phrases, around = {}, {}
    for name, value in classes.items():
        key = f"classes.{name}"
        parts = file.mapping(value, key)
        if set(parts) - {"words", "around"} or "words" not in parts:
            raise file.fail(key, "words, and perhaps around, are expected")
        phrases[name] = _phrases(file, parts["words"], f"{key}.words", slots)
        beside = _phrases(file, parts["around"], f"{key}.around", {}) if "around" in parts else frozenset()
        around[name] = polite | beside
        # A word of negation turns leaving words round: "I'm not safe" must never end a hold.
        if name.startswith("leave_"):
            for phrase in phrases[name] | around[name]:
                if set(phrase.split()) & negations:
                    raise file.fail(key, "leaving words without a word of negation are expected")
    numbers: dict[str, int] = {}
    for digit, value in file.mapping(data["numbers"], "numbers").items():
        if not digit.isdigit():
            raise file.fail(f"numbers.{digit}", "a number is expected")
        for phrase in _phrases(file, value, f"numbers.{digit}", {}) | {digit}:
            if numbers.setdefault(phrase, int(digit)) != int(digit):
                raise file.fail(f"numbers.{digit}", f"{phrase} stands for two numbers")
    beside_number = _phrases(file, data["number_around"], "number_around", {})
    return Answers(phrases, around, negations, numbers, polite | beside_number)


def _phrases(file: _File, value: Any, key: str, slots: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Both languages together: people mix them. <slot> stands for each of its phrases."""
    branch = file.mapping(value, key)
    if set(branch) != set(LANGUAGES):
        raise file.fail(key, "phrases in en and in es are expected")
    out: set[str] = set()
    for language in LANGUAGES:
        where = f"{key}.{language}"
        listed = file.strings(branch[language], where) if branch[language] not in ([], "") else ()
        for phrase in listed:
            pieces = re.split(r"<(\w+)>", phrase)
            if unknown := set(pieces[1::2]) - set(slots):
                raise file.fail(where, f"<{min(unknown)}> is no slot of this file")
            options = [sorted(slots[piece]) if i % 2 else [piece] for i, piece in enumerate(pieces)]
            out.update(normalise(" ".join(made)) for made in itertools.product(*options))
    return frozenset(out)

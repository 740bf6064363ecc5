"""How NLU reads a message, with spaCy: tokens with their norms, word families, and the names of skills.

It only helps to choose the next answer of the talk. No safety decision rests on anything found here.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import spacy
import yaml
from spacy.language import Language
from spacy.matcher import PhraseMatcher
from spacy.tokens import Doc

PHRASES = Path(__file__).with_name("phrases.yml")
LONGEST = 2000  # characters that NLU looks at; the screen reads everything
RUN = 2  # letters in a row that are kept of "sooooo" and "!!!!!!"
SKILL_INTENT = "choose_skill"
GRAMS = (3, 4)  # letters of the pieces that a word is cut into

_QUOTES = str.maketrans({"‘": "'", "’": "'", "`": "'", "´": "'", "“": '"', "”": '"'})
_NOT_WORDS = frozenset(".,!?;:…\"'()¿¡-*~")


@dataclass(frozen=True)
class Label:
    """A choice that was typed: its intent, and the skill when it names one."""

    intent: str
    skill: str | None = None


@functools.lru_cache(maxsize=1)
def phrases() -> Mapping[str, Any]:
    """phrases.yml, read once."""
    found: Mapping[str, Any] = yaml.safe_load(PHRASES.read_text(encoding="utf-8"))
    return found


@functools.lru_cache(maxsize=1)
def english() -> Language:
    """spaCy's blank English pipeline: its tokenizer and norms, no trained model."""
    return spacy.blank("en")


def squeeze(text: str) -> str:
    """`text` in lower case with plain quotes, and no letter or sign more than twice in a row.

    spaCy's tokenizer takes quadratic time on long runs of punctuation, so runs go first.
    """
    out: list[str] = []
    for letter in text[:LONGEST].translate(_QUOTES).lower():
        if len(out) >= RUN and out[-1] == out[-2] == letter and not letter.isdigit():
            continue
        out.append(letter)
    return "".join(out)


def norms(text: str) -> tuple[str, ...]:
    """The words of `text` as they are meant: "dont" and "don't" are both "do", "not"; signs are left out."""
    forms: Mapping[str, str] = phrases()["forms"]
    found: list[str] = []
    glued = ""  # spaCy cuts "cant", "im" and "gonna" in two: such a word is put together and read whole
    for token in english().tokenizer(squeeze(text)):
        written = token.text.strip()
        if not written or written in _NOT_WORDS:
            glued = ""
            continue
        if glued and glued + written in forms:
            found[-1] = forms[glued + written]
        else:
            found.append(forms.get(written) or token.norm_.lower())
        glued = "" if token.whitespace_ else written
    return tuple(word for norm in found for word in norm.split())


def features(text: str) -> dict[str, float]:
    """What the intent classifier sees: words, pairs of words, pieces of words, and word families."""
    heard = norms(text)
    found = {f"w {word}" for word in heard}
    found.update(f"p {one} {two}" for one, two in itertools.pairwise(heard))
    for word in set(heard):
        padded = f" {word} "
        for size in GRAMS:
            found.update(f"g {padded[at : at + size]}" for at in range(max(1, len(padded) - size + 1)))
    weighed = dict.fromkeys(found, 1.0)
    weight = float(phrases()["cue_weight"])
    weighed.update((f"c {family}", weight) for family in _families(heard))
    return weighed


def typed_label(text: str) -> Label | None:
    """The choice whose label `text` is, whole; None for anything else."""
    heard = norms(text)
    return _labels().get(heard) or _labels().get(tuple(word for word in heard if word != "please"))


def skill_in(text: str) -> str | None:
    """The skill that a sentence names; the longest name wins."""
    heard = norms(text)
    if not heard:
        return None
    found = [(end - at, english().vocab.strings[match]) for match, at, end in _skills()(_document(heard))]
    return max(found)[1] if found else None


def _families(heard: tuple[str, ...]) -> Iterator[str]:
    if heard:
        for match, _, _ in _cues()(_document(heard)):
            yield english().vocab.strings[match]


@functools.lru_cache(maxsize=1)
def _cues() -> PhraseMatcher:
    return _matcher(phrases()["cues"])


@functools.lru_cache(maxsize=1)
def _skills() -> PhraseMatcher:
    known: Mapping[str, Mapping[str, list[str]]] = phrases()["skills"]
    return _matcher({skill: [*names["is"], *names["in"]] for skill, names in known.items()})


@functools.lru_cache(maxsize=1)
def _labels() -> Mapping[tuple[str, ...], Label]:
    found = {
        norms(label): Label(intent)
        for intent, all_typed in phrases()["labels"].items()
        for label in all_typed
    }
    for skill, names in phrases()["skills"].items():
        found.update({norms(label): Label(SKILL_INTENT, skill) for label in names["is"]})
    return found


def _matcher(families: Mapping[str, Iterable[str]]) -> PhraseMatcher:
    matcher = PhraseMatcher(english().vocab, attr="ORTH")
    for name, members in families.items():
        matcher.add(name, [_document(norms(member)) for member in members])
    return matcher


def _document(heard: tuple[str, ...]) -> Doc:
    return Doc(english().vocab, words=list(heard))

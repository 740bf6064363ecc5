"""NLU parts made with spaCy: tokens with their norms, word families as features, and typed button labels.

They only help to choose the next answer of the talk. No safety decision rests on anything found here.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
import spacy
import yaml
from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.constants import TOKENS_NAMES
from rasa.nlu.featurizers.sparse_featurizer.sparse_featurizer import SparseFeaturizer
from rasa.nlu.tokenizers.tokenizer import Token, Tokenizer
from rasa.shared.nlu.constants import ENTITIES, INTENT, INTENT_RANKING_KEY, TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData
from spacy.language import Language
from spacy.matcher import PhraseMatcher
from spacy.tokens import Doc

PHRASES = Path(__file__).with_name("phrases.yml")
LONGEST = 2000  # characters that NLU looks at; the screen reads everything
RUN = 2  # letters in a row that are kept of "sooooo" and "!!!!!!"
SKILL_INTENT = "choose_skill"

_QUOTES = str.maketrans({"‘": "'", "’": "'", "`": "'", "´": "'", "“": '"', "”": '"'})
_NOT_WORDS = frozenset(".,!?;:…\"'()¿¡-*~")


@functools.lru_cache(maxsize=1)
def phrases() -> Mapping[str, Any]:
    """phrases.yml, read once."""
    found: Mapping[str, Any] = yaml.safe_load(PHRASES.read_text(encoding="utf-8"))
    return found


@functools.lru_cache(maxsize=1)
def english() -> Language:
    """spaCy's blank English pipeline: its tokenizer and norms, no trained model."""
    return spacy.blank("en")


def squeeze(text: str) -> tuple[str, list[int]]:
    """`text` in lower case with plain quotes and short runs, and where each of its characters stood.

    spaCy's tokenizer takes quadratic time on long runs of punctuation, so runs go first.
    """
    out: list[str] = []
    places: list[int] = []
    for place, letter in enumerate(text[:LONGEST].translate(_QUOTES)):
        small = letter.lower()
        if len(small) != 1:
            small = letter
        if len(out) >= RUN and out[-1] == out[-2] == small and not small.isdigit():
            continue
        out.append(small)
        places.append(place)
    return "".join(out), places


def words(text: str) -> list[tuple[str, str, int, int]]:
    """Each token of `text`: as written (lower case), its norm, start and end in `text`."""
    short, places = squeeze(text)
    forms = phrases()["forms"]
    found: list[tuple[str, str, int, int]] = []
    for token in english().tokenizer(short):
        written = token.text
        if not written.strip():
            continue
        start = places[token.idx]
        end = places[token.idx + len(written) - 1] + 1
        norm = forms.get(written) or _whole(token.norm_) or written
        found.append((written, norm, start, end))
    return _joined_slips(found, forms)


def plain(text: str) -> tuple[str, ...]:
    """The norms of `text` without punctuation: what a phrase is compared by."""
    return tuple(part for _, norm, _, _ in words(text) for part in norm.split() if part not in _NOT_WORDS)


def _whole(norm: str) -> str:
    # spaCy splits "don't" into "do" + "n't" with the norm "not"; "ca" + "n't" gets the norm "can".
    return norm.lower()


def _joined_slips(
    found: list[tuple[str, str, int, int]], forms: Mapping[str, str]
) -> list[tuple[str, str, int, int]]:
    """spaCy cuts "cant", "im" and "gonna" in two without a sign: put such a word together and read it whole."""
    out: list[tuple[str, str, int, int]] = []
    for token in found:
        if out and out[-1][3] == token[2]:
            whole = out[-1][0] + token[0]
            if whole in forms:
                out[-1] = (whole, forms[whole], out[-1][2], token[3])
                continue
        out.append(token)
    return out


def _matcher(families: Mapping[str, Iterable[str]]) -> PhraseMatcher:
    vocab = english().vocab
    matcher = PhraseMatcher(vocab, attr="ORTH")
    for name, members in families.items():
        matcher.add(name, [Doc(vocab, words=list(plain(member))) for member in members if plain(member)])
    return matcher


def _document(message_words: tuple[str, ...]) -> Doc:
    return Doc(english().vocab, words=list(message_words))


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.MESSAGE_TOKENIZER, is_trainable=False)
class SpacyTokens(Tokenizer):
    """spaCy's tokens; the lemma is the norm ("dont" → "do not"), which the featurizers count."""

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        return {"intent_tokenization_flag": False, "intent_split_symbol": "_", "token_pattern": None}

    @staticmethod
    def required_packages() -> list[str]:
        return ["spacy"]

    def tokenize(self, message: Message, attribute: str) -> list[Token]:
        text = message.get(attribute)
        found = [Token(written, start, end, lemma=norm) for written, norm, start, end in words(text)]
        # Rasa's featurizers need one token at least, also for "   " or an emoji alone.
        return found or [Token(text[:1] or " ", 0, max(1, len(text)))]


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.MESSAGE_FEATURIZER, is_trainable=False)
class Cues(SparseFeaturizer, GraphComponent):
    """One feature for each word family of phrases.yml that a message holds, found with a PhraseMatcher."""

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        return {**SparseFeaturizer.get_default_config(), "weight": 1.0}

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> Cues:
        return cls(execution_context.node_name, config)

    def __init__(self, name: str, config: dict[str, Any]) -> None:
        super().__init__(name, config)
        families: Mapping[str, list[str]] = phrases()["cues"]
        self._names = list(families)
        self._weight = float(config["weight"])
        self._matcher = _matcher(families)

    @classmethod
    def validate_config(cls, config: dict[str, Any]) -> None:
        pass

    def process(self, messages: list[Message]) -> list[Message]:
        for message in messages:
            self._add(message)
        return messages

    def process_training_data(self, training_data: TrainingData) -> TrainingData:
        self.process(training_data.training_examples)
        return training_data

    def _add(self, message: Message) -> None:
        tokens: list[Token] = message.get(TOKENS_NAMES[TEXT]) or []
        if not tokens:
            return
        found = np.zeros((1, len(self._names)))
        heard = tuple(part for token in tokens for part in token.lemma.split() if part not in _NOT_WORDS)
        for name in self._seen(heard):
            found[0, self._names.index(name)] = self._weight
        sentence = scipy.sparse.coo_matrix(found)
        each = scipy.sparse.coo_matrix((len(tokens), len(self._names)))
        self.add_features_to_message(each, sentence, TEXT, message)

    def _seen(self, heard: tuple[str, ...]) -> Iterator[str]:
        if heard:
            for match, _, _ in self._matcher(_document(heard)):
                yield english().vocab.strings[match]


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.ENTITY_EXTRACTOR, is_trainable=False)
class Phrases(GraphComponent):
    """A typed button label counts as the button, and a skill that is asked for gets its name as an entity."""

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        return {}

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> Phrases:
        return cls()

    def __init__(self) -> None:
        skills: Mapping[str, Mapping[str, list[str]]] = phrases()["skills"]
        self._labels: dict[tuple[str, ...], tuple[str, str | None]] = {
            plain(label): (intent, None) for intent, labels in phrases()["labels"].items() for label in labels
        }
        for skill, known in skills.items():
            self._labels.update({plain(label): (SKILL_INTENT, skill) for label in known["is"]})
        self._skills = _matcher({skill: [*known["is"], *known["in"]] for skill, known in skills.items()})

    def process(self, messages: list[Message]) -> list[Message]:
        for message in messages:
            self._read(message)
        return messages

    def _read(self, message: Message) -> None:
        text = message.get(TEXT)
        heard = plain(text) if text else ()
        if not heard:
            return
        label = self._labels.get(heard) or self._labels.get(tuple(w for w in heard if w != "please"))
        skill = None
        if label:
            intent, skill = label
            self._decide(message, intent)
        elif (message.get(INTENT) or {}).get("name") == SKILL_INTENT:
            skill = self._longest_skill(heard)
        if skill:
            # The span is the whole message: what counts is the value.
            found = {"entity": "skill", "value": skill, "start": 0, "end": len(text), "extractor": "Phrases"}
            message.set(ENTITIES, [*message.get(ENTITIES, []), found], add_to_output=True)

    def _decide(self, message: Message, intent: str) -> None:
        chosen = {"name": intent, "confidence": 1.0}
        ranking = [other for other in message.get(INTENT_RANKING_KEY, []) if other["name"] != intent]
        message.set(INTENT, chosen, add_to_output=True)
        message.set(INTENT_RANKING_KEY, [chosen, *ranking], add_to_output=True)

    def _longest_skill(self, heard: tuple[str, ...]) -> str | None:
        found = [(end - start, english().vocab.strings[match]) for match, start, end in self._skills(_document(heard))]
        return max(found)[1] if found else None

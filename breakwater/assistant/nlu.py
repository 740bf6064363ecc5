"""Rasa's NLU parts: a logistic regression kept as plain weights, and typed labels that count as buttons.

They only choose the next answer of the talk; SafetyPolicy never looks at what they find.
"""

from __future__ import annotations

import json
from typing import Any, Dict, List  # noqa: UP035  (Rasa reads these annotations)

import numpy as np
from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.classifiers.classifier import IntentClassifier
from rasa.shared.nlu.constants import ENTITIES, INTENT, INTENT_RANKING_KEY, TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from breakwater.assistant import reading

RANKING = 3  # intents that are told to Rasa; more would only fill the tracker


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.INTENT_CLASSIFIER, is_trainable=True)
class Intents(IntentClassifier, GraphComponent):
    """One-against-rest logistic regression over reading.features; trained by scikit-learn, run by numpy.

    Rasa's own featurizers and classifier do the same in ten times the training time, a matrix a message.
    """

    @staticmethod
    def get_default_config() -> Dict[str, Any]:  # noqa: UP006
        return {"C": 1.0}

    @staticmethod
    def required_packages() -> List[str]:  # noqa: UP006
        return ["sklearn", "spacy"]

    def __init__(self, config: Dict[str, Any], model_storage: ModelStorage, resource: Resource) -> None:  # noqa: UP006
        self._config, self._storage, self._resource = config, model_storage, resource
        self._intents: list[str] = []
        self._places: dict[str, int] = {}
        self._weights = np.zeros((0, 0), dtype=np.float32)  # a row for each feature, a column for each intent
        self._bias = np.zeros(0, dtype=np.float32)

    @classmethod
    def create(
        cls,
        config: Dict[str, Any],  # noqa: UP006
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> Intents:
        return cls(config, model_storage, resource)

    def train(self, training_data: TrainingData) -> Resource:
        from sklearn.feature_extraction import DictVectorizer
        from sklearn.linear_model import LogisticRegression

        examples = [each for each in training_data.intent_examples if each.get(TEXT)]
        if not examples:
            return self._resource
        vectors = DictVectorizer(dtype=np.float32)
        counted = vectors.fit_transform([reading.features(each.get(TEXT)) for each in examples])
        model = LogisticRegression(
            C=float(self._config["C"]), class_weight="balanced", solver="liblinear", random_state=0
        )
        model.fit(counted, [each.get(INTENT) for each in examples])
        self._intents = [str(intent) for intent in model.classes_]
        self._places = dict(vectors.vocabulary_)
        self._weights = np.ascontiguousarray(model.coef_.T, dtype=np.float32)
        self._bias = model.intercept_.astype(np.float32)
        self._persist()
        return self._resource

    def process_training_data(self, training_data: TrainingData) -> TrainingData:
        return training_data

    def process(self, messages: List[Message]) -> List[Message]:  # noqa: UP006
        for message in messages:
            ranking = self.ranking(message.get(TEXT) or "")
            best = ranking[0] if ranking else {"name": None, "confidence": 0.0}
            message.set(INTENT, best, add_to_output=True)
            message.set(INTENT_RANKING_KEY, ranking, add_to_output=True)
        return messages

    def ranking(self, text: str) -> list[dict[str, Any]]:
        """The likeliest intents of `text`, best first, with confidences that sum to 1 over all intents."""
        if not self._intents:
            return []
        seen = [
            (self._places[name], value)
            for name, value in reading.features(text).items()
            if name in self._places
        ]
        score = self._bias.copy()
        if seen:
            rows, values = zip(*seen, strict=True)
            score += np.asarray(values, dtype=np.float32) @ self._weights[list(rows)]
        chance = 1.0 / (1.0 + np.exp(-score))
        chance /= chance.sum()
        return [
            {"name": self._intents[at], "confidence": float(chance[at])}
            for at in np.argsort(-chance)[:RANKING]
        ]

    def _persist(self) -> None:
        with self._storage.write_to(self._resource) as folder:
            words = {"intents": self._intents, "features": sorted(self._places, key=self._places.__getitem__)}
            (folder / "words.json").write_text(json.dumps(words), encoding="utf-8")
            np.savez_compressed(folder / "weights.npz", weights=self._weights, bias=self._bias)

    @classmethod
    def load(
        cls,
        config: Dict[str, Any],  # noqa: UP006
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> Intents:
        made = cls(config, model_storage, resource)
        with model_storage.read_from(resource) as folder:
            words = json.loads((folder / "words.json").read_text(encoding="utf-8"))
            with np.load(folder / "weights.npz", allow_pickle=False) as arrays:
                made._weights, made._bias = arrays["weights"], arrays["bias"]
        made._intents = words["intents"]
        made._places = {name: at for at, name in enumerate(words["features"])}
        return made


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.ENTITY_EXTRACTOR, is_trainable=False)
class Labels(GraphComponent):
    """A typed button label counts as the button, and a skill that is asked for gets its name as an entity."""

    @classmethod
    def create(
        cls,
        config: Dict[str, Any],  # noqa: UP006
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> Labels:
        return cls()

    def process(self, messages: List[Message]) -> List[Message]:  # noqa: UP006
        for message in messages:
            self._read(message)
        return messages

    def _read(self, message: Message) -> None:
        text = message.get(TEXT)
        if not text:
            return
        skill = None
        if label := reading.typed_label(text):
            skill = label.skill
            self._decide(message, label.intent)
        elif (message.get(INTENT) or {}).get("name") == reading.SKILL_INTENT:
            skill = reading.skill_in(text)
        if skill:
            # The span is the whole message: what counts is the value.
            found = {"entity": "skill", "value": skill, "start": 0, "end": len(text), "extractor": "Labels"}
            message.set(ENTITIES, [*message.get(ENTITIES, []), found], add_to_output=True)

    def _decide(self, message: Message, intent: str) -> None:
        chosen = {"name": intent, "confidence": 1.0}
        others = [other for other in message.get(INTENT_RANKING_KEY, []) if other["name"] != intent]
        message.set(INTENT, chosen, add_to_output=True)
        message.set(INTENT_RANKING_KEY, [chosen, *others], add_to_output=True)

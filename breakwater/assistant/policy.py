"""SafetyPolicy: makes plain Rasa safe too, with the same screen, protocol and words as the front door.

It decides on the raw text of the newest message in the raw event log, never on what NLU or a tracker's
slots make of it. It must win whenever a safety reply is due, and never take words from the domain.
"""

from __future__ import annotations

import itertools
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Dict, List, Optional  # noqa: UP035  (Rasa reads these annotations)

from rasa.core.constants import POLICY_MAX_HISTORY, POLICY_PRIORITY
from rasa.core.policies.policy import Policy, PolicyPrediction, SupportedData
from rasa.engine.graph import ExecutionContext
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.shared.core.constants import ACTION_LISTEN_NAME
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import (
    ActionExecuted,
    ActiveLoop,
    BotUttered,
    Event,
    SlotSet,
    UserUttered,
)
from rasa.shared.core.generator import TrackerWithCachedStates
from rasa.shared.core.trackers import DialogueStateTracker

from breakwater import clinic
from breakwater.assistant import trust
from breakwater.safety import protocol, words
from breakwater.safety.screen import default_rulebook, screen
from breakwater.safety.verdict import Context, Level, Verdict

logger = logging.getLogger(__name__)

# Rasa warns about a payload that it cannot parse by printing it whole, with everything that a person wrote.
warnings.filterwarnings("ignore", message="Failed to parse arguments in line", category=UserWarning)

SAY = "utter_safety"
TROUBLE = "utter_trouble"
STATE_SLOT, TEXT_SLOT, LANGUAGE_SLOT = "safety_state", "safety_text", "language"
UNFINISHED = ("exercise", "step", "notes")  # what a hold puts an end to
METADATA = "safety"
RECENT = 3  # earlier messages that the screen sees beside the newest
PRIORITY = 1000

faults = itertools.count(1)  # how often the last ring was needed; the number goes to the log


@dataclass(frozen=True)
class Decision:
    """What is due for one message; `text` None leaves the answer to the rules."""

    text: str | None = None
    state: str | None = None  # JSON, when it changed
    language: str | None = None  # when it changed
    ends_exercise: bool = False
    facts: Mapping[str, Any] | None = None  # rule ids and versions, never words


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.POLICY_WITHOUT_END_TO_END_SUPPORT, is_trainable=False)
class SafetyPolicy(Policy):
    """Wins by a no-user prediction of full confidence and the top priority, or abstains with zeros."""

    @staticmethod
    def supported_data() -> SupportedData:
        return SupportedData.ML_AND_RULE_DATA

    @staticmethod
    def get_default_config() -> Dict[str, Any]:  # noqa: UP006
        return {POLICY_PRIORITY: PRIORITY, POLICY_MAX_HISTORY: 1}

    def __init__(
        self,
        config: Dict[str, Any],  # noqa: UP006
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> None:
        super().__init__(config, model_storage, resource, execution_context)
        self._words = _clinic_words()

    @classmethod
    def load(
        cls,
        config: Dict[str, Any],  # noqa: UP006
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> SafetyPolicy:
        return cls(config, model_storage, resource, execution_context)

    def train(
        self,
        training_trackers: List[TrackerWithCachedStates],  # noqa: UP006
        domain: Domain,
        **kwargs: Any,
    ) -> Resource:
        """Nothing is learned: the rule book decides."""
        return self._resource

    def predict_action_probabilities(
        self,
        tracker: DialogueStateTracker,
        domain: Domain,
        rule_only_data: Optional[Dict[str, Any]] = None,  # noqa: UP006, UP045
        **kwargs: Any,
    ) -> PolicyPrediction:
        events = list(tracker.events)
        at = next((i for i in reversed(range(len(events))) if isinstance(events[i], UserUttered)), None)
        if at is None:
            return self._abstain(domain)
        since = events[at + 1 :]
        done = [event.action_name for event in since if isinstance(event, ActionExecuted)]
        if done:
            return self._go_on(done, since, events[at], domain)
        decision = decide(events[:at], events[at], self._words)
        return self._speak(decision, tracker, domain)

    def _go_on(
        self, done: Sequence[str | None], since: Sequence[Event], heard: Event, domain: Domain
    ) -> PolicyPrediction:
        """In the middle of a turn: listen after a safety reply, and never end a turn in silence."""
        newest = done[-1]
        if newest in (SAY, TROUBLE):
            return self._predict(ACTION_LISTEN_NAME, domain)
        silent = not any(isinstance(event, BotUttered) for event in since)
        # Test stories run no custom action, so silence means nothing there; they have no channel either.
        live = getattr(heard, "input_channel", None) is not None
        if live and silent and newest and newest.startswith("action_") and newest in domain.user_actions:
            return self._predict(TROUBLE, domain)
        return self._abstain(domain)

    def _speak(self, decision: Decision, tracker: DialogueStateTracker, domain: Domain) -> PolicyPrediction:
        events: list[Event] = []
        if decision.state is not None:
            events.append(SlotSet(STATE_SLOT, decision.state))
        if decision.language is not None:
            events.append(SlotSet(LANGUAGE_SLOT, decision.language))
        if decision.text is None:
            return self._abstain(domain, events)
        events.append(SlotSet(TEXT_SLOT, decision.text))
        if tracker.active_loop_name:
            events.append(ActiveLoop(None))
        if decision.ends_exercise:
            events += [SlotSet(name, None) for name in UNFINISHED if tracker.slots.get(name) is not None]
        return self._predict(SAY, domain, events, {METADATA: dict(decision.facts or {})})

    def _predict(
        self,
        action: str,
        domain: Domain,
        events: Sequence[Event] = (),
        metadata: Mapping[str, Any] | None = None,
    ) -> PolicyPrediction:
        result = self._default_predictions(domain)
        result[domain.index_for_action(action)] = 1.0
        return self._prediction(
            result,
            optional_events=list(events),
            is_no_user_prediction=True,
            action_metadata=dict(metadata) if metadata else None,
        )

    def _abstain(self, domain: Domain, events: Sequence[Event] = ()) -> PolicyPrediction:
        # `events` are kept whichever policy wins; optional ones only when this one does.
        return self._prediction(self._default_predictions(domain), events=list(events))


def decide(earlier: Sequence[Event], heard: UserUttered, known: words.Words | None) -> Decision:
    """What is due for the message `heard` after the raw events before it. Never raises."""
    try:
        return _decide(earlier, heard, known)
    except Exception as error:
        # The last ring: whatever breaks here must end in the lines, and an unreadable hold is an open hold.
        logger.error(
            "Safety decision failed (%s), fault %s: the last resort is said.",
            type(error).__name__,
            next(faults),
        )
        return Decision(
            text=words.LAST_RESORT,
            state=protocol.UNREADABLE.to_json(),
            ends_exercise=True,
            facts={"source": "failsafe"},
        )


def _decide(earlier: Sequence[Event], heard: UserUttered, known: words.Words | None) -> Decision:
    text = _raw_text(heard)
    metadata = heard.metadata or {}
    screened = trust.screened(metadata)
    before = _stored_state(earlier)
    state = protocol.START if before is None else protocol.State.from_json(before)
    verdict = screen(text, Context(asked=state.question, recent=tuple(_recent(earlier))))
    language = _language(verdict, metadata, text)
    if screened and state.name == "talk" and verdict.level < Level.CRISIS:
        # The front door has asked already whatever there was to ask.
        return Decision(language=_changed(earlier, language))
    step = protocol.advance(state, verdict, text, channel="web", words=known)
    after = step.state.to_json()
    changed = after if after != (before or protocol.START.to_json()) else None
    if step.reply is None:
        return Decision(state=changed, language=_changed(earlier, language))
    return Decision(
        text=_spoken(step.reply),
        state=changed,
        language=_changed(earlier, language),
        ends_exercise=step.state.name == "hold" or step.fresh,
        facts={
            "level": verdict.level.label,
            "rules": list(verdict.rules),
            "rulebook": verdict.rulebook,
            "source": verdict.source,
            "kind": step.reply.kind,
            "fresh": step.fresh,
        },
    )


def _raw_text(heard: UserUttered) -> str:
    return heard.text if isinstance(heard.text, str) else "" if heard.text is None else str(heard.text)


def _stored_state(events: Sequence[Event]) -> str | None:
    """The state that was written last. A reset slot (None) is not ours: /restart and /back clear no hold."""
    for event in reversed(events):
        if isinstance(event, SlotSet) and event.key == STATE_SLOT and event.value is not None:
            return event.value if isinstance(event.value, str) else ""
    return None


def _recent(events: Sequence[Event]) -> list[str]:
    """The person's last messages, oldest first, none from before a hold began or ended."""
    found: list[str] = []
    for event in reversed(events):
        if isinstance(event, ActionExecuted):
            facts = (event.metadata or {}).get(METADATA) or {}
            if facts.get("fresh"):
                break
        elif isinstance(event, UserUttered) and event.text and not event.text.startswith("/"):
            found.append(event.text)
            if len(found) == RECENT:
                break
    return found[::-1]


def _language(verdict: Verdict, metadata: Mapping[str, Any], text: str) -> str | None:
    """The language of the talk as this message shows it; None when it shows nothing."""
    if verdict.language in words.LANGUAGES and not text.startswith("/"):
        return verdict.language
    told = metadata.get("language")
    return told if told in words.LANGUAGES else None


def _changed(events: Sequence[Event], language: str | None) -> str | None:
    present = next(
        (e.value for e in reversed(events) if isinstance(e, SlotSet) and e.key == LANGUAGE_SLOT and e.value),
        "en",
    )
    return language if language != present else None


def _spoken(reply: protocol.Reply) -> str:
    """The reply as one text: plain Rasa has no choices of ours, so they are numbered beneath."""
    return _safe("\n".join([reply.text, *_numbered(reply.choices)]))


def _numbered(choices: Sequence[protocol.Choice]) -> Iterator[str]:
    for number, choice in enumerate(choices, 1):
        yield f"{number}. {choice.label}"


def _safe(text: str) -> str:
    """No blank line, which channels split at, and no "0[", which Rasa's interpolation takes for its own."""
    return "\n".join(line for line in text.splitlines() if line.strip()).replace("0[", "0 [")


def _clinic_words() -> words.Words | None:
    """The safety words with the clinic's name and lines in them; without them when clinic.yml is broken.

    A model that does not load leaves Rasa up and silent, so a fault in a file is told and not raised: the
    supervisor refuses to start with one, and each message meets the last resort when nothing can be read.
    """
    try:
        default_rulebook()
        house = clinic.load_clinic()
        return words.load_words().for_clinic(house.name, house.phone, house.lines, house.sentences())
    except Exception as error:
        logger.error("%s: %s", type(error).__name__, error)
        return None

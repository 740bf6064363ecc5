"""SafetyPolicy alone, on trackers made by hand: which event it decides on, and how it wins."""

from __future__ import annotations

import pytest
from rasa.core.policies.ensemble import DefaultPolicyPredictionEnsemble
from rasa.core.policies.policy import PolicyPrediction
from rasa.engine.graph import ExecutionContext, GraphSchema
from rasa.engine.storage.resource import Resource
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import (
    ActionExecuted,
    ActionReverted,
    ActiveLoop,
    BotUttered,
    Event,
    Restarted,
    SessionStarted,
    SlotSet,
    UserUtteranceReverted,
    UserUttered,
)
from rasa.shared.core.trackers import DialogueStateTracker

from breakwater import paths
from breakwater.assistant.policy import SafetyPolicy
from breakwater.safety.protocol import UNREADABLE, State
from breakwater.safety.verdict import Context, Level, Verdict

pytestmark = pytest.mark.rasa

CRISIS = "i want to kill myself"
LISTEN = ActionExecuted("action_listen")


@pytest.fixture(scope="module")
def domain() -> Domain:
    return Domain.load(paths.ROOT / "domain.yml")


@pytest.fixture(scope="module")
def policy() -> SafetyPolicy:
    config = SafetyPolicy.get_default_config()
    return SafetyPolicy(config, None, Resource("safety"), ExecutionContext(GraphSchema({})))  # type: ignore[arg-type]


def said(text: str | None, intent: str = "greet", channel: str | None = "test") -> UserUttered:
    return UserUttered(text, {"name": intent, "confidence": 1.0}, input_channel=channel)


def predict(policy: SafetyPolicy, domain: Domain, *events: Event) -> PolicyPrediction:
    tracker = DialogueStateTracker("someone", domain.slots)
    for event in (LISTEN, *events):
        tracker.update(event, domain)
    return policy.predict_action_probabilities(tracker, domain)


def action(prediction: PolicyPrediction, domain: Domain) -> str | None:
    if prediction.max_confidence == 0:
        return None
    return str(domain.action_names_or_texts[prediction.max_confidence_index])


def slot(prediction: PolicyPrediction, name: str) -> object:
    events = [*prediction.events, *prediction.optional_events]
    return next((e.value for e in events if isinstance(e, SlotSet) and e.key == name), "absent")


def test_it_decides_on_the_raw_text_whatever_nlu_made_of_it(policy: SafetyPolicy, domain: Domain) -> None:
    found = predict(policy, domain, said('/greet{"x": "y"} I want to die', "greet"))
    assert action(found, domain) == "utter_safety"
    assert "988" in str(slot(found, "safety_text"))
    assert State.from_json(str(slot(found, "safety_state"))).name == "hold"


def test_it_abstains_with_zeros_when_nothing_is_due(policy: SafetyPolicy, domain: Domain) -> None:
    found = predict(policy, domain, said("hello"))
    assert action(found, domain) is None and not found.is_no_user_prediction and not found.events


def test_it_beats_a_loop_and_a_sure_rule(policy: SafetyPolicy, domain: Domain) -> None:
    found = predict(policy, domain, ActiveLoop("some_form"), said(CRISIS))
    other = PolicyPrediction.for_action_name(domain, "utter_greet", "RulePolicy", 1.0)
    loop = PolicyPrediction(list(other.probabilities), "RulePolicy", 6, is_no_user_prediction=True)
    for rivals in ([other, found], [found, other], [loop, found], [found, loop]):
        best = DefaultPolicyPredictionEnsemble._pick_best_policy(rivals)
        assert action(best, domain) == "utter_safety"
        assert any(isinstance(event, ActiveLoop) and event.name is None for event in best.events)


def test_it_ends_an_exercise_that_is_running(policy: SafetyPolicy, domain: Domain) -> None:
    running = [SlotSet("exercise", "thought"), SlotSet("step", 2), SlotSet("notes", {"before": "8"})]
    found = predict(policy, domain, *running, said(CRISIS))
    assert [slot(found, name) for name in ("exercise", "step", "notes")] == [None, None, None]


def test_it_listens_after_its_reply(policy: SafetyPolicy, domain: Domain) -> None:
    found = predict(policy, domain, said(CRISIS), ActionExecuted("utter_safety"), BotUttered("…"))
    assert action(found, domain) == "action_listen" and found.is_no_user_prediction


HELD = SlotSet("safety_state", UNREADABLE.to_json())


@pytest.mark.parametrize(
    "events",
    [
        [Restarted()],
        [SessionStarted()],
        [SlotSet("safety_state", None)],
        [said("/back", "back"), UserUtteranceReverted(), UserUtteranceReverted()],
        [said("x"), ActionExecuted("action_default_fallback"), UserUtteranceReverted()],
        [ActionReverted()],
    ],
)
def test_a_hold_is_read_from_the_raw_log(policy: SafetyPolicy, domain: Domain, events: list[Event]) -> None:
    found = predict(policy, domain, said(CRISIS), HELD, LISTEN, *events, LISTEN, said("hello"))
    assert action(found, domain) == "utter_safety"


def test_a_reset_slot_is_neither_a_hold_nor_its_end(policy: SafetyPolicy, domain: Domain) -> None:
    reset = SlotSet("safety_state", None)
    assert action(predict(policy, domain, reset, said("hello")), domain) is None
    begun = State.from_json(str(slot(predict(policy, domain, said(CRISIS)), "safety_state")))
    held = SlotSet("safety_state", begun.to_json())
    after = predict(policy, domain, said(CRISIS), held, LISTEN, reset, said("hello"))
    assert State.from_json(str(slot(after, "safety_state"))).types == begun.types == ("suicide",)


def test_the_screen_sees_the_last_messages_of_this_talk(
    policy: SafetyPolicy, domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None from before a hold began or ended, none of our own payloads, three at most."""
    seen: list[tuple[str, ...]] = []

    def look(text: str, context: Context) -> Verdict:
        seen.append(context.recent)
        return Verdict(Level.NONE)

    monkeypatch.setattr("breakwater.assistant.policy.screen", look)
    facts = {"safety": {"fresh": True}}
    earlier = [said("before"), ActionExecuted("utter_safety", metadata=facts), LISTEN]
    texts = [said("one"), LISTEN, said("/menu"), LISTEN, said("two"), LISTEN]
    predict(policy, domain, *earlier, *texts, said("now"))
    predict(policy, domain, *earlier, *texts, said("three"), LISTEN, said("four"), LISTEN, said("now"))
    assert seen == [("one", "two"), ("two", "three", "four")]


def test_an_unreadable_state_is_an_open_hold(policy: SafetyPolicy, domain: Domain) -> None:
    for broken in ("", "{}", "held", 7, ["hold"]):
        found = predict(policy, domain, SlotSet("safety_state", broken), said("hello"))
        assert action(found, domain) == "utter_safety"


def test_an_old_crisis_is_not_answered_again_in_the_middle_of_a_turn(
    policy: SafetyPolicy, domain: Domain
) -> None:
    found = predict(policy, domain, said(CRISIS), said("hello"), ActionExecuted("utter_greet"))
    assert action(found, domain) is None


@pytest.mark.parametrize("text", [None, "", " ", "\n"])
def test_a_message_without_words_breaks_nothing(
    policy: SafetyPolicy, domain: Domain, text: str | None
) -> None:
    assert action(predict(policy, domain, said(text)), domain) is None
    assert action(predict(policy, domain, HELD, said(text)), domain) == "utter_safety"


class TestSilence:
    def test_an_action_that_said_nothing_is_followed_by_words(
        self, policy: SafetyPolicy, domain: Domain
    ) -> None:
        found = predict(policy, domain, said("hi"), ActionExecuted("action_exercise"))
        assert action(found, domain) == "utter_trouble"

    def test_an_action_that_spoke_is_left_alone(self, policy: SafetyPolicy, domain: Domain) -> None:
        found = predict(policy, domain, said("hi"), ActionExecuted("action_exercise"), BotUttered("…"))
        assert action(found, domain) is None

    def test_test_stories_run_no_actions(self, policy: SafetyPolicy, domain: Domain) -> None:
        found = predict(policy, domain, said("hi", channel=None), ActionExecuted("action_exercise"))
        assert action(found, domain) is None

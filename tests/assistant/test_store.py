"""The tracker store ends: in number, in time and in length, and never at the cost of a hold."""

from __future__ import annotations

import asyncio

import pytest
from rasa.core.tracker_store import TrackerStore
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import ActionExecuted, SlotSet, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.utils.endpoints import EndpointConfig, read_endpoint_config

from breakwater import paths
from breakwater.assistant.store import KEPT_TURNS, BoundedTrackerStore

pytestmark = pytest.mark.rasa


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def domain() -> Domain:
    return Domain.load(paths.ROOT / "domain.yml")


def talk(
    store: BoundedTrackerStore, sender: str, turns: int = 1, slots: dict[str, object] | None = None
) -> None:
    tracker = asyncio.run(store.get_or_create_tracker(sender))
    for name, value in (slots or {}).items():
        tracker.update(SlotSet(name, value))
    for number in range(turns):
        tracker.update(UserUttered(f"message {number}", {"name": "greet"}))
        tracker.update(ActionExecuted("utter_greet"))
        tracker.update(ActionExecuted("action_listen"))
    asyncio.run(store.save(tracker))


def found(store: BoundedTrackerStore, sender: str) -> DialogueStateTracker | None:
    return asyncio.run(store.retrieve(sender))


def test_the_oldest_go_when_there_are_too_many(domain: Domain) -> None:
    store = BoundedTrackerStore(domain, conversations=3)
    for sender in "abcd":
        talk(store, sender)
    talk(store, "b")
    talk(store, "e")
    assert list(asyncio.run(store.keys())) == ["d", "b", "e"]


def test_idle_talks_go(domain: Domain) -> None:
    clock = Clock()
    store = BoundedTrackerStore(domain, idle_minutes=10, clock=clock)
    talk(store, "a")
    clock.now = 599
    assert found(store, "a")
    clock.now = 601
    assert found(store, "a") is None and list(asyncio.run(store.keys())) == []


def test_a_forgotten_talk_is_gone(domain: Domain) -> None:
    store = BoundedTrackerStore(domain)
    talk(store, "a")
    asyncio.run(store.forget("a"))
    asyncio.run(store.forget("nobody"))
    assert found(store, "a") is None


def test_a_long_talk_keeps_its_last_turns_and_all_its_slots(domain: Domain) -> None:
    store = BoundedTrackerStore(domain, events=60)
    talk(
        store,
        "a",
        50,
        {"safety_state": "held", "feeling": "sad", "exercise": "thought", "notes": {"before": "8"}},
    )
    tracker = found(store, "a")
    assert tracker is not None and len(tracker.events) < 60
    said = [event.text for event in tracker.events if isinstance(event, UserUttered)]
    assert said == [f"message {number}" for number in range(50 - KEPT_TURNS, 50)]
    assert tracker.get_slot("safety_state") == "held"
    assert tracker.get_slot("feeling") == "sad" and tracker.get_slot("notes") == {"before": "8"}


def test_a_slot_that_was_reset_stays_reset_but_a_hold_does_not(domain: Domain) -> None:
    store = BoundedTrackerStore(domain, events=60)
    talk(store, "a", 1, {"safety_state": "held", "exercise": "thought"})
    talk(store, "a", 50, {"safety_state": None, "exercise": None})
    tracker = found(store, "a")
    assert tracker is not None and tracker.get_slot("exercise") is None
    assert tracker.get_slot("safety_state") == "held"


def test_what_was_read_is_a_copy(domain: Domain) -> None:
    store = BoundedTrackerStore(domain)
    talk(store, "a")
    tracker = found(store, "a")
    assert tracker is not None
    tracker.update(SlotSet("feeling", "sad"))
    again = found(store, "a")
    assert again is not None and again.get_slot("feeling") is None


def test_rasa_builds_it_from_endpoints_yml() -> None:
    config = read_endpoint_config(str(paths.ROOT / "endpoints.yml"), "tracker_store")
    assert isinstance(config, EndpointConfig)
    assert isinstance(TrackerStore.create(config), BoundedTrackerStore)

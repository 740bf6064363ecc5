"""A tracker store in memory with an end: idle talks are dropped, and so are the oldest events of long ones.

Nothing is written to disk. Whatever is trimmed, the slots survive, and with them an open hold.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

from rasa.core.brokers.broker import EventBroker
from rasa.core.tracker_store import TrackerStore
from rasa.shared.core.constants import ACTION_LISTEN_NAME
from rasa.shared.core.conversation import Dialogue
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import ActionExecuted, Event, SlotSet, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker

CONVERSATIONS = 5000
IDLE_MINUTES = 24 * 60
EVENTS = 60  # a talk is trimmed when it has more …
KEPT_TURNS = 4  # … to its last turns


class BoundedTrackerStore(TrackerStore):
    """`conversations` at most, each dropped after `idle_minutes`, each trimmed beyond `events` events."""

    def __init__(
        self,
        domain: Domain | None = None,
        event_broker: EventBroker | None = None,
        host: str | None = None,
        conversations: int = CONVERSATIONS,
        idle_minutes: float = IDLE_MINUTES,
        events: int = EVENTS,
        clock: Callable[[], float] = time.monotonic,
        **kwargs: Any,
    ) -> None:
        super().__init__(domain, event_broker)
        self._most, self._idle, self._events, self._clock = conversations, idle_minutes * 60, events, clock
        self._kept: OrderedDict[str, tuple[float, list[Event]]] = OrderedDict()

    async def save(self, tracker: DialogueStateTracker) -> None:
        await self.stream_events(tracker)
        self._kept[tracker.sender_id] = (self._clock(), self._trimmed(list(tracker.events)))
        self._kept.move_to_end(tracker.sender_id)
        self._drop_old()

    async def retrieve(self, sender_id: str) -> DialogueStateTracker | None:
        self._drop_old()
        found = self._kept.get(sender_id)
        if found is None:
            return None
        tracker = self.init_tracker(sender_id)
        tracker.recreate_from_dialogue(Dialogue(sender_id, list(found[1])))
        return tracker

    async def keys(self) -> Iterable[str]:
        return list(self._kept)

    async def forget(self, sender_id: str) -> None:
        self._kept.pop(sender_id, None)

    def _drop_old(self) -> None:
        """The order of the dictionary is the order of the last use, so only its beginning is looked at."""
        oldest = self._clock() - self._idle
        while self._kept:
            used, _ = next(iter(self._kept.values()))
            if used >= oldest and len(self._kept) <= self._most:
                return
            self._kept.popitem(last=False)

    def _trimmed(self, events: list[Event]) -> list[Event]:
        if len(events) <= self._events:
            return events
        starts = [at for at, event in enumerate(events) if isinstance(event, UserUttered)]
        if len(starts) <= KEPT_TURNS:
            return events
        cut = starts[-KEPT_TURNS]
        return [*_slots_before(events[:cut]), ActionExecuted(ACTION_LISTEN_NAME), *events[cut:]]


def _slots_before(events: Iterable[Event]) -> list[Event]:
    """The last value of each slot in the raw log, a reset one by what it was before: see SafetyPolicy."""
    last: dict[str, Any] = {}
    for event in events:
        if isinstance(event, SlotSet) and (event.value is not None or event.key != "safety_state"):
            last[event.key] = event.value
    return [SlotSet(key, value) for key, value in last.items() if value is not None]

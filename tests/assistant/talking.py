"""A talk with the real model inside this process: actions run here too, and nothing listens on a port."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rasa.core.agent import Agent
from rasa.shared.core.events import BotUttered, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.utils.endpoints import EndpointConfig
from rasa.utils.log_utils import configure_structlog
from rasa_sdk.executor import ActionExecutor

from breakwater.assistant.channel import TurnOutput
from breakwater.assistant.store import BoundedTrackerStore

LINES = ("988", "741741", "911")

_names = itertools.count()


class Actions(EndpointConfig):
    """The action endpoint without a server; `fails` makes every call break as a dead server does."""

    def __init__(self) -> None:
        super().__init__(url="http://actions.invalid", enable_selective_domain=True)
        self.fails: Exception | None = None
        self._executor = ActionExecutor()
        self._executor.register_package("actions")

    async def request(self, *args: Any, **kwargs: Any) -> Any:
        if self.fails:
            raise self.fails
        return json.loads(json.dumps(await self._executor.run(json.loads(json.dumps(kwargs["json"])))))


@dataclass
class House:
    """The loaded assistant, with the loop that its coroutines run in."""

    agent: Agent
    actions: Actions
    loop: asyncio.AbstractEventLoop

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def parse(self, text: str) -> dict[str, Any]:
        found: dict[str, Any] = self.run(self.agent.parse_message(text))
        return found


def open_house(model: Path) -> House:
    # Unconfigured, Rasa's structured log prints every message at debug level.
    configure_structlog(logging.WARNING)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    actions = Actions()
    agent = Agent.load(model, action_endpoint=actions, tracker_store=BoundedTrackerStore())
    return House(agent, actions, loop)


@dataclass
class Chat:
    """`user(…)` says something, `bot(…)` expects the responses that answered, by name and in order."""

    house: House
    channel: str = "test"
    sender: str = field(default_factory=lambda: f"talk-{next(_names)}")
    messages: list[dict[str, Any]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def user(self, text: str, metadata: Mapping[str, Any] | None = None) -> Chat:
        from rasa.core.channels.channel import UserMessage

        out = TurnOutput()
        message = UserMessage(
            text, out, self.sender, input_channel=self.channel, metadata=dict(metadata or {})
        )
        self.house.run(self.house.agent.handle_message(message))
        self.messages = out.messages
        events = list(self.tracker.events)
        newest = max(at for at, event in enumerate(events) if isinstance(event, UserUttered))
        said = [event for event in events[newest:] if isinstance(event, BotUttered)]
        self.names = [event.metadata.get("utter_action", "") for event in said]
        return self

    def bot(self, *names: str) -> Chat:
        assert self.names == list(names)
        return self

    def press(self, title: str) -> Chat:
        """Presses the button called `title` on the newest message that has one."""
        for message in reversed(self.messages):
            for button in message.get("buttons", ()):
                if button["title"] == title:
                    return self.user(button["payload"])
        raise AssertionError(f"no button {title!r}, there are {self.titles}")

    @property
    def titles(self) -> list[str]:
        return [button["title"] for message in self.messages for button in message.get("buttons", ())]

    @property
    def text(self) -> str:
        return "\n".join(message["text"] for message in self.messages)

    @property
    def step(self) -> dict[str, Any] | None:
        return next((m["custom"]["step"] for m in reversed(self.messages) if "custom" in m), None)

    @property
    def tracker(self) -> DialogueStateTracker:
        found: DialogueStateTracker = self.house.run(self.house.agent.tracker_store.retrieve(self.sender))
        return found

    def slot(self, name: str) -> Any:
        return self.tracker.get_slot(name)

    @property
    def held(self) -> bool:
        from breakwater.safety.protocol import State

        state = self.slot("safety_state")
        return state is not None and State.from_json(state).name == "hold"

    def gives_lines(self) -> Chat:
        assert self.names == ["utter_safety"], self.names
        first = self.messages[0]["text"]
        assert [line for line in LINES if line not in first] == []
        assert self.slot("exercise") is None
        return self

"""A talk with the protocol alone: verdicts are made by hand, so that these tests need no screen."""

from __future__ import annotations

from breakwater.safety import protocol
from breakwater.safety.protocol import START, Reply, State, Step
from breakwater.safety.verdict import Level, Verdict

QUIET = Verdict(Level.NONE)


def verdict(level: str, *types: str, topics: tuple[str, ...] = (), language: str = "und") -> Verdict:
    return Verdict(Level.of(level), types, language, source="rule", topics=topics)


def unread() -> Verdict:
    """What the screen answers when something inside it broke."""
    return Verdict(Level.CONCERN, ("other",), source="failsafe")


class Chat:
    """`says` sends a message, `picks` presses a button; `reply`, `state` and `step` are what came of it."""

    def __init__(self, channel: str = "web", state: State = START) -> None:
        self.channel, self.state = channel, state
        self.step: Step = Step(state)

    def says(self, text: str, verdict: Verdict = QUIET) -> Reply | None:
        return self._advance(text, verdict, None)

    def picks(self, choice: str, verdict: Verdict = QUIET) -> Reply | None:
        labels = {offer.id: offer.label for offer in protocol.offered(self.state, channel=self.channel)}
        assert choice in labels, f"{choice} is not offered; offered are {sorted(labels)}"
        return self._advance(labels[choice], verdict, choice)

    def _advance(self, text: str, verdict: Verdict, choice: str | None) -> Reply | None:
        # Through JSON each time: what the store keeps must be all that the protocol needs.
        stored = State.from_json(self.state.to_json())
        assert stored == self.state
        self.step = protocol.advance(stored, verdict, text, channel=self.channel, choice=choice)
        self.state = self.step.state
        return self.step.reply

    @property
    def reply(self) -> Reply:
        assert self.step.reply is not None, "the protocol left this message to the assistant"
        return self.step.reply

    @property
    def offers(self) -> list[str]:
        return [offer.id for offer in self.reply.choices]

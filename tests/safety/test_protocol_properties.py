"""Random walks through the protocol: what must hold from any state, after any messages, in any order."""

import dataclasses
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from breakwater.safety import protocol
from breakwater.safety.protocol import START, TEXT, UNREADABLE, State, advance, has_lines, offered
from breakwater.safety.verdict import TOPICS, TYPES, Level, Verdict
from breakwater.safety.words import CHANNELS, CHECKINS, LANGUAGES, default_words, normalise, septets

WORDS = default_words()
SAYINGS = sorted(phrase for phrases in WORDS.answers.phrases.values() for phrase in phrases)
LEAVING_WORDS = {
    kind: {normalise(WORDS.label(f"leave_{kind}", language)) for language in LANGUAGES}
    | WORDS.answers.phrases[f"leave_{kind}"]
    for kind in ("safe_now", "reached", "care", "with_someone", "safe_place", "go")
}
CONFIRMING = WORDS.answers.phrases["yes"] | {
    normalise(WORDS.label("confirm_yes", each)) for each in LANGUAGES
}
FIXED = ("checkin", "crisis", "emergency", "hold", "failsafe")

texts = st.one_of(
    st.sampled_from(SAYINGS),
    st.sampled_from(
        ["1", "2", "3", "4", "/restart", "/menu", '/greet{"a": "b"}', "no but", "", " ", "?", "988", "ok"]
    ),
    st.text(max_size=60),
)
verdicts = st.builds(
    Verdict,
    # Quiet messages are the ones that could end a hold, so they come often.
    level=st.sampled_from([Level.NONE] * 6 + [Level.CONCERN, Level.CONCERN, Level.CRISIS, Level.EMERGENCY]),
    types=st.lists(st.sampled_from(TYPES), min_size=1, max_size=3, unique=True).map(tuple),
    language=st.sampled_from(["en", "es", "und", "und"]),
    source=st.sampled_from(["rule"] * 9 + ["failsafe"]),
    topics=st.lists(st.sampled_from(TOPICS), max_size=2, unique=True).map(tuple),
)


def leaves_of(state: State) -> set[str]:
    """DESIGN.md's leaving words by kind of hold, written down a second time on purpose."""
    urgent = state.level is Level.EMERGENCY or "medical" in state.types
    if urgent or {"ingestion", "attempt", "wound"} & set(state.topics):
        return {"care"}
    if "third_party" in state.topics:
        return {"with_someone"}
    if "abuse" in state.types and not {"suicide", "self_harm"} & set(state.types):
        return {"safe_place", "go"}
    return {"safe_now", "reached"}


class Walk(RuleBasedStateMachine):
    """One person's talk; each rule is one message."""

    @initialize(
        channel=st.sampled_from(CHANNELS),
        state=st.sampled_from([START, UNREADABLE, dataclasses.replace(START, language="es")]),
    )
    def begin(self, channel, state):
        self.channel, self.state, self.last = channel, state, None

    @rule(text=texts, verdict=verdicts)
    def writes(self, text, verdict):
        self.move(text, verdict, None)

    @precondition(lambda self: offered(self.state))
    @rule(data=st.data(), verdict=verdicts)
    def picks(self, data, verdict):
        choice = data.draw(st.sampled_from(offered(self.state, channel=self.channel)))
        self.move(choice.label, verdict, choice.id)

    @precondition(lambda self: self.state.name == "hold")
    @rule(data=st.data())
    def tries_to_leave(self, data):
        kind = data.draw(st.sampled_from(sorted(LEAVING_WORDS)))
        self.move(data.draw(st.sampled_from(sorted(LEAVING_WORDS[kind]))), Verdict(Level.NONE), None)

    @precondition(lambda self: (self.state.pending or "").startswith("leave:"))
    @rule(text=st.sampled_from(sorted(CONFIRMING)))
    def confirms(self, text):
        self.move(text, Verdict(Level.NONE), None)

    def move(self, text, verdict, choice):
        before = State.from_json(self.state.to_json())
        assert before == self.state
        step = advance(before, verdict, text, channel=self.channel, choice=choice)
        self.check(before, verdict, text, choice, step)
        self.state = step.state
        self.last = step.reply.text if step.reply else None

    def check(self, before, verdict, text, choice, step):
        after, reply = step.state, step.reply
        assert (
            advance(before, verdict, text, channel=self.channel, choice=choice) == step
        )  # nothing but its input
        typed = choice is None
        alarm = verdict.level >= Level.CRISIS and typed
        if alarm:
            assert after.name == "hold" and reply.kind == after.level.label
            assert set(after.types) >= set(verdict.types) and after.level >= verdict.level
        if alarm or after.name != "talk":
            assert step.ask is None
        if reply is None:
            assert step.ask == TEXT and before.name == after.name == "talk" and verdict.source != "failsafe"
        else:
            self.check_reply(after, reply)
        if verdict.level >= Level.CONCERN and typed:
            assert (reply and has_lines(reply.text)) or step.lines
        assert step.fresh == ((before.name == "hold") != (after.name == "hold"))
        expected = verdict.language if verdict.language in LANGUAGES else before.language
        assert after.language == expected
        if before.name == "hold" and after.name == "hold":
            assert set(after.types) >= set(before.types) and after.level >= before.level
        if before.name == "hold" and after.name != "hold":
            kind = (before.pending or "").removeprefix("leave:")
            assert after.name == "talk" and kind in leaves_of(before)
            assert choice == "confirm_yes" or (verdict.level is Level.NONE and verdict.source != "failsafe")

    def check_reply(self, after, reply):
        assert has_lines(reply.text) and reply.lines
        assert reply.kind in (*FIXED, "say")
        assert (reply.kind == "say") == (after.name == "talk")
        assert reply.text != self.last
        assert "{" not in reply.text and "\n\n" not in reply.text
        assert reply.choices in ((), offered(after, channel=self.channel))
        spanish = "AYUDA" in reply.text or "¿" in reply.text
        assert spanish == (after.language == "es"), reply.text
        if self.channel == "sms":
            count = septets(reply.text)
            assert count is not None and count <= 306, reply.text

    @invariant()
    def any_crisis_message_gets_the_lines_from_here(self):
        step = advance(self.state, Verdict(Level.CRISIS, ("suicide",)), "x", channel=self.channel)
        assert has_lines(step.reply.text) and step.state.name == "hold" and step.ask is None
        assert step.reply.kind in ("crisis", "emergency")


SHORT = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)


def test_short_walks():
    run_state_machine_as_test(Walk, settings=SHORT)


@pytest.mark.full
@pytest.mark.timeout(900)
def test_long_walks():
    run_state_machine_as_test(Walk, settings=settings(SHORT, max_examples=600, stateful_step_count=60))


anything = st.one_of(st.none(), st.text(max_size=8), st.integers(), st.lists(st.text(max_size=4), max_size=3))
states = st.builds(
    State,
    name=st.sampled_from(["talk", "checkin", "hold", "gone", ""]),
    level=st.sampled_from(Level),
    types=st.lists(st.sampled_from([*TYPES, "none"]), max_size=3).map(tuple),
    topics=st.lists(st.sampled_from([*TOPICS, "?"]), max_size=3).map(tuple),
    topic=st.sampled_from([None, *CHECKINS, "skills", "x"]),
    asked_topics=st.lists(st.sampled_from(CHECKINS), max_size=3).map(tuple),
    pending=st.sampled_from(
        [None, "again", "suicide", "leave:care", "leave:x", "skill:delay:2", "skill:delay:9"]
    ),
    said=st.lists(st.tuples(st.text(max_size=5), st.integers(-2, 5)), max_size=2).map(tuple),
    language=st.sampled_from(["en", "es", "fr", ""]),
)
wild_verdicts = st.builds(
    Verdict,
    level=st.sampled_from(Level),
    types=st.lists(st.sampled_from([*TYPES, "none", "??"]), max_size=3).map(tuple),
    language=st.sampled_from(["en", "es", "und", "", "xx"]),
    source=st.sampled_from(["rule", "failsafe", "none", "?"]),
    topics=st.lists(st.sampled_from([*TOPICS, "??"]), max_size=3).map(tuple),
)


@settings(max_examples=80, deadline=None)
@given(
    state=states,
    verdict=wild_verdicts,
    text=st.one_of(
        texts, st.text(max_size=3000), st.text(max_size=20).map(lambda piece: (piece * 10_000)[:10_000])
    ),
    channel=st.sampled_from([*CHANNELS, "whatsapp", ""]),
    choice=st.one_of(
        st.none(), st.text(max_size=10), st.sampled_from(["yes", "no", "confirm_yes", "leave_safe_now"])
    ),
)
def test_advance_is_total(state, verdict, text, channel, choice):
    step = advance(state, verdict, text, channel=channel, choice=choice)
    assert State.from_json(step.state.to_json()) == step.state
    assert step.reply or step.ask == TEXT
    if verdict.level >= Level.CRISIS and choice is None:
        assert has_lines(step.reply.text) and step.state.name == "hold"
    assert protocol.superseded(state, channel).lines and isinstance(offered(state), tuple)


@settings(max_examples=80, deadline=None)
@given(
    st.one_of(
        anything,
        st.dictionaries(st.sampled_from([field.name for field in dataclasses.fields(State)]), anything).map(
            lambda change: json.dumps({**json.loads(START.to_json()), **change})
        ),
    )
)
def test_a_stored_state_is_read_exactly_or_is_an_open_hold(stored):
    state = State.from_json(stored)
    assert state is UNREADABLE or State.from_json(state.to_json()) == state
    assert advance(state, Verdict(Level.NONE), "hm").state.name in ("talk", "checkin", "hold")


NOTS = ("not", "never", "no", "isnt", "cant", "dont", "nunca", "ni", "tampoco", "sin", "wont")


@pytest.mark.parametrize("kind", sorted(LEAVING_WORDS))
def test_no_leaving_phrase_with_a_negation_in_it_ever_matches(kind):
    """Each phrase, with each word of negation at each place."""
    phrases = sorted(LEAVING_WORDS[kind])
    for phrase in phrases[:: len(phrases) // 40 + 1]:
        words = phrase.split()
        for negation in NOTS:
            for place in range(len(words) + 1):
                turned = " ".join([*words[:place], negation, *words[place:]])
                assert f"leave_{kind}" not in WORDS.answers.classes(turned), turned

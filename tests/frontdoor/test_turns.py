"""The order of things within one talk: what waits, what does not, and what is dropped."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from breakwater.frontdoor import guard, turns
from breakwater.safety import protocol
from breakwater.safety.verdict import Level, Verdict
from breakwater.safety.words import LAST_RESORT, Words
from tests.frontdoor.house import Chat, House, has_lines, running, until
from tests.frontdoor.peer import MENU, Peer, say, slowly

CRISIS = "I want to die"


class InFlight:
    """One message sent from another thread."""

    def __init__(self, chat: Chat, body: dict[str, Any]) -> None:
        self.answer: Any = None

        def send() -> None:
            self.answer = chat.send(body)

        self._thread = threading.Thread(target=send)
        self._thread.start()

    def messages(self) -> list[dict[str, Any]]:
        self._thread.join(15)
        assert self.answer.status_code == 200
        return self.answer.json()["messages"]


def in_flight(house: House, chat: Chat, text: str = "hello") -> InFlight:
    asked = len(house.peer.asked)
    house.peer.hold.clear()
    sent = InFlight(chat, {"text": text})
    until(lambda: len(house.peer.asked) > asked, what="the question to the assistant")
    return sent


FAULTS = {
    "an empty list": ([], "empty"),
    "null": (None, "error"),
    "an object": ({"text": "hello"}, "shape"),
    "null text": ([{"text": None}], "shape"),
    "a number as text": ([{"text": 5}], "shape"),
    "blank text": ([{"text": "  "}], "shape"),
    "one bad of two": ([{"text": "hello"}, {"custom": {}}], "shape"),
    "a list of strings": (["hello"], "shape"),
    "a button without payload": ([{"text": "a", "buttons": [{"title": "b"}]}], "shape"),
    "buttons that are a number": ([{"text": "a", "buttons": 7}], "shape"),
    "HTML": (b"<h1>It works!</h1>", "shape"),
    "nothing at all": (b"", "shape"),
    "half an answer": (b'[{"text": "hel', "shape"),
    "very much": (b"[" + b" " * 300_000 + b"]", "shape"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_broken_answer_becomes_the_lines(house: House, name: str) -> None:
    chat = house.chat()
    answer, reason = FAULTS[name]
    house.peer.answer = lambda asked: answer
    messages = chat.say("hello")
    assert [message["kind"] for message in messages] == ["failsafe"]
    assert has_lines(messages[0]["text"]) and messages[0]["lines"]
    assert house.metric("failsafe_total", reason=reason) == 1


@pytest.mark.parametrize("status", [500, 403, 404, 503, 302])
def test_a_bad_status_becomes_the_lines(house: House, status: int) -> None:
    chat = house.chat()
    house.peer.status = status
    assert chat.say("hello")[0]["kind"] == "failsafe"
    assert house.metric("failsafe_total", reason="assistant_status") == 1


def test_no_assistant_at_all(peer: Peer) -> None:
    peer.close()
    with running(peer) as house:
        chat = house.chat()
        started = time.monotonic()
        assert chat.say("hello")[0]["kind"] == "failsafe"
        assert time.monotonic() - started < 0.5


def test_a_late_answer_becomes_the_lines_in_time(house: House) -> None:
    chat = house.chat()
    house.peer.answer = slowly(3)
    started = time.monotonic()
    assert chat.say("hello")[0]["kind"] == "failsafe"
    assert 0.9 < time.monotonic() - started < 2
    assert house.metric("failsafe_total", reason="late") == 1


def test_turns_of_one_talk_keep_their_order(house: House) -> None:
    chat = house.chat()
    first = in_flight(house, chat, "one")
    second = InFlight(chat, {"text": "two"})
    time.sleep(0.2)
    assert house.peer.words() == ["one"]  # the second waits for its turn
    house.peer.hold.set()
    assert first.messages()[0]["kind"] == second.messages()[0]["kind"] == "say"
    assert house.peer.words() == ["one", "two"]


def test_waiting_for_ones_turn_counts_towards_the_deadline(house: House) -> None:
    chat = house.chat()
    first = in_flight(house, chat, "one")
    started = time.monotonic()
    second = InFlight(chat, {"text": "two"})
    assert second.messages()[0]["kind"] == "failsafe"
    assert time.monotonic() - started < 1.6
    assert first.messages()[0]["kind"] == "failsafe"


def test_other_peoples_turns_do_not_wait(house: House) -> None:
    stuck = in_flight(house, house.chat())
    house.peer.hold.set()
    assert house.chat().say("hello")[0]["kind"] == "say"
    stuck.messages()


def test_a_crisis_waits_for_no_turn_in_flight_and_drops_it(house: House) -> None:
    chat = house.chat()
    earlier = in_flight(house, chat)
    started = time.monotonic()
    assert chat.say(CRISIS)[0]["kind"] == "crisis"
    assert time.monotonic() - started < 0.3
    house.peer.hold.set()
    dropped = earlier.messages()
    assert [message["kind"] for message in dropped] == ["hold"]
    assert has_lines(dropped[0]["text"]) and "I hear you" not in dropped[0]["text"]
    assert house.metric("superseded_total") == 1
    assert chat.say("hello")[0]["kind"] == "hold"
    assert chat.pick(next(iter(chat.kept.offers), "")).status_code in (200, 409)


def test_a_check_in_drops_an_earlier_turn_and_one_that_waits(house: House) -> None:
    chat = house.chat()
    earlier = in_flight(house, chat, "one")
    waiting = InFlight(chat, {"text": "two"})
    time.sleep(0.1)
    assert chat.say("what's the point of any of this anymore")[0]["kind"] == "checkin"
    choices = dict(chat.kept.offers)
    house.peer.hold.set()
    dropped = earlier.messages()[0]
    assert dropped["kind"] == "checkin"
    assert [choice["id"] for choice in dropped["choices"]] == list(choices)  # good for one of them
    assert waiting.messages()[0]["kind"] == "checkin"
    assert house.peer.words() == ["one"]
    assert chat.kept.offers == choices  # the question that was asked is still the one that can be answered


def test_an_ended_talk_is_not_brought_back_by_its_last_turn(house: House) -> None:
    chat = house.chat()
    key = house.sessions.web_key(chat.session)
    earlier = in_flight(house, chat)
    assert chat.end() == 204
    house.peer.hold.set()
    earlier.messages()
    assert house.sessions.here(key) is None
    assert house.store.backend.get(key) is None


def test_the_conversation_of_an_ended_talk_is_forgotten_after_its_last_turn(house: House) -> None:
    chat = house.chat()
    sender = chat.kept.conversation
    earlier = in_flight(house, chat)
    chat.end()
    time.sleep(0.2)
    assert sender not in house.peer.forgotten
    house.peer.hold.set()
    earlier.messages()
    until(lambda: sender in house.peer.forgotten, 5, "forgetting")


def test_what_the_assistant_never_heard_of_is_not_forgotten_there(house: House) -> None:
    house.phone().text(CRISIS)
    house.say({"session": "nobody's", "text": CRISIS})
    time.sleep(0.3)
    assert house.peer.forgotten == []


def test_forgetting_is_tried_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("breakwater.frontdoor.app.FORGET_PAUSES", (0.0, 0.3, 0.3))
    chat = house.chat()
    sender = chat.kept.conversation
    house.peer.forgets = False
    chat.end()
    time.sleep(0.1)
    house.peer.forgets = True
    until(lambda: sender in house.peer.forgotten, 5, "forgetting")


def test_what_was_said_before_a_hold_does_not_begin_it_again(house: House) -> None:
    chat = house.chat()
    chat.say("i just want")
    assert list(chat.kept.recent) == ["i just want"]
    chat.say(CRISIS)
    assert list(chat.kept.recent) == []


def test_the_reply_of_the_protocol_suffices_when_the_assistant_then_fails(house: House) -> None:
    chat = house.chat()
    chat.say("what's the point of any of this anymore")
    house.peer.answer = lambda asked: []
    messages = chat.say("no")
    assert [message["kind"] for message in messages] == ["say"] and has_lines(messages[0]["text"])


def test_a_rating_is_an_answer_and_no_number_of_a_choice(house: House) -> None:
    step = {"exercise": "thought", "number": 1, "of": 3, "kind": "rate"}
    house.peer.answer = lambda asked: say("From 0 to 10?", MENU, custom={"step": step})
    phone = house.phone()
    phone.text("hello")
    phone.text("2")
    assert house.peer.words()[-1] == "2"


# The last ring and the last check


def broken(*_: object, **__: object) -> None:
    raise RuntimeError("broken on purpose: I WANT TO DIE")


def test_a_broken_protocol_still_gives_the_lines(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    chat = house.chat()
    phone = house.phone()
    monkeypatch.setattr(protocol, "advance", broken)
    for text, kind in (("hello", "failsafe"), (CRISIS, "crisis")):
        message = chat.say(text)[0]
        assert message["kind"] == kind
        assert message["text"] == LAST_RESORT and message["lines"]
        assert phone.text(text) == [LAST_RESORT]
    assert house.metric("failsafe_total", reason="internal") == 4
    monkeypatch.undo()
    assert chat.say("hello")[0]["kind"] == "hold"  # the talk has stopped though the protocol could not say so


def test_a_broken_screen_gives_the_lines(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    chat = house.chat()
    monkeypatch.setattr("breakwater.frontdoor.screening.screen", broken)
    assert has_lines(chat.say("hello")[0]["text"])
    assert house.phone().text("hello") == [LAST_RESORT]


def test_broken_sessions_give_the_lines(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    chat = house.chat()
    monkeypatch.setattr(type(house.sessions), "here", broken)
    assert has_lines(chat.say("hello")[0]["text"])


def test_broken_rendering_gives_the_lines(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    chat, phone = house.chat(), house.phone()
    monkeypatch.setattr("breakwater.frontdoor.render.messages", broken)
    monkeypatch.setattr("breakwater.frontdoor.render.texts", broken)
    assert [message["text"] for message in chat.say(CRISIS)] == [LAST_RESORT]
    assert phone.text(CRISIS) == [LAST_RESORT]
    monkeypatch.setattr("breakwater.frontdoor.render.lines", broken)
    refused = house.http.get("/nothing")
    assert refused.status_code == 503 and has_lines(refused.text)


@pytest.mark.parametrize("channel", ["web", "sms"])
def test_words_without_lines_never_leave(house: House, monkeypatch: pytest.MonkeyPatch, channel: str) -> None:
    """The protocol's own words are broken: the fixed ones go in their place, and it is counted."""
    real = Words.text

    def lost(self: Words, key: str, *args: Any, **kwargs: Any) -> str:
        return real(self, key, *args, **kwargs).replace("741741", "").replace("911", "")

    monkeypatch.setattr(Words, "text", lost)
    monkeypatch.setattr(
        Words,
        "variants",
        lambda self, key, language, channel="web": tuple(
            text.replace("741741", "") for text in self.texts[key, language, channel]
        ),
    )
    person = house.chat() if channel == "web" else house.phone()
    for text, kind in (
        (CRISIS, "crisis"),
        ("i took all of them ten minutes ago", "emergency"),
        ("hello", "failsafe"),
    ):
        before = house.metric("guard_replaced_total")
        if channel == "web":
            message = person.say(text)[0]
            assert message["kind"] == kind and message["text"] == LAST_RESORT and message["lines"]
        else:
            assert person.text(text) == [LAST_RESORT]
        assert house.metric("guard_replaced_total") == before + 1
    monkeypatch.undo()
    if channel == "web":
        assert person.say("hello")[0]["kind"] == "hold"


NUMBERS = "988, 741741, 911"
LINES = guard.FIXED_LINES


def reply(kind: str, text: str = NUMBERS, lines: tuple = LINES) -> protocol.Reply:
    return protocol.Reply(kind, text, (), lines, None)


@pytest.mark.parametrize(
    "replies, level, leaves",
    [
        ([reply("crisis")], Level.CRISIS, True),
        ([reply("emergency")], Level.CRISIS, True),
        ([reply("crisis", "988 and 911")], Level.CRISIS, False),
        ([reply("crisis", lines=())], Level.CRISIS, False),
        ([reply("hold")], Level.CRISIS, False),
        ([reply("say")], Level.EMERGENCY, False),
        ([reply("say", "Hello."), reply("crisis")], Level.CRISIS, False),
        ([], Level.CRISIS, False),
        ([], Level.NONE, False),
        ([reply("checkin")], Level.CONCERN, True),
        ([reply("checkin", "How are you?")], Level.CONCERN, False),
        ([reply("say", "I hear you.", ())], Level.CONCERN, False),
        ([reply("say", "I hear you.")], Level.CONCERN, False),
        ([reply("say", NUMBERS, ())], Level.CONCERN, False),
        ([reply("say", "First.", ()), reply("say")], Level.CONCERN, True),
        ([reply("say", "I hear you.", ())], Level.NONE, True),
        ([reply("hold", "Stay.")], Level.NONE, False),
        ([reply("failsafe", "Sorry.")], Level.NONE, False),
        ([reply("say", "  ")], Level.NONE, False),
    ],
)
def test_the_last_check(replies: list[protocol.Reply], level: Level, leaves: bool) -> None:
    checked, replaced = guard.check(replies, Verdict(level, ("suicide",) if level else ()))
    assert replaced is not leaves
    if leaves:
        assert list(checked) == replies
    else:
        assert [one.text for one in checked] == [LAST_RESORT] and has_lines(LAST_RESORT)
        assert checked[0].kind == (level.label if level >= Level.CRISIS else "failsafe")


def test_an_exception_is_known_by_its_place_and_not_by_its_words() -> None:
    from breakwater.frontdoor.metrics import where

    try:
        broken()
    except RuntimeError as error:
        told = where(error)
    assert told.startswith("RuntimeError at test_turns.py:") and "DIE" not in told


def test_a_turn_never_raises_and_needs_no_session(house: House) -> None:
    message = turns.Message("web", "", "hello", fault=None)
    assert house.turns._refusal(message, None) == 404

"""CONTRACT.md's HTTP for the web, row by row, over real HTTP."""

from __future__ import annotations

import json
import threading

import pytest

from breakwater.frontdoor.sessions import Offer
from tests.frontdoor.house import House, has_lines, running, until
from tests.frontdoor.peer import MENU, Peer, say

CRISIS = "I want to die"
BODY_AT_MOST = 1024 * 1024
WITH_LINES = {"checkin", "crisis", "emergency", "hold", "failsafe"}


def whole(message: dict) -> None:
    """M as the contract has it."""
    assert {"kind", "text", "choices", "lines", "step"} <= set(message)
    assert message["kind"] in WITH_LINES | {"say", "step"}
    assert message["text"].strip()
    for choice in message["choices"]:
        assert set(choice) == {"id", "label"}
    for line in message["lines"]:
        assert {"id", "label"} <= set(line) <= {"id", "label", "call", "text", "body", "url"}
    if message["kind"] in WITH_LINES:
        assert has_lines(message["text"]) and message["lines"]


def test_a_session_opens_with_who_this_is_and_the_first_question(house: House) -> None:
    opened = house.chat().opened
    assert [message["kind"] for message in opened["messages"]] == ["say", "say"]
    assert has_lines(opened["messages"][0]["text"]) and "program" in opened["messages"][0]["text"]
    assert opened["messages"][1]["text"] == "I hear you."
    assert house.peer.asked[0]["message"] == "/start"
    for message in opened["messages"]:
        whole(message)


def test_a_session_opens_in_spanish_when_asked(house: House) -> None:
    assert "programa" in house.chat("es").opened["messages"][0]["text"]
    assert house.peer.asked[0]["metadata"] == {"screened": True, "language": "es", "channel": "web"}
    by_browser = house.http.post("/chat/sessions", headers={"Accept-Language": "es-MX,en;q=0.5"})
    assert "programa" in by_browser.json()["messages"][0]["text"]


def test_a_session_opens_without_the_assistant(peer: Peer) -> None:
    peer.answer = lambda asked: []
    with running(peer) as house:
        messages = house.chat().opened["messages"]
        assert [message["kind"] for message in messages] == ["say", "failsafe"]
        whole(messages[1])


@pytest.mark.parametrize("body", [b'{"language": "fr"}', b"[]", b"{", b'{"language": 3}', b'"en"'])
def test_a_malformed_opening_is_refused_with_the_lines(shared: House, body: bytes) -> None:
    answer = shared.http.post("/chat/sessions", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"] == "malformed" and answer.json()["lines"] and answer.json()["reason"]


def test_ids_are_unguessable_and_ours(house: House) -> None:
    ids = {house.chat().session for _ in range(5)}
    assert len(ids) == 5 and all(len(one) >= 40 for one in ids)
    assert all(house.sessions.ours(one) for one in ids)
    assert not house.sessions.ours(next(iter(ids))[:-1] + "x")


def test_talk_goes_to_the_assistant_and_back(house: House) -> None:
    messages = house.chat().say("i feel low")
    assert house.peer.words() == ["i feel low"]
    assert house.peer.asked[-1]["sender"] == house.peer.asked[0]["sender"]
    assert [message["kind"] for message in messages] == ["say"]
    assert [choice["label"] for choice in messages[0]["choices"]] == ["Breathing", "Grounding"]
    whole(messages[0])


def test_several_messages_and_a_step(house: House) -> None:
    step = {"exercise": "breathing", "number": 1, "of": 4, "kind": "breathe", "seconds": [4, 6], "more": 1}
    house.peer.answer = lambda asked: [*say("First."), *say("Second.", MENU, custom={"step": step})]
    first, second = house.chat().say("hello")
    assert (first["kind"], first["step"]) == ("say", None)
    assert second["kind"] == "step"
    assert second["step"] == {
        "exercise": "breathing",
        "number": 1,
        "of": 4,
        "kind": "breathe",
        "seconds": [4, 6],
    }
    whole(second)


def test_a_choice_sends_its_payload_and_is_good_once(house: House) -> None:
    chat = house.chat()
    choice = chat.say("hello")[0]["choices"][0]["id"]
    assert chat.pick(choice).status_code == 200
    assert house.peer.words()[-1] == '/choose{"skill":"breathing"}'
    again = chat.pick(choice)
    assert again.status_code == 409 and again.json()["error"] == "choice" and again.json()["lines"]


def test_a_choice_picked_twice_at_once_is_picked_once(house: House) -> None:
    chat = house.chat()
    choice = chat.say("hello")[0]["choices"][0]["id"]
    house.peer.hold.clear()
    statuses: list[int] = []
    twice = [
        threading.Thread(target=lambda: statuses.append(chat.pick(choice).status_code)) for _ in range(2)
    ]
    for one in twice:
        one.start()
    until(lambda: statuses == [409])
    house.peer.hold.set()
    for one in twice:
        one.join(10)
    assert statuses == [409, 200]


def test_a_choice_of_another_session_or_of_nobody_is_none(house: House) -> None:
    theirs = house.chat().say("hello")[0]["choices"][0]["id"]
    chat = house.chat()
    assert chat.pick(theirs).status_code == 409
    assert chat.pick("no such choice").status_code == 409
    assert chat.pick('/choose{"skill":"breathing"}').status_code == 409


def test_a_newer_answer_closes_earlier_choices(house: House) -> None:
    chat = house.chat()
    old = chat.say("hello")[0]["choices"][0]["id"]
    chat.say("and more")
    assert chat.pick(old).status_code == 409


def test_a_typed_label_is_its_choice(house: House) -> None:
    chat = house.chat()
    chat.say("hello")
    chat.say("  breathing! ")
    assert house.peer.words()[-1] == '/choose{"skill":"breathing"}'


def test_a_failed_turn_leaves_its_choices_open(house: House) -> None:
    chat = house.chat()
    choice = chat.say("hello")[0]["choices"][0]
    good, house.peer.answer = house.peer.answer, lambda asked: []
    failed = chat.pick(choice["id"]).json()["messages"][0]
    assert failed["kind"] == "failsafe"
    assert choice in failed["choices"]
    house.peer.answer = good
    assert chat.pick(choice["id"]).json()["messages"][0]["kind"] == "say"


def test_the_assistants_choices_are_void_in_a_check_in_and_a_hold(house: House) -> None:
    chat = house.chat()
    choice = chat.say("hello")[0]["choices"][0]["id"]
    asked = len(house.peer.asked)
    assert chat.say("what's the point of any of this anymore")[0]["kind"] == "checkin"
    assert chat.pick(choice).status_code == 409
    assert chat.say(CRISIS)[0]["kind"] == "crisis"
    assert chat.pick(choice).status_code == 409
    assert len(house.peer.asked) == asked


def test_an_assistants_choice_that_outlived_the_talk_is_void(house: House) -> None:
    chat = house.chat()
    chat.say(CRISIS)
    chat.kept.offers["left-over"] = Offer("Breathing", "/breathing")
    assert chat.pick("left-over").status_code == 409


def test_the_protocols_choices_work_by_button_and_by_label(house: House) -> None:
    chat = house.chat()
    asked = chat.say("what's the point of any of this anymore")[0]
    whole(asked)
    yes = next(choice for choice in asked["choices"] if choice["label"].lower().startswith("yes"))
    assert chat.pick(yes["id"]).json()["messages"][0]["kind"] in ("crisis", "hold")
    assert chat.pick(yes["id"]).status_code == 409
    other = house.chat()
    label = other.say("what's the point of any of this anymore")[0]["choices"][0]["label"]
    assert other.say(label)[0]["kind"] in ("crisis", "hold")


def test_crisis_is_answered_without_the_assistant_and_holds(house: House) -> None:
    chat = house.chat()
    asked = len(house.peer.asked)
    messages = chat.say(CRISIS)
    assert [message["kind"] for message in messages] == ["crisis"]
    whole(messages[0])
    held = chat.say("hello")
    assert [message["kind"] for message in held] == ["hold"]
    whole(held[0])
    assert len(house.peer.asked) == asked


def test_a_hold_takes_a_new_conversation_and_the_old_is_forgotten(house: House) -> None:
    chat = house.chat()
    chat.say("hello")
    before = house.peer.asked[-1]["sender"]
    chat.say(CRISIS)
    until(lambda: house.peer.forgotten == [before], what="forgetting")
    chat.say("I've reached someone")
    left = chat.say("yes")
    assert left[0]["kind"] == "say"
    assert house.peer.asked[-1]["message"] == "/menu"
    assert house.peer.asked[-1]["sender"] != before


def test_emergency_is_called_so(house: House) -> None:
    assert house.chat().say("i took all of them ten minutes ago")[0]["kind"] == "emergency"


def test_spanish_crisis_is_answered_in_spanish(house: House) -> None:
    crisis = house.chat().say("quiero morirme")[0]
    assert crisis["kind"] == "crisis" and "AYUDA" in crisis["text"]


def test_the_end_forgets_everything(house: House) -> None:
    chat = house.chat()
    chat.say("hello")
    sender = chat.kept.conversation
    assert chat.end() == 204
    answer = chat.send({"text": "hello"})
    assert answer.status_code == 404 and answer.json()["error"] == "session" and answer.json()["lines"]
    assert chat.end() == 204  # as often as one likes
    assert house.http.delete("/chat/sessions/whatever").status_code == 204
    until(lambda: house.peer.forgotten == [sender], what="forgetting")


def test_a_late_crisis_after_the_end_is_answered_and_opens_nothing(house: House) -> None:
    chat = house.chat()
    chat.end()
    assert chat.say(CRISIS)[0]["kind"] == "crisis"
    assert chat.send({"text": "hello"}).status_code == 404


def test_nobody_knows_this_session(house: House) -> None:
    answer = house.say({"session": "nobody's", "text": "hello"})
    assert answer.status_code == 404 and answer.json()["lines"]
    crisis = house.say({"session": "nobody's", "text": CRISIS})
    assert crisis.status_code == 200
    assert crisis.json()["messages"][0]["kind"] == "crisis"
    # It is a hold from here on, in the session that came with the answer.
    held = house.say({"session": crisis.json()["session"], "text": "hello"})
    assert held.json()["messages"][0]["kind"] == "hold"


def test_an_expired_session(peer: Peer) -> None:
    with running(peer, idle=0.0) as house:
        chat = house.chat()
        assert chat.send({"text": "hello"}).status_code == 404
        assert chat.say(CRISIS)[0]["kind"] == "crisis"
        assert chat.say("hello")[0]["kind"] == "hold"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"hello"',
        b"{}",
        b'{"session": "s"}',
        b'{"text": "hello"}',
        b'{"session": 5, "text": "hello"}',
        b'{"session": "s", "text": 5}',
        b'{"session": "s", "text": ["hello"]}',
        b'{"session": "s", "text": "hello", "choice": "c"}',
        b'{"session": "s", "text": "a", "text": "b"}',
        b'{"session": "s", "choice": null, "text": null}',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"session": "s", "text": ' + b"9" * 500_000 + b"}",
    ],
    ids=range(17),
)
def test_malformed_is_refused_with_the_lines(shared: House, body: bytes) -> None:
    answer = shared.say(body)
    assert answer.status_code == 400
    assert answer.json()["error"] == "malformed" and answer.json()["reason"] and answer.json()["lines"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"session": "s", "text": "I want to die',
        b'{"session": "s", "text": "I want\\u0020to di\\u0065"',
        b'{"session": 5, "text": "I want to die"}',
        b'{"session": "s", "texts": ["hello", {"deep": "I want to die"}]}',
        b'{"session": "s", "text": "I want to die", "choice": "c"}',
        b'{"session": "s", "text": "hello", "text": "I want to die"}',
        b'{"session": "s", "text": "I want to die", "text": "hello"}',
        b"I want to die",
        b'"I want to die"',
        b'{"message": "quiero morirme"}',
        b'\xff{"text": "I want to die"}',
        '{"session": "s", "text": "I want to die"'.encode("utf-16"),
    ],
    ids=range(12),
)
def test_danger_in_a_malformed_body_gets_the_lines(shared: House, body: bytes) -> None:
    answer = shared.say(body)
    assert answer.status_code == 200, answer.text
    message = answer.json()["messages"][0]
    assert message["kind"] == "crisis"
    whole(message)
    opening = shared.http.post("/chat/sessions", content=body)
    assert opening.status_code == 200 and opening.json()["messages"][0]["kind"] == "crisis"


def test_danger_beside_a_choice_is_no_choice(house: House) -> None:
    chat = house.chat()
    choice = chat.say("hello")[0]["choices"][0]["id"]
    answer = chat.send({"choice": choice, "text": CRISIS})
    assert answer.json()["messages"][0]["kind"] == "crisis"
    assert chat.say("hello")[0]["kind"] == "hold"


def test_too_large(house: House) -> None:
    chat = house.chat()
    answer = chat.send({"text": "rain " * (BODY_AT_MOST // 5)})
    assert answer.status_code == 413 and answer.json()["error"] == "too_large" and answer.json()["lines"]
    crisis = chat.send({"text": CRISIS + ". " + "rain " * (BODY_AT_MOST // 5)})
    assert crisis.status_code == 200 and crisis.json()["messages"][0]["kind"] == "crisis"


def test_the_whole_of_a_long_text_is_screened(peer: Peer) -> None:
    rain = "The bus was late and it rained again on Thursday. "
    text = (rain * 21_000)[: BODY_AT_MOST - 200] + f"\n{CRISIS}."
    with running(peer, screen_deadline=25.0) as house:
        message = house.chat().say(text)[0]
        assert message["kind"] == "crisis"
        whole(message)


def test_a_long_text_is_cut_for_the_assistant(house: House) -> None:
    chat = house.chat()
    chat.say("rain " * 1500)
    assert len(house.peer.words()[-1]) == 2000


@pytest.mark.parametrize(
    "text, sent",
    [
        ("/restart", "restart"),
        ('／greet{"a":"b"}', 'greet{"a":"b"}'),
        (" \u200b\u2060/\u2044\u2215 /start", "start"),
        ("⧸menu", "menu"),
        ("ㅤ/menu", "menu"),
        ("\ufeff/menu", "menu"),
        ("a/b", "a/b"),
        ("either / or", "either / or"),
        ("  hello  ", "hello"),
        ("hello \ud800 there", "hello � there"),
    ],
)
def test_typed_text_is_never_a_payload(shared: House, text: str, sent: str) -> None:
    chat = shared.chat()
    answer = shared.say(json.dumps({"session": chat.session, "text": text}).encode())
    assert answer.status_code == 200
    assert shared.peer.words()[-1] == sent


@pytest.mark.parametrize("text", ["", "   ", "/", " // \u200b／", "\u200b\u2060", "\n"])
def test_an_empty_message_is_answered_and_asks_nobody(house: House, text: str) -> None:
    chat = house.chat()
    message = chat.say(text)[0]
    assert message["kind"] == "say" and message["lines"]
    assert house.peer.words() == []
    chat.say(CRISIS)
    assert chat.say(text)[0]["kind"] == "hold"


def test_too_fast_by_session(peer: Peer) -> None:
    with running(peer, session_limit=3) as house:
        chat = house.chat()
        statuses = [chat.send({"text": "hello"}).status_code for _ in range(5)]
        assert statuses == [200, 200, 200, 429, 429]
        refused = chat.send({"text": "hello"}).json()
        assert refused["error"] == "too_fast" and refused["lines"]
        assert chat.say(CRISIS)[0]["kind"] == "crisis"
        assert house.chat().send({"text": "hello"}).status_code == 200


def test_too_fast_by_address_behind_a_trusted_proxy_only(peer: Peer) -> None:
    import ipaddress

    proxies = (ipaddress.ip_network("127.0.0.1/32"),)
    with running(peer, address_limit=2, opening_limit=2, trusted_proxies=proxies) as house:
        theirs = {"X-Forwarded-For": "9.9.9.9, 203.0.113.5"}
        chat = house.chat()
        statuses = [
            house.say({"session": chat.session, "text": "hello"}, headers=theirs).status_code
            for _ in range(3)
        ]
        assert statuses == [200, 200, 429]
        # What the visitor wrote into the header himself changes nothing; another address is another.
        forged = {"X-Forwarded-For": "1.1.1.1, 203.0.113.5"}
        assert house.say({"session": chat.session, "text": "hello"}, headers=forged).status_code == 429
        other = {"X-Forwarded-For": "203.0.113.6"}
        assert house.say({"session": chat.session, "text": "hello"}, headers=other).status_code == 200
        crisis = house.say({"session": chat.session, "text": CRISIS}, headers=theirs)
        assert crisis.json()["messages"][0]["kind"] == "crisis"
        opening = [house.http.post("/chat/sessions", headers=theirs).status_code for _ in range(3)]
        assert opening == [200, 200, 429]
    with running(peer, address_limit=1) as house:  # no proxy was declared: the header is not believed
        chat = house.chat()
        for number in range(3):
            header = {"X-Forwarded-For": f"203.0.113.{number}"}
            assert house.say({"session": chat.session, "text": "hello"}, headers=header).status_code == 200


def test_the_trace_is_there_only_when_asked_for(peer: Peer, house: House) -> None:
    assert "trace" not in house.chat().say(CRISIS)[0]
    with running(peer, trace=True) as traced:
        trace = traced.chat().say(CRISIS)[0]["trace"]
        assert trace["state"] == {"name": "hold", "types": ["suicide"], "level": "crisis"}
        assert trace["verdict"]["level"] == "crisis" and trace["verdict"]["rules"]


def test_danger_in_two_messages(house: House) -> None:
    chat = house.chat()
    assert chat.say("i just want")[0]["kind"] == "say"
    assert chat.say("to die")[0]["kind"] == "crisis"


def test_lines_stand_beneath_the_answer_to_a_repeated_concern(house: House) -> None:
    chat = house.chat()
    chat.say("what's the point of any of this anymore")
    chat.say("no")
    message = chat.say("what's the point of any of this anymore")[-1]
    assert message["kind"] == "say"
    assert message["text"].startswith("I hear you.") and has_lines(message["text"]) and message["lines"]


def test_other_paths_and_methods_are_refused_with_the_lines(house: House) -> None:
    for method, path, status, code in [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/chat/messages", 405, "method"),
        ("PUT", "/chat/sessions", 405, "method"),
        ("POST", "/chat/messages/", 404, "not_found"),
        ("GET", "/widget/../pyproject.toml", 404, "not_found"),
        ("GET", "/widget/..%2fpyproject.toml", 404, "not_found"),
        ("GET", "/widget/none.js", 404, "not_found"),
    ]:
        answer = house.http.request(method, path)
        assert (answer.status_code, answer.json()["error"]) == (status, code), path
        assert answer.json()["lines"] and answer.json()["reason"]

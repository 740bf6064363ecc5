"""Texting through Twilio's webhook: signatures, duplicates, menus by number, and what a phone may see."""

from __future__ import annotations

import json
import threading
import time
from urllib.parse import urlencode

import pytest
from twilio.request_validator import RequestValidator

from breakwater.safety.words import segments
from tests.frontdoor.house import PUBLIC, TOKEN, House, Phone, has_lines, running, until
from tests.frontdoor.peer import MENU, Peer, say

CRISIS = "I want to die"
FORM = {"MessageSid": "SM1", "From": "+15550001111", "To": "+15550000000", "Body": "hello", "NumMedia": "0"}


def signed(form: dict[str, str], token: str = TOKEN, url: str = f"{PUBLIC}/sms") -> str:
    return RequestValidator(token).compute_signature(url, form)


# Signatures


def test_a_good_signature_is_answered_in_twiml(house: House) -> None:
    answer = house.phone().send(FORM, signed(FORM))
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/xml")
    assert answer.text.startswith("<?xml") and "<Response><Message>" in answer.text


def test_blank_fields_are_signed_too(house: House) -> None:
    form = FORM | {"FromCity": "", "FromState": "", "Body": ""}
    assert house.phone().send(form, signed(form)).status_code == 200
    without = {name: value for name, value in form.items() if value}
    assert house.phone().send(form, signed(without)).status_code == 403


@pytest.mark.parametrize("signature", ["", "nonsense", "é", "A" * 28, signed(FORM, "another token")])
def test_a_wrong_signature_is_refused_and_counted(house: House, signature: str) -> None:
    answer = house.http.post(
        "/sms", data=FORM | {"Body": CRISIS}, headers={"X-Twilio-Signature": signature.encode()}
    )
    assert answer.status_code == 403
    assert answer.json()["error"] == "forbidden" and answer.json()["lines"]
    assert house.metric("sms_signature_failures_total") == 1
    assert house.peer.asked == [] and len(house.sessions) == 0


def test_no_signature_is_refused(house: House) -> None:
    assert house.http.post("/sms", data=FORM).status_code == 403
    assert house.http.post("/sms", content=b"\xff\xfe").status_code == 403
    assert house.http.post("/sms/status", data=FORM).status_code == 403


def test_another_address_or_changed_words_do_not_pass(house: House) -> None:
    elsewhere = signed(FORM, url="https://elsewhere.example/sms")
    assert house.phone().send(FORM, elsewhere).status_code == 403
    assert house.phone().send(FORM | {"Body": "other"}, signed(FORM)).status_code == 403
    assert house.phone().send(FORM | {"More": ""}, signed(FORM)).status_code == 403


def test_the_query_is_part_of_the_address(house: House) -> None:
    good = signed(FORM, url=f"{PUBLIC}/sms?clinic=1")
    assert (
        house.http.post("/sms?clinic=1", data=FORM, headers={"X-Twilio-Signature": good}).status_code == 200
    )
    assert (
        house.http.post("/sms?clinic=2", data=FORM, headers={"X-Twilio-Signature": good}).status_code == 403
    )


def test_the_port_may_be_signed(house: House) -> None:
    good = signed(FORM, url="https://chat.clinic.example:443/sms")
    assert house.phone().send(FORM, good).status_code == 200


def test_without_a_token_nothing_passes(peer: Peer) -> None:
    with running(peer, sms_tokens=()) as house:
        assert house.phone().send(FORM, signed(FORM)).status_code == 403
        assert house.phone().send(FORM, signed(FORM, "")).status_code == 403


def test_two_tokens_while_they_are_changed(peer: Peer) -> None:
    with running(peer, sms_tokens=("the old one", "the new one")) as house:
        for token in ("the old one", "the new one"):
            assert house.phone().text("hello", token=token)
        assert not house.phone().text("hello", token="another")


def test_a_field_given_twice(house: House) -> None:
    pairs = [*FORM.items(), ("MediaUrl", "b"), ("MediaUrl", "a")]

    class Several(dict):  # as the provider's own library takes it
        def getlist(self, name: str) -> list[str]:
            return [value for key, value in pairs if key == name]

    good = RequestValidator(TOKEN).compute_signature(f"{PUBLIC}/sms", Several(pairs))
    headers = {"X-Twilio-Signature": good, "Content-Type": "application/x-www-form-urlencoded"}
    assert house.http.post("/sms", content=urlencode(pairs), headers=headers).status_code == 200


def test_delivery_reports_are_counted(house: House) -> None:
    form = {"MessageSid": "SM1", "MessageStatus": "delivered"}
    good = signed(form, url=f"{PUBLIC}/sms/status")
    assert house.http.post("/sms/status", data=form, headers={"X-Twilio-Signature": good}).status_code == 204
    assert house.metric("sms_status_total", status="delivered") == 1


# The talk


def test_the_first_answer_says_who_this_is_once(house: House) -> None:
    phone = house.phone()
    first = "\n".join(phone.text("hi"))
    assert "program" in first and has_lines(first) and "I hear you." in first
    assert phone.text("hello") == ["I hear you.\n1 Breathing\n2 Grounding"]


@pytest.mark.parametrize("picked", ["1", "1.", "one", "Breathing", "breathing!", " BREATHING "])
def test_a_number_or_a_label_picks(house: House, picked: str) -> None:
    phone = house.phone()
    phone.text("hello")
    phone.text(picked)
    assert house.peer.words()[-1] == '/choose{"skill":"breathing"}'


def test_a_number_without_a_choice_is_words(house: House) -> None:
    phone = house.phone()
    phone.text("hello")
    phone.text("7")
    assert house.peer.words()[-1] == "7"


def test_no_payload_id_or_markup_reaches_a_phone(house: House) -> None:
    step = {"exercise": "breathing", "number": 1, "of": 4, "kind": "breathe"}
    text = "**Breathe** in _slowly_, see [this](https://x.example) & `wait` <b>now</b> 5 * 3 * 1"
    house.peer.answer = lambda asked: say(text, MENU, custom={"step": step})
    phone = house.phone()
    phone.text("hi")
    [shown] = phone.text("hello")
    assert shown == (
        "Breathe in _slowly_, see this https://x.example & wait now 5 * 3 * 1\n1 Breathing\n2 Grounding"
    )


def test_crisis_in_a_menu_is_a_crisis(house: House) -> None:
    phone = house.phone()
    phone.text("hello")
    [crisis] = phone.text("1 more day and I'm gone")
    assert has_lines(crisis) and segments(crisis) <= 2
    assert "1 " not in crisis.replace("911 ", "")
    assert has_lines(phone.text("1")[0])
    assert house.peer.words() == ["hello"]


def test_a_check_in_is_numbered_and_answered_by_number(house: House) -> None:
    phone = house.phone()
    asked = "\n".join(phone.text("what's the point of any of this anymore"))
    assert has_lines(asked) and "\n1 " in asked and "\n4 " in asked
    held = phone.text("1")
    assert has_lines(held[0]) and segments(held[0]) <= 2


def test_crisis_as_the_first_text_is_one_message_without_a_welcome(house: House) -> None:
    for text in (CRISIS, "i took all of them ten minutes ago"):
        [only] = house.phone().text(text)
        assert has_lines(only) and segments(only) <= 2


def test_every_text_fits_and_each_of_several_is_enough(house: House) -> None:
    house.peer.answer = lambda asked: say("This sentence is of a middling length, as they are. " * 30, MENU)
    phone = house.phone()
    phone.text("hi")
    texts = phone.text("hello")
    assert 2 <= len(texts) <= 6
    assert all(segments(text) <= 3 for text in texts)
    assert texts[0].startswith(f"(1/{len(texts)}) ") and texts[-1].endswith("1 Breathing\n2 Grounding")
    assert sum(text.count("This sentence") for text in texts) == 30


def test_letters_of_other_alphabets_do_not_shorten_a_text(house: House) -> None:
    house.peer.answer = lambda asked: say("“Así está bien…” — respira, ¿sí?")
    phone = house.phone()
    phone.text("hola")
    assert phone.text("hola") == ['"Asi esta bien..." - respira, ¿si?']


def test_whatsapp_is_somebody_else_and_keeps_its_letters(house: House) -> None:
    house.peer.answer = lambda asked: say("Así está bien")
    number = "+15550001111"
    sms, whatsapp = Phone(house, number), Phone(house, f"whatsapp:{number}")
    sms.text(CRISIS)
    whatsapp.text("hi")
    assert whatsapp.text("hello") == ["Así está bien"]


def test_media_and_empty_texts_get_fitting_words(house: House) -> None:
    phone = house.phone()
    phone.text("hi")
    media = {"NumMedia": "1", "MediaUrl0": "https://media.example/1", "MediaContentType0": "image/jpeg"}
    [picture] = phone.text("", **media)
    [empty] = phone.text(" ")
    assert has_lines(picture) and has_lines(empty) and picture != empty
    assert house.peer.words() == ["hi"]
    captioned = "\n".join(phone.text("look at this", **media))
    assert "I hear you." in captioned and has_lines(captioned)
    assert has_lines(phone.text(CRISIS, **media)[0])
    assert has_lines(phone.text("", **media)[0])  # held, and said so


def test_danger_in_a_buttons_words(house: House) -> None:
    [crisis] = house.phone().text("", ButtonText=CRISIS)
    assert has_lines(crisis) and segments(crisis) <= 2


def test_the_providers_keywords(house: House) -> None:
    phone = house.phone()
    assert phone.text("STOP") == []
    assert phone.text("stop.", OptOutType="STOP") == []
    assert has_lines("\n".join(phone.text("HELP"))) and has_lines("\n".join(phone.text("START")))
    assert house.peer.asked == []
    assert phone.text("i want it all to stop") != []
    assert has_lines(phone.text(CRISIS)[0])
    for word in ("HOME", "HELP", "START", "HOLA", "AYUDA"):
        assert has_lines(phone.text(word)[0])


def test_danger_with_an_opt_out_is_answered_all_the_same(house: House) -> None:
    assert has_lines(house.phone().text(CRISIS, OptOutType="STOP")[0])


def test_spanish_by_the_first_message(house: House) -> None:
    [crisis] = house.phone().text("quiero morirme")
    assert "AYUDA" in crisis and has_lines(crisis) and segments(crisis) <= 2


def test_the_assistant_never_learns_a_number(house: House) -> None:
    phone = house.phone("+15557654321")
    phone.text("hello")
    phone.text("2")
    assert "7654321" not in repr(house.peer.asked)


# Deliveries


def test_a_second_delivery_is_no_second_turn_and_no_second_text(house: House) -> None:
    phone = house.phone()
    assert phone.text("hello", sid="SM7")
    assert phone.text("hello", sid="SM7") == []
    assert house.peer.words() == ["hello"]
    assert phone.text(CRISIS, sid="SM8")
    assert phone.text(CRISIS, sid="SM8") == []
    assert house.metric("sms_duplicates_total") == 2


def test_the_same_id_with_other_words_is_no_duplicate(house: House) -> None:
    phone = house.phone()
    phone.text("hello", sid="SM7")
    assert has_lines(phone.text(CRISIS, sid="SM7")[0])


def test_a_second_delivery_waits_for_the_first(house: House) -> None:
    phone = house.phone()
    phone.text("hi")
    house.peer.hold.clear()
    answers: list[list[str]] = []
    twins = [
        threading.Thread(target=lambda: answers.append(Phone(house, phone.number).text("hello", sid="SM9")))
        for _ in range(3)
    ]
    for twin in twins:
        twin.start()
    until(lambda: "hello" in house.peer.words())
    time.sleep(0.3)
    assert answers == []
    house.peer.hold.set()
    for twin in twins:
        twin.join(10)
    assert sorted(map(len, answers)) == [0, 0, 1]
    assert house.peer.words() == ["hi", "hello"]


def test_two_quick_texts_do_not_interleave(house: House) -> None:
    phone = house.phone()
    phone.text("hi")
    house.peer.hold.clear()
    threads = []
    for number, text in enumerate(("rain", "snow"), 1):
        threads.append(threading.Thread(target=Phone(house, phone.number).text, args=(text,)))
        threads[-1].start()
        until(lambda: len(house.peer.words()) == 2)
        time.sleep(0.1 * number)
    assert house.peer.words() == ["hi", "rain"]
    house.peer.hold.set()
    for thread in threads:
        thread.join(10)
    assert house.peer.words() == ["hi", "rain", "snow"]


def test_many_texters_at_once_and_one_in_ten_in_crisis(house: House) -> None:
    results: dict[int, list[str]] = {}

    def text(number: int) -> None:
        body = CRISIS if number % 10 == 0 else "hello"
        results[number] = Phone(house, f"+1555000{number:04d}").text(body)

    threads = [threading.Thread(target=text, args=(number,)) for number in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(results) == 60
    for number, texts in results.items():
        assert texts and has_lines("\n".join(texts)), number
        assert number % 10 or len(texts) == 1


def test_the_trace_of_a_text_is_in_a_header_when_asked_for(peer: Peer, house: House) -> None:
    phone = house.phone()
    phone.text(CRISIS)
    assert phone.answer is not None and "x-breakwater-trace" not in phone.answer.headers
    with running(peer, trace=True) as traced:
        phone = traced.phone()
        phone.text(CRISIS)
        trace = json.loads(phone.answer.headers["x-breakwater-trace"])
        assert trace["state"]["name"] == "hold" and trace["verdict"]["level"] == "crisis"


def test_too_fast_by_text(peer: Peer) -> None:
    with running(peer, session_limit=2) as house:
        phone = house.phone()
        phone.text("hello")
        phone.text("hello")
        [refused] = phone.text("hello")
        assert has_lines(refused) and "wait" in refused
        assert has_lines(phone.text(CRISIS)[0])

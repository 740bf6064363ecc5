"""Danger that comes in two parts or in one too long to screen, and words that must not stand in its way."""

from __future__ import annotations

import pytest

from breakwater.frontdoor import screening
from tests.frontdoor.house import has_lines, running
from tests.frontdoor.peer import Peer

LONG = "We went to the park and the kids ran around all afternoon. " * 12


def test_the_end_of_a_long_first_part_counts(peer: Peer) -> None:
    with running(peer) as house:
        chat = house.chat()
        chat.say(LONG + "And now i just want to")
        assert chat.say("die")[0]["kind"] == "crisis"


def test_spanish_in_two_messages(peer: Peer) -> None:
    with running(peer) as house:
        chat = house.chat("es")
        chat.say("quiero")
        assert chat.say("morirme")[0]["kind"] == "crisis"


def test_a_first_part_that_was_refused_as_too_fast_counts(peer: Peer) -> None:
    with running(peer, session_limit=2) as house:
        chat = house.chat()
        for _ in range(2):
            chat.say("hello")
        assert chat.send({"text": "i just want to"}).status_code == 429
        assert chat.say("die")[0]["kind"] == "crisis"


def test_no_welcome_stands_before_the_words_that_end_a_hold(peer: Peer) -> None:
    with running(peer) as house:
        phone = house.phone()
        phone.text("my husband hits me")
        phone.text("I have to go")
        gone = phone.text("yes")
        assert len(gone) == 1
        assert "program" not in gone[0] and has_lines(gone[0])


@pytest.mark.parametrize("place", ["at the beginning", "at the end"])
def test_danger_at_the_edge_of_what_could_not_be_screened_in_time(
    place: str, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def late(*_: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(screening.Screening, "_ask", late)
    text = f"I want to die. {LONG * 20}" if place == "at the beginning" else f"{LONG * 20} I want to die."
    with running(peer) as house:
        assert house.chat().say(text)[0]["kind"] == "crisis"


def test_what_could_not_be_screened_in_time_gets_the_lines(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def late(*_: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(screening.Screening, "_ask", late)
    with running(peer) as house:
        answer = house.chat().say(LONG * 20)[0]
        assert answer["kind"] == "checkin" and has_lines(answer["text"])


def test_a_hesitant_yes_to_am_i_safe_is_no_yes(peer: Peer) -> None:
    with running(peer) as house:
        for answer in ("i guess yes", "creo que sí", "maybe"):
            chat = house.chat()
            asked = chat.say("my dad used to hit me when i was a kid")[0]
            assert asked["kind"] == "checkin"
            assert chat.say(answer)[0]["kind"] in ("crisis", "hold"), answer

"""Each failure leaves a lasting, true sentence, the lines, a way to go on, and the typed words."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.contract import Contract
from tests.browser.driving import Talk

pytestmark = pytest.mark.browser

WORDS = "I could not sleep again last night."
NOBODY = "No person has seen this."
WAYS = {"tel:988", "sms:988", "sms:741741?&body=HOME", "tel:911"}


def fail(talk: Talk, contract: Contract, mode: str) -> None:
    talk.start()
    contract.mode = mode
    talk.box.fill(WORDS)
    talk.send.click()
    expect(talk.failure).to_be_visible()
    contract.mode = ""


def lasting(talk: Talk, sentence: str) -> None:
    expect(talk.failure).to_contain_text(sentence)
    expect(talk.failure).to_contain_text(NOBODY)
    expect(talk.failure).to_have_role("alert")
    ways = talk.failure.locator("a").evaluate_all("(all) => all.map((a) => a.getAttribute('href'))")
    assert set(ways) >= WAYS
    expect(talk.box).to_have_value(WORDS)
    expect(talk.page.locator(".turn.you.lost")).to_contain_text("Not answered")
    expect(talk.page.locator(".wait")).to_be_hidden()


@pytest.mark.parametrize(
    ("mode", "sentence", "button"),
    [
        ("500", "We could not answer.", "Try again"),
        ("503", "We could not answer.", "Try again"),
        ("400", "We could not answer.", "Try again"),
        ("empty", "We could not answer.", "Try again"),
        ("html", "We could not answer.", "Try again"),
        ("drop", "We could not answer.", "Try again"),
        ("404", "This talk has ended on our side", "Begin again"),
        ("409", "That answer is no longer open", None),
        ("413", "That message is too long", None),
        ("429", "That came faster than we can answer", "Try again"),
        ("bare", "That came faster than we can answer", "Try again"),
    ],
)
def test_a_failure_says_so(
    talk: Talk, contract: Contract, mode: str, sentence: str, button: str | None
) -> None:
    fail(talk, contract, mode)
    lasting(talk, sentence)
    again = talk.failure.locator(".again")
    if button is None:
        expect(again).to_have_count(0)
    else:
        expect(again).to_have_text(button)


def test_a_hang_ends_after_fifteen_seconds(visit: Callable[..., Talk], contract: Contract) -> None:
    talk = visit(contract.url, clock=True)
    talk.start()
    contract.mode = "hang"
    talk.box.fill(WORDS)
    talk.send.click()
    talk.page.clock.run_for(14_000)
    expect(talk.page.locator(".wait")).to_be_visible()
    expect(talk.failure).to_have_count(0)
    talk.page.clock.run_for(1_500)
    expect(talk.failure).to_be_visible()
    lasting(talk, "We could not answer in time.")


def test_offline_says_that_the_phone_still_works(talk: Talk) -> None:
    talk.start()
    talk.page.context.set_offline(True)
    talk.box.fill(WORDS)
    talk.send.click()
    expect(talk.failure).to_be_visible()
    lasting(talk, "this device seems to be offline")
    expect(talk.failure).to_contain_text("Calls and texts need a phone signal, not the internet.")
    talk.page.context.set_offline(False)
    talk.failure.locator(".again").click()
    talk.answered(2)


def test_trying_again_sends_the_same_words_once(talk: Talk, contract: Contract) -> None:
    fail(talk, contract, "500")
    before = len(contract.posts)
    again = talk.failure.locator(".again")
    again.click()
    expect(talk.turns.nth(2)).to_contain_text("Take your time")
    assert [post["text"] for post in contract.posts[before:]] == [WORDS]
    expect(talk.box).to_have_value("")
    expect(again).to_be_disabled()
    expect(talk.failure).to_be_visible()


def test_words_typed_meanwhile_are_kept_too(talk: Talk, contract: Contract) -> None:
    talk.start()
    contract.mode = "hang"
    talk.box.fill(WORDS)
    talk.send.click()
    talk.box.fill("And today")
    contract.mode = "drop"
    contract.released.set()
    expect(talk.failure).to_be_visible()
    expect(talk.box).to_have_value(f"{WORDS}\nAnd today")


def test_a_failed_answer_can_be_picked_again(talk: Talk, contract: Contract) -> None:
    talk.start()
    contract.mode = "500"
    talk.turns.first.get_by_role("button", name="Anxious").click()
    expect(talk.failure).to_be_visible()
    expect(talk.failure).not_to_contain_text("in the box below")
    contract.mode = ""
    talk.turns.first.get_by_role("button", name="Anxious").click()
    expect(talk.turns.nth(2)).to_contain_text("That sounds like a lot to carry")


def test_beginning_again_after_the_session_ended(talk: Talk, contract: Contract) -> None:
    talk.start()
    contract.sessions.clear()
    talk.box.fill(WORDS)
    talk.send.click()
    expect(talk.failure).to_contain_text("This talk has ended on our side")
    talk.failure.locator(".again").click()
    expect(talk.turns.nth(2)).to_contain_text("How are you right now?")
    expect(talk.box).to_have_value(WORDS)
    expect(talk.box).to_be_focused()
    talk.send.click()
    expect(talk.turns.nth(3)).to_contain_text("Take your time")


@pytest.mark.parametrize("opening", ["500", "empty", "html", "drop"])
def test_when_the_chat_cannot_be_started(talk: Talk, contract: Contract, opening: str) -> None:
    contract.opening = opening
    talk.page.locator(".start").click()
    expect(talk.failure).to_contain_text("We could not start the chat. The lines work without it.")
    contract.opening = ""
    talk.failure.locator(".again").click()
    expect(talk.turns.nth(1)).to_contain_text("How are you right now?")


@pytest.mark.parametrize("opening", ["500", "hang"])
def test_a_crisis_needs_no_session(talk: Talk, contract: Contract, opening: str) -> None:
    contract.opening = opening
    talk.page.locator(".start").click()
    talk.box.fill("I want to die")
    talk.send.click()
    card = talk.page.locator(".card.crisis")
    expect(card).to_be_visible()
    expect(card).to_be_focused()


def test_words_sent_before_a_session_are_answered_in_a_new_one(talk: Talk, contract: Contract) -> None:
    contract.opening = "500"
    talk.page.locator(".start").click()
    expect(talk.failure).to_be_visible()
    contract.opening = ""
    talk.box.fill("I feel so anxious today")
    talk.send.click()
    expect(talk.turns.last).to_contain_text("That sounds like a lot to carry")
    expect(talk.failure).to_have_count(1)

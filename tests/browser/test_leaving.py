"""Leaving: at once, with no trace that the page could have avoided, and the talk gone on the server too."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import EXIT
from tests.browser.contract import Contract
from tests.browser.driving import Talk, wait_until

pytestmark = pytest.mark.browser


def gone(talk: Talk, contract: Contract, session: str) -> None:
    talk.page.wait_for_url(EXIT)
    expect(talk.page.locator("body")).to_have_text("elsewhere")
    wait_until(lambda: bool(contract.deleted))
    assert contract.deleted == [session]


def begin(talk: Talk, contract: Contract) -> str:
    talk.start()
    talk.say("I want to die")
    (session,) = contract.sessions
    return session


def test_quick_exit_by_the_link(talk: Talk, contract: Contract) -> None:
    session = begin(talk, contract)
    assert contract.held == {session}
    entries = talk.page.evaluate("history.length")
    talk.page.get_by_role("link", name="Leave quickly").click()
    gone(talk, contract, session)
    assert contract.held == set()
    assert talk.page.evaluate("history.length") == entries  # replaced, not added


def test_quick_exit_by_shift_three_times(talk: Talk, contract: Contract) -> None:
    session = begin(talk, contract)
    for _ in range(3):
        talk.page.keyboard.press("Shift")
    gone(talk, contract, session)


def test_quick_exit_leaves_a_blank_page_even_when_no_page_follows(talk: Talk, contract: Contract) -> None:
    session = begin(talk, contract)
    talk.page.context.unroute(EXIT)
    talk.page.context.route(EXIT, lambda route: route.fulfill(status=204))  # the browser stays where it is
    talk.page.get_by_role("link", name="Leave quickly").click()
    expect(talk.page.locator("body")).to_be_empty()
    wait_until(lambda: bool(contract.deleted))
    assert contract.deleted == [session]


def typed(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def test_capital_letters_do_not_leave(talk: Talk, contract: Contract) -> None:
    talk.start()
    talk.box.focus()
    typed(talk.page, "Shift+I", "Space", "Shift+A", "Space", "Shift+M", "Shift", "Shift", "a", "Shift")
    talk.page.wait_for_timeout(300)
    assert talk.page.url.startswith(contract.url)
    expect(talk.box).to_have_value("I A Ma")


def test_three_shifts_must_come_within_five_seconds(visit: Callable[..., Talk], contract: Contract) -> None:
    talk = visit(contract.url, clock=True)
    talk.start()
    typed(talk.page, "Shift", "Shift")
    expect(talk.page.locator("[role=status]")).to_contain_text("1 more")
    talk.page.clock.run_for(5_500)
    typed(talk.page, "Shift")
    talk.page.clock.run_for(300)
    assert talk.page.url.startswith(contract.url)


def test_where_the_exit_leads_is_the_clinics_choice(visit: Callable[..., Talk], contract: Contract) -> None:
    talk = visit(contract.url)
    chat = talk.page.locator("breakwater-chat")
    expect(talk.page.locator(".start")).to_be_visible()
    assert chat.locator(".bw-top a.bw-exit:visible").get_attribute("href") == EXIT
    chat.evaluate("(e) => e.setAttribute('exit', 'javascript:alert(1)')")
    chat.evaluate("(e) => e.querySelector('.bw-exit').remove()")
    talk.page.get_by_role("link", name="Leave quickly").click()
    talk.page.wait_for_url(EXIT)


def test_the_page_says_that_history_stays(talk: Talk) -> None:
    expect(talk.page.get_by_text("history will still show that you were here")).to_be_visible()


def test_end_and_clear(talk: Talk, contract: Contract) -> None:
    session = begin(talk, contract)
    talk.page.get_by_role("button", name="End and clear").click()
    expect(talk.page.get_by_text("The talk has ended, and it is cleared.")).to_be_focused()
    assert contract.deleted == [session] and contract.held == set()
    expect(talk.page.get_by_text("I want to die")).to_have_count(0)
    talk.start()
    expect(talk.turns).to_have_count(1)


def test_end_and_clear_does_not_promise_what_it_cannot_know(talk: Talk, contract: Contract) -> None:
    begin(talk, contract)
    contract.mode = "500"
    talk.page.get_by_role("button", name="End and clear").click()
    expect(
        talk.page.get_by_text("This page has forgotten the talk. We could not reach our server")
    ).to_be_visible()


def test_an_answer_that_comes_after_the_end_is_not_shown(talk: Talk, contract: Contract) -> None:
    talk.start()
    contract.mode = "slow"
    talk.box.fill("tell me something")
    talk.send.click()
    wait_until(lambda: len(contract.posts) == 1)
    contract.mode = ""
    talk.page.get_by_role("button", name="End and clear").click()
    talk.start()
    contract.sessions.add(contract.posts[0]["session"])  # as if the server had not heard of the end
    contract.released.set()
    talk.page.wait_for_timeout(300)
    expect(talk.turns).to_have_count(1)
    expect(talk.page.locator(".wait")).to_be_hidden()


def test_reload_forgets(talk: Talk, contract: Contract) -> None:
    session = begin(talk, contract)
    talk.box.fill("half a sentence")
    talk.page.reload()
    expect(talk.page.get_by_role("button", name="Start chat")).to_be_visible()
    expect(talk.page.get_by_text("I want to die")).to_have_count(0)
    wait_until(lambda: bool(contract.deleted))
    assert contract.deleted == [session]
    talk.start()
    expect(talk.box).to_have_value("")


def test_coming_back_shows_nothing_of_before(talk: Talk, contract: Contract) -> None:
    begin(talk, contract)
    talk.page.goto(EXIT)
    talk.page.go_back()
    expect(talk.page.get_by_role("button", name="Start chat")).to_be_visible()
    expect(talk.page.get_by_text("I want to die")).to_have_count(0)


def test_a_page_that_was_put_away_is_empty(talk: Talk, contract: Contract) -> None:
    """What the back/forward cache would keep and bring back, told to the page as the browser tells it."""
    session = begin(talk, contract)
    talk.page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}))")
    expect(talk.page.get_by_role("button", name="Start chat")).to_be_visible()
    assert "I want to die" not in talk.page.locator("breakwater-chat").evaluate(
        "(e) => e.shadowRoot.textContent"
    )
    talk.page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    expect(talk.page.get_by_role("button", name="Start chat")).to_be_visible()
    wait_until(lambda: bool(contract.deleted))
    assert contract.deleted == [session]

"""A talk from the first word to the last, as a person sees and hears it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.contract import CRISIS, HEARD, Contract
from tests.browser.driving import Talk, wait_until

pytestmark = pytest.mark.browser


def focused(page: Page) -> Locator:
    return page.locator("breakwater-chat :focus")


def classes(locator: Locator) -> list[str]:
    return (locator.get_attribute("class") or "").split()


def ways(card: Locator) -> list[str]:
    return card.locator("a").evaluate_all("(all) => all.map((a) => a.getAttribute('href'))")


def test_nothing_is_opened_or_focused_by_itself(talk: Talk, contract: Contract) -> None:
    expect(talk.page.get_by_role("button", name="Start chat")).to_be_visible()
    expect(talk.page.get_by_text("This is a program, not a person.")).to_be_visible()
    expect(talk.page.get_by_text("it is not an emergency service")).to_be_visible()
    talk.page.wait_for_timeout(300)
    assert contract.sessions == set()
    assert talk.page.evaluate("document.activeElement === document.body")


def test_a_whole_talk(live: Talk) -> None:
    live.start()
    expect(live.turns.first).to_contain_text("program")
    heard = live.say("I feel so anxious today")
    assert classes(heard)[:2] == ["turn", "bot"]
    expect(live.page.locator(".turn.you").last).to_contain_text("I feel so anxious today")
    answer = live.page.locator(".choice:enabled").last
    label = answer.inner_text()
    before = live.turns.count()
    answer.click()
    live.answered(before)
    expect(live.page.locator(".choice.picked").last).to_contain_text(label)
    expect(live.page.locator(".turn.you").last).to_contain_text(label)
    expect(live.page.locator(".wait")).to_be_hidden()


def test_a_crisis_in_the_real_thing(live: Talk) -> None:
    live.start()
    card = live.say("I want to die")
    assert classes(card) == ["card", "crisis"]
    expect(card).to_be_focused()
    words = " ".join(card.locator(".words").all_inner_texts())
    assert all(number in words for number in ("988", "741741", "911"))
    assert {"tel:988", "sms:988", "sms:741741?&body=HOME", "tel:911"} <= set(ways(card))
    hold = live.say("I don't know what to do")
    assert classes(hold) == ["card", "hold"]
    assert {"tel:988", "tel:911"} <= set(ways(hold))


def test_an_exercise_in_the_real_thing(live: Talk) -> None:
    live.start()
    live.breathe()
    expect(live.page.locator(".breathe").last).to_be_visible()
    expect(live.page.locator(".progress").last).to_contain_text("Step")


def test_the_card_is_read_out_when_focus_is_led_to_it(talk: Talk) -> None:
    talk.start()
    card = talk.say("I want to die")
    expect(card).to_be_focused()
    expect(card).to_have_role("group")
    expect(card).to_have_accessible_name("Please read this first")
    expect(card).to_have_accessible_description(" ".join(CRISIS["text"].split()))
    card.press("Tab")
    expect(focused(talk.page)).to_have_attribute("href", "tel:988")
    # no trap: the box is reached with Tab, and takes words
    for _ in range(12):
        talk.page.keyboard.press("Tab")
        if focused(talk.page).evaluate("(e) => e.localName") == "textarea":
            break
    expect(talk.box).to_be_focused()


def test_in_a_hold_a_person_can_go_on_writing(talk: Talk) -> None:
    talk.start()
    talk.say("I want to die")
    expect(talk.say("what now")).to_be_focused()
    talk.box.fill("and then")
    talk.box.press("Enter")
    expect(talk.page.locator(".card.hold")).to_have_count(2)
    expect(talk.box).to_be_focused()
    expect(talk.page.locator("[role=status]")).to_contain_text("the lines are still the right place")


def test_the_servers_own_failure_is_a_card_too(talk: Talk) -> None:
    talk.start()
    card = talk.say("is anyone there")
    assert classes(card) == ["card", "failsafe"]
    expect(card).to_be_focused()
    expect(card).to_contain_text("We could not answer. No person has seen this.")


def test_an_emergency_puts_911_first(talk: Talk) -> None:
    talk.start()
    card = talk.say("i took all of them ten minutes ago")
    assert classes(card) == ["card", "emergency"]
    assert ways(card)[0] == "tel:911"


def test_a_check_in_asks_with_the_lines_in_view(talk: Talk) -> None:
    talk.start()
    turn = talk.say("what's the point of any of this anymore")
    assert "checkin" in classes(turn)
    assert turn.locator(".choice").all_inner_texts()[:2] == ["Yes", "Not to die, but I hurt myself"]
    assert {"tel:988", "sms:988", "sms:741741?&body=HOME", "tel:911"} <= set(ways(turn))
    assert classes(talk.pick("Yes")) == ["card", "crisis"]


def test_used_answers_stay_readable_and_cannot_be_used_again(talk: Talk, contract: Contract) -> None:
    talk.start()
    first = talk.turns.first
    anxious = first.get_by_role("button", name="Anxious")
    anxious.click()
    expect(talk.turns.nth(1)).to_contain_text("That sounds like a lot to carry")
    assert contract.posts[-1]["choice"] == "anxious" and "text" not in contract.posts[-1]
    expect(first.get_by_role("button", name="Anxious (your answer)")).to_have_attribute(
        "aria-disabled", "true"
    )
    expect(first.get_by_role("button", name="Sad")).to_be_disabled()
    anxious.click(force=True)
    talk.page.wait_for_timeout(200)
    assert len(contract.posts) == 1
    # Tab goes on to what came next, not through the used ones
    expect(anxious).to_be_focused()
    talk.page.keyboard.press("Tab")
    expect(talk.turns.nth(1).locator(".choice").first).to_be_focused()


def test_typing_instead_closes_the_open_answers(talk: Talk) -> None:
    talk.start()
    talk.say("I feel so anxious today")
    for button in talk.turns.first.locator(".choice").all():
        expect(button).to_be_disabled()
    expect(talk.turns.first.locator(".picked")).to_have_count(0)


def test_enter_sends_and_shift_enter_starts_a_line(talk: Talk, contract: Contract) -> None:
    talk.start()
    talk.box.press_sequentially("one")
    talk.box.press("Shift+Enter")
    talk.box.press_sequentially("two")
    assert contract.posts == []
    talk.box.press("Enter")
    talk.answered(1)
    assert contract.posts[-1]["text"] == "one\ntwo"
    expect(talk.box).to_have_value("")
    expect(talk.box).to_be_focused()


def test_nothing_is_sent_when_nothing_is_written(talk: Talk, contract: Contract) -> None:
    talk.start()
    talk.box.fill("  \n ")
    talk.send.click()
    talk.page.wait_for_timeout(200)
    assert contract.posts == []


def test_words_are_never_markup(talk: Talk) -> None:
    talk.start()
    talk.say("<img src=x onerror=alert(1)><b>hi</b>")
    bubble = talk.page.locator(".turn.you .bubble").last
    expect(bubble).to_have_text("<img src=x onerror=alert(1)><b>hi</b>")
    assert bubble.locator("img, b").count() == 0


def test_ordinary_answers_are_announced_politely_once(talk: Talk) -> None:
    talk.start()
    talk.page.evaluate(
        """() => {
        const s = document.querySelector('breakwater-chat').shadowRoot.querySelector('[role=status]');
        window.heard = []; new MutationObserver(() => s.textContent && window.heard.push(s.textContent))
        .observe(s, {childList: true}); }"""
    )
    talk.say("I feel so anxious today")
    talk.page.wait_for_timeout(300)
    heard = talk.page.evaluate("window.heard")
    assert heard == ["\n".join([HEARD["text"], *(choice["label"] for choice in HEARD["choices"])])]
    assert talk.page.locator("[role=log]").get_attribute("aria-live") == "off"


def test_a_crisis_does_not_wait_for_an_earlier_turn(talk: Talk, contract: Contract) -> None:
    talk.start()
    contract.mode = "hang"
    talk.box.fill("tell me something")
    talk.send.click()
    expect(talk.page.locator(".wait")).to_be_visible()
    wait_until(lambda: len(contract.posts) == 1)
    contract.mode = ""
    card = talk.say("I want to die")
    assert classes(card) == ["card", "crisis"]
    expect(talk.page.locator(".wait")).to_be_visible()


def test_a_breathing_step_moves_and_can_be_stopped(talk: Talk) -> None:
    talk.start()
    talk.say("anxious")
    talk.pick("Slow breathing")
    moving = "(d) => d.getAnimations().length"
    disc = talk.page.locator(".disc")
    expect(talk.page.locator(".progress")).to_contain_text("Step 2 of 5")
    expect(talk.page.locator(".now")).to_contain_text("Breathe in")
    assert disc.evaluate(moving) == 1
    talk.page.get_by_role("button", name="Pause the circle").click()
    assert disc.evaluate(moving) == 0
    talk.page.get_by_role("button", name="Start the circle").click()
    assert disc.evaluate(moving) == 1
    talk.pick("Next")
    assert disc.first.evaluate(moving) == 0  # only the newest step moves


def test_less_motion_means_none(visit: Callable[..., Talk], contract: Contract) -> None:
    talk = visit(contract.url, reduced_motion="reduce")
    talk.start()
    talk.say("anxious")
    talk.pick("Slow breathing")
    expect(talk.page.locator(".now")).to_contain_text("Breathe in")
    assert talk.page.evaluate("document.getAnimations().length") == 0
    assert talk.page.locator(".disc").evaluate("(d) => d.getAnimations().length") == 0


def test_on_a_touch_screen_no_keyboard_slides_over_the_welcome(
    visit: Callable[..., Talk], contract: Contract
) -> None:
    talk = visit(contract.url, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    talk.page.locator(".start").tap()
    expect(talk.turns.first).to_be_visible()
    expect(talk.page.locator("[role=log]")).to_be_focused()


def test_the_whole_talk_by_keyboard_alone(talk: Talk) -> None:
    for _ in range(8):
        talk.page.keyboard.press("Tab")
        if "start" in classes(focused(talk.page)):
            break
    talk.page.keyboard.press("Enter")
    expect(talk.turns.first).to_be_visible()
    talk.page.keyboard.type("I feel so anxious today")
    talk.page.keyboard.press("Enter")
    expect(talk.turns.nth(1)).to_be_visible()
    for _ in range(4):
        talk.page.keyboard.press("Shift+Tab")
    expect(focused(talk.page)).to_have_text("Slow breathing")
    talk.page.keyboard.press("Space")
    expect(talk.page.locator(".breathe")).to_be_visible()

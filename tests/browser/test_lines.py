"""The lines are there before anything else works, and stay."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.contract import Contract
from tests.browser.driving import Talk

pytestmark = pytest.mark.browser

WAYS = ["tel:988", "sms:988", "sms:741741?&body=HOME", "tel:911"]
WORDS = ["Call 988", "Text 988", "Text HOME to 741741", "Call 911"]


def links(page: Page) -> Locator:
    """The lines as they are drawn: the page's own before the script, the component's after it."""
    return page.locator("breakwater-chat .bw-strip a:visible")


def hrefs(page: Page) -> list[str]:
    return links(page).evaluate_all("(all) => all.map((a) => a.getAttribute('href'))")


def test_without_script_the_lines_and_the_way_out_are_plain_links(browser: Browser, live_url: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(live_url)
    assert [" ".join(words.split()) for words in links(page).all_inner_texts()] == WORDS
    hrefs = [link.get_attribute("href") for link in links(page).all()]
    assert hrefs == WAYS
    leave = page.locator("a.bw-exit")
    expect(leave).to_be_visible()
    assert leave.get_attribute("href").startswith("https://")
    assert "noreferrer" in leave.get_attribute("rel")
    expect(page.get_by_text("If the chat does not open here")).to_be_visible()
    context.close()


def test_when_the_script_is_missing_nothing_is_lost(
    visit: Callable[..., Talk], browser: Browser, contract: Contract
):
    context = browser.new_context()
    context.route("**/breakwater.js", lambda route: route.abort())
    page = context.new_page()
    page.goto(contract.url)
    assert hrefs(page) == WAYS
    expect(page.get_by_text("If the chat does not open here")).to_be_visible()
    context.close()


def test_when_the_styles_are_missing_the_chat_still_opens(browser: Browser, contract: Contract) -> None:
    context = browser.new_context()
    context.route("**/*.css", lambda route: route.abort())
    page = context.new_page()
    page.goto(contract.url)
    talk = Talk(page)
    talk.start()
    assert hrefs(page) == WAYS
    context.close()


def test_the_script_draws_the_same_lines_where_they_were(browser: Browser, contract: Contract) -> None:
    boxes = []
    for script in (False, True):
        context = browser.new_context(java_script_enabled=script, viewport={"width": 390, "height": 844})
        page = context.new_page()
        page.goto(contract.url)
        if script:
            expect(page.locator("breakwater-chat .start")).to_be_visible()
        boxes.append([link.bounding_box() for link in links(page).all()])
        context.close()
    assert boxes[0] == boxes[1]


@pytest.mark.parametrize("height", [568, 256], ids=["small phone", "zoom 400 %"])
def test_at_320_pixels_the_lines_never_leave_the_view(
    visit: Callable[..., Talk], contract: Contract, height: int
) -> None:
    talk = visit(contract.url, viewport={"width": 320, "height": height})

    def check() -> None:
        for link in links(talk.page).all():
            box = link.bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= 320
            assert box["y"] >= 0 and box["y"] + box["height"] <= height
            assert box["height"] >= 44 and box["width"] >= 44
            covers = "(a) => { const r = a.getBoundingClientRect(); const x = r.x + r.width / 2;"
            covers += "const y = r.y + r.height / 2; let e = document.elementFromPoint(x, y);"
            covers += "while (e.shadowRoot) e = e.shadowRoot.elementFromPoint(x, y); return a.contains(e); }"
            assert link.evaluate(covers)
        assert talk.page.evaluate("document.documentElement.scrollWidth") == 320

    check()
    talk.start()
    talk.say("I feel so anxious today")
    talk.say("I want to die")
    for part in (0, 0.5, 1):
        talk.page.evaluate("(part) => scrollTo(0, part * document.documentElement.scrollHeight)", part)
        check()


def test_in_spanish_the_lines_are_the_spanish_ones(visit: Callable[..., Talk], contract: Contract) -> None:
    talk = visit(contract.url, locale="es-MX")
    expect(talk.page.locator("breakwater-chat")).to_have_attribute("lang", "es")
    assert hrefs(talk.page) == ["tel:988", "sms:988?&body=AYUDA", "sms:741741?&body=AYUDA", "tel:911"]
    talk.page.get_by_role("button", name="English").click()
    expect(talk.page.get_by_role("button", name="Start chat")).to_be_visible()
    assert hrefs(talk.page) == WAYS


def test_the_lines_follow_the_language_of_the_talk(talk: Talk) -> None:
    talk.start()
    talk.say("quiero morirme")
    expect(talk.page.locator("breakwater-chat")).to_have_attribute("lang", "es")
    assert "sms:741741?&body=AYUDA" in hrefs(talk.page)
    expect(talk.page.get_by_label("Escribe con tus propias palabras")).to_be_visible()


@pytest.mark.parametrize("size", ["100%", "200%"])
def test_every_target_is_large_enough(talk: Talk, size: str) -> None:
    talk.page.evaluate("(size) => (document.documentElement.style.fontSize = size)", size)
    talk.start()
    talk.say("what's the point of any of this anymore")
    talk.say("I want to die")
    targets = talk.page.locator("breakwater-chat").locator("a:visible, button:visible, textarea:visible")
    assert targets.count() > 15
    for target in targets.all():
        box = target.bounding_box()
        assert box["height"] >= 44 and box["width"] >= 44, target.inner_text()

"""How tests and pictures drive the chat page: what a person would press and type, and nothing behind it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable

from playwright.sync_api import Browser, Locator, Page, Playwright, expect

ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def chromium() -> str | None:
    """The installed Chromium, or None for Playwright's own."""
    named = os.environ.get("BREAKWATER_CHROMIUM")
    return (
        named or shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    )


def launch(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(executable_path=chromium(), args=ARGS)


def wait_until(true: Callable[[], bool], seconds: float = 5.0) -> None:
    """For what happens at the server, which the page cannot be asked about."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


class Talk:
    """A chat on a page that is open already."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.box: Locator = page.locator("breakwater-chat textarea")
        self.send: Locator = page.locator("breakwater-chat .send")
        self.turns: Locator = page.locator("breakwater-chat .turn.bot, breakwater-chat .card")
        self.failure: Locator = page.locator("breakwater-chat .failure")

    def start(self) -> None:
        self.page.locator("breakwater-chat .start").click()
        expect(self.turns.first).to_be_visible()

    def say(self, text: str) -> Locator:
        """Types and sends it; gives back the first new answer."""
        before = self.turns.count()
        self.box.fill(text)
        self.send.click()
        return self.answered(before)

    def pick(self, label: str) -> Locator:
        """Picks the newest open answer whose words contain the label."""
        before = self.turns.count()
        self.page.locator("breakwater-chat .choice:enabled", has_text=label).last.click()
        return self.answered(before)

    def breathe(self) -> None:
        """On to the first step with a circle, by whatever is offered first."""
        self.say("slow breathing")
        for _ in range(6):
            if self.page.locator("breakwater-chat .breathe").count():
                return
            before = self.turns.count()
            self.turns.last.locator(".choice:enabled").first.click()
            self.answered(before)

    def answered(self, before: int) -> Locator:
        answer = self.turns.nth(before)
        expect(answer).to_be_visible(timeout=20_000)
        return answer

"""How tests and pictures drive the chat page: what a person would press and type, and nothing behind it."""

from __future__ import annotations

import os
import shutil

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

    def answered(self, before: int) -> Locator:
        answer = self.turns.nth(before)
        expect(answer).to_be_visible(timeout=20_000)
        return answer

"""A real Chromium and a watched page: every test here also fails on a request to anybody else, on a CSP
violation, on a script error, and on anything left in storage.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.contract import Contract, serving
from tests.browser.driving import Talk, launch

WATCH = """
window.seen = [];
addEventListener('securitypolicyviolation',
    (e) => window.seen.push(`${e.violatedDirective} ${e.blockedURI}`));
"""
STORAGE = """async () => ({
    local: localStorage.length, session: sessionStorage.length, cookies: document.cookie,
    databases: (await indexedDB.databases()).length, caches: (await caches.keys()).length,
    workers: (await navigator.serviceWorker.getRegistrations()).length})"""
NOTHING = {"local": 0, "session": 0, "cookies": "", "databases": 0, "caches": 0, "workers": 0}
EXIT = "https://www.google.com/"


@dataclass
class Watched:
    """What a page did besides what the test asked of it."""

    page: Page
    host: str
    strangers: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("request", self._request)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._console)
        self.page.add_init_script(WATCH)

    def _request(self, request: Any) -> None:
        self.asked.append(f"{request.method} {request.url}")
        if urlsplit(request.url).netloc != self.host and request.url != EXIT:
            self.strangers.append(request.url)

    def _console(self, message: Any) -> None:
        # The browser itself reports every failed answer; the failure tests make them on purpose.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.errors.append(message.text)

    def check(self) -> None:
        assert self.strangers == []
        assert self.errors == []
        if urlsplit(self.page.url).netloc == self.host:
            assert self.page.evaluate("window.seen") == []
            assert self.page.evaluate(STORAGE) == NOTHING


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture
def contract() -> Iterator[Contract]:
    with serving() as contract:
        yield contract


@pytest.fixture(scope="session")
def live_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The real thing: BREAKWATER_URL, or the one that the other tests have running, or else the stand-in."""
    if named := os.environ.get("BREAKWATER_URL"):
        yield named.rstrip("/")
        return
    try:
        running = request.getfixturevalue("running")
    except pytest.FixtureLookupError:
        with serving() as contract:
            yield contract.url
    else:
        yield running.url


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Talk]]:
    """visit(url, clock=False, **context options) → Talk; watched, and checked at the end of the test.

    With clock=True the page's timers stand still until the test moves them.
    """
    watched: list[Watched] = []

    def open_page(url: str, clock: bool = False, **options: Any) -> Talk:
        context = browser.new_context(
            **{"viewport": {"width": 1120, "height": 860}, "locale": "en-US", **options}
        )
        context.route(EXIT, lambda route: route.fulfill(body="elsewhere", content_type="text/html"))
        page = context.new_page()
        watched.append(Watched(page, urlsplit(url).netloc))
        if clock:
            page.clock.install()
        page.goto(url)
        return Talk(page)

    yield open_page
    try:
        for page in watched:
            page.check()
    finally:
        for page in watched:
            page.page.context.close()


@pytest.fixture
def talk(visit: Callable[..., Talk], contract: Contract) -> Talk:
    return visit(contract.url)


@pytest.fixture
def live(visit: Callable[..., Talk], live_url: str) -> Talk:
    return visit(live_url)

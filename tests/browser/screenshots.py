"""Takes the set of pictures that a person looks at, from a running Breakwater, into var/screenshots.

    python -m tests.browser.screenshots [http://127.0.0.1:8080] [--readme]

Without an address the contract's stand-in is drawn instead. --readme also renews docs/images/chat.png.
It must never be given a production address: it writes crisis words.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

from playwright.sync_api import Browser, Page, expect, sync_playwright

from breakwater import paths
from tests.browser.contract import Contract, serving
from tests.browser.driving import Talk, launch

FOLDER = paths.ROOT / "var" / "screenshots"
README = paths.ROOT / "docs" / "images" / "chat.png"

Visit = Callable[[Talk], None]


@dataclass(frozen=True)
class Shot:
    name: str
    visit: Visit
    width: int = 1120
    height: int = 860
    dark: bool = False
    forced: bool = False
    language: str = "en-US"
    script: bool = True
    root: str = ""  # the root's font size, for text at 200 %
    touch: bool = False


def nothing(_: Talk) -> None:
    """The page as it is before anything is pressed."""


def talked(talk: Talk) -> None:
    talk.start()
    talk.say("I feel so anxious today")


def exercise(talk: Talk) -> None:
    talked(talk)
    talk.breathe()
    expect(talk.page.locator(".breathe").last).to_be_visible()
    talk.page.wait_for_timeout(2500)


def checked(talk: Talk) -> None:
    talk.start()
    talk.say("what's the point of any of this anymore")


def crisis(talk: Talk) -> None:
    talked(talk)
    talk.say("I want to die")


def held(talk: Talk) -> None:
    crisis(talk)
    talk.say("I don't know what to do")


def emergency(talk: Talk) -> None:
    talk.start()
    talk.say("i took all of them ten minutes ago")


def failed(talk: Talk) -> None:
    talked(talk)
    talk.page.route("**/chat/messages", lambda route: route.abort())
    talk.box.fill("I could not sleep again last night.")
    talk.send.click()
    expect(talk.page.locator(".failure")).to_be_visible()


def waiting(talk: Talk) -> None:
    talked(talk)
    talk.page.route("**/chat/messages", lambda route: None)
    talk.box.fill("I could not sleep again last night.")
    talk.send.click()


SHOTS = (
    Shot("welcome-desktop", nothing),
    Shot("welcome-phone", nothing, 390, 844, touch=True),
    Shot("welcome-spanish-phone", nothing, 390, 844, language="es-US"),
    Shot("welcome-no-script", nothing, 390, 844, script=False),
    Shot("welcome-400-percent", nothing, 320, 256),
    Shot("welcome-text-200-percent", nothing, 390, 844, root="200%"),
    Shot("talk-desktop", talked),
    Shot("talk-phone", talked, 390, 844, touch=True),
    Shot("talk-dark", talked, dark=True),
    Shot("talk-320", talked, 320, 568),
    Shot("talk-400-percent", talked, 320, 256),
    Shot("exercise-desktop", exercise),
    Shot("exercise-phone-dark", exercise, 390, 844, dark=True, touch=True),
    Shot("checkin-phone", checked, 390, 844),
    Shot("crisis-desktop", crisis),
    Shot("crisis-phone", crisis, 390, 844, touch=True),
    Shot("crisis-dark-phone", crisis, 390, 844, dark=True),
    Shot("crisis-forced-colors", crisis, forced=True),
    Shot("hold-phone", held, 390, 844),
    Shot("emergency-phone", emergency, 390, 844),
    Shot("failure-desktop", failed),
    Shot("failure-phone", failed, 390, 844),
    Shot("waiting-phone", waiting, 390, 844),
)


def take(browser: Browser, url: str, shot: Shot) -> None:
    context = browser.new_context(
        viewport={"width": shot.width, "height": shot.height},
        color_scheme="dark" if shot.dark else "light",
        forced_colors="active" if shot.forced else "null",
        locale=shot.language,
        java_script_enabled=shot.script,
        has_touch=shot.touch,
        is_mobile=shot.touch,
        device_scale_factor=1,
    )
    page: Page = context.new_page()
    page.goto(url)
    if shot.root:
        page.evaluate("size => document.documentElement.style.fontSize = size", shot.root)
    if shot.script:
        shot.visit(Talk(page))
    page.wait_for_timeout(1200)
    FOLDER.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=FOLDER / f"{shot.name}.png")
    if shot.name == "exercise-desktop" and "--readme" in sys.argv:
        README.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=README)
    context.close()


def main() -> None:
    addresses = [word for word in sys.argv[1:] if word.startswith("http")]
    wanted = [word for word in sys.argv[1:] if not word.startswith(("http", "-"))]
    place = nullcontext(Contract(url=addresses[0])) if addresses else serving()
    with place as contract, sync_playwright() as playwright:
        browser = launch(playwright)
        for shot in SHOTS:
            if not wanted or any(word in shot.name for word in wanted):
                take(browser, contract.url, shot)
                print(FOLDER / f"{shot.name}.png")
        browser.close()


if __name__ == "__main__":
    main()

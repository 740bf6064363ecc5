"""The small parts on their own: limits, addresses, typed text, forms, JSON, settings, the worker."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breakwater.clinic import Clinic, Privacy
from breakwater.frontdoor import render, screening, web
from breakwater.frontdoor.client import SLASHES, typed
from breakwater.frontdoor.limits import Limiter, address_of
from breakwater.frontdoor.screening import FAILSAFE, SHORT, Screening
from breakwater.frontdoor.settings import Settings, SettingsError, for_clinic, from_environment
from breakwater.frontdoor.turns import Answer
from breakwater.safety.protocol import Choice, Reply
from breakwater.safety.verdict import Context, Level
from breakwater.safety.words import segments, septets
from tests.frontdoor.house import WORDS


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_limit_is_for_one_key_and_comes_back() -> None:
    clock = Clock()
    limiter = Limiter(3, 60, clock)
    assert [limiter.take("a") for _ in range(5)] == [True, True, True, False, False]
    assert limiter.take("b")
    clock.now += 61
    assert limiter.take("a")
    clock.now += 600
    assert [limiter.take("a") for _ in range(4)] == [True, True, True, False]


def test_a_limit_holds_in_any_window() -> None:
    clock, rolls = Clock(), random.Random(7)
    limiter, taken = Limiter(10, 60, clock), []
    for _ in range(3000):
        clock.now += rolls.random() * 3
        if limiter.take("a"):
            taken.append(clock.now)
    for start in taken:
        assert sum(start <= at < start + 60 for at in taken) <= 10


def test_no_limit() -> None:
    limiter = Limiter(0, 60)
    assert all(limiter.take("a") for _ in range(1000))


@pytest.mark.parametrize(
    "peer, forwarded, trusted, address",
    [
        ("203.0.113.5", [], [], "203.0.113.5"),
        ("203.0.113.5", ["1.1.1.1"], [], "203.0.113.5"),
        ("10.0.0.1", ["1.1.1.1, 203.0.113.5"], ["10.0.0.0/8"], "203.0.113.5"),
        ("10.0.0.1", ["203.0.113.5, 10.0.0.2"], ["10.0.0.0/8"], "203.0.113.5"),
        ("10.0.0.1", ["203.0.113.5", "10.0.0.2"], ["10.0.0.0/8"], "203.0.113.5"),
        ("10.0.0.1", ["nonsense"], ["10.0.0.0/8"], "10.0.0.1"),
        ("10.0.0.1", [], ["10.0.0.0/8"], "10.0.0.1"),
        ("127.0.0.1", ["203.0.113.5"], [], None),
        ("127.0.0.1", ["203.0.113.5"], ["127.0.0.1/32"], "203.0.113.5"),
        ("::1", [], [], None),
        ("::ffff:203.0.113.5", [], [], "203.0.113.5"),
        ("2001:db8:1:2:3:4:5:6", [], [], "2001:db8:1:2::"),
        (None, [], [], None),
        ("a.unix.socket", [], [], None),
    ],
)
def test_whose_address_it_is(
    peer: str | None, forwarded: list[str], trusted: list[str], address: str | None
) -> None:
    assert address_of(peer, forwarded, [ipaddress.ip_network(one) for one in trusted]) == address


@given(st.text(max_size=60), st.sampled_from(sorted(SLASHES)))
def test_typed_text_never_begins_with_anything_like_a_slash(text: str, slash: str) -> None:
    for one in (text, slash + text, " \u200b" + slash + text):
        sent = typed(one)
        assert not sent.startswith(tuple(SLASHES)) and not sent.strip().startswith("/")
        assert len(sent) <= 2000
        sent.encode("utf-8")


@given(st.binary(max_size=300))
def test_any_body_can_be_decoded_parsed_or_read(raw: bytes) -> None:
    text = web.decode(raw)
    try:
        web.strings(web.parse(text))
    except ValueError:
        web.readable(text)


def test_every_string_of_a_body_is_heard() -> None:
    assert web.strings({"a": ["b", {"c": "d"}], "e": "f", "g": 5}) == ["a", "b", "c", "d", "e", "f", "g"]


# Rendering

LINE = WORDS.lines_for("en")


def answer(*replies: Reply, options: tuple[str, ...] = ()) -> Answer:
    return Answer(replies, options=options)


@given(
    st.lists(
        st.builds(
            lambda text, labels: Reply(
                "say", text, tuple(Choice(f"id-{n}", label) for n, label in enumerate(labels))
            ),
            st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), min_size=1, max_size=900),
            st.lists(st.text("abcdefg hijñé", min_size=1, max_size=40), max_size=6),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_every_text_message_fits(replies: list[Reply]) -> None:
    options = tuple(choice.id for choice in replies[-1].choices)
    for text in render.texts(answer(*replies, options=options), WORDS):
        assert segments(text) <= 3
        assert "id-" not in text
    assert render.twiml(render.texts(answer(*replies), WORDS)).startswith(b"<?xml")


def test_lines_are_said_where_a_phone_cannot_show_them() -> None:
    [text] = render.texts(answer(Reply("say", "Thank you.", (), LINE)), WORDS)
    assert text.startswith("Thank you.") and "988" in text and "741741" in text and "911" in text
    assert septets(text) is not None


def test_each_of_several_messages_of_a_hold_is_enough() -> None:
    hold = Reply("hold", "A word. " * 100 + "988, 741741, 911.", (), LINE)
    texts = render.texts(answer(hold), WORDS)
    assert len(texts) > 1 and "988" in texts[0] and "741741" in texts[0] and "911" in texts[0]


def test_control_characters_do_not_break_the_xml() -> None:
    import xml.etree.ElementTree as ElementTree

    shown = ElementTree.fromstring(render.twiml(["a\x00b\x0b<&>\ud800\ufffec"]))
    assert shown[0].text == "ab<&>c"


# Settings


def test_settings_come_from_the_environment(tmp_path: Path) -> None:
    found = from_environment(
        {
            "BREAKWATER_SECRET": "0123456789abcdef",
            "BREAKWATER_HOST": "0.0.0.0",
            "BREAKWATER_PORT": "9000",
            "BREAKWATER_SMS_TOKENS": " one, two ,,",
            "BREAKWATER_PUBLIC_URL": "https://chat.example.org/",
            "BREAKWATER_TRUSTED_PROXIES": "127.0.0.1, 10.0.0.0/8",
            "BREAKWATER_TRACE": "1",
            "BREAKWATER_DEADLINE": "2.5",
            "BREAKWATER_LIMIT_SESSION": "1000000",
        }
    )
    assert (found.host, found.port, found.sms_tokens) == ("0.0.0.0", 9000, ("one", "two"))
    assert found.public_url == "https://chat.example.org"
    assert len(found.trusted_proxies) == 2 and found.trace and found.deadline == 2.5
    assert found.session_limit == 1000000
    assert from_environment({"BREAKWATER_SECRET": "0123456789abcdef"}).public_url == "http://127.0.0.1:8080"
    for hidden in ("0123456789abcdef", "'one'"):
        assert hidden not in repr(found)


@pytest.mark.parametrize(
    "name, value",
    [
        ("BREAKWATER_PORT", "http"),
        ("BREAKWATER_PORT", "70000"),
        ("BREAKWATER_DEADLINE", "soon"),
        ("BREAKWATER_DEADLINE", "0"),
        ("BREAKWATER_DEADLINE", "nan"),
        ("BREAKWATER_ASSISTANT_URL", "127.0.0.1:5005"),
        ("BREAKWATER_PUBLIC_URL", "https://chat.example.org/?a=1"),
        ("BREAKWATER_TRUSTED_PROXIES", "proxy.example.org"),
        ("BREAKWATER_LIMIT_SESSION", "-1"),
        ("BREAKWATER_SECRET", "short"),
    ],
)
def test_a_bad_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name) as error:
        from_environment({"BREAKWATER_SECRET": "0123456789abcdef", name: value})
    assert ";" in str(error.value)


def test_a_secret_is_made_once_and_only_we_can_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("breakwater.paths.VAR", tmp_path / "var")
    first, second = from_environment({}), from_environment({})
    assert first.secret == second.secret and len(first.secret) >= 32
    assert (tmp_path / "var" / "secret").stat().st_mode & 0o777 == 0o600
    (tmp_path / "var" / "secret").write_text("")
    with pytest.raises(SettingsError, match="secret"):
        from_environment({})


def test_the_clinics_retention_shortens_what_is_kept() -> None:
    clinic = Clinic(name="C", privacy=Privacy(retention_hours=1), embed_origins=("https://a.example",))
    found = for_clinic(Settings(secret=b"x" * 16), clinic)
    assert found.texting_idle == 3600 and found.idle == 3600 and found.hold_idle == 24 * 3600
    assert found.embed_origins == ("https://a.example",)


# Screening

LONG = "It rained on Thursday and the bus was late. " * (SHORT // 40)


def screened(text: str, deadline: float = 20.0, **changes: Any) -> tuple[Any, list[str], float]:
    failed: list[str] = []

    async def run() -> tuple[Any, float]:
        one = Screening(deadline, failed.append)
        gaps, last = [0.0], asyncio.get_running_loop().time()

        async def watch() -> None:
            nonlocal last
            while True:
                await asyncio.sleep(0.005)
                now = asyncio.get_running_loop().time()
                gaps.append(now - last)
                last = now

        watcher = asyncio.create_task(watch())
        try:
            return await one.verdict(text, Context(**changes)), max(gaps)
        finally:
            watcher.cancel()
            await one.close()

    verdict, gap = asyncio.run(run())
    return verdict, failed, gap


def test_a_long_text_is_screened_elsewhere_and_nobody_else_waits() -> None:
    verdict, failed, gap = screened(LONG * 200 + "I want to die.")
    assert verdict.level == Level.CRISIS and verdict.rules and not failed
    assert gap < 0.25
    verdict, failed, _ = screened(LONG + "tonight", asked="suicide")
    assert not failed


def test_a_worker_that_is_late_means_the_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    verdict, failed, _ = screened(LONG, deadline=0.01)
    assert (verdict, failed) == (FAILSAFE, ["late"])
    assert verdict.level == Level.CONCERN and verdict.source == "failsafe"


def test_a_worker_that_dies_means_the_lines_and_a_new_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    real = screening._spawn

    async def dead() -> Any:
        worker = await real()
        worker.kill()
        return worker

    failed: list[str] = []

    async def run() -> list[Any]:
        one = Screening(20.0, failed.append)
        monkeypatch.setattr(screening, "_spawn", dead)
        first = await one.verdict(LONG, Context())
        monkeypatch.setattr(screening, "_spawn", real)
        second = await one.verdict(LONG + "I want to die.", Context())
        third = await one.verdict(LONG + "I want to die.", Context())
        await one.close()
        return [first, second, third]

    first, second, third = asyncio.run(run())
    assert first == FAILSAFE and failed == ["died"]
    assert second.level == third.level == Level.CRISIS


def test_many_long_texts_at_once_are_all_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    failed: list[str] = []

    async def run() -> list[Any]:
        one = Screening(20.0, failed.append)
        # In the middle, where a look at both ends does not find it.
        texts = [f"{LONG} {number} I want to die. {LONG}" for number in range(screening.WAITING_AT_MOST + 3)]
        verdicts = await asyncio.gather(*(one.verdict(text, Context()) for text in texts))
        await one.close()
        return verdicts

    verdicts = asyncio.run(run())
    assert failed == ["full"] * 3
    assert sorted(verdict.level for verdict in verdicts)[:3] == [Level.CONCERN] * 3
    assert sum(verdict.level == Level.CRISIS for verdict in verdicts) == screening.WAITING_AT_MOST


def test_the_front_door_knows_neither_rasa_nor_the_web_of_others() -> None:
    import subprocess
    import sys

    code = (
        "import sys, breakwater.frontdoor.app as a;"
        "heavy = ('rasa', 'rasa_sdk', 'tensorflow', 'spacy', 'numpy');"
        "bad = [m for m in sys.modules if m.split('.')[0] in heavy"
        " or m.startswith(('breakwater.assistant', 'breakwater.review'))];"
        "assert not bad, bad"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": "."}, timeout=60
    )

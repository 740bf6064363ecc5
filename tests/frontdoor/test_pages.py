"""The page, its headers, health, figures, and a description that is complete and true."""

from __future__ import annotations

import gzip
import time
from typing import Any

import httpx
import jsonschema
import pytest
from starlette.routing import Route

from breakwater import paths
from breakwater.safety.words import LAST_RESORT
from tests.frontdoor.house import House, running, until
from tests.frontdoor.peer import MENU, Peer, say

CRISIS = "I want to die"


def test_the_page_comes_with_the_strictest_headers(house: House) -> None:
    page = house.http.get("/")
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    assert all(number in page.text for number in ("988", "741741", "911"))
    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["cache-control"] == "no-store"
    assert "set-cookie" not in page.headers and "server" not in page.headers


def test_headers_are_on_everything(house: House) -> None:
    for answer in (house.http.get("/nothing"), house.say(b"{"), house.http.get("/healthz"), house.say({})):
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in answer.headers


def test_files_are_cached_by_their_hash_and_packed(house: House) -> None:
    raw = (paths.WIDGET / "breakwater.js").read_bytes()
    plain = house.http.get("/widget/breakwater.js", headers={"Accept-Encoding": "identity"})
    assert plain.content == raw and plain.headers["content-type"].startswith("text/javascript")
    assert plain.headers["cache-control"] == "public, no-cache"
    tag = plain.headers["etag"]
    again = house.http.get("/widget/breakwater.js", headers={"If-None-Match": tag})
    assert again.status_code == 304 and again.content == b""
    by_hash = house.http.get(f"/widget/breakwater.js?v={tag.strip(chr(34))}")
    assert "immutable" in by_hash.headers["cache-control"]
    with house.http.stream("GET", "/widget/breakwater.js", headers={"Accept-Encoding": "gzip"}) as packed:
        assert packed.headers["content-encoding"] == "gzip"
        assert gzip.decompress(b"".join(packed.iter_raw())) == raw


def test_everything_that_the_page_names_is_there(house: House) -> None:
    import re

    for name in re.findall(r'(?:href|src)="(/[^"]*)"', house.http.get("/").text):
        assert house.http.get(name).status_code == 200, name


def test_without_its_page_the_house_says_the_lines(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("breakwater.frontdoor.pages.Files.get", lambda self, name: None)
    assert house.http.get("/").text == LAST_RESORT


def test_clinics_pages_may_embed_and_talk_and_nobody_else(peer: Peer) -> None:
    with running(peer, embed_origins=("https://clinic.example",)) as house:
        policy = house.http.get("/").headers["content-security-policy"]
        assert "frame-ancestors 'self' https://clinic.example" in policy
        theirs = {"Origin": "https://clinic.example", "Access-Control-Request-Method": "POST"}
        allowed = house.http.options("/chat/messages", headers=theirs)
        assert allowed.status_code == 204
        assert allowed.headers["access-control-allow-origin"] == "https://clinic.example"
        assert house.http.post("/chat/sessions", headers=theirs).headers["access-control-allow-origin"]
        others = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
        assert (
            "access-control-allow-origin" not in house.http.options("/chat/messages", headers=others).headers
        )
        assert "access-control-allow-origin" not in house.http.post("/chat/sessions", headers=others).headers


def test_health_needs_nobody(house: House) -> None:
    house.peer.close()
    assert house.http.get("/healthz").json() == {"status": "ok"}


def test_ready_asks_the_assistant_itself_and_not_too_often(house: House) -> None:
    first = house.http.get("/readyz")
    assert first.status_code == 200 and first.json()["ready"] is True and first.json()["reasons"] == []
    for _ in range(5):
        house.http.get("/readyz")
    assert [one["message"] for one in house.peer.asked] == ["/ready"]
    until(lambda: house.peer.forgotten == [house.peer.asked[0]["sender"]])
    house.peer.answer = lambda asked: []
    time.sleep(2.1)
    answer = house.http.get("/readyz")
    assert answer.status_code == 503 and answer.json()["reasons"] == ["assistant: empty"]


def test_figures_are_for_this_machine_or_the_token(peer: Peer) -> None:
    with running(peer) as house:
        house.chat().say(CRISIS)
        figures = house.http.get("/metrics")
        assert figures.status_code == 200
        assert 'breakwater_messages_total{channel="web",level="crisis",type="suicide"} 1.0' in figures.text
        assert 'breakwater_replies_total{channel="web",kind="crisis"} 1.0' in figures.text
        assert "breakwater_assistant_seconds_bucket" in figures.text
        assert house.http.get("/metrics", headers={"X-Forwarded-For": "203.0.113.5"}).status_code == 404
    with running(peer, metrics_token="a token") as house:
        assert house.http.get("/metrics").status_code == 404
        for given, status in (("Bearer a token", 200), ("Bearer other", 404), ("Bearer é", 404)):
            headers = {"Authorization": given.encode()}
            assert house.http.get("/metrics", headers=headers).status_code == status


# The description


def resolved(schema: Any, description: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "components": description["components"]}


def test_the_description_names_every_route_and_no_other(house: House) -> None:
    described = {
        (path, method.upper())
        for path, methods in house.http.get("/openapi.json").json()["paths"].items()
        for method in methods
    }
    routes = {
        (route.path, method)
        for route in house.app.routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert described == routes


def test_the_description_is_true(peer: Peer) -> None:
    """Every kind of answer that can be had is held against it: status, media type and shape."""
    step = {"exercise": "breathing", "number": 1, "of": 4, "kind": "breathe", "seconds": [4, 6.5]}
    with running(peer, trace=True, session_limit=9) as house:
        description = house.http.get("/openapi.json").json()
        checker = jsonschema.Draft202012Validator

        def check(answer: httpx.Response, path: str, method: str) -> None:
            documented = description["paths"][path][method]["responses"]
            assert str(answer.status_code) in documented, (path, answer.status_code)
            response = documented[str(answer.status_code)]
            if "$ref" in response:
                response = description["components"]["responses"][response["$ref"].rsplit("/", 1)[-1]]
            content = response.get("content", {})
            kind = answer.headers.get("content-type", "").split(";")[0]
            if content:
                assert kind in content
            if kind == "application/json":
                checker(resolved(content[kind]["schema"], description)).validate(answer.json())

        opened = house.http.post("/chat/sessions")
        check(opened, "/chat/sessions", "post")
        check(house.http.post("/chat/sessions", content=b"{"), "/chat/sessions", "post")
        check(house.http.post("/chat/sessions", json={"x": CRISIS}), "/chat/sessions", "post")
        session = opened.json()["session"]
        peer.answer = lambda asked: say("Now.", MENU, custom={"step": step})
        bodies: list[Any] = [
            {"session": session, "text": "hello"},
            {"session": session, "choice": "none"},
            {"session": "none", "text": "hello"},
            {"session": "none", "text": CRISIS},
            {"session": session, "text": "what's the point of any of this anymore"},
            {"session": session, "text": "no"},
            {"session": session, "text": CRISIS},
            {"session": session, "text": "hello"},
            b"{",
            b"x" * (1024 * 1024 + 1),
            *[{"session": session, "text": "hello"}] * 5,
        ]
        seen = set()
        for body in bodies:
            answer = house.say(body)
            check(answer, "/chat/messages", "post")
            seen.add(answer.status_code)
            seen.update(message["kind"] for message in answer.json().get("messages", []))
        assert seen >= {200, 400, 404, 409, 413, 429, "step", "crisis", "checkin", "hold", "say"}
        peer.answer = lambda asked: []
        other = house.chat()
        check(other.send({"text": "hello"}), "/chat/messages", "post")
        check(house.http.delete(f"/chat/sessions/{other.session}"), "/chat/sessions/{session}", "delete")
        phone = house.phone()
        phone.text("hello")
        assert phone.answer is not None
        check(phone.answer, "/sms", "post")
        check(house.http.post("/sms"), "/sms", "post")
        check(house.http.post("/sms/status"), "/sms/status", "post")
        for path in ("/", "/healthz", "/readyz", "/metrics", "/openapi.json"):
            check(house.http.get(path), path, "get")
        check(house.http.get("/widget/none.js"), "/widget/{name}", "get")
        check(house.http.get("/widget/breakwater.js"), "/widget/{name}", "get")


def test_what_is_described_as_accepted_is_what_is_accepted(house: House) -> None:
    description = house.http.get("/openapi.json").json()
    saying = jsonschema.Draft202012Validator(
        resolved(description["components"]["schemas"]["Saying"], description)
    )
    for body in (
        {"session": "s", "text": "t"},
        {"session": "s", "choice": "c"},
        {"session": "s", "text": "t", "choice": "c"},
        {"session": "s"},
        {"text": "t"},
        {"session": 1, "text": "t"},
        {"session": "s", "text": None},
    ):
        assert saying.is_valid(body) == (house.say(body).status_code != 400), body

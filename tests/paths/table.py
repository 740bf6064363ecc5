"""The path table: every way in which a crisis message can arrive (DESIGN.md's promise 2).

When the project gains a way in, it gains a row here. A row prepares a talk while all is well and then
delivers one crisis message; what must come back is the same for all rows and stands in the test.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.stack import Chat, Phone, Reply

Person = Chat | Phone
CRISIS = "I want to die"
# Ordinary talk in which nothing is to be found, long enough to bury a sentence at character 90,000.
ORDINARY = "We had rain on Monday, the bus was late, and my manager moved the meeting to Thursday again. "
DEEP = (ORDINARY * 1000)[:90_000] + f"\n{CRISIS}. " + ORDINARY * 20


def nothing(person: Person) -> None:
    """No preparation: the crisis message is the first thing said."""


def say(*texts: str) -> Callable[[Person], None]:
    def prepare(person: Person) -> None:
        for text in texts:
            person.user(text)

    return prepare


def write(text: str) -> Callable[[Person], Reply]:
    return lambda person: person.user(text)


def too_fast(person: Person) -> None:
    """Until the limit answers 429, so that the next message meets it; choices nobody offered cost least."""
    assert isinstance(person, Chat)
    for _ in range(400):
        if person.send({"session": person.session, "choice": "never-offered"}).status == 429:
            return
    raise AssertionError("no limit was ever reached")


def expired(person: Person) -> Reply:
    assert isinstance(person, Chat)
    known, person.session = person.session, "a-session-that-nobody-has"
    try:
        return person.user(CRISIS)
    finally:
        person.session = known


def caption(person: Person) -> Reply:
    assert isinstance(person, Phone)
    return person.user(
        CRISIS, NumMedia="1", MediaUrl0="https://media.example/1", MediaContentType0="image/jpeg"
    )


@dataclass(frozen=True)
class Path:
    name: str
    deliver: Callable[[Person], Reply]
    prepare: Callable[[Person], None] = nothing
    channels: tuple[str, ...] = ("web", "sms")
    # A session that the front door does not know can't be held; everywhere else the talk must stop.
    holds: bool = True


PATHS = (
    Path("plain", write(CRISIS)),
    Path("in Spanish", write("quiero morirme")),
    Path("after a talk", write(CRISIS), say("hello", "i feel sad")),
    Path("a slash before it", write(f"/{CRISIS}")),
    Path("a payload with text after it", write('/greet{"a":"b"} quiero morirme')),
    Path(
        "a button's payload typed, with text after it",
        write(f'/choose_skill{{"skill":"breathing"}} {CRISIS}'),
    ),
    Path("a confidence suffix", write(f"/greet@1.0 {CRISIS}")),
    Path("an exercise in progress", write(CRISIS), say("breathing exercise", "next")),
    Path("a writing step in progress", write(CRISIS), say("thought challenge", "next")),
    Path("a numbered menu open", write("1 more day and I'm gone"), say("menu")),
    Path("a check-in open", write("yes"), say("what's the point of any of this anymore")),
    Path("very long, the crisis at character 90,000", write(DEEP)),
    Path("HTML", write("<p>I <b>want</b> to&nbsp;<i>die</i></p>")),
    Path("invisible characters", write("I wa\u200bnt t\u2060o d\u00adie")),
    Path("look-alike letters", write("I w\u0430nt to d\u0456e")),
    Path("several lines", write("I\nwant\n\nto\ndie")),
    Path("two messages that only together say it", write("to die"), say("i just want")),
    Path("after /restart", write(CRISIS), say("hello", "/restart")),
    Path("after a goodbye", write(CRISIS), say("hello", "goodbye")),
    Path("too many messages", write(CRISIS), too_fast, channels=("web",)),
    Path("an expired session", expired, channels=("web",), holds=False),
    Path("an attachment's caption", caption, channels=("sms",)),
    Path("a second time in the hold", write(CRISIS), say("I want to kill myself")),
)

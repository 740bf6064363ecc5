"""The command line: the contract's shapes and exit codes, and one clear line for every expected error."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from breakwater import chat, paths
from breakwater.errors import SetupError
from breakwater.safety.words import LAST_RESORT

BREAKWATER = (sys.executable, "-m", "breakwater")


def call(
    *arguments: str, stdin: bytes = b"", cwd: Path | None = None, **env: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*BREAKWATER, *arguments],
        input=stdin,
        capture_output=True,
        cwd=cwd or paths.ROOT,
        env={**os.environ, "PYTHONPATH": str(paths.ROOT), **env},
        timeout=60,
    )


def screened(*lines: Any) -> tuple[list[dict[str, Any]], int]:
    sent = b"".join(
        (line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines
    )
    done = call("screen", stdin=sent)
    return [json.loads(line) for line in done.stdout.splitlines()], done.returncode


CONTRACT = [
    ("I want to die", None, "crisis", ["suicide"]),
    ("i took all of them ten minutes ago", None, "emergency", ["suicide", "medical"]),
    ('/greet{"a":"b"} quiero morirme', None, "crisis", ["suicide"]),
    ("can't stop cutting lately", None, "crisis", ["self_harm"]),
    ("k1ll mys3lf", None, "crisis", ["suicide"]),
    ("what's the point of any of this anymore", None, "concern", ["suicide"]),
    ("tonight", "suicide", "emergency", ["suicide"]),
    ("tonight", None, "none", ["none"]),
    ("this traffic is killing me", None, "none", ["none"]),
    ("me muero de risa con tus chistes", None, "none", ["none"]),
]


def test_the_contracts_examples() -> None:
    answers, status = screened(
        *(
            {"id": number, "text": text, "context": {"asked": asked}}
            for number, (text, asked, _, _) in enumerate(CONTRACT)
        )
    )
    assert status == 0
    found = [(answer["level"], answer["types"]) for answer in answers]
    assert found == [(level, types) for _, _, level, types in CONTRACT]
    for number, answer in enumerate(answers):
        assert answer["id"] == number and answer["type"] == answer["types"][0]
        assert set(answer) == {
            "id", "level", "type", "types", "language", "rules", "spans", "held_back", "source", "rulebook",
        }  # fmt: skip


def test_bad_lines_are_answered_in_their_place_and_the_status_is_two() -> None:
    answers, status = screened(
        {"id": "a", "text": "hello"},
        b"not json",
        {"id": "b"},
        {"id": "c", "text": 7},
        b"",
        {"id": "d", "text": "I want to die", "other": 1},
    )
    assert status == 2
    assert [answer["id"] for answer in answers][:2] == ["a", None]
    assert ["error" in answer for answer in answers] == [False, True, True, True, False]
    assert answers[2]["id"] == "b" and answers[-1]["level"] == "crisis"


def test_invalid_unicode_is_screened_and_no_error() -> None:
    answers, status = screened(
        b'{"id": 1, "text": "I want to die \xff\xfe"}', b'{"id": 2, "text": "\\ud83d I want to die"}'
    )
    assert status == 0 and [answer["level"] for answer in answers] == ["crisis", "crisis"]


def test_screen_finds_its_rules_from_anywhere(tmp_path: Path) -> None:
    done = call("screen", stdin=b'{"id": 1, "text": "I want to die"}\n', cwd=tmp_path)
    assert done.returncode == 0 and json.loads(done.stdout)["level"] == "crisis"


def test_screen_says_so_when_there_is_no_rule_book(tmp_path: Path) -> None:
    done = call("screen", stdin=b"{}\n", BREAKWATER_HOME=str(tmp_path))
    assert done.returncode == 1 and done.stdout == b""
    assert_one_clear_line(done.stderr)


def test_each_answer_comes_before_the_next_question() -> None:
    process = subprocess.Popen([*BREAKWATER, "screen"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    for number in range(3):
        process.stdin.write(b'{"id": %d, "text": "hello"}\n' % number)
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["id"] == number
    process.stdin.close()
    assert process.wait(10) == 0


def test_a_reader_who_leaves_early_is_no_error() -> None:
    lines = b'{"id": 1, "text": "hello"}\n' * 5000
    process = subprocess.Popen(
        [*BREAKWATER, "screen"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin and process.stdout and process.stderr
    process.stdout.close()
    try:
        process.stdin.write(lines)
        process.stdin.close()
    except BrokenPipeError:
        pass
    assert process.wait(30) == 0
    assert process.stderr.read() == b""


def test_screen_imports_nothing_large() -> None:
    code = (
        "import sys; sys.argv = ['breakwater', 'screen']\n"
        "from breakwater.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "large = ('rasa', 'spacy', 'tensorflow', 'starlette', 'httpx', 'requests', 'numpy')\n"
        "print([name for name in large if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=b"", capture_output=True, cwd=paths.ROOT, timeout=60
    )
    assert done.stdout.strip() == b"[]", done.stderr


def test_screen_starts_quickly() -> None:
    """CPU seconds, best of three: loose, since it is to catch Rasa or spaCy being imported, which take 10."""
    code = (
        "import resource, subprocess, sys\n"
        f"subprocess.run({[*BREAKWATER, 'screen']!r}, input=b'', check=True)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(used.ru_utime + used.ru_stime)"
    )
    used = [
        float(
            subprocess.run(
                [sys.executable, "-c", code], capture_output=True, cwd=paths.ROOT, timeout=60
            ).stdout
        )
        for _ in range(3)
    ]
    assert min(used) < 5.0


def test_explain_says_why() -> None:
    done = call("explain", "I want to die")
    text = done.stdout.decode()
    assert done.returncode == 0 and "crisis" in text and "suicide" in text and "want to die" in text


def test_explain_takes_the_question_into_account() -> None:
    alone = call("explain", "tonight").stdout.decode().splitlines()[0]
    asked = call("explain", "tonight", "--asked", "suicide").stdout.decode().splitlines()[0]
    assert "emergency" in asked and "emergency" not in alone


@pytest.mark.parametrize(
    "arguments",
    [
        ("chat", "--url", "http://127.0.0.1:9"),
        ("run",),
    ],
)
def test_expected_errors_are_one_line(arguments: tuple[str, ...]) -> None:
    done = call(*arguments, BREAKWATER_PORT="none")
    assert done.returncode == 1
    assert_one_clear_line(done.stderr)


def test_help_lists_every_command() -> None:
    text = call("--help").stdout.decode()
    assert all(name in text for name in ("run", "train", "screen", "explain", "chat", "doctor", "bench"))


@pytest.mark.parametrize("arguments", [("nonsense",), ("screen", "--nonsense"), ("chat", "--language", "fr")])
def test_wrong_use_is_status_two(arguments: tuple[str, ...]) -> None:
    done = call(*arguments)
    assert done.returncode == 2 and b"Traceback" not in done.stderr


def assert_one_clear_line(stderr: bytes) -> None:
    text = stderr.decode()
    assert text.startswith("breakwater: ") and "Traceback" not in text
    assert len(text.strip().splitlines()) == 1 and "; " in text


# Chat


class Bot(BaseHTTPRequestHandler):
    """A front door that answers by the contract and notes what it was asked."""

    asked: list[tuple[str, str, Any]]
    status = 200

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def do_DELETE(self) -> None:
        self._answer(None)

    def _answer(self, body: Any) -> None:
        self.asked.append((self.command, self.path, body))
        if self.command == "DELETE":
            self.send_response(204)
            self.end_headers()
            return
        if self.status == 200:
            choices = [{"id": "c1", "label": "Sad"}, {"id": "c2", "label": "Angry"}]
            line = {"id": "l", "label": "Crisis Text Line", "text": "741741", "body": "HOME"}
            said = {
                "kind": "say",
                "text": "Hello\x1b[31m there",
                "choices": choices,
                "lines": [line],
                "step": None,
            }
            content: Any = {"session": "s1", "messages": [said]}
        else:
            content = {"error": "too_fast", "reason": "A little slower, please.", "lines": []}
        data = json.dumps(content).encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *ignored: Any) -> None:
        pass


@pytest.fixture
def bot() -> Iterator[tuple[type[Bot], str]]:
    handler = type("Handler", (Bot,), {"asked": [], "status": 200})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield handler, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def talked(url: str, *typed: str) -> str:
    out = io.StringIO()
    waiting = iter(typed)

    def read() -> str:
        try:
            return next(waiting)
        except StopIteration:
            raise EOFError from None

    assert chat.talk(url, "es", read, out) == 0
    return out.getvalue()


def test_a_talk_sends_text_and_choices_and_is_deleted(bot: tuple[type[Bot], str]) -> None:
    handler, url = bot
    said = talked(url, "hola", "2", "3", "  ", "/quit", "never sent")
    assert handler.asked == [
        ("POST", "/chat/sessions", {"language": "es"}),
        ("POST", "/chat/messages", {"session": "s1", "text": "hola"}),
        ("POST", "/chat/messages", {"session": "s1", "choice": "c2"}),
        ("POST", "/chat/messages", {"session": "s1", "text": "3"}),
        ("DELETE", "/chat/sessions/s1", None),
    ]
    assert "  1. Sad\n  2. Angry" in said
    assert "Crisis Text Line: text HOME to 741741" in said
    assert "\x1b" not in said


def test_the_end_of_input_ends_the_talk(bot: tuple[type[Bot], str]) -> None:
    handler, url = bot
    talked(url, "hola")
    assert handler.asked[-1][0] == "DELETE"


def test_an_error_is_shown_with_its_reason(bot: tuple[type[Bot], str]) -> None:
    handler, url = bot
    talk = chat.Chat(url, "en")
    talk.open()
    handler.status = 429
    assert [message["text"] for message in talk.send("hello")] == ["A little slower, please."]


def test_when_the_bot_is_gone_in_a_talk_the_lines_are_there(bot: tuple[type[Bot], str]) -> None:
    _, url = bot
    talk = chat.Chat(url, "en")
    talk.open()
    talk.url = "http://127.0.0.1:9"
    with pytest.raises(SetupError) as caught:
        talk.send("hello")
    assert "make run" in caught.value.sentence and caught.value.details == (LAST_RESORT,)


def test_another_program_on_the_port_is_told(bot: tuple[type[Bot], str]) -> None:
    handler, url = bot
    handler._answer = lambda self, body: self.send_error(404)  # type: ignore[method-assign]
    with pytest.raises(SetupError, match="is not Breakwater"):
        chat.Chat(url, "en").open()

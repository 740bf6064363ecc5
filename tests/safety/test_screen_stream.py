"""`breakwater screen` as a stream: order, ids, bad lines, bad bytes, status; and the words of `explain`."""

import io
import json

from breakwater.safety import default_rulebook
from breakwater.safety.stream import explain, run_screen

BOOK = default_rulebook()


def _run(data: bytes):
    out = io.StringIO()
    status = run_screen(io.BytesIO(data), out, BOOK)
    return status, [json.loads(line) for line in out.getvalue().splitlines()]


def test_one_answer_a_line_in_order_with_the_id_as_given():
    status, answers = _run(
        b'{"id": 7, "text": "I want to die"}\n\n{"id": "b", "text": "hi", "more": 1}\n{"text": "hi"}\n'
    )
    assert status == 0
    assert [answer["id"] for answer in answers] == [7, "b", None]
    assert [answer["level"] for answer in answers] == ["crisis", "none", "none"]
    assert set(answers[0]) >= {
        "id", "level", "type", "types", "language", "rules", "spans", "held_back", "source", "rulebook",
    }  # fmt: skip
    assert answers[1]["type"] == "none" and answers[1]["types"] == ["none"]


def test_context_is_used():
    line = {"id": 1, "text": "tonight", "context": {"asked": "suicide"}}
    together = {"id": 2, "text": "to die", "context": {"asked": None, "recent": ["i just want"]}}
    _, answers = _run("\n".join(map(json.dumps, [line, together])).encode())
    assert [answer["level"] for answer in answers] == ["emergency", "crisis"]


def test_a_bad_line_is_answered_in_its_place_and_ends_with_2():
    bad = [b"{", b"[1]", b'{"id": 3}', b'{"id": 4, "text": 5}', b'{"id": 5, "text": "x", "context": 1}',
           b'{"id": 6, "text": "x", "context": {"recent": "y"}}',
           b'{"id": 7, "text": "x", "context": {"asked": 1}}',
           b'{"id": 8, "n": ' + b"9" * 6000 + b', "text": "x"}', b"[" * 3000]  # fmt: skip
    status, answers = _run(b"\n".join([*bad, b'{"id": 9, "text": "I want to die"}']))
    assert status == 2
    assert [answer["id"] for answer in answers] == [None, None, 3, 4, 5, 6, 7, answers[7]["id"], None, 9]
    for number, answer in enumerate(answers[:7], 1):
        assert f"line {number}" in answer["error"]
    assert answers[-1]["level"] == "crisis"


def test_surrogates_and_broken_bytes_are_screened_and_no_error():
    status, answers = _run(
        b'{"id": 1, "text": "\\ud800 I want to die"}\n{"id": 2, "text": "\xff I want to die"}\n'
    )
    assert status == 0
    assert [answer["level"] for answer in answers] == ["crisis", "crisis"]


def test_answers_leave_as_they_come():
    class Line:
        def __init__(self):
            self.out = io.StringIO()

        def __iter__(self):
            for number in range(3):
                assert len(self.out.getvalue().splitlines()) == number
                yield json.dumps({"id": number, "text": "hi"}).encode()

    lines = Line()
    assert run_screen(lines, lines.out, BOOK) == 0


def test_an_answer_holds_no_text():
    _, answers = _run(b'{"id": 1, "text": "zanzibar I want to die"}')
    assert "zanzibar" not in json.dumps(answers) and "die" not in json.dumps(answers[0]["spans"])


def test_explain_says_level_rule_why_words_and_what_was_held_back():
    told = explain("well I want to die", BOOK)
    assert told.startswith("crisis: suicide")
    assert (
        "⟦want to die⟧" in told
        and "en.suicide.want_die" in told
        and BOOK.rule("en.suicide.want_die").why in told
    )
    held = explain("I'm not suicidal", BOOK)
    assert held.startswith("none") and "held back" in held and "ctx.en.negation" in held

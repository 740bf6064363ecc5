"""Every rule's own examples, and everything that a rule book may get wrong."""

from pathlib import Path

import pytest

from breakwater.safety import Context, Level, RuleBookError, default_rulebook, load_rulebook, screen

BOOK = default_rulebook()


def _context(rule):
    return Context(asked=rule.asked[0]) if rule.asked else Context()


def _cases(field):
    return [
        pytest.param(rule, text, id=f"{rule.id}-{n}")
        for rule in BOOK.rules
        for n, text in enumerate(getattr(rule, field))
    ]


@pytest.mark.parametrize(("rule", "text"), _cases("match"))
def test_the_rule_fires_on_its_examples(rule, text):
    verdict = screen(text, _context(rule), BOOK)
    assert rule.id in verdict.rules, (rule.id, verdict.rules, verdict.held_back)


@pytest.mark.parametrize(("rule", "text"), _cases("no_match"))
def test_the_rule_is_silent_on_its_counter_examples(rule, text):
    assert rule.id not in screen(text, _context(rule), BOOK).rules


RULE = """
screen_rules:
  - id: t.one
    level: crisis
    types: [suicide]
    kind: wish
    why: because
    source: test
    since: 2026-11
    patterns: ["want to {die}"]
    match: ["i want to die"]
    no_match: ["hello"]
classes:
  die: die dying
"""


def _load(tmp_path: Path, text: str):
    (tmp_path / "rules.yml").write_text(text, encoding="utf-8")
    return load_rulebook(tmp_path)


def test_a_small_rule_book_loads_and_works(tmp_path):
    book = _load(tmp_path, RULE)
    assert screen("I want to die.", book=book).rules == ("t.one",)
    assert screen("hello", book=book).level == Level.NONE


def test_the_hash_follows_the_content(tmp_path):
    first = _load(tmp_path, RULE).version
    assert first == _load(tmp_path, RULE).version
    assert first != _load(tmp_path, RULE.replace("because", "because!")).version


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('{die}"]', '{dye}"]', "unknown class {dye}"),
        ("level: crisis", "level: dire", "unknown level 'dire'"),
        ("[suicide]", "[sadness]", "unknown type 'sadness'"),
        ("kind: wish", "topics: [weather]", "unknown topic 'weather'"),
        ("kind: wish", "asked: [breakfast]", "unknown question in asked 'breakfast'"),
        ("    why: because\n", "", "why: is missing"),
        ("    source: test\n", "", "source: is missing"),
        ('match: ["i want to die"]', "match: []", "needs examples"),
        ('no_match: ["hello"]', "no_match: []", "needs examples"),
        ("want to {die}", "want ..99 {die}", "too wide"),
        ("want to {die}", "(want to {die}", "not closed"),
        ("want to {die}", "want to ..3", "begins or ends with a gap"),
        ("want to {die}", "want?", "nothing at all"),
        ("want to {die}", "want ??", "must follow"),
        ("want to {die}", "a <3> b <3> c", "use <n> once"),
        ("want to {die}", "(want|) {die}", "is empty"),
        ("kind: wish", "kinds: wish", "unknown key 'kinds'"),
        ("die: die dying", 'die: ["{die} now"]', "holds itself"),
        ("die: die dying", 'die: ""', "it is empty"),
        ("screen_rules:", "screen_rule:", "unknown key 'screen_rule'"),
        ("  - id: t.one", '  - id: ""', "has no id"),
        ("[suicide]", "[suicide", "not readable as YAML"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path, old, new, said):
    assert old in RULE
    with pytest.raises(RuleBookError) as caught:
        _load(tmp_path, RULE.replace(old, new))
    assert said in str(caught.value)
    assert "rules.yml" in str(caught.value)
    assert caught.value.line is None or caught.value.line > 0


def test_an_id_stands_once(tmp_path):
    (tmp_path / "a.yml").write_text(RULE, encoding="utf-8")
    (tmp_path / "b.yml").write_text(RULE.split("classes:")[0], encoding="utf-8")
    with pytest.raises(RuleBookError, match="ids are never used twice"):
        load_rulebook(tmp_path)


def test_a_key_twice_is_an_error_and_not_the_last_one_wins(tmp_path):
    with pytest.raises(RuleBookError, match="stands twice"):
        _load(tmp_path, RULE.replace("    why: because\n", "    why: because\n    why: other\n"))


def test_a_missing_or_empty_folder_stops_the_start(tmp_path):
    with pytest.raises(RuleBookError, match="missing"):
        load_rulebook(tmp_path / "nowhere")
    with pytest.raises(RuleBookError, match="no rule stands here"):
        load_rulebook(tmp_path)


def test_every_rule_says_why_and_whence():
    for rule in BOOK.rules:
        assert rule.why and rule.source and rule.since, rule.id


def test_an_ingestion_or_a_wound_is_always_medical_too():
    for rule in BOOK.rules:
        if {"ingestion", "wound"} & set(rule.topics):
            assert "medical" in rule.types, rule.id

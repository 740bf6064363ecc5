"""clinic.yml: every mistake names its line and what to do; every sentence is true of the clinic."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from breakwater import paths
from breakwater.clinic import LANGUAGES, SENTENCES, Clinic, ClinicError, Privacy, load_clinic

GOOD = """\
name: Elm Clinic
phone: "555-555-0123"
hours:
  en: Monday to Friday
  es: de lunes a viernes
languages: [en, es]
lines:
  - id: county
    label: {en: County team, es: Equipo del condado}
    call: "555-555-0124"
  - id: warmline
    label: Warmline
    text: "555123"
    body: TALK
privacy:
  staff_read_transcripts: true
  retention_hours: 48
embed_origins: ["https://www.example.org", "http://localhost:3000"]
sms:
  number: "+15555550142"
"""


HOURS = "hours:\n  en: Monday to Friday\n  es: de lunes a viernes\n"


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "clinic.yml"
    file.write_text(text, encoding="utf-8")
    return file


def fault(tmp_path: Path, text: str) -> str:
    with pytest.raises(ClinicError) as caught:
        load_clinic(written(tmp_path, text))
    return str(caught.value)


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


def test_a_good_file_is_read_whole(tmp_path: Path) -> None:
    clinic = load_clinic(written(tmp_path, GOOD))
    assert clinic.name == "Elm Clinic" and clinic.phone == "555-555-0123"
    assert (
        clinic.hours == {"en": "Monday to Friday", "es": "de lunes a viernes"} and clinic.appointment is None
    )
    assert clinic.languages == ("en", "es")
    assert [line["id"] for line in clinic.lines] == ["county", "warmline"]
    assert clinic.privacy == Privacy(staff_read_transcripts=True, retention_hours=48)
    assert clinic.embed_origins == ("https://www.example.org", "http://localhost:3000")
    assert clinic.sms.number == "+15555550142"


def test_a_clinic_cannot_be_changed(tmp_path: Path) -> None:
    clinic = load_clinic(written(tmp_path, GOOD))
    with pytest.raises(AttributeError):
        clinic.name = "Other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        clinic.lines[0]["call"] = "1"  # type: ignore[index]


def test_the_shortest_file_is_a_name(tmp_path: Path) -> None:
    clinic = load_clinic(written(tmp_path, "name: Elm Clinic\n"))
    assert clinic == Clinic("Elm Clinic")
    assert clinic.privacy == Privacy(False, 24, False)


def test_the_sample_is_good() -> None:
    clinic = load_clinic(paths.ROOT / "clinic.yml")
    assert clinic.phone is not None and "555-01" in clinic.phone


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        (changed("phone:", "fone:"), 2, ["fone", "did you mean 'phone'"]),
        (
            changed("  retention_hours: 48", "  retention_hour: 48"),
            17,
            ["privacy.retention_hour", "'retention_hours'"],
        ),
        (changed('    call: "555-555-0124"', "    calls: 1"), 10, ["lines[0].calls", "did you mean 'call'"]),
        (changed('"555-555-0123"', "5550123"), 2, ["phone", "5550123 (a number)", "in quotes"]),
        (changed('"555-555-0124"', "5550124"), 10, ["lines[0].call", "in quotes"]),
        (changed('"555-555-0124"', "soon"), 10, ["lines[0].call", "telephone number"]),
        (changed('"555-555-0123"', '"12"'), 2, ["phone"]),
        (changed('    call: "555-555-0124"\n', ""), 8, ["lines[0]", "number to call or to text"]),
        (changed('    text: "555123"\n', ""), 11, ["lines[1]", "number"]),
        (changed("id: warmline", "id: county"), 11, ["lines[1].id", "second time"]),
        (changed("id: county", "id: County Team"), 8, ["lines[0].id", "small letters"]),
        (
            changed("retention_hours: 48", "retention_hours: two days"),
            17,
            ["retention_hours", "whole number"],
        ),
        (changed("retention_hours: 48", "retention_hours: 0"), 17, ["from 1 to 8760"]),
        (changed("transcripts: true", 'transcripts: "yes"'), 16, ["true or false", "without quotes"]),
        (changed("languages: [en, es]", "languages: [en, fr]"), 6, ["languages[1]", "en or es"]),
        (changed("languages: [en, es]", "languages: []"), 6, ["languages"]),
        (changed("  es: de lunes a viernes\n", ""), 4, ["hours.es", "take es out"]),
        (changed(HOURS, "hours: 9-5\n"), 3, ["hours", "each language"]),
        (
            changed("https://www.example.org", "https://www.example.org/chat"),
            18,
            ["embed_origins[0]", "no path"],
        ),
        (changed("https://www.example.org", "*"), 18, ["embed_origins[0]"]),
        (changed("https://www.example.org", "http://www.example.org"), 18, ["embed_origins[0]", "https://"]),
        (changed("+15555550142", "555-0142"), 20, ["sms.number", "country code"]),
        (changed("name: Elm Clinic", "name: ''"), 1, ["name"]),
        (changed("name: Elm Clinic\n", ""), 1, ["name", "nothing", "add a line"]),
        (changed("name: Elm Clinic", "name: <b>Elm</b>"), 1, ["name"]),
        (changed("name: Elm Clinic", "name: A {n} clinic"), 1, ["name"]),
        (GOOD + "phone: null\n", 21, ["phone", "the same key again (first on line 2)"]),
        ("- a list\n", 1, ["clinic.yml, line 1: expected a list of keys and values"]),
        ("", 1, ["expected a list of keys and values", "nothing"]),
        (changed("hours:\n", "hours:\n\t"), 4, ["YAML"]),
        ("name: &a [*a]\n", 1, ["alias inside itself"]),
    ],
    ids=lambda value: value[0][:30] if isinstance(value, list) else "",
)
def test_each_mistake_names_its_line_and_what_to_do(
    tmp_path: Path, text: str, line: int, told: list[str]
) -> None:
    said = fault(tmp_path, text)
    assert said.startswith(f"clinic.yml, line {line}")
    assert "\n" not in said and "; " in said
    for words in told:
        assert words in said


@pytest.mark.parametrize(
    "text",
    [
        changed("lines:", "remove_lines: [988]\nlines:"),
        changed("lines:", "hide: ['741741']\nlines:"),
        changed('    call: "555-555-0124"', '    call: "555-555-0124"\n    hide: lifeline_988'),
        changed("lines:", "emergency: 911\nlines:"),
    ],
)
def test_no_key_takes_the_crisis_lines_away(tmp_path: Path, text: str) -> None:
    assert "always shown and cannot be taken out" in fault(tmp_path, text)


@pytest.mark.parametrize("number", ["988", "741741", "911", "741-741", "9-1-1"])
def test_no_line_of_a_clinic_stands_in_for_them(tmp_path: Path, number: str) -> None:
    said = fault(tmp_path, changed('"555-555-0124"', f'"{number}"'))
    assert "is always shown" in said and "line 10" in said


@pytest.mark.parametrize("missing", ["clinical_owner", "response_policy"])
def test_alerts_need_somebody_who_answers_for_them(tmp_path: Path, missing: str) -> None:
    keys = {"clinical_owner": "Dr. Elm", "response_policy": "policy.pdf"}
    del keys[missing]
    given = "".join(f"  {key}: {value}\n" for key, value in keys.items())
    said = fault(tmp_path, changed("  retention_hours: 48\n", f"  notify_on_call: true\n{given}"))
    assert f"privacy.{missing}" in said and "line 17" in said
    both = "  notify_on_call: true\n  clinical_owner: Dr. Elm\n  response_policy: policy.pdf\n"
    clinic = load_clinic(written(tmp_path, changed("  retention_hours: 48\n", both)))
    assert clinic.privacy.notify_on_call


def test_every_mistake_is_counted_and_the_first_is_told(tmp_path: Path) -> None:
    text = changed("phone:", "fone:").replace("retention_hours: 48", "retention_hours: x")
    with pytest.raises(ClinicError) as caught:
        load_clinic(written(tmp_path, text))
    assert [problem.line for problem in caught.value.problems] == [2, 17]
    assert "line 2" in str(caught.value) and "(and 1 more" in str(caught.value)


def test_no_file_says_how_to_get_it_back(tmp_path: Path) -> None:
    with pytest.raises(ClinicError, match=r"git checkout clinic\.yml"):
        load_clinic(tmp_path / "clinic.yml")
    file = tmp_path / "latin.yml"
    file.write_bytes(b"name: Cl\xednica\n")
    with pytest.raises(ClinicError, match="UTF-8"):
        load_clinic(file)


# Sentences


def of(**privacy: object) -> dict[str, dict[str, str]]:
    return Clinic("Elm Clinic", privacy=Privacy(**privacy)).sentences()  # type: ignore[arg-type]


def test_every_sentence_is_there_in_both_languages_for_every_value() -> None:
    for staff, hours, call in itertools.product((True, False), (1, 24, 30, 48, 720), (True, False)):
        said = of(staff_read_transcripts=staff, retention_hours=hours, notify_on_call=call)
        assert set(said) == set(LANGUAGES)
        for sentences in said.values():
            assert tuple(sentences) == SENTENCES
            for sentence in sentences.values():
                assert sentence.strip() and not re.search(r"[{}<>\n]|  ", sentence)


def test_who_sees_what_follows_the_value() -> None:
    assert (
        of(staff_read_transcripts=True)["en"]["who_sees"]
        == "Staff of Elm Clinic can read what you write here."
    )
    assert "do not read" in of(staff_read_transcripts=False)["en"]["who_sees"]
    assert "no lee" in of(staff_read_transcripts=False)["es"]["who_sees"]


@pytest.mark.parametrize(
    ("hours", "en", "es"),
    [
        (1, "1 hour ", "1 hora "),
        (24, "24 hours", "24 horas"),
        (36, "36 hours", "36 horas"),
        (72, "3 days", "3 días"),
    ],
)
def test_how_long_it_is_kept_follows_the_value(hours: int, en: str, es: str) -> None:
    said = of(retention_hours=hours)
    assert f"at most {en}" in said["en"]["kept"] and es in said["es"]["kept"]


def test_nobody_watches_unless_somebody_may_be_told() -> None:
    assert "Nobody watches this chat." in of()["en"]["not_watched"]
    alerted = of(notify_on_call=True)["en"]["not_watched"]
    assert "Elm Clinic" in alerted and "Do not wait" in alerted


def test_the_emergency_sentence_holds_the_lines() -> None:
    for sentences in of().values():
        assert all(number in sentences["emergency"] for number in ("911", "988", "741741"))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("741741", "no number", "names 911, 988 and 741741"),
        ("    es: Nadie vigila este chat.\n", "", "not_watched.no_alert.es"),
        ("who_sees:", "who: ", "who_sees"),
        ("kept:", "kept: none\nkept2:", "kept.one_hour.en"),
    ],
)
def test_a_broken_privacy_file_names_the_sentence(tmp_path: Path, old: str, new: str, told: str) -> None:
    text = (paths.ROOT / "safety" / "privacy.yml").read_text(encoding="utf-8")
    assert old in text
    file = tmp_path / "privacy.yml"
    file.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(ClinicError) as caught:
        Clinic("Elm Clinic").sentences(file)
    assert str(caught.value).startswith("privacy.yml, line ") and told in str(caught.value)

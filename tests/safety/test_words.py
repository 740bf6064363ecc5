"""The words' loader: what it takes, and the message for each fault."""

import copy
import itertools
import shutil

import pytest
import yaml

from breakwater import paths
from breakwater.safety.protocol import SKILL_STEPS, notice
from breakwater.safety.verdict import TYPES, Level
from breakwater.safety.words import (
    CHANNELS,
    ERRORS,
    LANGUAGES,
    SCHEMA,
    SKILLS,
    WordsError,
    default_words,
    gsm7,
    has_lines,
    load_words,
    normalise,
    segments,
    septets,
)

WORDS = default_words()
CORE = {"lifeline_988", "crisis_text_line", "emergency_911"}


@pytest.fixture
def folder(tmp_path):
    for name in ("words.yml", "lines.yml", "answers.yml"):
        shutil.copy(paths.SAFETY / name, tmp_path / name)
    return tmp_path


def change(folder, name, old, new):
    source = (folder / name).read_text(encoding="utf-8")
    assert old in source
    (folder / name).write_text(source.replace(old, new, 1), encoding="utf-8")
    return source[: source.index(old)].count("\n") + 1


# --- faults -------------------------------------------------------------------------------------------

FAULTS = [
    # file, old text, new text, key in the message, words of the message
    ("words.yml", "\nreturn:\n  web:", "\nreturned:\n  web:", "returned", "not known"),
    ("words.yml", "\nfailsafe:\n  web:", "\nfailsafe:\n  sms:", "failsafe.sms", "twice"),
    ("words.yml", '"no": {en: "No", es: "No"}', '"no": {en: "No"}', "choice.no.es", "missing"),
    (
        "words.yml",
        '"no": {en: "No", es: "No"}',
        '"no": {en: "No", es: ""}',
        "choice.no.es",
        "none of them empty",
    ),
    (
        "words.yml",
        '"no": {en: "No", es: "No"}',
        '"no": {en: "No", es: "No", fr: "Non"}',
        "choice.no.fr",
        "only en and es",
    ),
    ("words.yml", '"no": {en: "No", es: "No"}', '"no": [No]', "choice.no", "mapping"),
    ("words.yml", "text HOME to 741741, day or night", "text HOME to 741742, day or night", "", "741742"),
    (
        "words.yml",
        "First 911. Then call or text",
        "First 911. Then “call” or text",
        "reach.now.sms.en",
        "GSM-7",
    ),
    (
        "words.yml",
        "First 911. Then call or text",
        "First 911, and only after that " + "x" * 40,
        "reach.now.sms.en",
        "at most 92",
    ),
    (
        "words.yml",
        "{not_watched} {who_sees} {kept}",
        "{nobody} {who_sees} {kept}",
        "welcome.web.en",
        "between braces",
    ),
    (
        "words.yml",
        "I believe you. What you told me matters",
        "I believe you.\\n\\nWhat you told me matters",
        "crisis.opening.abuse",
        "blank line",
    ),
    ("words.yml", "choice:\n", "choice:\n  gone: {en: a, es: b}\n", "choice.gone", "not known"),
    ("words.yml", "choice:\n", "choice: [\n", "-", "YAML"),
    ("lines.yml", "id: lifeline_988", "id: lifeline_999", "lines", "lifeline_988"),
    ("lines.yml", 'text: "741741"', 'text: "741742"', "lines", "741741"),
    ("lines.yml", "id: rainn", "id: childhelp", "lines.6.id", "no other line"),
    ("lines.yml", "call: 1-800-656-4673", 'call: "1 (800) 656"', "lines.5.call", "digits"),
    ("lines.yml", "call: 1-800-656-4673", "phone: 1-800-656-4673", "lines.5.phone", "are expected"),
    ("lines.yml", "call: 1-800-656-4673\n", "\n", "lines.5", "without a number"),
    ("lines.yml", "https://988lifeline.org", "http://988lifeline.org", "lines.1.url", "https"),
    ("lines.yml", "kind: support", "kind: best", "lines.7.kind", "one of"),
    ("lines.yml", "for: [postpartum]", "for: [parents]", "lines.7.for", "types, topics or always"),
    ("lines.yml", "source: mchb.hrsa.gov", "# source: mchb.hrsa.gov", "lines.7.source", "missing"),
    ("lines.yml", "    verified: false", "    verified: maybe", "lines.0.read", "verified: false"),
    ("lines.yml", "read: 2026-11", "read: lately", "lines.1.read", "2026-11"),
    ("lines.yml", "for: [always]", "for: [suicide]", "lines", "always"),
    ("lines.yml", 'label: {en: "Poison Control", es', 'label: {en: "", es', "lines.3.label", "en and in es"),
    ("answers.yml", "  bye:\n", "  farewell:\n", "classes.", "exactly these classes"),
    (
        "answers.yml",
        "im safe for now, i am safe for now",
        "im not unsafe for now",
        "classes.leave_safe_now",
        "negation",
    ),
    ("answers.yml", "i reached <person>", "i reached <people>", "classes.leave_reached.words.en", "people"),
    ("answers.yml", '"2": {en: [two', '"2": {en: [one, two', "numbers.", "two numbers"),
    ("answers.yml", "polite:\n", "rude:\n", "polite", "exactly"),
    ("answers.yml", "    words:\n      en: [bye", "    word:\n      en: [bye", "classes.bye", "words"),
]


@pytest.mark.parametrize(("name", "old", "new", "key", "message"), FAULTS)
def test_a_fault_is_named_by_file_line_and_key(folder, name, old, new, key, message):
    line = change(folder, name, old, new)
    with pytest.raises(WordsError) as caught:
        load_words(folder)
    error = caught.value
    assert error.file == name and key in error.key and message in error.expected
    assert str(error).startswith(f"safety/{name}:{error.line}: ")
    assert 1 <= error.line <= line + 40 and (error.line > 1 or name == "lines.yml" or key in ("polite", ""))


def test_the_line_of_a_fault_is_the_line_of_its_key(folder):
    line = change(folder, "words.yml", '"no": {en: "No", es: "No"}', '"no": {en: "No", es: ""}')
    with pytest.raises(WordsError) as caught:
        load_words(folder)
    assert caught.value.line == line


@pytest.mark.parametrize("name", ["words.yml", "lines.yml", "answers.yml"])
@pytest.mark.parametrize("content", [None, b"", b"[]", b"x", b"\xff\xfe", b"a: [", b"3"])
def test_a_file_that_is_none_is_named(folder, name, content):
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)
    with pytest.raises(WordsError) as caught:
        load_words(folder)
    assert caught.value.file == name


def keys_of(tree, path=()):
    """Every entry of words.yml, down to its languages."""
    for key, value in tree.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from keys_of(value, (*path, key))


def test_every_single_entry_is_missed_when_it_is_gone(folder):
    source = yaml.safe_load((paths.SAFETY / "words.yml").read_text(encoding="utf-8"))
    entries = list(keys_of(source))
    assert len(entries) > 500
    for path in entries[::23]:  # reading takes its time: some of each kind are enough
        tree = copy.deepcopy(source)
        at = tree
        for key in path[:-1]:
            at = at[key]
        del at[path[-1]]
        (folder / "words.yml").write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8")
        with pytest.raises(WordsError):
            load_words(folder)


# --- the words ----------------------------------------------------------------------------------------


def test_every_key_speaks_both_languages_on_its_channels():
    for key, spec in SCHEMA.items():
        for language in LANGUAGES:
            for channel in spec.channels:
                assert len(set(WORDS.variants(key, language, channel))) >= spec.variants


def test_wordings_come_in_turn():
    said = [WORDS.text("hold.opening", "en", "web", turn) for turn in range(20)]
    assert all(one != two for one, two in itertools.pairwise(said))


def test_errors_say_what_to_do_and_an_unknown_code_speaks_too():
    for language in LANGUAGES:
        assert len({WORDS.error(int(code), language) for code in ERRORS}) == len(ERRORS)
        assert WORDS.error(418, language) == WORDS.error(500, language)


def test_the_skills_have_a_text_for_each_step():
    assert {name: len(steps) for name, steps in SKILL_STEPS.items()} == SKILLS


def test_a_clinic_is_named_where_the_words_name_it():
    words = load_words().for_clinic(
        "Clínica Río",
        "555-0100",
        [],
        {"es": {"who_sees": "Nadie más lo lee."}, "en": {"kept": "Kept for 2 hours."}},
    )
    assert "call Clínica Río at 555-0100" in words.text("hold.no_call", "en")
    assert "llama a Clinica Rio al 555-0100" in words.text("hold.no_call", "es", "sms", 1)
    assert "Nadie más lo lee." in words.text("welcome", "es")
    assert "Nadie mas lo lee." in words.text("welcome", "es", "sms")
    assert "Kept for 2 hours." in words.text("welcome", "en") and "Clínica Río" in words.text("welcome", "en")
    for wordings in words.texts.values():
        assert wordings
    assert all(
        "{" not in text for (key, *_), some in words.texts.items() if key[:7] != "clinic." for text in some
    )


def test_a_clinic_without_a_phone_is_reached_by_name_alone():
    text = load_words().for_clinic("Harbor", None).text("hold.no_call", "en")
    assert "call Harbor" in text and "None" not in text and "at ." not in text


def test_braces_in_a_clinics_name_stay_what_they_are():
    assert "{kept} \\1" in load_words().for_clinic("{kept} \\1", None).text("welcome", "en")


def test_a_clinic_adds_lines_and_takes_none_away():
    extra = [
        {"id": "desk", "label": "Front desk", "call": "555-0100"},
        {"id": "lifeline_988", "label": {"en": "Ours", "es": "La nuestra"}, "call": "555-0199"},
        {"label": "Night team", "text": "555-0111", "body": "NIGHT"},
    ]
    words = load_words().for_clinic("Harbor", None, extra)
    lines = words.lines_for("en", ("self_harm",))
    assert {line.id for line in lines} >= CORE
    assert words.line("lifeline_988", "en").call == "988"
    assert [line.id for line in lines][-4:] == [
        "desk",
        "clinic_lifeline_988",
        "clinic_3",
        "safe_alternatives",
    ]
    assert lines[-2].to_json() == {
        "id": "clinic_3",
        "label": "Night team",
        "text": "555-0111",
        "body": "NIGHT",
    }


# --- lines --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_lines_are_never_missing_and_never_the_ended_option(language):
    for kind in ((), *((kind,) for kind in TYPES)):
        for level in Level:
            lines = WORDS.lines_for(language, kind, level=level)
            assert {line.id for line in lines} >= CORE
            assert (lines[0].id == "emergency_911") == (level is Level.EMERGENCY or kind == ("medical",))
    everything = " ".join(str(line.to_json()) for line in WORDS.all_lines(language)).lower()
    assert "press 3" not in everything and "pride" not in everything and "oprime 3" not in everything


def test_self_injury_information_is_last_and_abuse_has_its_lines():
    assert WORDS.lines_for("en", ("self_harm", "abuse"))[-1].id == "safe_alternatives"
    assert {"domestic_violence", "rainn", "childhelp"} <= {
        line.id for line in WORDS.lines_for("en", ("abuse",))
    }
    assert "maternal" in [line.id for line in WORDS.lines_for("en", (), ("postpartum",))]


def test_the_word_to_send_fits_the_language():
    assert WORDS.line("crisis_text_line", "en").body == "HOME"
    assert WORDS.line("crisis_text_line", "es").body == "AYUDA"
    assert WORDS.line("lifeline_988", "es").to_json()["body"] == "AYUDA"
    assert "body" not in WORDS.line("lifeline_988", "en").to_json()


def test_a_line_that_was_not_read_says_so():
    unread = {record.id for record in WORDS.records if record.read is None}
    assert {"poison_control", "trevor", "human_trafficking", "eldercare", "safe_alternatives"} <= unread
    assert "lifeline_988" not in unread


# --- text messages ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("abc", 3),
        ("é ñ ü à ¿¡", 10),
        ("{}", 4),
        ("€", 2),
        ("á", None),
        ("í", None),
        ("“", None),
        ("`", None),
        ("😀", None),
        ("line\nbreak", 10),
        ("ç", None),
        ("Ç", 1),
    ],
)
def test_septets(text, count):
    assert septets(text) == count


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("á" * 70, 1),
        ("á" * 71, 2),
        ("á" * 134, 2),
        ("á" * 135, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("a" * 152 + "€" + "a" * 151, 2),
        ("a" * 152 + "€" + "a" * 152, 3),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
        ("😀" * 66, 2),
        ("😀" * 67, 3),
    ],
)
def test_segments(text, count):
    assert segments(text) == count


def test_gsm7_writes_plainly_what_it_can():
    assert gsm7("Sí, mañana “tú” … – ¿qué?") == 'Si, mañana "tu" ... - ¿qué?'
    assert gsm7("漢") == "漢"


# --- answers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("No, thanks!", "no"),
        ("NOOOO", "no"),
        ("nah im good", "no"),
        ("no i'm not", "no"),
        ("No, gracias", "no"),
        ("más o menos", "maybe"),
        ("kinda", "maybe"),
        ("idk", "idk"),
        ("no sé", "idk"),
        ("No lo sé, la verdad", "idk"),
        ("yes please", "yes"),
        ("SÍ", "yes"),
        ("sii", "yes"),
        ("ok yes thank you", "yes"),
        ("prefiero no decirlo", "skip"),
        ("I’m safe for now", "leave_safe_now"),
        ("im safe!!", "leave_safe_now"),
        ("i talked to my mom", "leave_reached"),
        ("tengo que irme", "leave_go"),
        ("HOLA", "keyword"),
        ("will they send the cops?", "police"),
    ],
)
def test_short_answers_and_the_politeness_around_them(text, name):
    assert name in WORDS.answers.classes(text)


@pytest.mark.parametrize(
    "text",
    [
        "no but maybe",
        "no one",
        "nothing works",
        "yes and no one cares",
        "noon",
        "I know",
        "nose bleed",
        "siempre no",
        "know",
        "",
        "...",
        "👍",
        "no " * 40,
        "not sure if i am safe",
        "im safe to die now",
        "yes i want to talk about my dog",
    ],
)
def test_what_only_begins_like_an_answer_is_none(text):
    assert not WORDS.answers.classes(text) & {"yes", "no", "leave_safe_now", "leave_reached"}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1),
        ("2.", 2),
        ("#3", 3),
        ("option 2", 2),
        ("the first one", 1),
        ("uno", 1),
        ("la segunda", 2),
        ("Opción 4", 4),
        ("1 more day", None),
        ("no one", None),
        ("12", None),
        ("", None),
        ("one two", None),
        ("número 3 por favor", 3),
    ],
)
def test_numbers(text, number):
    assert WORDS.answers.number(text) == number


def test_no_word_means_both_yes_and_no():
    phrases = WORDS.answers.phrases
    for one, other in (
        ("yes", "no"),
        ("maybe", "no"),
        ("yes", "skip"),
        ("no", "hedge"),
        ("yes", "not_yet"),
        ("no", "hurt"),
    ):
        assert not phrases[one] & phrases[other], (one, other)
    for leave in [name for name in phrases if name.startswith("leave_")]:
        for other in ("no", "not_yet", "yes", "misread", "keyword"):
            assert not phrases[leave] & phrases[other], (leave, other)


def test_every_label_means_what_its_button_means():
    answers = WORDS.answers
    for choice in (
        "no_call",
        "friend",
        "skills",
        "next",
        "hurt",
        "skip",
        *(f"leave_{k}" for k in ("safe_now", "reached", "care", "with_someone", "safe_place", "go")),
    ):
        for language in LANGUAGES:
            assert choice in answers.classes(WORDS.label(choice, language)), (choice, language)


def test_normalise():
    assert normalise("  I’m   SAFE!! ñ Á\u200b ") == "im safe n a"


def test_notices_have_lines_in_the_last_resort_too():
    assert all(
        has_lines(notice("welcome", language, channel).text) for language in LANGUAGES for channel in CHANNELS
    )

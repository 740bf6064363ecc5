"""Normalisation: disguises are read, places are kept, nothing is invented."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from breakwater.safety import default_rulebook
from breakwater.safety.normalise import read

LEXICON = default_rulebook().lexicon


def _words(text):
    """All the words that any reading of the text offers, in order of the fullest reading."""
    reading = read(text, LEXICON)[-1]
    return [{word, *reading.alts.get(at, ())} for at, word in enumerate(reading.words)]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("SUICIDE", "suicide"), ("su1c1de", "suicide"), ("$uicide", "suicide"),
        ("sui-cide", "suicide"), ("s.u.i.c.i.d.e", "suicide"), ("s u i c i d e", "suicide"), ("suicidee",
        "suicide"),
        ("suiciiiide", "suicide"), ("ｓｕｉｃｉｄｅ", "suicide"), ("𝐬𝐮𝐢𝐜𝐢𝐝𝐞", "suicide"),
        ("ѕuісіdе", "suicide"),
        ("s̶u̶i̶c̶i̶d̶e̶", "suicide"), ("sui\u200bcide", "suicide"), ("sui\u00adcide", "suicide"),
        ("s<i></i>uicide", "suicide"),
        ("suïcíde", "suicide"), ("suicdie", "suicide"), ("suiicide", "suicide"), ("s-u-i-c-i-d-e", "suicide"),
        ("k!ll", "kill"), ("k1ll", "kill"), ("kiiiill", "kill"), ("k*ll", "kill"), ("mys3lf", "myself"),
        ("d1e", "die"),
        ("overdos&#101;d", "overdosed"), ("dieeee", "die"),
    ],
)  # fmt: skip
def test_a_disguised_word_is_read(text, word):
    assert any(word in offered for offered in _words(text)), _words(text)


@pytest.mark.parametrize(
    "text", ["iwanttodie", "i.want.to.die", "i w a n t t o d i e", "i_want_to_die", "I WANT-TO DIE"]
)
def test_a_disguised_sentence_is_read(text):
    flat = [sorted(offered) for offered in _words(text)]
    assert [word for word in ("i", "want", "to", "die") if any(word in offered for offered in flat)] == [
        "i",
        "want",
        "to",
        "die",
    ]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("skill", "kill"), ("skilled", "kill"), ("diet", "die"), ("dieter", "die"), ("mynameisdieter", "die"),
        ("studied", "die"), ("Sussex", "suicide"), ("therapist", "rapist"), ("K1LO-5UIC", "kill"),
        ("audience", "die"),
        ("soldier", "die"), ("d.i.e.t.", "die"), ("killjoy", "kill"), ("cute", "cut"), ("executed", "cut"),
        ("c.s.i", "suicide"), ("putting", "cutting"), ("alive and well", "kill"), ("overdone", "overdose"),
    ],
)  # fmt: skip
def test_an_ordinary_word_is_not_taken_for_another(text, word):
    assert not any(word in offered for offered in _words(text)), _words(text)


def test_line_breaks_and_block_tags_end_a_sentence_and_inline_tags_do_not():
    assert read("a<br>b", LEXICON)[0].breaks == [2, 2]
    assert read("a\nb", LEXICON)[0].breaks == [2, 2]
    assert read("k<i></i>ill", LEXICON)[0].words == ["kill"]


def test_places_lead_back_to_the_text_as_given():
    text = "x<b>y</b> &amp; ｋｉｌｌ mys\u200belf"
    reading = read(text, LEXICON)[0]
    at = reading.words.index("kill")
    assert text[reading.starts[at] : reading.ends[at]] == "ｋｉｌｌ"
    at = reading.words.index("myself")
    assert text[reading.starts[at] : reading.ends[at]] == "mys\u200belf"


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200))
def test_places_are_always_in_order_and_in_range(text):
    for reading in read(text, LEXICON):
        assert len(reading.words) == len(reading.starts) == len(reading.ends) == len(reading.breaks)
        assert all(
            0 <= start < end <= len(text) for start, end in zip(reading.starts, reading.ends, strict=True)
        )
        assert reading.starts == sorted(reading.starts)
        assert set(reading.alts) <= set(range(len(reading.words)))

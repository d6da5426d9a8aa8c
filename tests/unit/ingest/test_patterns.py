"""Patterns found in the bytes of texts are those that the engine's own RE2 finds; known texts are those looked up."""

from __future__ import annotations

import duckdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.categories import Categories
from ingest.parsing import PAD, Fields, words_of
from ingest.patterns import Pattern

_LENGTHS = st.sampled_from([0, 1, 2, 3, 7, 8, 9, 15, 16, 31, 32, 33, 62, 63, 64, 70])
_TEXTS = st.lists(
    _LENGTHS.flatmap(lambda length: st.text(st.sampled_from("aabbcc1-.,\n\x00 Aé"), min_size=0, max_size=length)),
    min_size=1,
    max_size=40,
)
_CLASSES = ["a", "b", "1", "-", ".", r"\.", r"\d", r"\W", r"\s", "[ab]", "[a-c1-3]", "[^a]", "[.-]", r"[\d.]", r"[^\w]"]
_QUANTIFIERS = st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{1,3}", "{2,}", "*?", "{0,1}"])
_ATOMS = st.recursive(
    st.sampled_from([*_CLASSES, "^", "$"]),
    lambda inner: st.builds(
        "({}{})".format,
        st.sampled_from(["", "?:"]),
        st.lists(st.builds("{}{}".format, inner, _QUANTIFIERS), min_size=1, max_size=3).map("".join)
        | st.builds("{}|{}".format, inner, inner),
    ),
    max_leaves=5,
)
_PATTERNS = st.lists(st.builds("{}{}".format, _ATOMS, _QUANTIFIERS), min_size=1, max_size=4).map("".join)


def fields_of(texts: list[str]) -> Fields:
    written = [text.encode() for text in texts]
    data = np.frombuffer(bytes(PAD) + b",".join(written) + bytes(PAD), dtype=np.uint8)
    lengths = np.array([len(text) for text in written])
    ends = PAD + np.cumsum(lengths + 1) - 1
    return Fields(data, words_of(data), ends - lengths, ends)


@given(_PATTERNS, _TEXTS)
def test_a_pattern_is_found_where_re2_finds_it(written: str, texts: list[str]) -> None:
    pattern = Pattern.read(written)
    if pattern is None:
        return
    missed, unread = pattern.missed(fields_of(texts))
    with duckdb.connect() as con:
        query = "SELECT NOT regexp_matches(value, $written) FROM (SELECT unnest($texts) AS value)"
        expected = [missing for (missing,) in con.execute(query, {"written": written, "texts": texts}).fetchall()]
    for text, mine, theirs, left in zip(texts, missed.tolist(), expected, unread.tolist(), strict=True):
        assert left == (len(text.encode()) >= PAD or not text.isascii())
        assert left or mine == theirs


@pytest.mark.parametrize(
    "written",
    [r"^[a-z0-9._%+-]+@[a-z0-9.-]+\.[a-z]{2,}$", r"^SK-[0-9]{4}-[A-F]$", "^(NL|DE)[0-9]{2}$", r"^\+?\d{6,15}$"],
)
def test_usual_patterns_need_no_engine(written: str) -> None:
    assert Pattern.read(written)


@pytest.mark.parametrize(
    "written",
    [r"\bword\b", "(?i)a", "[[:alpha:]]", r"\p{L}", "é", "a**", "a{1000}", "(a", "a)", "[b-a]", r"\x41", "a|"],
)
def test_what_is_not_read_is_left_to_the_engine(written: str) -> None:
    assert Pattern.read(written) is None


@given(_TEXTS, _TEXTS)
def test_known_texts_are_found_by_their_bytes(known: list[str], texts: list[str]) -> None:
    categories = Categories(dict.fromkeys(known))
    numbers = categories.find(fields_of([*known, *texts])).tolist()
    found = [categories.texts[number] if number >= 0 else None for number in numbers]
    assert found == [text if text in categories.texts else None for text in [*known, *texts]]
    assert categories.texts == [text for text in dict.fromkeys(known) if len(text.encode()) <= PAD]


def test_thousands_of_known_texts_share_the_table() -> None:
    known = [f"{number:x}" for number in range(5000)]
    assert Categories(known).find(fields_of(known)).tolist() == list(range(5000))

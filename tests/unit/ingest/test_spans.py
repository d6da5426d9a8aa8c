"""What is written from arrays is what Python writes."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import spans

_FLOATS = st.one_of(
    st.floats(),
    st.integers(-(10**16), 10**16).map(float),
    st.builds(lambda digits, places: digits / 10**places, st.integers(-(10**17), 10**17), st.integers(0, 14)),
)


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_whole_numbers(values: list[int]) -> None:
    found = spans.numbers(np.array(values, dtype=np.int64)).texts()
    assert found == [str(value).encode() for value in values]


@given(st.lists(_FLOATS))
def test_decimals_in_as_few_digits_as_python_writes_them(values: list[float]) -> None:
    written = [repr(value).encode() for value in values]
    found = spans.decimals(np.array(values, dtype=np.float64), lambda at: [written[place] for place in at.tolist()])
    assert found.texts() == written


def test_usual_decimals_are_not_asked_for() -> None:
    values = np.array([0.0, -0.0, 5.0, -1.5, 0.1, 1234567.25, 0.000123, 99999999999999.5])
    found = spans.decimals(values, lambda _: pytest.fail("asked"))
    assert found.texts() == [repr(value).encode() for value in values.tolist()]


@given(st.lists(st.dates()))
def test_dates(values: list[dt.date]) -> None:
    days = np.array([(value - dt.date(1970, 1, 1)).days for value in values], dtype=np.int64)
    assert spans.days(days).texts() == [value.isoformat().encode() for value in values]


@pytest.mark.parametrize("at_once", [1, 5, 1 << 15])
@pytest.mark.parametrize("loose", [0, 4, 100])
def test_joined_row_by_row(at_once: int, loose: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for size in ("_BYTES", "_TEXTS", "_STEPS"):
        monkeypatch.setattr(spans, size, at_once)
    # How many bytes lines of one length may take: never, as usual, always.
    monkeypatch.setattr(spans, "_LOOSE", loose)

    @given(st.lists(st.tuples(*[st.binary(max_size=6)] * 3, st.sampled_from([b"", b"x"]))))
    def joined(rows: list[tuple[bytes, ...]]) -> None:
        texts = [spans.of([row[place] for row in rows]) for place in range(3)]
        mark = spans.Mark(ord("x"), np.array([bool(row[3]) for row in rows], dtype=bool))
        found = spans.joined([*texts, mark, *spans.marks(b"!?", len(rows))])
        assert found.tobytes() == b"".join(b"".join(row) + b"!?" for row in rows)

    joined()


def test_the_first_bytes_of_each() -> None:
    found = spans.of([b"abc", b"", b"abcdef", b"a"])
    assert found.first(4).texts() == [b"abc", b"", b"abcd", b"a"]
    assert found[np.zeros(0, dtype=np.int64)].first(4).texts() == []


def test_other_texts_in_some_rows() -> None:
    found = spans.of([b"a", b'b"c', b"", b'"']).put(np.array([0, 2]), [b"xyz", b"q"])
    assert found.texts() == [b"xyz", b'b"c', b"q", b'"']
    assert found.holding(ord('"')).tolist() == [1, 3]

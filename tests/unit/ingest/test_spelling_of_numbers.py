"""A number that is read by itself is what the engine reads, and so are many at a time."""

from __future__ import annotations

import duckdb
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import parsing
from ingest.checks import number, typed
from ingest.parsing import PAD, Fields, words_of
from interlock.contract import Column, ColumnType

_SPELLED = (
    st.text(st.sampled_from("0123456789+-.,eE "), max_size=22)
    | st.floats(allow_nan=True).map(repr)
    | st.integers(-(2**64), 2**64).map(str)
    | st.integers(0, 10**12).map(lambda value: f"{value:,}")
    | st.from_regex(r"[+-]?\d{1,20}([.,]\d{0,20})?([eE][+-]?\d{1,3})?", fullmatch=True)
    | st.sampled_from(
        ["1e400", "1e-400", "-0", "5.0", "5.00", "05", "٣", "1_000", "inf", "nan", "0x10", "9223372036854775808"]
    )
)


@settings(max_examples=60)
@given(
    st.lists(_SPELLED, min_size=1, max_size=60),
    st.sampled_from([ColumnType.INTEGER, ColumnType.NUMBER]),
    st.sampled_from([(".", None), (",", None), (".", ","), (",", ".")]),
)
def test_both_readings_of_a_number_are_one(texts: list[str], kind: ColumnType, marks: tuple[str, str | None]) -> None:
    column = Column(name="x", type=kind)
    with duckdb.connect() as con:
        query = f"SELECT {typed(0, column, *marks)} FROM (SELECT unnest($texts) AS r0)"
        theirs = [value for (value,) in con.execute(query, {"texts": texts}).fetchall()]
    mine = [number(text, column, *marks) for text in texts]
    assert [(value, str(value)) for value in mine] == [(value, str(value)) for value in theirs]

    written = [text.encode() for text in texts]
    data = np.frombuffer(bytes(PAD) + b"|".join(written) + bytes(PAD), dtype=np.uint8)
    lengths = np.array([len(text) for text in written])
    ends = PAD + np.cumsum(lengths + 1) - 1
    fields = Fields(data, words_of(data), ends - lengths, ends)
    values, read = parsing.integers(fields) if kind is ColumnType.INTEGER else parsing.decimals(fields, marks[0])
    for value, expected, quick in zip(values.tolist(), theirs, read.tolist(), strict=True):
        assert not quick or value == expected

"""Parquet: a file's rows, as the engine reads them, block by block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ingest import arrow, rules, spans
from ingest.failure import WholeFile
from ingest.parsing import Positions
from ingest.spans import Mark, Spans
from ingest.streams import refused
from ingest.tables import Table, Texts, tokens_of
from interlock.contract import Column, ColumnType, Contract
from interlock.database import damaged
from interlock.formats import c_format
from interlock.sql import quoted, text

if TYPE_CHECKING:
    import duckdb

_WHOLE = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}
# Kinds of columns that hold a contract's values as they are; every other is read through its text.
_SAME = {
    ColumnType.INTEGER: _WHOLE,
    ColumnType.NUMBER: {"DOUBLE", *_WHOLE},
    ColumnType.BOOLEAN: {"BOOLEAN"},
    ColumnType.DATE: {"DATE"},
    ColumnType.TIMESTAMP: {"TIMESTAMP"},
}
# What a number, a truth or a date can be as text, and a null token could mean.
_WORDS = {"nan", "inf", "-inf", "infinity", "-infinity", "true", "false"}
# Rows that the engine hands over at once, those that it works on at once, and bytes of a block, about.
_AT_ONCE, _VECTOR, _BYTES = 131_072, 2_048, 64 << 20
_QUOTE = ord('"')
_NESTED = ("STRUCT", "MAP", "UNION", "VARIANT")


class ParquetTable(Table):
    """Some rows of a Parquet file, as `rows_of` reads them."""

    def __init__(self, con: duckdb.DuckDBPyConnection, found: Sequence[arrow.Column], contract: Contract) -> None:
        self.records, self.lines, self.malformed = len(found[0].there), None, []
        self.places = np.arange(self.records)
        super().__init__(con, contract, [item if item.data is None else Texts.of(item) for item in found])

    def raw(self, places: Positions) -> list[Spans | Mark]:
        """The values as CSV: in quotes, a missing one without."""
        columns: list[Spans | Mark] = []
        comma = spans.marks(b",", len(places))
        for index, read in enumerate(self._read):
            there = (read.there if isinstance(read, arrow.Column) else ~self.columns[index].missing)[places]
            values, quote = self.spans(index, places), Mark(_QUOTE, there)
            if isinstance(read, Texts) and len(rows := values.holding(_QUOTE)):
                values = values.put(rows, [text.replace(b'"', b'""') for text in values[rows].texts()])
            columns += [*(comma if index else ()), quote, values, quote]
        return columns

    def lines_of(self, places: Positions) -> Positions:
        """A Parquet file has no lines."""
        raise NotImplementedError


def kinds_of(con: duckdb.DuckDBPyConnection, path: Path) -> dict[str, str]:
    """The engine's type of each column.

    Raises:
        WholeFile: it is damaged, or has columns that hold more than one value a row.
    """
    with damaged(refused):
        described = con.execute(f"DESCRIBE SELECT * FROM {_scan(path)}").fetchall()  # noqa: S608
    kinds = {name: kind for name, kind, *_ in described}
    if nested := [name for name, kind in kinds.items() if kind.endswith("]") or kind.startswith(_NESTED)]:
        raise WholeFile(rules.UNREADABLE, f"nested columns cannot be judged: {', '.join(nested)}")
    return kinds


def rows_of(
    con: duckdb.DuckDBPyConnection, path: Path, contract: Contract, kinds: Mapping[str, str]
) -> Iterator[list[arrow.Column]]:
    """The contract's columns of a file, some 100,000 rows at a time, fewer of wide ones; the connection is busy.

    Raises:
        WholeFile: it is damaged.
    """
    wanted = ", ".join(_read(column, kinds[column.in_file], contract) for column in contract.columns)
    with damaged(refused):
        for part in _parts(con, path):
            yield from arrow.answers(con, f"SELECT {wanted} FROM {part}")  # noqa: S608


def _parts(con: duckdb.DuckDBPyConnection, path: Path) -> list[str]:
    """All rows, as one scan, or, so that not too many wide rows come at once, as several."""
    groups = con.execute(
        "SELECT any_value(row_group_num_rows), sum(total_uncompressed_size)"  # noqa: S608
        f" FROM parquet_metadata({text(str(path))}) GROUP BY row_group_id"
    ).fetchall()
    widest = max((size / rows for rows, size in groups if rows), default=0)
    if widest * _AT_ONCE <= _BYTES:
        return [_scan(path)]
    step = max(_VECTOR, int(_BYTES / widest) // _VECTOR * _VECTOR)
    return [
        f"read_parquet({text(str(path))}, binary_as_string=true, file_row_number=true)"
        f" WHERE file_row_number >= {first} AND file_row_number < {first + step}"
        for first in range(0, sum(rows for rows, _ in groups), step)
    ]


def _scan(path: Path) -> str:
    return f"read_parquet({text(str(path))}, binary_as_string=true)"


def _read(column: Column, kind: str, contract: Contract) -> str:
    """A column as its values, where they are the contract's, or as the text that a CSV file would hold."""
    name = quoted(column.in_file)
    tokens = tokens_of(contract, column)
    plain = not any(token.lower() in _WORDS or any(sign.isdigit() for sign in token) for token in tokens)
    if plain and not column.format and kind in _SAME.get(column.type, ()):
        return f"CAST({name} AS BIGINT)" if kind in _WHOLE else name
    if kind.startswith(("DATE", "TIMESTAMP")) and column.format and column.moment:
        return f"strftime({name}, {text(c_format(column.format))})"
    if kind.startswith("TIMESTAMP") and column.type is ColumnType.DATE:
        # Many programs write a date as its midnight.
        midnight = f"{name} = date_trunc('day', {name})"
        return f"CASE WHEN {midnight} THEN CAST(CAST({name} AS DATE) AS VARCHAR) ELSE CAST({name} AS VARCHAR) END"
    return f"CAST({name} AS VARCHAR)"

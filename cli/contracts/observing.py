"""What a file shows about its columns: the evidence from which a first contract is written."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from cli.contracts.reading import NUMBER, commas, unusable, written
from interlock.contract import ColumnType
from interlock.formats import TEXT_FORMATS, TIMESTAMP, c_format
from interlock.sql import quoted, text

# Texts that people write for a missing value; the second ones could also be a word, and count only among numbers.
_TOKENS, _MAYBE = ("?", "N/A", "n/a", "null", "NULL", "NaN", "nan"), ("NA", "None", "-", "--", "NULL", "none")
_DATES = ("yyyy-MM-dd", "dd.MM.yyyy", "MM/dd/yyyy", "dd/MM/yyyy", "yyyy/MM/dd", "yyyyMMdd")
_NAMED = ("uuid", "email", "ipv4", "ipv6", "uri")
# More kinds of text than this have no common form.
_SHAPES = 200
_LISTED = 60
_NESTED = ("STRUCT", "MAP", "UNION")


@dataclass(frozen=True)
class Seen:
    """One column of the file. Counts are rows; `lowest` … `median` are as the file writes them.

    Attributes:
        name: as the file has it.
        type: of every value that is there.
        present: rows with a value.
        missing: rows without one, those with a token for it included.
        distinct: different values.
        lowest: the smallest number, date or time.
        highest: the largest.
        median: the number in the middle.
        shortest: characters of the shortest text.
        longest: of the longest.
        date_format: of a date, when it is not ISO 8601's.
        named_format: the form in `interlock.formats.TEXT_FORMATS` that every text has.
        shapes: each form of the texts: letters as A and a, digits as 9; empty when there are too many.
        listed: the values with their rows, the most frequent first; empty when there are too many.
    """

    name: str
    type: ColumnType
    present: int
    missing: int
    distinct: int
    lowest: str | None = None
    highest: str | None = None
    median: str | None = None
    shortest: int | None = None
    longest: int | None = None
    date_format: str | None = None
    named_format: str | None = None
    shapes: tuple[str, ...] = ()
    listed: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Observed:
    """A file: its rows, what means a missing value in it, its columns.

    `dialect` holds what the contract must say of how it is written, by the names of `interlock.odcs.parts.SETTINGS`.
    """

    path: Path
    rows: int
    null_tokens: tuple[str, ...]
    columns: tuple[Seen, ...] = field(default_factory=tuple)
    dialect: Mapping[str, str] = field(default_factory=dict)

    def column(self, name: str) -> Seen | None:
        """The column of that name."""
        return next((column for column in self.columns if column.name == name), None)


def observe(path: Path) -> Observed:
    """Look at CSV, gzip or zstd CSV, Parquet or JSON Lines.

    Raises:
        InvalidUpload: it cannot be read, or has no rows or no columns that can be told apart.
    """
    with tempfile.TemporaryDirectory(prefix="interlock-") as scratch, duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        try:
            form = written(con, path, Path(scratch))
            con.execute(f"CREATE TABLE told AS SELECT * FROM {form.origin}")  # noqa: S608 - quoted
        except duckdb.Error as error:
            raise unusable(path, str(error).splitlines()[0]) from None
        described = [(str(name), str(kind)) for name, kind, *_ in con.execute("DESCRIBE told").fetchall()]
        if nested := [name for name, kind in described if kind.endswith("]") or kind.startswith(_NESTED)]:
            raise unusable(path, f"nested columns cannot be judged: {', '.join(nested)}")
        rows = _one(con, "SELECT count(*) FROM told")[0]
        if not rows:
            raise unusable(path, "it has no rows")
        names = [name for name, _ in described]
        dialect = {**form.dialect, **(commas(con, "told", names, (*_TOKENS, *_MAYBE)) if form.csv else {})}
        tokens = sorted({token for name, kind in described for token in _tokens(con, name, kind)})
        return Observed(
            path=path,
            rows=rows,
            null_tokens=("", *tokens),
            dialect=dialect,
            columns=tuple(_seen(con, name, kind, ("", *tokens), rows) for name, kind in described if name in names),
        )


def _tokens(con: duckdb.DuckDBPyConnection, name: str, kind: str) -> Iterator[str]:
    """Which texts mean a missing value in this column."""
    if kind != "VARCHAR":
        return
    value = quoted(name)
    listed = ", ".join(map(text, (*_TOKENS, *_MAYBE)))
    there = {
        token
        for (token,) in con.execute(f"SELECT DISTINCT {value} FROM told WHERE {value} IN ({listed})").fetchall()  # noqa: S608
    }
    if not there:
        return
    numbers = _type(con, value, ("", *there)) is not ColumnType.STRING
    yield from there if numbers else there & set(_TOKENS)


def _seen(con: duckdb.DuckDBPyConnection, name: str, kind: str, tokens: Sequence[str], rows: int) -> Seen:
    column = quoted(name)
    value = f"CAST({column} AS VARCHAR)"
    con.execute(
        f"CREATE OR REPLACE VIEW one AS SELECT {value} AS v FROM told WHERE {value} IS NOT NULL"  # noqa: S608
        f" AND {value} NOT IN ({', '.join(map(text, tokens))})"
    )
    present, distinct, shortest, longest = _one(
        con, "SELECT count(*), count(DISTINCT v), min(length(v)), max(length(v)) FROM one"
    )
    found = _of_kind(kind) or (_type(con, "v", (), "one") if present else ColumnType.STRING)
    written = _date_format(con) if found is ColumnType.DATE and kind != "DATE" else None
    lowest, highest, median = _range(con, found, written) if present else (None, None, None)
    is_text = found is ColumnType.STRING
    listed = con.execute(
        f"SELECT v, count(*) FROM one GROUP BY v ORDER BY 2 DESC, 1 LIMIT {_LISTED + 1}"  # noqa: S608
    ).fetchall()
    return Seen(
        name=name,
        type=found,
        present=present,
        missing=rows - present,
        distinct=distinct,
        lowest=lowest,
        highest=highest,
        median=median,
        shortest=shortest if is_text else None,
        longest=longest if is_text else None,
        date_format=None if written in {None, _DATES[0]} else written,
        named_format=_named(con) if is_text and present else None,
        shapes=_shapes(con) if is_text else (),
        listed=tuple(listed) if len(listed) <= _LISTED else (),
    )


def _of_kind(kind: str) -> ColumnType | None:
    """The type of a column that the file itself types; a text may still be anything."""
    if kind.startswith("TIMESTAMP"):
        return ColumnType.TIMESTAMP
    if re.fullmatch(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?", kind):
        return ColumnType.INTEGER
    if re.match("DECIMAL|DOUBLE|FLOAT", kind):
        return ColumnType.NUMBER
    return {"BOOLEAN": ColumnType.BOOLEAN, "DATE": ColumnType.DATE}.get(kind)


def _type(con: duckdb.DuckDBPyConnection, value: str, without: Sequence[str], table: str = "told") -> ColumnType:
    """The narrowest type that all texts of the column are of. A leading zero makes a code of a number."""
    there = f"{value} IS NOT NULL" + (f" AND {value} NOT IN ({', '.join(map(text, without))})" if without else "")
    # A form that the first values do not have is not tried on millions.
    first = f"(SELECT {value} AS x FROM {table} WHERE {there} LIMIT 1000)"  # noqa: S608
    forms = [
        form
        for form in _DATES
        if not _one(con, f"SELECT count(*) FROM {first} WHERE NOT coalesce({_is_date('x', form)}, false)")[0]  # noqa: S608
    ]
    dates_of_all = ", ".join([*(f"count(*) FILTER ({_is_date(value, form)})" for form in forms), "-1"])
    (count, boolean, integer, number, moment, *dates) = _one(
        con,
        f"SELECT count(*), count(*) FILTER (lower({value}) IN ('true', 'false')),"  # noqa: S608
        f" count(*) FILTER (regexp_full_match({value}, '[+-]?(0|[1-9]\\d*)')"
        f" AND TRY_CAST({value} AS BIGINT) IS NOT NULL),"
        f" count(*) FILTER (regexp_full_match({value}, '{NUMBER}') AND isfinite(TRY_CAST({value} AS DOUBLE))"
        f" AND NOT regexp_matches({value}, '^[+-]?0\\d')),"
        f" count(*) FILTER (regexp_full_match({value}, '{TIMESTAMP}') AND TRY_CAST(replace({value}, 'T', ' ') AS"
        f" TIMESTAMPTZ) IS NOT NULL), {dates_of_all}"
        f" FROM {table} WHERE {there}",
    )
    if not count:
        return ColumnType.STRING
    # Eight digits are a date only when nothing speaks against it; then they are still rather a number.
    for matching, kind in ((boolean, ColumnType.BOOLEAN), (integer, ColumnType.INTEGER), (number, ColumnType.NUMBER)):
        if matching == count:
            return kind
    if count in dates:
        return ColumnType.DATE
    return ColumnType.TIMESTAMP if moment == count else ColumnType.STRING


def _is_date(value: str, form: str) -> str:
    written = text(c_format(form))
    return f"strftime(try_strptime({value}, {written}), {written}) = {value}"


def _date_format(con: duckdb.DuckDBPyConnection) -> str | None:
    for form in _DATES:
        if _one(con, f"SELECT count(*) FROM one WHERE NOT coalesce({_is_date('v', form)}, false)")[0] == 0:  # noqa: S608
            return form
    return None


def _range(
    con: duckdb.DuckDBPyConnection, kind: ColumnType, written: str | None
) -> tuple[str | None, str | None, str | None]:
    match kind:
        case ColumnType.INTEGER | ColumnType.NUMBER:
            value = f"CAST(v AS {'HUGEINT' if kind is ColumnType.INTEGER else 'DOUBLE'})"
            low, high, middle = _one(con, f"SELECT min({value}), max({value}), quantile_disc({value}, 0.5) FROM one")  # noqa: S608
            return str(low), str(high), str(middle)
        case ColumnType.DATE:
            moment = f"strptime(v, {text(c_format(written or _DATES[0]))})"
            low, high = _one(con, f"SELECT min({moment})::DATE::VARCHAR, max({moment})::DATE::VARCHAR FROM one")  # noqa: S608
            return low, high, None
        case ColumnType.TIMESTAMP:
            low, high = _one(con, "SELECT min(replace(v, 'T', ' ')), max(replace(v, 'T', ' ')) FROM one")
            return low, high, None
        case _:
            return None, None, None


def _named(con: duckdb.DuckDBPyConnection) -> str | None:
    for name in _NAMED:
        form = TEXT_FORMATS[name]
        fits = f"regexp_full_match(v, {text(form.pattern)}) AND length(v) <= {form.longest}"
        if _one(con, f"SELECT count(*) FROM one WHERE NOT ({fits})")[0] == 0:  # noqa: S608
            return name
    return None


def _shapes(con: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    shape = "regexp_replace(regexp_replace(regexp_replace(v, '[A-Z]', 'A', 'g'), '[a-z]', 'a', 'g'), '[0-9]', '9', 'g')"
    found = con.execute(f"SELECT DISTINCT {shape} FROM one LIMIT {_SHAPES + 1}").fetchall()  # noqa: S608
    return tuple(sorted(shape for (shape,) in found)) if len(found) <= _SHAPES else ()


def _one(con: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    answer = con.execute(query).fetchone()
    assert answer is not None  # noqa: S101 - an aggregate always answers
    return answer

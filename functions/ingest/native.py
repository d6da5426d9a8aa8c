"""Blocks that the engine reads itself: row groups of a Parquet file, lines of JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import duckdb
import numpy as np

from ingest import arrow, parsing, records, rules
from ingest.checks import typed
from ingest.parsing import PAD, Fields, Mask, Positions, Values
from ingest.tables import Malformed, Table, csv_line, from_engine, malformed, tokens_of
from interlock.contract import Column, ColumnType, Contract
from interlock.formats import c_format
from interlock.sql import quoted, text

LINES = records.Form(None, None, 1)
# Kinds of Parquet columns that hold a contract's values as they are; every other is read through its text.
_SAME = {
    ColumnType.INTEGER: {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"},
    ColumnType.NUMBER: {"DOUBLE", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"},
    ColumnType.BOOLEAN: {"BOOLEAN"},
    ColumnType.DATE: {"DATE"},
    ColumnType.TIMESTAMP: {"TIMESTAMP"},
}
# What a number, a truth or a date can be as text, and a null token could mean.
_WORDS = {"nan", "inf", "-inf", "infinity", "-infinity", "true", "false"}


class _Native(Table):
    """Rows in the engine's temporary table `native`: `nth` and whatever the columns' expressions are made of."""

    def __init__(
        self, con: duckdb.DuckDBPyConnection, contract: Contract, as_text: list[str], value: list[str]
    ) -> None:
        """`as_text` are the columns' texts over the table `native`, `value` their values over these texts (`ri`)."""
        self.con = con
        self._contract = contract
        # The engine computes what is used of it and nothing else.
        con.execute(
            "CREATE OR REPLACE TEMP VIEW every AS SELECT *"  # noqa: S608
            + "".join(f", {item} AS v{i}" for i, item in enumerate(value))
            + " FROM (SELECT *"
            + "".join(f", {item} AS r{i}" for i, item in enumerate(as_text))
            + " FROM native)"
        )
        typed_ones = [i for i, column in enumerate(contract.columns) if column.type is not ColumnType.STRING]
        found = con.execute(
            "SELECT "  # noqa: S608
            + ", ".join(f"r{i} IS NULL AS n{i}" for i in range(len(contract.columns)))
            + "".join(f", v{i}" for i in typed_ones)
            + " FROM every"
        ).fetchnumpy()
        self.columns = []
        for index, column in enumerate(contract.columns):
            missing = np.asarray(found[f"n{index}"], dtype=bool)
            values, there = from_engine(column, found[f"v{index}"]) if index in typed_ones else (None, ~missing)
            self.columns.append(Values(missing, there, values))

    def relation(self, names: Iterable[str], but: Mask | None = None) -> str:
        """A subquery over the engine's own table."""
        wanted = "" if but is None else f" WHERE {self._only(np.flatnonzero(~but))}"
        return f"(SELECT {', '.join(['nth', *sorted(names)])} FROM every{wanted})"  # noqa: S608

    def prepare(self, rows: Positions) -> None:
        """One query for all columns of all these rows."""
        names = [f"r{index}" for index in range(len(self._contract.columns))]
        self._prepared, self._texts = rows, self._rows(names, rows)

    def texts(self, index: int, rows: Positions) -> list[str | None]:
        """A column's texts in these rows."""
        return [self._texts[place][index] for place in np.searchsorted(self._prepared, rows).tolist()]

    def lengths(self, index: int) -> Positions:
        """As the engine counts them."""
        found = self.con.execute(f"SELECT coalesce(length(r{index}), 0) AS n FROM every ORDER BY nth").fetchnumpy()  # noqa: S608
        return np.asarray(found["n"], dtype=np.int64)

    def _rows(self, names: list[str], rows: Positions) -> list[tuple[str | None, ...]]:
        wanted = self._only(rows)
        return self.con.execute(f"SELECT {', '.join(names)} FROM every WHERE {wanted} ORDER BY nth").fetchall()  # noqa: S608

    def _only(self, rows: Positions) -> str:
        self._kept.append(arrow.Relation(len(rows), [arrow.numbers("nth", rows)]))
        self.con.register("wanted", self._kept[-1])
        return "nth IN (SELECT nth FROM wanted)"


class ParquetTable(_Native):
    """Rows `first` to `last` (not included) of a Parquet file; `kinds` are its columns' types by name."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        path: Path,
        first: int,
        last: int,
        contract: Contract,
        kinds: dict[str, str],
    ) -> None:
        self.records, self.lines, self.malformed = last - first, None, []
        self.places, self._kept = np.arange(self.records), []
        names = ", ".join(f"{quoted(column.in_file)} AS c{i}" for i, column in enumerate(contract.columns))
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE native AS SELECT file_row_number - {first} AS nth, {names} FROM"  # noqa: S608
            f" read_parquet({text(str(path))}, binary_as_string=true, file_row_number=true)"
            f" WHERE file_row_number >= {first} AND file_row_number < {last}"
        )
        as_text, value = [], []
        for index, column in enumerate(contract.columns):
            kind, tokens = kinds[column.in_file], tokens_of(contract, column)
            as_text.append(nulled(_as_text(f"c{index}", column, kind), tokens))
            direct = _direct(f"c{index}", column, kind, tokens)
            if direct is not None:
                as_text[-1] = _as_text(f"c{index}", column, kind)
            value.append(direct or typed(index, column))
        super().__init__(con, contract, as_text, value)

    def raw(self, places: Sequence[int]) -> list[bytes]:
        """The values as CSV."""
        return [csv_line(self._texts[place]).encode() for place in np.searchsorted(self._prepared, places).tolist()]

    def lines_of(self, places: Positions) -> Positions:
        """A Parquet file has no lines."""
        raise NotImplementedError


class JsonTable(_Native):
    """A block of JSON Lines; `names` are all names that its objects have."""

    def __init__(self, con: duckdb.DuckDBPyConnection, block: records.Block, contract: Contract) -> None:
        self._block = block
        self._split = split = records.split(block, LINES)
        self.records, self.lines = len(split.starts), block.data.count(b"\n")
        undecodable = records.undecodable(block.data, split)
        self.malformed = malformed(split, undecodable, 1)
        readable = np.flatnonzero(~np.isin(split.whole, undecodable))
        data = np.frombuffer(bytes(PAD) + block.data + bytes(PAD), dtype=np.uint8)
        lines = Fields(
            *(data, parsing.words_of(data)),
            *(split.field_starts[0][readable] + PAD, split.field_ends[0][readable] + PAD),
        )
        there = np.ones(len(lines), dtype=bool)
        relation = arrow.Relation(
            len(lines),
            [
                arrow.numbers("place", split.whole[readable]),
                arrow.texts("line", parsing.views(lines), data, there),
            ],
        )
        con.register("lines", relation)
        self._kept = [relation]
        # One flat object with every name once.
        con.execute(
            "CREATE OR REPLACE TEMP TABLE objects AS SELECT place, line FROM lines WHERE CASE WHEN"
            " coalesce(json_valid(line), false) THEN CASE WHEN json_type(line) = 'OBJECT' THEN"
            " len(json_keys(line)) = len(list_distinct(json_keys(line))) AND len(list_filter(json_extract(line, '$.*'),"
            " lambda x: json_type(x) IN ('OBJECT', 'ARRAY'))) = 0 END END"
        )
        self.names = {
            name for (name,) in con.execute("SELECT DISTINCT unnest(json_keys(line)) FROM objects").fetchall()
        }
        values = ", ".join(
            nulled(f"json_extract_string(line, {text('$.' + _json_name(column.in_file))})", tokens_of(contract, column))
            + f" AS c{index}"
            for index, column in enumerate(contract.columns)
        )
        con.execute(
            "CREATE OR REPLACE TEMP TABLE native AS SELECT place, row_number() OVER (ORDER BY place) - 1 AS nth,"  # noqa: S608
            f" {values} FROM objects ORDER BY place"
        )
        con.unregister("lines")
        con.execute("DROP TABLE objects")
        self.places = con.execute("SELECT place FROM native ORDER BY nth").fetchnumpy()["place"]
        wrong = np.setdiff1d(split.whole[readable], self.places).tolist()
        self.malformed += [
            Malformed(place, int(split.lines[place]), rules.JSON, "not one flat JSON object") for place in wrong
        ]
        self.malformed.sort(key=lambda item: item.place)
        as_text = [f"c{index}" for index in range(len(contract.columns))]
        super().__init__(
            con, contract, as_text, [typed(index, column) for index, column in enumerate(contract.columns)]
        )

    def raw(self, places: Sequence[int]) -> list[bytes]:
        """The lines."""
        starts, ends = self._split.starts[places].tolist(), self._split.ends[places].tolist()
        return [self._block.data[start:end].removesuffix(b"\r") for start, end in zip(starts, ends, strict=True)]

    def lines_of(self, places: Positions) -> Positions:
        """A record is a line; blank ones lie between."""
        return self._split.lines[places]


def nulled(value: str, tokens: tuple[str, ...]) -> str:
    """A text as SQL, NULL when it is one of the tokens."""
    listed = ", ".join(map(text, tokens))
    return f"CASE WHEN {value} IN ({listed}) THEN NULL ELSE {value} END" if tokens else value


def _direct(name: str, column: Column, kind: str, tokens: tuple[str, ...]) -> str | None:
    """The value without a detour by its text, where that would give the same."""
    if kind not in _SAME.get(column.type, set()) or column.format:
        return None
    if any(token.lower() in _WORDS or any(sign.isdigit() for sign in token) for token in tokens):
        return None
    match column.type:
        case ColumnType.INTEGER:
            return f"CAST({name} AS BIGINT)"
        case ColumnType.NUMBER:
            return f"CASE WHEN isfinite(CAST({name} AS DOUBLE)) THEN CAST({name} AS DOUBLE) END"
        case ColumnType.BOOLEAN:
            return name
        case _:
            # Years that four digits can write.
            return f"CASE WHEN year({name}) BETWEEN 1 AND 9999 THEN {name} END"


def _as_text(name: str, column: Column, kind: str) -> str:
    """A Parquet column as the text that a CSV file of this contract would hold."""
    if kind.startswith(("DATE", "TIMESTAMP")) and column.format and column.moment:
        return f"strftime({name}, {text(c_format(column.format))})"
    if kind.startswith("TIMESTAMP") and column.type is ColumnType.DATE:
        # Many programs write a date as its midnight.
        midnight = f"{name} = date_trunc('day', {name})"
        return (
            f"CAST(CASE WHEN {midnight} THEN CAST(CAST({name} AS DATE) AS VARCHAR) ELSE {name}::VARCHAR END AS VARCHAR)"
        )
    return name if kind == "VARCHAR" else f"CAST({name} AS VARCHAR)"


def _json_name(name: str) -> str:
    return '"' + name.replace('"', '\\"') + '"'

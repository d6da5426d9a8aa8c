"""Blocks that the engine reads itself: row groups of a Parquet file, lines of JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import duckdb
import numpy as np

from ingest import arrow, parsing, records, rules
from ingest.checks import typed
from ingest.parsing import PAD, Fields, Mask, Positions, Values
from ingest.tables import Malformed, Table, csv_values, from_engine, malformed, tokens_of
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
    """Rows in the engine's temporary table `native`, in order: `nth` and what the columns' expressions are made of."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        contract: Contract,
        as_text: list[str],
        value: list[str],
        missing: list[str],
    ) -> None:
        """`as_text` are the columns' texts over the table `native`, `value` their values over these texts (`ri`).

        `missing` are the conditions, over both, that nothing is there.
        """
        self.con = con
        # The engine computes what is used of it and nothing else.
        self._texts_of = "".join(f", {item} AS r{i}" for i, item in enumerate(as_text))
        self._values_of = "".join(f", {item} AS v{i}" for i, item in enumerate(value))
        wanted = (
            f"length(r{i}) AS l{i}" if column.type is ColumnType.STRING else f"{missing[i]} AS n{i}, v{i}"
            for i, column in enumerate(contract.columns)
        )
        found = con.execute(f"SELECT {', '.join(wanted)} FROM {self._every('native')}").fetchnumpy()  # noqa: S608
        self._lengths: dict[int, Positions] = {}
        self.columns = []
        for index, column in enumerate(contract.columns):
            if column.type is ColumnType.STRING:
                absent = np.ma.getmaskarray(found[f"l{index}"])
                self._lengths[index] = np.ma.getdata(found[f"l{index}"])
                self.columns.append(Values(absent, ~absent, None))
            else:
                values, there = from_engine(column, found[f"v{index}"])
                self.columns.append(Values(np.asarray(found[f"n{index}"], dtype=bool), there, values))

    def relation(self, names: Iterable[str], but: Mask | None = None) -> str:
        """A subquery over the engine's own table."""
        rows = "native" if but is None else self._only(~but)
        return f"(SELECT {', '.join(['nth', *sorted(names)])} FROM {self._every(rows)})"  # noqa: S608

    def prepare(self, rows: Positions) -> None:
        """One query for all columns of all these rows."""
        wanted = np.zeros(len(self.places), dtype=bool)
        wanted[rows] = True
        names = ", ".join(f"r{index}" for index in range(len(self.columns)))
        found = self.con.execute(f"SELECT {names} FROM {self._every(self._only(wanted))}").fetchnumpy()  # noqa: S608
        self._prepared, self._texts = rows, []
        for column in found.values():
            texts = np.ma.getdata(column)
            texts[np.ma.getmaskarray(column)] = None
            self._texts.append(texts)

    def texts(self, index: int, rows: Positions) -> list[str | None]:
        """A column's texts in these rows."""
        found: list[str | None] = self._texts[index][np.searchsorted(self._prepared, rows)].tolist()
        return found

    def lengths(self, index: int) -> Positions:
        """As the engine counts them."""
        return self._lengths[index]

    def _every(self, rows: str) -> str:
        """These rows of the engine's own table with `ri` and `vi`."""
        return f"(SELECT *{self._values_of} FROM (SELECT *{self._texts_of} FROM {rows}))"  # noqa: S608

    def _only(self, kept: Mask) -> str:
        """The rows of the engine's own table that are marked [rows]: beside each stands its mark, nothing is sought."""
        self._kept.append(arrow.Relation(len(kept), [arrow.numbers("kept", kept)]))
        self.con.register("marks", self._kept[-1])
        return "(SELECT * EXCLUDE (kept) FROM native POSITIONAL JOIN marks WHERE kept)"


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
        as_text, value, missing = [], [], []
        for index, column in enumerate(contract.columns):
            kind, tokens = kinds[column.in_file], tokens_of(contract, column)
            written, direct = _as_text(f"c{index}", column, kind), _direct(f"c{index}", column, kind, tokens)
            # No text is made only to see whether there is one.
            as_text.append(written if direct else nulled(written, tokens))
            missing.append(f"c{index} IS NULL" if direct else f"r{index} IS NULL")
            value.append(direct or typed(index, column))
        super().__init__(con, contract, as_text, value, missing)

    def raw(self, places: Sequence[int]) -> list[bytes]:
        """The values as CSV."""
        at = np.searchsorted(self._prepared, places)
        columns = [csv_values(column[at].tolist()) for column in self._texts]
        return [",".join(row).encode() for row in zip(*columns, strict=True)]

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
        numbered = range(len(contract.columns))
        super().__init__(
            con,
            contract,
            as_text=[f"c{index}" for index in numbered],
            value=[typed(index, column) for index, column in enumerate(contract.columns)],
            missing=[f"c{index} IS NULL" for index in numbered],
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

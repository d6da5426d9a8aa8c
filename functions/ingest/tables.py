"""A block of a file as columns: what is missing, what has a value of its type, what the value is.

The engine sees the same rows as a relation with `nth` (0-based place of the row in the block) and, for the contract's
column i, `ri` (its text, NULL when it is missing) and `vi` (its value, NULL when it is missing or not of the type).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

from ingest import arrow, parsing, records, rules
from ingest.checks import typed
from ingest.parsing import PAD, Fields, Mask, Positions, Values
from ingest.uniqueness import Keys
from interlock.contract import Column, ColumnType, Contract

_DAY = 86_400_000_000


@dataclass(frozen=True)
class Malformed:
    """A record of a block that cannot be assigned to columns: its place and line, counted from the block's first."""

    place: int
    line: int
    rule: rules.Rule
    found: str


class Table(ABC):
    """The well-formed rows of a block; `places` [rows] says which of the block's `records` each of them is.

    `lines` is the number of physical lines in the block, None when the file has none.
    """

    con: duckdb.DuckDBPyConnection
    records: int
    lines: int | None
    places: Positions
    malformed: list[Malformed]
    columns: list[Values]
    _kept: list[arrow.Relation]

    def close(self) -> None:
        """Give connection and arrays back."""
        self.con.close()
        for relation in self._kept:
            relation.release()

    @abstractmethod
    def relation(self, names: Iterable[str], but: Mask | None = None) -> str:
        """The rows as an SQL table of `nth` and the named `ri` and `vi`, leaving out those marked in `but` [rows]."""

    @abstractmethod
    def raw(self, places: Sequence[int]) -> list[bytes]:
        """Records as they came, without their line end; Parquet's as CSV."""

    @abstractmethod
    def prepare(self, rows: Positions) -> None:
        """Told before `texts` and `raw`: the rows (sorted, each once) that they will be asked for."""

    @abstractmethod
    def texts(self, index: int, rows: Positions) -> list[str | None]:
        """A column's values in these rows as the file writes them; None for a missing one."""

    @abstractmethod
    def lengths(self, index: int) -> Positions:
        """Characters of a column's texts [rows]; anything where one is missing."""

    @abstractmethod
    def lines_of(self, places: Positions) -> Positions:
        """On which line of the block (from 0) records begin; asked for only when there are lines."""


@dataclass(frozen=True)
class Layout:
    """How the file's records map to the contract: `fields[i]` is the place of the contract's column i in a record."""

    contract: Contract
    form: records.Form
    fields: tuple[int, ...]
    decimal: str = "."
    thousands: str | None = None


class CsvTable(Table):
    """A block of a CSV file."""

    def __init__(self, con: duckdb.DuckDBPyConnection, block: records.Block, layout: Layout) -> None:
        self.con = con
        self._block, self._layout = block, layout
        self._split = split = records.split(block, layout.form)
        self.records, self.lines = len(split.starts), block.data.count(b"\n")
        undecodable = records.undecodable(block.data, split)
        self.malformed = malformed(split, undecodable, layout.form.fields)
        kept: Positions | slice = slice(None)
        self.places = split.whole
        if undecodable:
            kept = np.flatnonzero(~np.isin(split.whole, undecodable))
            self.places = split.whole[kept]
        data = self._bytes()
        words = parsing.words_of(data)
        # How many bytes before each place go on with a character; None when every byte is one.
        self._going_on = None
        if not block.data.isascii():
            self._going_on = np.concatenate(([0], np.cumsum((data & 0xC0) == 0x80, dtype=np.int32)))
        self._fields = [
            Fields(data, words, split.field_starts[place][kept] + PAD, split.field_ends[place][kept] + PAD)
            for place in layout.fields
        ]
        self._views: dict[int, npt.NDArray[Any]] = {}
        self._kept = []
        self.columns = [self._values(index, column) for index, column in enumerate(layout.contract.columns)]

    def relation(self, names: Iterable[str], but: Mask | None = None) -> str:
        """The arrays, as the engine scans them."""
        rows = np.arange(len(self.places)) if but is None else np.flatnonzero(~but)
        fields = [arrow.numbers("nth", rows)]
        fields += [self._field(name[0], int(name[1:]), slice(None) if but is None else rows) for name in sorted(names)]
        self._register("block", fields, len(rows))
        return "block"

    def raw(self, places: Sequence[int]) -> list[bytes]:
        """The file's own bytes."""
        starts, ends = self._split.starts[places].tolist(), self._split.ends[places].tolist()
        data = self._block.data
        found = [data[start:end] for start, end in zip(starts, ends, strict=True)]
        return [record.removesuffix(b"\r") for record in found] if b"\r" in data else found

    def prepare(self, _rows: Positions) -> None:
        """The block's bytes are there."""

    def texts(self, index: int, rows: Positions) -> list[str | None]:
        """The fields' texts without their quotes."""
        fields, missing = self._fields[index].part(rows), self.columns[index].missing[rows]
        data = fields.data.data
        spans = zip(fields.starts.tolist(), fields.ends.tolist(), missing.tolist(), strict=True)
        return [None if absent else str(data[start:end], "utf-8") for start, end, absent in spans]

    def lengths(self, index: int) -> Positions:
        """Bytes, but for those that go on with a character (RFC 3629)."""
        fields = self._fields[index]
        lengths = (fields.ends - fields.starts).astype(np.int64)
        if self._going_on is not None:
            lengths -= self._going_on[fields.ends] - self._going_on[fields.starts]
        return lengths

    def lines_of(self, places: Positions) -> Positions:
        """Records may span lines, and blank lines lie between."""
        return self._split.lines[places]

    def _bytes(self) -> parsing.Bytes:
        """The block's bytes between paddings; values with doubled quotes are written once more behind them."""
        split, data, quote = self._split, self._block.data, self._layout.form.quote or b""
        written, position = [bytes(PAD), data], len(data)
        for field, row in split.doubled:
            start, end = split.field_starts[field, row], split.field_ends[field, row]
            value = data[start:end].replace(quote + quote, quote)
            split.field_starts[field, row], split.field_ends[field, row] = position, position + len(value)
            position += len(value)
            written.append(value)
        return np.frombuffer(b"".join([*written, bytes(PAD)]), dtype=np.uint8)

    def _values(self, index: int, column: Column) -> Values:
        fields = self._fields[index]
        missing = np.zeros(len(fields), dtype=bool)
        for token in tokens_of(self._layout.contract, column):
            missing |= parsing.equal(fields, token.encode())
        if column.type is ColumnType.STRING:
            return Values(missing, ~missing, None)
        values, there = self._read(column, fields)
        there &= ~missing
        odd = np.flatnonzero(~there & ~missing)
        if len(odd):
            values[odd], there[odd] = self._exactly(index, column, fields.part(odd))
        return Values(missing, there, values)

    def _read(self, column: Column, fields: Fields) -> parsing.Read:
        """What can be read quickly."""
        match column.type:
            case ColumnType.INTEGER:
                return parsing.integers(fields)
            case ColumnType.NUMBER:
                return parsing.decimals(fields, self._layout.decimal)
            case ColumnType.DATE if column.format in {None, "yyyy-MM-dd"}:
                return parsing.dates(fields)
            case ColumnType.TIMESTAMP if column.format is None:
                return parsing.moments(fields)
        kind = bool if column.type is ColumnType.BOOLEAN else np.int64
        return np.zeros(len(fields), dtype=kind), np.zeros(len(fields), dtype=bool)

    def _exactly(self, index: int, column: Column, fields: Fields) -> parsing.Read:
        """The engine's reading of the other fields."""
        there = np.ones(len(fields), dtype=bool)
        self._register("odd", [arrow.texts(f"r{index}", parsing.views(fields), fields.data, there)], len(fields))
        value = typed(index, column, self._layout.decimal, self._layout.thousands)
        return from_engine(column, self.con.execute(f"SELECT {value} AS v FROM odd").fetchnumpy()["v"])  # noqa: S608

    def _field(self, kind: str, index: int, rows: slice | Positions) -> arrow.Field:
        column, found, name = self._layout.contract.columns[index], self.columns[index], f"{kind}{index}"
        if kind == "r" or found.values is None:
            if index not in self._views:
                self._views[index] = parsing.views(self._fields[index])
            return arrow.texts(name, self._views[index][rows], self._fields[index].data, ~found.missing[rows])
        values, there = found.values[rows], found.there[rows]
        if column.type is ColumnType.DATE:
            return arrow.days(name, values, there)
        if column.type is ColumnType.TIMESTAMP:
            return arrow.moments(name, values, there)
        return arrow.numbers(name, values, there)

    def _register(self, name: str, fields: list[arrow.Field], rows: int) -> None:
        relation = arrow.Relation(rows, fields)
        self.con.register(name, relation)
        self._kept.append(relation)


def tokens_of(contract: Contract, column: Column) -> tuple[str, ...]:
    """Texts that mean a missing value in a column."""
    return (*contract.null_tokens, *column.missing_tokens)


def from_engine(column: Column, found: Any) -> parsing.Read:
    """The engine's answer as values and which are there."""
    there = ~np.ma.getmaskarray(found)
    values = np.ma.getdata(found)
    if column.moment:
        values = values.astype("datetime64[us]").astype(np.int64)
        values = values // _DAY if column.type is ColumnType.DATE else values
    if column.type is ColumnType.BOOLEAN:
        values = values.astype(bool)
    return values, there


def csv_line(values: Sequence[str | None]) -> str:
    """A record as CSV."""
    return ",".join(csv_values(values))


def csv_values(values: Sequence[str | None]) -> list[str]:
    """Values as they stand in CSV: a text is quoted, what is missing is not."""
    return ["" if value is None else '"' + value.replace('"', '""') + '"' for value in values]


def malformed(split: records.Split, undecodable: list[int], fields: int) -> list[Malformed]:
    """The records that have not so many fields, or are not UTF-8."""
    wrong = set(np.flatnonzero(split.counts != fields).tolist())
    found = []
    for place in sorted(wrong.union(undecodable)):
        rule, what = rules.FIELD_COUNT, f"{split.counts[place]} fields instead of {fields}"
        if place in undecodable:
            rule, what = rules.ENCODING, "bytes that are not UTF-8"
        elif split.counts[place] == 0:
            rule, what = rules.OPEN_QUOTE, "a quote that is not closed, or text after it"
        found.append(Malformed(place, int(split.lines[place]), rule, what))
    return found


def keys_of(table: Table, key: tuple[int, ...]) -> tuple[Positions, Keys]:
    """The rows that have a value in each of these columns, and their keys."""
    there = np.logical_and.reduce([table.columns[index].there for index in key])
    rows = np.flatnonzero(there)
    values = table.columns[key[0]].values
    if len(key) == 1 and values is not None:
        # Minus zero is zero.
        plain = values[rows] + 0.0 if values.dtype.kind == "f" else values[rows].astype(np.int64)
        return rows, Keys.of(plain)
    # The length in front of each part keeps adjacent ones apart.
    parts = " || ".join(f"strlen({part}) || ':' || {part}" for part in (_key_text(table, index) for index in key))
    present = " AND ".join(f"v{index} IS NOT NULL" for index in key)
    found = table.con.execute(
        f"SELECT nth, CAST(k >> 64 AS UBIGINT) AS high, CAST(k & 18446744073709551615 AS UBIGINT) AS low FROM"  # noqa: S608
        f" (SELECT nth, md5_number({parts}) AS k FROM {table.relation([f'v{index}' for index in key])} WHERE {present})"
    ).fetchnumpy()
    return rows, Keys(found["high"], found["low"])


def _key_text(table: Table, index: int) -> str:
    values = table.columns[index].values
    decimal = values is not None and values.dtype.kind == "f"
    return f"CAST(v{index}{' + 0.0' if decimal else ''} AS VARCHAR)"

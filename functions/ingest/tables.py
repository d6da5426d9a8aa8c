"""A block of a file as columns: what is missing, what has a value of its type, what the value is.

The engine sees the same rows as a relation with `nth` (0-based place of the row in the block) and, for the contract's
column i, `ri` (its text, NULL when it is missing) and `vi` (its value, NULL when it is missing or not of the type).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ingest import arrow, parsing, rules, spans
from ingest.categories import Categories
from ingest.checks import number, typed
from ingest.forms import Split
from ingest.meaning import as_field, from_engine, meant
from ingest.parsing import Fields, Mask, Positions, Values
from ingest.spans import Mark, Spans
from interlock.contract import Column, ColumnType, Contract

if TYPE_CHECKING:
    import duckdb

# Numbers that are read one by one.
_FEW = 100
# Different texts that are counted by their numbers, and rows that are looked at for new ones.
_MANY, _SAMPLE = 5_000, 5_000


@dataclass(frozen=True)
class Malformed:
    """A record of a block that cannot be assigned to columns: its place and line, counted from the block's first."""

    place: int
    line: int
    rule: rules.Rule
    found: str


@dataclass(frozen=True)
class Texts:
    """A column as the file's texts [rows]; `there` marks those that are not null, None in a file that has no null."""

    fields: Fields
    there: Mask | None = None

    @classmethod
    def of(cls, column: arrow.Column) -> Texts:
        """As the engine hands them over."""
        assert column.data is not None  # noqa: S101 - a column of texts has them
        places, data = column.values, column.data
        return cls(Fields(data, parsing.words_of(data), places[:-1], places[1:]), column.there)


class Table(ABC):
    """The well-formed rows of a block; `places` [rows] says which of the block's `records` each of them is.

    `lines` is the number of physical lines in the block, None when the file has none.
    """

    records: int
    lines: int | None
    places: Positions
    malformed: list[Malformed]

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        contract: Contract,
        read: Sequence[Texts | arrow.Column],
        decimal: str = ".",
        thousands: str | None = None,
    ) -> None:
        """`read` are the contract's columns: their texts, or where the file has a column's values as such, these."""
        self.con = con
        self._contract, self._read, self._marks = contract, read, (decimal, thousands)
        self._views: dict[int, npt.NDArray[Any]] = {}
        self._going_on: dict[int, npt.NDArray[np.int32] | None] = {}
        self._numbered: dict[int, tuple[Categories, Positions]] = {}
        self._kept: list[arrow.Relation] = []
        self.choose(np.zeros(0, dtype=np.int64))
        self.columns = [self._values(index, column) for index, column in enumerate(contract.columns)]

    def close(self) -> None:
        """Give connection and arrays back."""
        self.con.close()
        for relation in self._kept:
            relation.release()

    @abstractmethod
    def raw(self, places: Positions) -> list[Spans | Mark]:
        """Records as they came, without their line end, in one part or several; Parquet's as CSV."""

    @abstractmethod
    def lines_of(self, places: Positions) -> Positions:
        """On which line of the block (from 0) records begin; asked for only when there are lines."""

    def choose(self, rows: Positions) -> None:
        """Only values of these rows, in order, are asked for from now on; each that is no text is written once."""
        self._chosen, self._written = rows, dict[int, Spans]()

    def relation(self, names: Iterable[str], but: Mask | None = None) -> str:
        """The rows as an SQL table of `nth` and the named `ri` and `vi`, leaving out those marked in `but` [rows]."""
        rows = np.arange(len(self.places)) if but is None else np.flatnonzero(~but)
        return self._relation("block", sorted(names), rows, slice(None) if but is None else rows)

    def texts(self, index: int, rows: Positions) -> list[str | None]:
        """A column's values in these rows as the file writes them, without quotes; None for a missing one."""
        missing = self.columns[index].missing[rows].tolist()
        written = self.spans(index, rows).texts()
        return [None if absent else text.decode() for text, absent in zip(written, missing, strict=True)]

    def spans(self, index: int, rows: Positions) -> Spans:
        """The same as bytes; nothing for a missing one."""
        read = self._read[index]
        if isinstance(read, arrow.Column):
            if index not in self._written:
                self._written[index] = self._write(index, read, self._chosen).only(read.there[self._chosen])
            written = self._written[index]
            return written if len(rows) == len(written) else written[np.searchsorted(self._chosen, rows)]
        fields = read.fields.part(rows)
        starts = np.asarray(fields.starts, dtype=np.int64)
        return Spans(fields.data, starts, fields.ends - starts).only(~self.columns[index].missing[rows])

    def lengths(self, index: int) -> Positions:
        """Characters of a text column's texts [rows]; anything where one is missing.

        Bytes, but for those that go on with a character (RFC 3629).
        """
        fields = self._texts(index).fields
        lengths = (fields.ends - fields.starts).astype(np.int64)
        key = id(fields.data)
        if key not in self._going_on:
            # How many bytes before each place go on with a character; None when every byte is one.
            plain = fields.data.max(initial=0) < 0x80
            going_on = None if plain else np.cumsum((fields.data & 0xC0) == 0x80, dtype=np.int32)
            self._going_on[key] = None if going_on is None else np.concatenate(([0], going_on))
        before = self._going_on[key]
        if before is not None:
            lengths -= before[fields.ends] - before[fields.starts]
        return lengths

    def spelled(self, index: int) -> Fields:
        """The bytes of a text column's texts [rows]; anything where one is missing."""
        return self._texts(index).fields

    def numbered(self, index: int, known: Categories) -> Positions:
        """Which of these texts is in a text column [rows], -1 for another; anything where one is missing."""
        if index not in self._numbered or self._numbered[index][0] is not known:
            self._numbered[index] = known, known.find(self.spelled(index))
        return self._numbered[index][1]

    def distinct(self, index: int, rows: int) -> tuple[int, int]:
        """How many of the first rows have a text in a text column, and how many different ones."""
        there = np.flatnonzero(self.columns[index].there[:rows])
        # No text of UTF-8 holds this byte.
        every = spans.joined([self.spans(index, there), *spans.marks(b"\xff", len(there))]).tobytes().split(b"\xff")
        return len(there), len({*every[:-1]})

    def counted(self, index: int, places: Positions, most: int, met: dict[int, Categories]) -> list[tuple[str, int]]:
        """The most frequent texts of a text column among these rows, which all have one, and how often each is there.

        Counted by the texts that were `met` so far, by column; by the engine when they are many.
        """
        fields, known = self.spelled(index), met.get(index) or Categories(())
        numbers = self.numbered(index, known)[places]
        while len(new := np.flatnonzero(numbers < 0)):
            texts = {str(value) for value in self.texts(index, places[new[:_SAMPLE]])}
            more = Categories([*known.texts, *sorted(texts)])
            if len(more.texts) < len(known.texts) + len(texts) or len(more.texts) > _MANY:
                others = np.ones(len(fields), dtype=bool)
                others[places] = False
                return self.con.execute(
                    f"SELECT v{index}, count(*) FROM {self.relation([f'v{index}'], others)}"  # noqa: S608
                    f" GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {most}"
                ).fetchall()
            met[index] = known = more
            numbers[new] = known.find(fields.part(places[new]))
        counts = np.bincount(numbers, minlength=len(known.texts)).tolist()
        found = [(value, count) for value, count in zip(known.texts, counts, strict=True) if count]
        return sorted(found, key=lambda item: (-item[1], item[0]))[:most]

    def _write(self, index: int, read: arrow.Column, rows: Positions) -> Spans:
        """Values as the engine writes them; what is written alike here is not asked for. Anything for a missing one."""
        column, values, there = self._contract.columns[index], read.values[rows], read.there[rows]
        # Where none is there, any number may stand, and take longer to write than all others.
        values = np.where(there, values, values[there][0] if there.any() else values.dtype.type(0))
        if column.numeric and values.dtype.kind == "i":
            return spans.numbers(values)
        if column.numeric:
            return spans.decimals(values, lambda places: [repr(value).encode() for value in values[places].tolist()])
        if column.type is ColumnType.DATE and (self.columns[index].there[rows] | ~there).all():
            return spans.days(values)
        found = self.con.execute(f"SELECT r{index} FROM {self._relation('picked', [f'r{index}'], rows, rows)}")  # noqa: S608
        return spans.of([(text or "").encode() for (text,) in found.fetchall()])

    def _texts(self, index: int) -> Texts:
        read = self._read[index]
        assert isinstance(read, Texts)  # noqa: S101 - a text column has no other values
        return read

    def _relation(self, called: str, names: Sequence[str], rows: Positions, which: slice | Positions) -> str:
        """Columns of the rows of these numbers; `which` picks the same ones from an array."""
        fields = [arrow.numbers("nth", rows)]
        fields += [self._field(name[0], int(name[1:]), which) for name in names]
        self._register(called, fields, len(rows))
        written = [name for name in names if name[0] == "r" and isinstance(self._read[int(name[1:])], arrow.Column)]
        texts = ", ".join(f"CAST({name} AS VARCHAR) AS {name}" for name in written)
        return f"(SELECT * REPLACE ({texts}) FROM {called})" if written else called  # noqa: S608

    def _values(self, index: int, column: Column) -> Values:
        read = self._read[index]
        if isinstance(read, arrow.Column):
            return meant(column, read)
        fields = read.fields
        missing = np.zeros(len(fields), dtype=bool) if read.there is None else ~read.there
        for token in tokens_of(self._contract, column):
            missing |= parsing.equal(fields, token.encode())
        if column.type is ColumnType.STRING:
            return Values(missing, ~missing, None)
        values, there = self._parsed(column, fields)
        there &= ~missing
        odd = np.flatnonzero(~there & ~missing)
        if len(odd):
            values[odd], there[odd] = self._exactly(index, column, fields.part(odd))
        return Values(missing, there, values)

    def _parsed(self, column: Column, fields: Fields) -> parsing.Read:
        """What can be read quickly."""
        match column.type:
            case ColumnType.INTEGER:
                return parsing.integers(fields)
            case ColumnType.NUMBER:
                return parsing.decimals(fields, self._marks[0])
            case ColumnType.DATE if column.format in {None, "yyyy-MM-dd"}:
                return parsing.dates(fields)
            case ColumnType.TIMESTAMP if column.format is None:
                return parsing.moments(fields)
        kind = bool if column.type is ColumnType.BOOLEAN else np.int64
        return np.zeros(len(fields), dtype=kind), np.zeros(len(fields), dtype=bool)

    def _exactly(self, index: int, column: Column, fields: Fields) -> parsing.Read:
        """The engine's reading of the other fields; of a few numbers it takes longer to ask it than to read them."""
        if column.numeric and len(fields) <= _FEW:
            data = fields.data.data
            pairs = zip(fields.starts.tolist(), fields.ends.tolist(), strict=True)
            found = [number(str(data[start:end], "utf-8"), column, *self._marks) for start, end in pairs]
            kind = np.int64 if column.type is ColumnType.INTEGER else np.float64
            return np.array([value or 0 for value in found], dtype=kind), np.array(
                [value is not None for value in found]
            )
        there = np.ones(len(fields), dtype=bool)
        self._register("odd", [arrow.texts(f"r{index}", parsing.views(fields), fields.data, there)], len(fields))
        value = typed(index, column, *self._marks)
        return from_engine(column, self.con.execute(f"SELECT {value} AS v FROM odd").fetchnumpy()["v"])  # noqa: S608

    def _field(self, kind: str, index: int, rows: slice | Positions) -> arrow.Field:
        column, found, name = self._contract.columns[index], self.columns[index], f"{kind}{index}"
        read = self._read[index]
        if kind == "r" and isinstance(read, arrow.Column):
            return as_field(name, column, read.values[rows], read.there[rows])
        if kind == "v" and found.values is not None:
            return as_field(name, column, found.values[rows], found.there[rows])
        texts = self._texts(index).fields
        if isinstance(rows, slice) and index not in self._views:
            self._views[index] = parsing.views(texts)
        views = self._views[index][rows] if index in self._views else parsing.views(texts.part(rows))
        return arrow.texts(name, views, texts.data, ~found.missing[rows])

    def _register(self, name: str, fields: list[arrow.Field], rows: int) -> None:
        relation = arrow.Relation(rows, fields)
        self.con.register(name, relation)
        self._kept.append(relation)


def tokens_of(contract: Contract, column: Column) -> tuple[str, ...]:
    """Texts that mean a missing value in a column."""
    return (*contract.null_tokens, *column.missing_tokens)


def csv_line(values: Sequence[str | None]) -> str:
    """A record as CSV: a text is quoted, what is missing is not."""
    return ",".join("" if value is None else '"' + value.replace('"', '""') + '"' for value in values)


def malformed(split: Split, undecodable: list[int], fields: int) -> list[Malformed]:
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

"""A file to score, opened: its rows in blocks, as the values that the prediction door takes.

CSV is read as the contract's dialect says, JSON Lines as the door reads a row, Parquet by its own types where they are
the contract's and through its texts where not. The target, keys and whatever else the contract names may stand in the
file and are no inputs; a column that the contract does not name is refused, as the door refuses it: it may be the
misspelled name of one that may be missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

from interlock.contract import Dialect
from interlock.models import DeployedModel
from interlock.streams import Fault, Peeked, as_utf8
from serve.protocol.signature import Tensor
from serve.score import cells
from serve.score.documents import Form, Layout, unreadable
from serve.score.records import Csv, Record, json_records, lines

# As many rows as are asked of the model at once.
BLOCK = 5_000
# What a piece of a large file holds, as text or as rows of Parquet: it is scored in some seconds, and a function starts
# for each.
PIECE_BYTES, PIECE_ROWS = 16 << 20, 150_000
_DELIMITERS = (",", ";", "\t", "|")
_LONGEST_HEADER = 1 << 20


@dataclass
class Block:
    """Rows in their order: `numbers` from 1 in the file, `lines` of its text (None: it has none).

    `values` are the inputs' [inputs][rows], `keys` the primary key's, those that the file has, as text [keys][rows].
    `wrong` says by place why a row could not be read at all; its values are None.
    """

    numbers: list[int]
    lines: list[int] | None
    values: list[list[Any]]
    keys: list[list[str | None]]
    wrong: dict[int, str] = field(default_factory=dict)


class Cut(NamedTuple):
    """Rows of a file, written to one of their own: the number of the first, and its line (1 where there are none)."""

    path: Path
    first_row: int
    first_line: int


# Values [inputs][rows], keys [keys][rows], and by place why a row could not be read.
_Found = tuple[list[list[Any]], list[list[str | None]], dict[int, str]]


class Columns:
    """What is looked for in a file, by the names that it has there."""

    def __init__(self, tensors: Sequence[Tensor], model: DeployedModel) -> None:
        self.contract, self.tensors = model.contract, tensors
        names = {column.name: column.in_file for column in model.contract.columns}
        self.inputs = [names.get(tensor.name, tensor.name) for tensor in tensors]
        self.keys = [names[name] for name in model.contract.primary_key]
        self.target = model.target.in_file
        self.known = {*names.values(), *self.inputs}
        self._required = [name for name, tensor in zip(self.inputs, tensors, strict=True) if tensor.required]

    def check(self, there: Sequence[str]) -> None:
        """Hold the columns of a whole file against what is wanted.

        Raises:
            InvalidUpload: one that must be there is missing, stands twice, or is unknown.
        """
        if not self.known & set(there):
            # Without a header these are values, maybe of a restricted column: not for a message.
            wanted = ", ".join(self.inputs)[:500]
            raise unreadable(
                Fault.UNREADABLE,
                f"the first line holds {len(there)} fields and none of them is a column's name (is the header missing?)"
                f"; the model takes {wanted}",
            )
        if doubled := sorted({name for name in there if there.count(name) > 1}):
            raise unreadable(Fault.UNREADABLE, f"columns that stand twice: {', '.join(doubled)}")
        if missing := [name for name in self._required if name not in there]:
            raise unreadable(Fault.UNREADABLE, f"columns are missing: {', '.join(missing)}")
        if unknown := [name for name in there if name not in self.known]:
            raise unreadable(Fault.UNREADABLE, f"unknown columns: {', '.join(unknown)[:500]}")


def layout_of(stream: Peeked, columns: Columns) -> Layout:
    """How a text is written; the header of a CSV file is read.

    Raises:
        InvalidUpload: its columns are not those that the model takes.
    """
    if stream.peek(4096).lstrip().startswith(b"{"):
        return Layout(form=Form.JSON_LINES)
    dialect = columns.contract.dialect or Dialect()
    marks = [dialect.delimiter] if dialect.delimiter else _DELIMITERS
    first = stream.line(_LONGEST_HEADER) if dialect.header else stream.peek(_LONGEST_HEADER).partition(b"\n")[0]
    try:
        text = first.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise unreadable(Fault.UNREADABLE, "the first line is not UTF-8") from None
    read = {mark: Csv(mark, _quote(dialect), 0).split(text) or [] for mark in marks}
    if dialect.header:
        delimiter = max(marks, key=lambda mark: len(columns.known & set(read[mark])))
        columns.check(read[delimiter])
        return Layout(form=Form.CSV, columns=tuple(read[delimiter]), delimiter=delimiter)
    # In the contract's order: all columns, all but the target's, or the inputs alone.
    known = [column.in_file for column in columns.contract.columns]
    ways = (
        known,
        [name for name in known if name != columns.target],
        [name for name in known if name in columns.inputs],
    )
    for mark in marks:
        for way in ways:
            if len(way) == len(read[mark]):
                return Layout(form=Form.CSV, columns=tuple(way), delimiter=mark)
    found = max(len(fields) for fields in read.values())
    raise unreadable(
        Fault.UNREADABLE, f"the first line holds {found} fields; the contract has the columns {', '.join(known)[:500]}"
    )


@dataclass
class Text:
    """A file of text, its header read: what is left of it begins with this line."""

    stream: Peeked
    layout: Layout
    columns: Columns
    first_line: int

    @property
    def keys(self) -> dict[str, str]:
        """The key's columns that stand beside the predictions, as texts; of JSON, whose rows may differ, all."""
        every = self.layout.form is Form.JSON_LINES
        return {name: "VARCHAR" for name in self.columns.keys if every or name in self.layout.columns}

    def records(self) -> Iterator[Record]:
        """The rows as they are written.

        Raises:
            InvalidUpload: a line is too long to be a row, or the stream is damaged.
        """
        given = lines(self.stream, self.first_line)
        if self.layout.form is Form.JSON_LINES:
            return json_records(given)
        quote = _quote(self.columns.contract.dialect or Dialect())
        return Csv(self.layout.delimiter, quote, len(self.layout.columns)).records(given)

    def pieces(self, path: Path) -> Iterator[Cut]:
        """Write whole rows to a file, as UTF-8 and without a header, and others in their place for the next piece.

        Raises:
            InvalidUpload: a line is too long to be a row, or the stream is damaged.
        """
        found, first_row = self.records(), 1
        while (first := next(found, None)) is not None:
            rows = 0
            with path.open("wb") as file:
                for record in chain([first], found):
                    rows += 1
                    if file.write(record.data) and file.tell() >= PIECE_BYTES:
                        break
            yield Cut(path, first_row, first.line)
            first_row += rows

    def blocks(self, first_row: int) -> Iterator[Block]:
        """The rows as values, counted from there.

        Raises:
            InvalidUpload: a line is too long to be a row, or the stream is damaged.
        """
        dialect, found = self.columns.contract.dialect or Dialect(), self.records()
        read = [cells.reader(tensor, self.columns.contract, dialect) for tensor in self.columns.tensors]
        while some := list(islice(found, BLOCK)):
            numbers, places = list(range(first_row, first_row + len(some))), [record.line for record in some]
            if self.layout.form is Form.JSON_LINES:
                values, keys, wrong = _json(some, self.columns)
            else:
                values, keys, wrong = _csv(some, self, read)
            yield Block(numbers, places, values, keys, wrong)
            first_row += len(some)


def open_text(stream: Peeked, columns: Columns) -> Text:
    """Recognise a text.

    Raises:
        InvalidUpload: it is none, or its columns are not those that the model takes.
    """
    dialect = columns.contract.dialect or Dialect()
    stream = as_utf8(stream, dialect.encoding, unreadable)
    layout = layout_of(stream, columns)
    return Text(stream, layout, columns, 2 if layout.form is Form.CSV and dialect.header else 1)


def _quote(dialect: Dialect) -> str:
    return '"' if dialect.quote is None else dialect.quote


def _csv(given: list[Record], text: Text, read: list[cells.Read]) -> _Found:
    """Values, keys and what is wrong by place, of records of CSV."""
    blank = [""] * len(text.layout.columns)
    by_column = zip(*(record.fields or blank for record in given), strict=True)
    there = dict(zip(text.layout.columns, by_column, strict=True))
    values: list[list[Any]] = [
        one(there[name]) if name in there else [None] * len(given)
        for name, one in zip(text.columns.inputs, read, strict=True)
    ]
    wrong = {place: record.wrong for place, record in enumerate(given) if record.wrong is not None}
    return values, [list(there[name]) for name in text.keys], wrong


def _json(given: list[Record], columns: Columns) -> _Found:
    """The same, of lines of JSON."""
    import msgspec

    from serve.protocol.rows import by_column

    rows: list[dict[str, Any]] = []
    wrong: dict[int, str] = {}
    for place, record in enumerate(given):
        try:
            row = msgspec.json.decode(record.data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            row, wrong[place] = {}, f"not JSON: {error}"
        if not isinstance(row, dict):
            row, wrong[place] = {}, "not one JSON object"
        elif not row.keys() <= columns.known:
            wrong[place] = f"unknown columns: {', '.join(sorted(row.keys() - columns.known)[:20])}"
        rows.append(row)
    values = by_column(rows, columns.inputs, columns.tensors)
    return values, [[_written(row.get(name)) for row in rows] for name in columns.keys], wrong


def _written(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)

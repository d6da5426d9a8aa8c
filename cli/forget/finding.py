"""Finds a person in tables as they are stored: a file of any form that is read, its own or one that was uploaded."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import duckdb

from interlock.contract import Contract, Dialect
from interlock.errors import InvalidUpload
from interlock.sql import quoted, text
from interlock.streams import Fault, Peeked, Stream, as_utf8, is_parquet, unpacked

_CHUNK = 1 << 20
_DELIMITERS = ",;\t|"
# The list of an upload's violations names the column beside the value.
_VIOLATIONS = ["row", "line", "column", "rule", "severity", "value"]


@dataclass(frozen=True)
class Subject:
    """Whose row it is: the one whose `column` is `key`. A number is itself however it is written: 7, 7.0.

    `names` are the column's in files; `place` is where it stands in a file that names none.
    """

    column: str
    key: str
    names: tuple[str, ...] = ()
    place: int | None = None
    dialect: Dialect = field(default_factory=Dialect)

    @classmethod
    def of(cls, contract: Contract, column: str, key: str) -> Subject:
        """As the contract's files name it."""
        place = next((place for place, found in enumerate(contract.columns) if found.name == column), None)
        names = () if place is None else (contract.columns[place].in_file,)
        return cls(column, key, names, place, contract.dialect or Dialect())

    def named(self, name: str) -> bool:
        """Whether a column is this one; predictions put an underscore behind a name that they need themselves."""
        folded = name.strip().casefold().rstrip("_")
        return any(folded == known.casefold().rstrip("_") for known in (self.column, *self.names))

    def is_key(self, value: str) -> bool:
        """Whether a value names the person."""
        value = value.strip()
        return value == self.key or (self._number is not None and _number(value) == self._number)

    def condition(self, column: str) -> str:
        """The same for a column of a table, in SQL."""
        value = f"trim(CAST({quoted(column)} AS VARCHAR))"
        found = f"{value} = {text(self.key)}"
        if self._number is not None:
            found += f" OR TRY_CAST({value} AS DECIMAL(38, 6)) = TRY_CAST({text(self.key)} AS DECIMAL(38, 6))"
        return f"coalesce({found}, false)"

    @property
    def _number(self) -> Decimal | None:
        return _number(self.key)


def rows_of(subject: Subject, path: Path, scratch: Path, *, uploaded: bool) -> int:
    """How many rows of a file are the person's.

    Args:
        subject: the person.
        path: the file, packed or not.
        scratch: a folder for a Parquet file that is packed.
        uploaded: it came from outside: it is written as the contract says, and where a row has no such column, the key
            in any cell counts.

    Raises:
        InvalidUpload: it is no table that is read.
    """
    if not path.stat().st_size:
        return 0
    with path.open("rb") as opened:
        stream, packed = unpacked(_OnDisk(path, opened), _unreadable)
        if is_parquet(stream):
            return _in_parquet(subject, _plain(stream, scratch) if packed else path)
        dialect = subject.dialect if uploaded else Dialect()
        lines = io.TextIOWrapper(
            io.BufferedReader(_Raw(as_utf8(stream, dialect.encoding, _unreadable)), _CHUNK),
            encoding="utf-8",
            errors="surrogateescape",
            newline="",
        )
        try:
            first = lines.readline()
            every = _again(first, lines)
            if first.lstrip().startswith("{"):
                return sum(_in_document(subject, line) for line in every)
            return _in_csv(subject, first, every, dialect, anywhere=uploaded)
        except csv.Error as error:
            raise InvalidUpload(f"it cannot be read as CSV: {error}") from None


def _in_parquet(subject: Subject, path: Path) -> int:
    source = f"read_parquet({text(str(path))})"
    try:
        with duckdb.connect() as con:
            there = [name for name, *_ in con.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()]  # noqa: S608
            conditions = [subject.condition(name) for name in there if subject.named(name)]
            if not conditions:
                return 0
            query = f"SELECT count(*) FROM {source} WHERE {' OR '.join(conditions)}"  # noqa: S608
            return int(con.execute(query).fetchall()[0][0])
    except duckdb.Error as error:
        raise InvalidUpload(f"it cannot be read as Parquet ({type(error).__name__})") from None


def _in_document(subject: Subject, line: str) -> bool:
    """Whether a line of JSON is about the person; one that is broken is, when the key stands in it."""
    if not line.strip():
        return False
    try:
        found = json.loads(line)
    except ValueError:
        return subject.key in line
    values = [value for name, value in found.items() if subject.named(name)] if isinstance(found, dict) else []
    return any(subject.is_key(value if isinstance(value, str) else json.dumps(value)) for value in values)


def _in_csv(subject: Subject, first: str, lines: Iterator[str], dialect: Dialect, *, anywhere: bool) -> int:
    quote = '"' if dialect.quote is None else dialect.quote
    style: dict[str, Any] = {"quotechar": quote, "quoting": csv.QUOTE_MINIMAL} if quote else {"quoting": csv.QUOTE_NONE}
    mark = dialect.delimiter or max(_DELIMITERS, key=first.count)
    csv.field_size_limit(sys.maxsize)
    rows = csv.reader(lines, delimiter=mark, **style)
    if not dialect.header:
        return sum(map(_in_row(subject, [] if subject.place is None else [subject.place], None, anywhere), rows))
    header = next(rows, [])
    if header == _VIOLATIONS:
        return sum(subject.named(row[2]) and subject.is_key(row[5]) for row in rows if len(row) == len(header))
    places = [place for place, name in enumerate(header) if subject.named(name)]
    return sum(map(_in_row(subject, places, len(header), anywhere), rows))


def _in_row(subject: Subject, places: list[int], width: int | None, anywhere: bool) -> Callable[[list[str]], bool]:
    def theirs(row: list[str]) -> bool:
        whole = places and (len(row) == width if width is not None else len(row) > places[0])
        if whole:
            return any(subject.is_key(row[place]) for place in places)
        return anywhere and any(map(subject.is_key, row))

    return theirs


def _number(value: str) -> Decimal | None:
    try:
        found = Decimal(value)
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def _again(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _plain(stream: Stream, scratch: Path) -> Path:
    target = scratch / "unpacked.parquet"
    with target.open("wb") as file:
        while chunk := stream.read(_CHUNK):
            file.write(chunk)
    return target


def _unreadable(fault: Fault, found: str) -> Exception:
    return InvalidUpload(f"{fault.value}: {found}")


@dataclass(frozen=True)
class _OnDisk:
    path: Path
    opened: Stream

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    def open(self) -> Stream:
        return self.opened


class _Raw(io.RawIOBase):
    """A stream as the standard library's readers take it."""

    def __init__(self, stream: Peeked) -> None:
        super().__init__()
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        found = self._stream.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)

"""Opens an upload: what it is by its bytes, not by its name, and its rows block by block."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ingest import rules
from ingest.arrow import Column
from ingest.csv_table import CsvTable, Layout
from ingest.failure import WholeFile
from ingest.forms import Form
from ingest.json_lines import LINES, JsonTable
from ingest.parquet import ParquetTable, kinds_of, rows_of
from ingest.pieces import pieces
from ingest.records import Block, Stream, blocks
from ingest.streams import Peeked, Upload, as_utf8, unpacked
from ingest.tables import Table
from interlock.contract import Contract, Dialect
from interlock.streams import is_parquet

if TYPE_CHECKING:
    import duckdb

_DELIMITERS = (",", ";", "\t", "|")
_LONGEST_HEADER = 1 << 20
_LONGEST_LIST = 500

# Makes the next block a table, in whichever thread; the cursor belongs to the table from then on.
Reader = Callable[["duckdb.DuckDBPyConnection"], Table]


@dataclass
class Source:
    """An opened upload: what it is, and how its blocks are read, in order. `header` and `delimiter` are CSV's.

    `seen` are the names that JSON objects had so far.
    """

    kind: str
    readers: Iterator[Reader]
    contract: Contract
    header: bytes = b""
    delimiter: str = ","
    seen: set[str] = field(default_factory=set)

    def finish(self, rows: int) -> None:
        """Look at the whole file after its last row.

        Raises:
            WholeFile: it had no rows, or only rows without a column that the contract wants.
        """
        if not rows:
            raise WholeFile(
                rules.EMPTY, "a header and no rows" if self.kind == "CSV" and self.header else f"{self.kind} of 0 rows"
            )
        if self.seen:
            _check_names(self.seen, self.contract)


def open_source(con: duckdb.DuckDBPyConnection, upload: Upload, contract: Contract, scratch: Path) -> Source:
    """Recognise the file; its rows are read later, by the source's readers.

    Raises:
        WholeFile: nothing in it can be judged: empty, not readable, other columns than the contract's.
    """
    stream, packed = unpacked(upload)
    if is_parquet(stream):
        return _parquet(con, upload, stream, contract, scratch, packed=packed)
    dialect = contract.dialect or Dialect()
    stream = as_utf8(stream, dialect.encoding)
    if stream.peek(4096).lstrip().startswith(b"{"):
        return _json_lines(stream, contract)
    return _csv(stream, contract, dialect)


def _csv(stream: Peeked, contract: Contract, dialect: Dialect) -> Source:
    quote = '"' if dialect.quote is None else dialect.quote
    if dialect.header:
        header = stream.line(_LONGEST_HEADER).rstrip(b"\r\n")
        if b"\r" in header:
            raise WholeFile(rules.UNREADABLE, "its lines end with carriage returns alone, without line feeds")
        delimiter, names = _delimiter(_decoded(header), contract, dialect, quote)
        _check_header(names, contract)
    else:
        header, first = b"", _decoded(stream.peek(_LONGEST_HEADER).partition(b"\n")[0].rstrip(b"\r"))
        names = [column.in_file for column in contract.columns]
        marks = [dialect.delimiter] if dialect.delimiter else _DELIMITERS
        delimiter = next((mark for mark in marks if len(_fields(first, mark, quote)) == len(names)), marks[0])
    layout = Layout(
        contract=contract,
        form=Form(delimiter.encode(), quote.encode() or None, len(names)),
        fields=tuple(names.index(column.in_file) for column in contract.columns),
        decimal=dialect.decimal,
        thousands=dialect.thousands,
    )
    readers = (partial(_csv_table, block=block, layout=layout) for block in blocks(stream, layout.form))
    return Source("CSV", readers, contract, header, delimiter)


def _csv_table(con: duckdb.DuckDBPyConnection, block: Block, layout: Layout) -> Table:
    return CsvTable(con, block, layout)


def _decoded(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise WholeFile(rules.UNREADABLE, "the header is not UTF-8") from None


def _fields(line: str, mark: str, quote: str) -> list[str]:
    # Python's own limit is the process's, and less than a first line may have.
    csv.field_size_limit(_LONGEST_HEADER)
    # A carriage return within the line is a value's.
    line = line.replace("\r", " ")
    reader = (
        csv.reader([line], delimiter=mark, quotechar=quote)
        if quote
        else csv.reader([line], delimiter=mark, quoting=csv.QUOTE_NONE)
    )
    return next(reader, [])


def _delimiter(header: str, contract: Contract, dialect: Dialect, quote: str) -> tuple[str, list[str]]:
    """The delimiter that finds most of the contract's columns in the header; when none does, most fields."""
    known = {column.in_file for column in contract.columns}
    marks = [dialect.delimiter] if dialect.delimiter else _DELIMITERS
    read = {mark: _fields(header, mark, quote) for mark in marks}
    best = max(marks, key=lambda mark: (found := len(known & set(read[mark])), 0 if found else len(read[mark])))
    return best, read[best]


def _check_header(names: list[str], contract: Contract) -> None:
    known = [column.in_file for column in contract.columns]
    if not {_plain(name) for name in names} & set(map(_plain, known)):
        # Without a header these are values, maybe of a restricted column: not for a report.
        raise WholeFile(
            rules.MISSING_COLUMN,
            f"the first line holds {len(names)} fields and none of them is a column's name (is the header missing?);"
            f" the contract's columns are {_listed(known)}",
        )
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise WholeFile(rules.DUPLICATED_COLUMN, f"columns that stand twice in the header: {_listed(doubled)}")
    _check_columns(names, contract)


def _check_columns(names: list[str], contract: Contract) -> None:
    known = [column.in_file for column in contract.columns]
    if missing := [name for name in known if name not in names]:
        raise WholeFile(rules.MISSING_COLUMN, f"missing: {_listed(missing)}; the file has: {_listed(names)}")
    if unknown := [name for name in names if name not in known]:
        raise WholeFile(rules.UNKNOWN_COLUMN, f"not in the contract: {_listed(unknown)}")


def _plain(name: str) -> str:
    """What is left of a name that was meant, and written with other blanks or in other letters."""
    return name.strip().casefold()


def _listed(names: Iterable[str]) -> str:
    """Names as people tell them apart: one that is empty, or has blanks around it, in quotes."""
    every = ", ".join(name if name and name == name.strip() else f"'{name}'" for name in names)
    return every if len(every) <= _LONGEST_LIST else f"{every[:_LONGEST_LIST]} …"


def _check_names(found: set[str], contract: Contract) -> None:
    """JSON leaves a missing value out: only a required column must be there at all."""
    optional = [column.in_file for column in contract.columns if not column.required]
    _check_columns([*sorted(found), *(name for name in optional if name not in found)], contract)


def _json_lines(stream: Stream, contract: Contract) -> Source:
    source = Source("JSON Lines", iter(()), contract)

    def read(con: duckdb.DuckDBPyConnection, block: Block) -> Table:
        table = JsonTable(con, block, contract)
        source.seen |= table.names
        return table

    source.readers = (partial(read, block=block) for block in blocks(stream, LINES))
    return source


def _parquet(
    con: duckdb.DuckDBPyConnection, upload: Upload, stream: Peeked, contract: Contract, scratch: Path, *, packed: bool
) -> Source:
    about, files = pieces(con, upload, stream, scratch, packed=packed)
    kinds = kinds_of(con, about)
    _check_columns(list(kinds), contract)
    cursor = con.cursor()
    readers = (
        partial(_parquet_table, found=found, contract=contract)
        for path in files
        for found in rows_of(cursor, path, contract, kinds)
    )
    return Source("Parquet", readers, contract)


def _parquet_table(con: duckdb.DuckDBPyConnection, found: Sequence[Column], contract: Contract) -> Table:
    return ParquetTable(con, found, contract)

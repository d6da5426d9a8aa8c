"""Opens an upload: what it is by its bytes, not by its name, and its rows as one table of text.

The table `raw` has `row` (1-based record of the file) and, as text, `r0`, `r1` … for the contract's columns in order;
a value that is one of the contract's null tokens is NULL.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from ingest import rules
from ingest.records import BOM, FIELD_MARK, Malformed, Records, first_record, rewrite, rewrite_lines, split
from interlock.contract import Column, ColumnType, Contract
from interlock.formats import c_format
from interlock.sql import quoted, text

_DELIMITERS = (",", ";", "\t", "|")
# What /tmp holds beside the unpacked copy and the files of the answer; a bomb is recognised long before.
_MAX_BYTES = 2 << 30
_MAX_GROWTH = 200
_MAX_LINE = 16_000_000
_NESTED = ("STRUCT", "MAP", "UNION", "VARIANT")
_FOREIGN = {
    b"PK\x03\x04": "a ZIP archive or an Excel workbook",
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
    b"BZh": "compressed with bzip2",
    b"\xfd7zXZ": "compressed with xz",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"ARROW1": "an Arrow file",
    b"Obj\x01": "an Avro file",
    b"%PDF": "a PDF",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
    b"[": "one JSON array, not JSON Lines",
}


class WholeFile(Exception):
    """The file as a whole cannot be judged row by row."""

    def __init__(self, rule: rules.Rule, found: str) -> None:
        super().__init__(found)
        self.rule = rule
        self.found = found


@dataclass
class Source:
    """An opened upload.

    `records` is there for text files, `header` and `delimiter` for CSV; `malformed` are the rows that are not in the
    table.
    """

    kind: str
    path: Path
    rows: int
    records: Records | None = None
    header: bytes = b""
    delimiter: str = ","
    malformed: list[Malformed] = field(default_factory=list)


def open_source(con: duckdb.DuckDBPyConnection, path: Path, contract: Contract, scratch: Path) -> Source:
    """Recognise the file and fill the table `raw`.

    Raises:
        WholeFile: nothing in it can be judged: empty, not readable, other columns than the contract's.
    """
    if path.stat().st_size == 0:
        raise WholeFile(rules.EMPTY, "the file has 0 bytes")
    path = _unpacked(path, scratch)
    if (size := path.stat().st_size) > _MAX_BYTES:
        raise WholeFile(rules.TOO_LARGE, f"it has {size / 1e6:,.0f} MB; allowed: {_MAX_BYTES / 1e6:,.0f} MB")
    with path.open("rb") as file:
        start = file.read(4096).removeprefix(BOM)
    if start.startswith(b"PAR1"):
        return _parquet(con, path, contract)
    for mark, meaning in _FOREIGN.items():
        if start.startswith(mark):
            raise WholeFile(rules.UNREADABLE, f"it is {meaning}")
    if b"\x00" in start:
        raise WholeFile(rules.UNREADABLE, "it is binary or UTF-16, not UTF-8 text or Parquet")
    if start.lstrip().startswith(b"{"):
        return _json_lines(con, path, contract, scratch)
    return _csv(con, path, contract, scratch)


def _unpacked(path: Path, scratch: Path) -> Path:
    with path.open("rb") as file:
        if file.read(2) != b"\x1f\x8b":
            return path
    plain = scratch / "unpacked"
    limit = min(_MAX_BYTES, path.stat().st_size * _MAX_GROWTH + (1 << 20))
    try:
        with gzip.open(path, "rb") as packed, plain.open("wb") as file:
            written = 0
            while chunk := packed.read(1 << 20):
                written += file.write(chunk)
                if written > limit:
                    raise WholeFile(rules.TOO_LARGE, f"it unpacks to more than {limit / 1e6:,.0f} MB")
    except EOFError:
        raise WholeFile(rules.UNREADABLE, "the gzip stream is cut off: the upload or the export broke") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise WholeFile(rules.UNREADABLE, f"the gzip stream is damaged: {error}") from None
    if written == 0:
        raise WholeFile(rules.EMPTY, "the unpacked file has 0 bytes")
    return plain


def _csv(con: duckdb.DuckDBPyConnection, path: Path, contract: Contract, scratch: Path) -> Source:
    try:
        header = first_record(path).decode("utf-8")
    except UnicodeDecodeError:
        raise WholeFile(rules.UNREADABLE, "the header is not UTF-8") from None
    delimiter, names = _delimiter(header, contract)
    _check_header(names, contract)
    records = split(path, delimiter.encode(), len(names))
    if records.rows == 0:
        raise WholeFile(rules.EMPTY, "the file has a header and no rows")
    _check_lengths(records)
    # An empty field is an empty text; whether that means nothing is for the contract's null tokens to say.
    fields = [f"coalesce(f{names.index(name)}, '')" for name in contract.names]
    values = ", ".join(
        f"{_nulled(value, contract, column)} AS r{index}"
        for index, (value, column) in enumerate(zip(fields, contract.columns, strict=True))
    )
    listed = [f"f{index}" for index in range(len(names))]
    if records.regular and records.line_end and not records.malformed:
        _create(
            *(con, f"TABLE raw AS SELECT row_number() OVER () AS row, {values}", path, listed),
            {"header": True, "delim": delimiter, "quote": '"', "escape": '"', "new_line": records.line_end},
        )
    else:
        # Number the rows in the file, so that the engine cannot count them differently.
        rewrite(path, records, delimiter.encode(), scratch / "numbered")
        _create(
            *(con, f"TABLE raw AS SELECT CAST(nr AS BIGINT) AS row, {values}", scratch / "numbered", ["nr", *listed]),
            {"header": False, "delim": delimiter, "quote": '"', "escape": '"', "new_line": "\\n"},
        )
        (scratch / "numbered").unlink()
    _check_count(con, records.rows - len(records.malformed))
    return Source("CSV", path, records.rows, records, records.header, delimiter, records.malformed)


def _create(
    con: duckdb.DuckDBPyConnection, what: str, path: Path, columns: list[str], options: Mapping[str, bool | str]
) -> None:
    """Create a table or view from a regular text file, every column as text."""
    declared = ", ".join(f"'{name}': 'VARCHAR'" for name in columns)
    said = ", ".join(f"{name}={text(value) if isinstance(value, str) else value}" for name, value in options.items())
    with _damaged("its text cannot be split into rows"):
        con.execute(
            f"CREATE {what} FROM read_csv({text(str(path))}, auto_detect=false, columns={{{declared}}}, {said},"
            f" max_line_size={_MAX_LINE + 100})"
        )


def _delimiter(header: str, contract: Contract) -> tuple[str, list[str]]:
    """The delimiter that finds most of the contract's columns in the header; a comma when none does."""
    known = set(contract.names)
    read = {mark: next(csv.reader([header], delimiter=mark), []) for mark in _DELIMITERS}
    best = max(_DELIMITERS, key=lambda mark: len(known & set(read[mark])))
    return best, read[best]


def _check_header(names: list[str], contract: Contract) -> None:
    if not set(names) & set(contract.names):
        # Without a header these are values, maybe of a restricted column: not for a report.
        raise WholeFile(
            rules.MISSING_COLUMN,
            f"the first line holds {len(names)} fields and none of them is a column's name (is the header missing?);"
            f" the contract's columns are {', '.join(contract.names)[:500]}",
        )
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise WholeFile(rules.DUPLICATED_COLUMN, f"columns that stand twice in the header: {', '.join(doubled)}")
    _check_columns(names, contract)


def _check_columns(names: list[str], contract: Contract) -> None:
    if missing := [name for name in contract.names if name not in names]:
        raise WholeFile(rules.MISSING_COLUMN, f"missing: {', '.join(missing)}; the file has: {', '.join(names)[:500]}")
    if unknown := [name for name in names if name not in contract.names]:
        raise WholeFile(rules.UNKNOWN_COLUMN, f"not in the contract: {', '.join(unknown)[:500]}")


def _parquet(con: duckdb.DuckDBPyConnection, path: Path, contract: Contract) -> Source:
    origin = f"read_parquet({text(str(path))}, binary_as_string=true, file_row_number=true)"
    with _damaged("it begins like Parquet and is cut off or damaged"):
        described = con.execute(f"DESCRIBE SELECT * EXCLUDE (file_row_number) FROM {origin}").fetchall()  # noqa: S608
        kinds = {name: kind for name, kind, *_ in described}
        _check_columns(list(kinds), contract)
        if nested := [name for name, kind in kinds.items() if kind.endswith("]") or kind.startswith(_NESTED)]:
            raise WholeFile(rules.UNREADABLE, f"nested columns cannot be judged: {', '.join(nested)}")
        values = ", ".join(
            f"{_nulled(_as_text(column, kinds[column.name]), contract, column)} AS r{index}"
            for index, column in enumerate(contract.columns)
        )
        con.execute(f"CREATE TABLE raw AS SELECT file_row_number + 1 AS row, {values} FROM {origin}")  # noqa: S608
    if not (rows := _count(con)):
        raise WholeFile(rules.EMPTY, "the file has no rows")
    return Source("Parquet", path, rows)


def _as_text(column: Column, kind: str) -> str:
    """A Parquet column as the text that a CSV file of this contract would hold."""
    name = quoted(column.name)
    if kind.startswith(("DATE", "TIMESTAMP")) and column.format:
        return f"strftime({name}, {text(c_format(column.format))})"
    if kind.startswith("TIMESTAMP") and column.type is ColumnType.DATE:
        # Many programs write a date as its midnight.
        midnight = f"{name} = date_trunc('day', {name})"
        return (
            f"CAST(CASE WHEN {midnight} THEN CAST(CAST({name} AS DATE) AS VARCHAR) ELSE {name}::VARCHAR END AS VARCHAR)"
        )
    return f"CAST({name} AS VARCHAR)"


def _json_lines(con: duckdb.DuckDBPyConnection, path: Path, contract: Contract, scratch: Path) -> Source:
    records = split(path, None, 0)
    _check_lengths(records)
    rewrite_lines(path, records, scratch / "numbered")
    _create(
        *(con, "TABLE lines AS SELECT CAST(nr AS BIGINT) AS row, line", scratch / "numbered", ["nr", "line"]),
        {"header": False, "delim": FIELD_MARK.decode(), "quote": "", "escape": "", "new_line": "\\n"},
    )
    (scratch / "numbered").unlink()
    # One flat object with every name once.
    con.execute(
        "CREATE TABLE objects AS SELECT row, line FROM lines WHERE CASE WHEN coalesce(json_valid(line), false) THEN"
        " CASE WHEN json_type(line) = 'OBJECT' THEN len(json_keys(line)) = len(list_distinct(json_keys(line)))"
        " AND len(list_filter(json_extract(line, '$.*'), lambda x: json_type(x) IN ('OBJECT', 'ARRAY'))) = 0 END END"
    )
    found = {name for (name,) in con.execute("SELECT DISTINCT unnest(json_keys(line)) FROM objects").fetchall()}
    # JSON leaves a missing value out: only a required column must be there at all.
    optional = [column.name for column in contract.columns if not column.required]
    if found:
        _check_columns([*sorted(found), *(name for name in optional if name not in found)], contract)
    con.execute(
        "CREATE TABLE raw AS SELECT row, "  # noqa: S608 - names are quoted
        + ", ".join(
            _nulled(f"json_extract_string(line, {text('$.' + _json_name(column.name))})", contract, column)
            + f" AS r{i}"
            for i, column in enumerate(contract.columns)
        )
        + " FROM objects"
    )
    wrong = con.execute("SELECT row FROM lines ANTI JOIN objects USING (row)").fetchall()
    malformed = records.malformed + [
        Malformed(row, int(records.lines[row - 1]), rules.JSON, "not one flat JSON object") for (row,) in wrong
    ]
    malformed.sort(key=lambda item: item.row)
    _check_count(con, records.rows - len(malformed))
    return Source("JSON Lines", path, records.rows, records, malformed=malformed)


def _check_lengths(records: Records) -> None:
    if (longest := int((records.ends - records.starts).max())) > _MAX_LINE:
        raise WholeFile(rules.TOO_LARGE, f"one row has {longest / 1e6:.0f} MB; allowed: {_MAX_LINE / 1e6:.0f} MB")


def _check_count(con: duckdb.DuckDBPyConnection, expected: int) -> None:
    """Two readers must find the same rows: rather refuse a file than lose one of them."""
    if (found := _count(con)) != expected:
        raise WholeFile(
            rules.UNREADABLE, f"its rows cannot be told apart: {expected} by one reading, {found} by another"
        )


def _count(con: duckdb.DuckDBPyConnection) -> int:
    answer = con.execute("SELECT count(*) FROM raw").fetchone()
    return int(answer[0]) if answer else 0


def _nulled(value: str, contract: Contract, column: Column) -> str:
    tokens = ", ".join(text(token) for token in (*contract.null_tokens, *column.missing_tokens))
    return f"CASE WHEN {value} IN ({tokens}) THEN NULL ELSE {value} END" if tokens else value


def _json_name(name: str) -> str:
    return '"' + name.replace('"', '\\"') + '"'


@contextmanager
def _damaged(found: str) -> Iterator[None]:
    """What the engine cannot read is the file's fault; its own words may hold values and are not repeated.

    Raises:
        WholeFile: in place of the engine's error.
    """
    try:
        yield
    except (duckdb.OutOfMemoryException, duckdb.InterruptException):
        raise
    except duckdb.Error as error:
        raise WholeFile(rules.UNREADABLE, f"{found} ({type(error).__name__})") from None

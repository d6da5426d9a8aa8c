"""Opens an upload: what it is by its bytes, not by its name, and its rows as one table of text.

The table `raw` has `row` (1-based record of the file) and, as text, `r0`, `r1` … for the contract's columns in order;
a value that is one of the contract's null tokens is NULL.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from ingest import rules
from ingest.records import Malformed, Records, first_record, split
from interlock.contract import Contract
from interlock.sql import quoted, text

_DELIMITERS = (",", ";", "\t", "|")
# A compressed file may not grow beyond what the function can hold; a bomb is recognised long before.
_MAX_GROWTH = 200
_MAX_BYTES = 4 << 30


class WholeFile(Exception):
    """The file as a whole cannot be judged row by row."""

    def __init__(self, rule: rules.Rule, found: str) -> None:
        super().__init__(found)
        self.rule = rule
        self.found = found


@dataclass
class Source:
    """An opened upload. `records` is there for CSV only; `malformed` are the rows that are not in the table."""

    kind: str
    path: Path
    rows: int
    header: str = ""
    records: Records | None = None
    malformed: list[Malformed] = field(default_factory=list)


def open_source(con: duckdb.DuckDBPyConnection, path: Path, contract: Contract, scratch: Path) -> Source:
    """Recognise the file and fill the table `raw`.

    Raises:
        WholeFile: nothing in it can be judged: empty, not readable, other columns than the contract's.
    """
    if path.stat().st_size == 0:
        raise WholeFile(rules.EMPTY, "the file has 0 bytes")
    path = _unpacked(path, scratch)
    start = path.open("rb").read(4096)
    if start.startswith(b"PAR1"):
        return _parquet(con, path, contract)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in start:
        raise WholeFile(rules.UNREADABLE, "it is UTF-16 or binary, not UTF-8 text or Parquet")
    if start.lstrip().startswith(b"{"):
        return _json_lines(con, path, contract)
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
                    raise WholeFile(rules.UNREADABLE, f"it unpacks to more than {limit / 1e6:.0f} MB")
    except EOFError:
        raise WholeFile(rules.UNREADABLE, "the gzip stream is cut off: the upload or the export broke") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise WholeFile(rules.UNREADABLE, f"the gzip stream is damaged: {error}") from None
    if written == 0:
        raise WholeFile(rules.EMPTY, "the unpacked file has 0 bytes")
    return plain


def _csv(con: duckdb.DuckDBPyConnection, path: Path, contract: Contract, scratch: Path) -> Source:
    raw_header = first_record(path)
    try:
        header = raw_header.decode("utf-8")
    except UnicodeDecodeError:
        raise WholeFile(rules.UNREADABLE, "the header is not UTF-8") from None
    delimiter, names = _delimiter(header, contract)
    _check_columns(names, contract)
    records = split(path, delimiter.encode(), len(names))
    if records.rows == 0:
        raise WholeFile(rules.EMPTY, "the file has a header and no rows")
    clean, numbered = path, "row_number() OVER ()"
    listed = [f"f{index}" for index in range(len(names))]
    if records.malformed or records.lines[-1] != records.rows + 1:
        # Some lines are no rows: give each row its number, so that the engine cannot count differently.
        clean, numbered = scratch / "rectangular.csv", "CAST(nr AS BIGINT)"
        _rectangular(path, records, delimiter, clean)
        listed = ["nr", *listed]
    columns = ", ".join(f"'{name}': 'VARCHAR'" for name in listed)
    con.execute(
        f"CREATE TABLE raw AS SELECT {numbered} AS row, "  # noqa: S608 - names are ours
        + ", ".join(f"{_nulled(f'f{names.index(name)}', contract)} AS r{i}" for i, name in enumerate(contract.names))
        + f" FROM read_csv(?, auto_detect=false, header=true, delim='{delimiter}', quote='\"', escape='\"',"
        f" columns={{{columns}}}, max_line_size=16000000)",
        [str(clean)],
    )
    return Source("CSV", path, records.rows, header, records, records.malformed)


def _rectangular(path: Path, records: Records, delimiter: str, clean: Path) -> None:
    """Write the well-formed records with their row number in front."""
    left_out = {item.row for item in records.malformed}
    mark = delimiter.encode()
    raw = path.read_bytes()
    with clean.open("wb") as file:
        file.write(b"nr" + mark + records.header + b"\n")
        for row, (start, end) in enumerate(zip(records.starts.tolist(), records.ends.tolist(), strict=True), start=1):
            if row not in left_out:
                file.write(b"%d%b%b\n" % (row, mark, raw[start:end].rstrip(b"\r")))


def _delimiter(header: str, contract: Contract) -> tuple[str, list[str]]:
    """The delimiter that finds most of the contract's columns in the header; a comma when none does."""
    known = set(contract.names)
    read = {mark: next(csv.reader([header], delimiter=mark), []) for mark in _DELIMITERS}
    best = max(_DELIMITERS, key=lambda mark: len(known & set(read[mark])))
    return best, read[best]


def _check_columns(names: list[str], contract: Contract) -> None:
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise WholeFile(rules.DUPLICATED_COLUMN, f"columns that stand twice in the header: {', '.join(doubled)}")
    if missing := [name for name in contract.names if name not in names]:
        raise WholeFile(
            rules.MISSING_COLUMN, f"missing: {', '.join(missing)}; the file has: {', '.join(names)[:500] or 'none'}"
        )
    if unknown := [name for name in names if name not in contract.names]:
        raise WholeFile(rules.UNKNOWN_COLUMN, f"not in the contract: {', '.join(unknown)[:500]}")


def _parquet(con: duckdb.DuckDBPyConnection, path: Path, contract: Contract) -> Source:
    try:
        described = con.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
    except duckdb.Error as error:
        raise WholeFile(rules.UNREADABLE, f"it starts like Parquet but is damaged: {_first_line(error)}") from None
    _check_columns([name for name, *_ in described], contract)
    if nested := [name for name, kind, *_ in described if kind.endswith("[]") or kind.startswith(("STRUCT", "MAP"))]:
        raise WholeFile(rules.UNREADABLE, f"nested columns cannot be judged: {', '.join(nested)}")
    con.execute(
        "CREATE TABLE raw AS SELECT file_row_number + 1 AS row, "  # noqa: S608 - names are quoted
        + ", ".join(
            f"{_nulled(f'CAST({quoted(name)} AS VARCHAR)', contract)} AS r{i}" for i, name in enumerate(contract.names)
        )
        + " FROM read_parquet(?, file_row_number=true)",
        [str(path)],
    )
    return Source("Parquet", path, _filled(con))


def _json_lines(con: duckdb.DuckDBPyConnection, path: Path, contract: Contract) -> Source:
    con.execute(
        "CREATE TABLE lines AS SELECT row_number() OVER () AS row, line, json_valid(line)"
        " AND json_type(line) = 'OBJECT' AS ok FROM read_csv(?, auto_detect=false, header=false, delim='\x01',"
        " quote='', escape='', columns={'line': 'VARCHAR'}, max_line_size=16000000, ignore_errors=true)",
        [str(path)],
    )
    found = con.execute(
        "SELECT DISTINCT unnest(json_keys(line)) AS name FROM (FROM lines WHERE ok LIMIT 1000) ORDER BY name"
    ).fetchall()
    if unknown := [name for (name,) in found if name not in contract.names]:
        raise WholeFile(rules.UNKNOWN_COLUMN, f"not in the contract: {', '.join(unknown)[:500]}")
    con.execute(
        "CREATE TABLE raw AS SELECT row, "  # noqa: S608 - names are quoted
        + ", ".join(
            _nulled(f"json_extract_string(line, {text('$.' + _json_name(name))})", contract) + f" AS r{i}"
            for i, name in enumerate(contract.names)
        )
        + " FROM lines WHERE ok"
    )
    malformed = [
        Malformed(row=row, line=row, rule=rules.JSON, text=line, found="no JSON object")
        for row, line in con.execute("SELECT row, line FROM lines WHERE NOT ok ORDER BY row").fetchall()
    ]
    return Source("JSON Lines", path, _filled(con) + len(malformed), malformed=malformed)


def _filled(con: duckdb.DuckDBPyConnection) -> int:
    """Rows in the table.

    Raises:
        WholeFile: there are none.
    """
    answer = con.execute("SELECT count(*) FROM raw").fetchone()
    rows = int(answer[0]) if answer else 0
    if rows == 0:
        raise WholeFile(rules.EMPTY, "the file has no rows")
    return rows


def _nulled(value: str, contract: Contract) -> str:
    tokens = ", ".join(text(token) for token in contract.null_tokens)
    return f"CASE WHEN {value} IN ({tokens}) THEN NULL ELSE {value} END" if tokens else value


def _json_name(name: str) -> str:
    return '"' + name.replace('"', '\\"') + '"'


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]

"""How a file is written, found out before anybody looks at its columns; what the engine would refuse is refused."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from ingest.streams import LocalFile
from interlock.errors import InvalidUpload
from interlock.sql import quoted, text
from interlock.streams import Fault, Peeked, as_utf8, is_parquet, unpacked

# The engine finds these by itself.
_FOUND_OUT = {",", ";", "\t", "|"}
_CHUNK = 1 << 20
_LONGEST_HEADER = 1 << 20
NUMBER = r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?"
_COMMA = r"[+-]?(\d+|\d{1,3}(\.\d{3})+)(,\d+)?"
# Three digits behind a comma may as well be thousands.
_SURELY = r"[+-]?[\d.]+,(\d{1,2}|\d{4,})"


@dataclass(frozen=True)
class Written:
    """Where the engine reads a file from, as SQL, and what the contract must say of how it is written."""

    origin: str
    csv: bool = False
    dialect: Mapping[str, str] = field(default_factory=dict)


def unusable(path: Path, why: str) -> InvalidUpload:
    """The error for a file from which nothing can be seen."""
    return InvalidUpload(
        f"{path}: {why}", remedy="Name a table with rows: CSV, JSON Lines or Parquet, plain or packed."
    )


def written(con: duckdb.DuckDBPyConnection, path: Path, scratch: Path) -> Written:
    """Recognise CSV, JSON Lines or Parquet; a text that is no UTF-8 is written once more into `scratch`.

    Raises:
        InvalidUpload: it is none of them, or its header names no columns that can be told apart.
    """

    def refuse(_: Fault, found: str) -> InvalidUpload:
        return unusable(path, found)

    stream, packed = unpacked(LocalFile(path), refuse)
    if is_parquet(stream):
        place = _copied(stream, scratch / "table.parquet", None) if packed else path
        return Written(f"read_parquet({text(str(place))}, binary_as_string=true)")
    stream = as_utf8(stream, None, refuse)
    try:
        place, dialect = _copied(stream, scratch / "table", "utf-8"), {}
    except UnicodeDecodeError:
        again = as_utf8(unpacked(LocalFile(path), refuse)[0], "windows-1252", refuse)
        place, dialect = _copied(again, scratch / "table", None), {"csvEncoding": "windows-1252"}
    with place.open("rb") as file:
        head = file.read(4096).lstrip()
        file.seek(0)
        first = file.readline(_LONGEST_HEADER).rstrip(b"\r\n")
    if head.startswith(b"{"):
        return Written(f"read_json({text(str(place))}, format='newline_delimited', sample_size=-1)")
    if b"\r" in first:
        raise unusable(path, "its lines end with carriage returns alone, without line feeds")
    # A row that cannot be split is for the engine to judge, not a reason to see nothing.
    options = "all_varchar=true, header=true, sample_size=-1, ignore_errors=true"
    sniffed = con.execute(f"SELECT Delimiter FROM sniff_csv({text(str(place))}, {options})").fetchone()  # noqa: S608
    mark = str(sniffed[0]) if sniffed else ","
    if mark not in _FOUND_OUT:
        dialect["csvDelimiter"] = mark
    names = _names(path, first.decode("utf-8", "replace"), mark)
    options += f", delim={text(mark)}, names=[{', '.join(map(text, names))}]"
    return Written(f"read_csv({text(str(place))}, {options})", csv=True, dialect=dialect)


def commas(con: duckdb.DuckDBPyConnection, table: str, names: Sequence[str], tokens: Sequence[str]) -> dict[str, str]:
    """What the contract must say where numbers have decimal commas; the table's are written anew, with points."""
    missing = ", ".join(map(text, ("", *tokens)))
    chosen, sure, grouped = list[str](), False, False
    for name in names:
        value = quoted(name)
        is_comma = f"regexp_full_match({value}, {text(_COMMA)})"
        found = con.execute(
            f"SELECT bool_and({is_comma}), bool_and(regexp_full_match({value}, {text(NUMBER)})),"  # noqa: S608
            f" bool_or(contains({value}, '.')), bool_or(regexp_full_match({value}, {text(_SURELY)})) FROM {table}"
            f" WHERE {value} IS NOT NULL AND {value} NOT IN ({missing})"
        ).fetchone()
        comma, point, dots, surely = found or (None,) * 4
        if point and dots and not comma:
            return {}
        if comma:
            chosen, sure, grouped = [*chosen, value], sure or bool(surely), grouped or bool(dots)
    if not sure:
        return {}
    for value in chosen:
        plain = f"replace(replace({value}, '.', ''), ',', '.')"
        con.execute(f"UPDATE {table} SET {value} = {plain} WHERE regexp_full_match({value}, {text(_COMMA)})")  # noqa: S608
    return {"csvDecimal": ","} | ({"csvThousands": "."} if grouped else {})


def _names(path: Path, header: str, mark: str) -> list[str]:
    """The columns' names as the file has them."""
    csv.field_size_limit(_LONGEST_HEADER)
    names = next(csv.reader([header], delimiter=mark), [])
    folded = [name.casefold() for name in names]
    if "" in names:
        raise unusable(path, f"column {names.index('') + 1} of {len(names)} has no name")
    if doubled := sorted({name for name in names if folded.count(name.casefold()) > 1}):
        raise unusable(path, f"columns that stand twice in the header: {', '.join(doubled)}")
    return names


def _copied(stream: Peeked, place: Path, encoding: str | None) -> Path:
    """Write a stream down, and see that it is of the encoding."""
    decoder = codecs.getincrementaldecoder(encoding)() if encoding else None
    with place.open("wb") as file:
        while chunk := stream.read(_CHUNK):
            file.write(chunk)
            if decoder is not None:
                decoder.decode(chunk)
    if decoder is not None:
        decoder.decode(b"", final=True)
    return place

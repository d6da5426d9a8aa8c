"""The files about what is wrong: the bad rows as they came with their reasons, and the list of every violation.

A bad row is kept byte for byte, because it is mended and sent again: a cell that a spreadsheet would run as a formula
is still one, and a restricted value is still readable; the bucket is as closed as for the upload itself. The list of
violations is for reading: it masks restricted values, and writes such a cell as text.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import repeat
from operator import itemgetter

import numpy as np

from ingest import rules
from ingest.checks import Check
from ingest.parsing import Positions
from ingest.profiling import masked
from ingest.source import Source
from ingest.tables import Table, csv_line
from interlock.cells import harmless
from interlock.contract import Contract, Severity

LIST_HEADER = b"row,line,column,rule,severity,value\r\n"
_LONGEST_SHOWN = 200


@dataclass(frozen=True)
class Violations:
    """The violations of a block, ordered by record and check; malformed records are apart, in the table.

    `places` are the records and `checks` the numbers of the checks [violations], `texts` the values as they may be
    shown.
    """

    places: Positions
    checks: Positions
    texts: list[str | None]


def listed(table: Table, every: Sequence[Check], violated: list[tuple[int, Positions]], salt: str) -> Violations:
    """Bring what each check found into the order of the rows."""
    if not violated:
        return Violations(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), [])
    rows = np.concatenate([found for _, found in violated])
    numbers = np.concatenate([np.full(len(found), number) for number, found in violated])
    shown: list[str | None] = []
    for number, found in violated:
        shown += _shown(table, every[number], found, salt)
    order = np.lexsort((numbers, rows))
    return Violations(table.places[rows[order]], numbers[order], [shown[place] for place in order.tolist()])


def _shown(table: Table, check: Check, rows: Positions, salt: str) -> Sequence[str | None]:
    if check.index is None or check.column is None or check.rule is rules.REQUIRED:
        return [None] * len(rows)
    values = table.texts(check.index, rows)
    if check.column.restricted:
        return [None if value is None else masked(value, salt) for value in values]
    return [None if value is None else value[:_LONGEST_SHOWN] for value in values]


def violation_lines(
    table: Table, every: Sequence[Check], found: Violations, first_row: int, first_line: int | None
) -> bytes:
    """The block's part of the list of violations."""
    lines: Iterable[int | str] = repeat("")
    if first_line is not None:
        lines = (table.lines_of(found.places) + first_line).tolist()
    about = [_written(check.name, check.rule.id, check.severity.value) for check in every]
    rows = (found.places + first_row).tolist()
    written = [
        f"{row},{line},{about[number]}{_cell(text or '')}"
        for row, line, number, text in zip(rows, lines, found.checks.tolist(), found.texts, strict=False)
    ]
    if table.malformed:
        broken = []
        for item in table.malformed:
            row, line = first_row + item.place, "" if first_line is None else first_line + item.line
            kind = _written("", item.rule.id, Severity.ERROR.value)
            broken.append((row, f"{row},{line},{kind}{_cell(item.found)}"))
        both = sorted([*broken, *zip(rows, written, strict=True)], key=itemgetter(0))
        written = [text for _, text in both]
    return "".join(written).encode()


def _written(*values: str) -> str:
    """Values of CSV without a line's end."""
    return _line(*values).removesuffix("\r\n")


def _line(*values: str) -> str:
    out = io.StringIO(newline="")
    csv.writer(out).writerow(values)
    return out.getvalue()


@lru_cache(maxsize=10_000)
def _cell(text: str) -> str:
    """The last value of a line with the comma in front and the line's end; the same few come again and again."""
    return f",{text}\r\n" if text.isalnum() else _line("", harmless(text))


@lru_cache(maxsize=10_000)
def _reasons(mark: str, why: str) -> bytes:
    """The second value of a bad row between its marks; the same few come again and again."""
    return f"{mark}{csv_line([why])}{mark}".encode()


def bad_header(source: Source, contract: Contract) -> bytes:
    """The first line of the bad rows: the file's own header behind two columns; JSON Lines have none."""
    if source.kind == "JSON Lines":
        return b""
    names = [column.in_file for column in contract.columns]
    # Parquet's rows are written with commas, those of a file without a header with its own delimiter.
    header = source.header or source.delimiter.join(csv_line([name]) for name in names).encode()
    return source.delimiter.join(("interlock_row", "interlock_reasons", "")).encode() + header + b"\n"


def bad_lines(
    table: Table, source: Source, every: Sequence[Check], found: Violations, first_row: int
) -> tuple[bytes, int]:
    """The block's bad rows with their number and reasons in front, and how many they are.

    Mend them, drop the two columns, send them again. CSV as CSV with its own delimiter, JSON Lines as JSON Lines, and
    Parquet's as CSV.
    """
    names = [f"{check.name}: {check.rule.id}" if check.name else check.rule.id for check in every]
    grave = np.array([check.severity is Severity.ERROR for check in every], dtype=bool)[found.checks]
    rows, numbers = found.places[grave], found.checks[grave]
    first = np.flatnonzero(np.diff(rows, prepend=-1))
    # Most rows have one reason; those with more are written once more.
    why = [names[number] for number in numbers[first].tolist()]
    ends = np.append(first, len(rows))
    for place in np.flatnonzero(np.diff(ends) > 1).tolist():
        why[place] = "; ".join([names[number] for number in numbers[ends[place] : ends[place + 1]].tolist()])
    places = rows[first].tolist()
    if table.malformed:
        broken = {item.place: item.rule.id for item in table.malformed}
        pairs = sorted([*zip(places, why, strict=True), *broken.items()])
        places, why = [place for place, _ in pairs], [reason for _, reason in pairs]
    raws = table.raw(places)
    if source.kind == "JSON Lines":
        wrong = {item.place for item in table.malformed}
        return b"".join(
            _json_line(first_row + place, reason, raw, broken=place in wrong)
            for place, reason, raw in zip(places, why, raws, strict=True)
        ), len(places)
    mark = source.delimiter
    parts = [b"\n"] * (4 * len(places))
    parts[::4] = [b"%d" % (first_row + place) for place in places]
    parts[1::4] = [_reasons(mark, reason) for reason in why]
    parts[2::4] = raws
    return b"".join(parts), len(places)


def _json_line(row: int, reasons: str, raw: bytes, *, broken: bool) -> bytes:
    about = {"interlock_row": row, "interlock_reasons": reasons}
    if broken:
        return json.dumps({**about, "interlock_line": raw.decode("utf-8", "backslashreplace")}).encode() + b"\n"
    members = raw.strip().removeprefix(b"{").lstrip()
    return json.dumps(about)[:-1].encode() + (b"" if members == b"}" else b", ") + members + b"\n"

"""The files about what is wrong: the bad rows as they came with their reasons, and the list of every violation.

A bad row is kept byte for byte, because it is mended and sent again: a cell that a spreadsheet would run as a formula
is still one, and a restricted value is still readable; the bucket is as closed as for the upload itself. The list of
violations is for reading: it masks restricted values, and writes such a cell as text.
"""

from __future__ import annotations

import csv
import io
import json
import string
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ingest import rules, spans
from ingest.checks import Check
from ingest.parsing import Bytes, Positions
from ingest.profiling import masked
from ingest.source import Source
from ingest.spans import Spans
from ingest.tables import Table, csv_line
from interlock.cells import harmless
from interlock.contract import Contract, Severity

LIST_HEADER = b"row,line,column,rule,severity,value\r\n"
_LONGEST_SHOWN = 200
# By a text's bytes: those that may begin a cell as they are, and those that may stand in it.
_LETTERS, _UNMARKED = np.zeros((2, 256), dtype=bool)
_LETTERS[list((string.ascii_letters + string.digits).encode())] = True
_UNMARKED[32:127] = True
_UNMARKED[list(b'",')] = False


@dataclass(frozen=True)
class Violations:
    """The violations of a block, ordered by record and check.

    `places` are the records and `checks` the numbers of the checks [violations], `cells` the values as they may be
    shown, as the last cells of a line. Malformed records have the numbers behind those of the checks, in their order.
    """

    places: Positions
    checks: Positions
    cells: Spans


def listed(table: Table, every: Sequence[Check], violated: list[tuple[int, Positions]], salt: str) -> Violations:
    """Bring what each check found into the order of the rows."""
    broken = len(table.malformed)
    nothing = np.zeros(0, dtype=np.int64)
    places = [nothing, *(table.places[found] for _, found in violated)]
    numbers = [nothing, *(np.full(len(found), number) for number, found in violated)]
    cells = [spans.of(()), *(_cells(table, every[number], found, salt) for number, found in violated)]
    if broken:
        places.append(np.array([item.place for item in table.malformed]))
        numbers.append(len(every) + np.arange(broken))
        cells.append(spans.of([_cell(item.found) for item in table.malformed]))
    rows, checks = np.concatenate(places), np.concatenate(numbers)
    order = np.lexsort((checks, rows))
    return Violations(rows[order], checks[order], spans.stacked(cells)[order])


def shown(table: Table, check: Check, rows: Positions, salt: str) -> Sequence[str | None]:
    """The values that violate a check, as they may be shown."""
    if check.index is None or check.column is None or check.rule is rules.REQUIRED:
        return [None] * len(rows)
    values = table.texts(check.index, rows)
    if check.column.restricted:
        return [None if value is None else masked(value, salt) for value in values]
    return [None if value is None else value[:_LONGEST_SHOWN] for value in values]


def _cells(table: Table, check: Check, rows: Positions, salt: str) -> Spans:
    """The same as cells of a line: most texts are one as they are, the others are written one by one."""
    if check.index is None or check.column is None or check.rule is rules.REQUIRED:
        return spans.same(b"", len(rows))
    found = table.spans(check.index, rows)
    if check.column.restricted:
        odd = np.flatnonzero(~table.columns[check.index].missing[rows])
    else:
        body = spans.joined([found])
        ends = np.cumsum(found.lengths)
        found = Spans(body, ends - found.lengths, found.lengths)
        there = np.flatnonzero(found.lengths)
        marked = np.searchsorted(ends, np.flatnonzero(~_UNMARKED[body]), side="right")
        begun = there[~_LETTERS[body[found.starts[there]]]]
        odd = np.unique(np.concatenate((marked, begun, np.flatnonzero(found.lengths > _LONGEST_SHOWN))))
    if not len(odd):
        return found
    return found.put(odd, [_cell(text or "") for text in shown(table, check, rows[odd], salt)])


def violation_lines(
    table: Table, every: Sequence[Check], found: Violations, first_row: int, first_line: int | None
) -> Bytes:
    """The block's part of the list of violations."""
    about = [_written(check.name, check.rule.id, check.severity.value) for check in every]
    about += [_written("", item.rule.id, Severity.ERROR.value) for item in table.malformed]
    rows = len(found.places)
    lines = spans.same(b"", rows) if first_line is None else spans.numbers(table.lines_of(found.places) + first_line)
    return spans.joined(
        [
            *(spans.numbers(found.places + first_row), spans.same(b",", rows), lines),
            *(spans.of([f",{text},".encode() for text in about])[found.checks], found.cells, spans.same(b"\r\n", rows)),
        ]
    )


def _written(*values: str) -> str:
    """Values of CSV without a line's end."""
    return _line(*values).removesuffix("\r\n")


def _line(*values: str) -> str:
    out = io.StringIO(newline="")
    csv.writer(out).writerow(values)
    return out.getvalue()


@lru_cache(maxsize=10_000)
def _cell(text: str) -> bytes:
    """The last value of a line; the same few come again and again."""
    return _written("", harmless(text)).removeprefix(",").encode()


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
) -> tuple[Bytes, int]:
    """The block's bad rows with their number and reasons in front, and how many they are.

    Mend them, drop the two columns, send them again. CSV as CSV with its own delimiter, JSON Lines as JSON Lines, and
    Parquet's as CSV.
    """
    names = [f"{check.name}: {check.rule.id}" if check.name else check.rule.id for check in every]
    names += [item.rule.id for item in table.malformed]
    severe = [*(check.severity is Severity.ERROR for check in every), *(True for _ in table.malformed)]
    grave = np.array(severe, dtype=bool)[found.checks]
    rows, numbers = found.places[grave], found.checks[grave]
    first = np.flatnonzero(np.diff(rows, prepend=-1))
    places, why = rows[first], numbers[first]
    # Most rows have one reason; the several of others are one more text.
    ends = np.append(first, len(rows))
    for row in np.flatnonzero(np.diff(ends) > 1).tolist():
        names.append("; ".join([names[number] for number in numbers[ends[row] : ends[row + 1]].tolist()]))
        why[row] = len(names) - 1
    raw = table.raw(places)
    if source.kind == "JSON Lines":
        lines = [
            _json_line(first_row + place, names[reason], text, broken=len(every) <= reason < len(severe))
            for place, reason, text in zip(places.tolist(), why.tolist(), raw[0].texts(), strict=True)
        ]
        return spans.joined([spans.of(lines)]), len(places)
    reasons = spans.of([f"{source.delimiter}{csv_line([name])}{source.delimiter}".encode() for name in names])
    return (
        spans.joined([spans.numbers(places + first_row), reasons[why], *raw, spans.same(b"\n", len(places))]),
        len(places),
    )


def _json_line(row: int, reasons: str, raw: bytes, *, broken: bool) -> bytes:
    about = {"interlock_row": row, "interlock_reasons": reasons}
    if broken:
        return json.dumps({**about, "interlock_line": raw.decode("utf-8", "backslashreplace")}).encode() + b"\n"
    members = raw.strip().removeprefix(b"{").lstrip()
    return json.dumps(about)[:-1].encode() + (b"" if members == b"}" else b", ") + members + b"\n"

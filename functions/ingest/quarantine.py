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
from ingest.spans import Mark, Spans
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
    chosen = np.zeros(len(table.places), dtype=bool)
    for _, found in violated:
        chosen[found] = True
    table.choose(np.flatnonzero(chosen))
    broken = np.array([item.place for item in table.malformed], dtype=np.int64)
    rows = np.concatenate([*(table.places[found] for _, found in violated), broken])
    checks = np.repeat(
        [*(number for number, _ in violated), *(len(every) + place for place in range(len(broken)))],
        [*(len(found) for _, found in violated), *(1 for _ in broken)],
    )
    cells = _cells(table, every, violated, salt)
    order = np.argsort(rows * (len(every) + len(broken)) + checks)
    return Violations(rows[order], checks[order], cells[order])


def shown(table: Table, check: Check, rows: Positions, salt: str) -> Sequence[str | None]:
    """The values that violate a check, as they may be shown."""
    if check.index is None or check.column is None or check.rule is rules.REQUIRED:
        return [None] * len(rows)
    values = table.texts(check.index, rows)
    if check.column.restricted:
        return [None if value is None else masked(value, salt) for value in values]
    return [None if value is None else _cut(value) for value in values]


def _cut(value: str) -> str:
    return value if len(value) <= _LONGEST_SHOWN else value[: _LONGEST_SHOWN - 1] + "…"


def _cells(table: Table, every: Sequence[Check], violated: list[tuple[int, Positions]], salt: str) -> Spans:
    """The same as cells of a line, check by check, and behind them what was found in malformed records.

    Most texts are a cell as they are; the others, and all of restricted columns, are written one by one.
    """
    checks = [(every[number], rows) for number, rows in violated]
    parts = [_as_they_are(table, check, rows, salt) for check, rows in checks]
    parts.append(spans.of([_cell(item.found) for item in table.malformed]))
    sizes = [len(part) for part in parts]
    plain = np.repeat([*(not _restricted(check) for check, _ in checks), False], sizes)
    every_part = spans.stacked(parts)
    body, lengths = spans.joined([every_part]), every_part.lengths
    ends = np.cumsum(lengths)
    there = np.flatnonzero(lengths)
    odd = lengths > _LONGEST_SHOWN
    odd[there] |= ~_LETTERS[body[(ends - lengths)[there]]]
    odd[np.searchsorted(ends, np.flatnonzero(~_UNMARKED[body]), side="right")] = True
    left, bounds = np.flatnonzero(odd & plain), np.cumsum(sizes)
    written: list[bytes] = []
    parts_left = np.split(left, np.searchsorted(left, bounds[:-1]))
    for (check, rows), end, some in zip(checks, bounds, parts_left, strict=False):
        if len(some):
            written += [_cell(text or "") for text in shown(table, check, rows[some - (end - len(rows))], salt)]
    return Spans(body, ends - lengths, lengths).put(left, written)


def _as_they_are(table: Table, check: Check, rows: Positions, salt: str) -> Spans:
    """The beginnings of the values; those of a restricted column as they may be shown."""
    if check.index is None or check.rule is rules.REQUIRED:
        return spans.of([b""])[np.zeros(len(rows), dtype=np.int64)]
    if _restricted(check):
        return spans.of([_cell(text or "") for text in shown(table, check, rows, salt)])
    return table.spans(check.index, rows).first(_LONGEST_SHOWN + 1)


def _restricted(check: Check) -> bool:
    return check.column is not None and check.column.restricted


def violation_lines(
    table: Table, every: Sequence[Check], found: Violations, first_row: int, first_line: int | None
) -> Bytes:
    """The block's part of the list of violations."""
    about = [_written(check.name, check.rule.id, check.severity.value) for check in every]
    about += [_written("", item.rule.id, Severity.ERROR.value) for item in table.malformed]
    rows = len(found.places)
    lines = [] if first_line is None else [spans.numbers(table.lines_of(found.places) + first_line)]
    columns: list[Spans | Mark] = [spans.numbers(found.places + first_row), *spans.marks(b",", rows), *lines]
    columns += [spans.of([f",{text},".encode() for text in about])[found.checks], found.cells]
    return spans.joined([*columns, *spans.marks(b"\r\n", rows)])


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
    # Most rows have one reason; the several of others are one more text, the same for all that have the same ones.
    ends, several = np.append(first, len(rows)), dict[tuple[int, ...], int]()
    for row in np.flatnonzero(np.diff(ends) > 1).tolist():
        reasons = tuple(numbers[ends[row] : ends[row + 1]].tolist())
        if reasons not in several:
            several[reasons] = len(names)
            names.append("; ".join([names[number] for number in reasons]))
        why[row] = several[reasons]
    raw = table.raw(places)
    if source.kind == "JSON Lines":
        lines = [
            _json_line(first_row + place, names[reason], text, broken=len(every) <= reason < len(severe))
            for place, reason, text in zip(places.tolist(), why.tolist(), raw[0].near().texts(), strict=True)
        ]
        return spans.joined([spans.of(lines)]), len(places)
    before = spans.of([f"{source.delimiter}{csv_line([name])}{source.delimiter}".encode() for name in names])
    return (
        spans.joined([spans.numbers(places + first_row), before[why], *raw, *spans.marks(b"\n", len(places))]),
        len(places),
    )


def _json_line(row: int, reasons: str, raw: bytes, *, broken: bool) -> bytes:
    about = {"interlock_row": row, "interlock_reasons": reasons}
    if broken:
        return json.dumps({**about, "interlock_line": raw.decode("utf-8", "backslashreplace")}).encode() + b"\n"
    members = raw.strip().removeprefix(b"{").lstrip()
    return json.dumps(about)[:-1].encode() + (b"" if members == b"}" else b", ") + members + b"\n"

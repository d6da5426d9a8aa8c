"""Splits a CSV file into records, so that one malformed row neither hides nor moves the others.

A record ends at a newline outside quotes (RFC 4180). Where that gives a record with the wrong number of fields that
spans several lines, a quote was probably left open: its lines are then judged each by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ingest.rules import ENCODING, FIELD_COUNT, Rule

_NEWLINE, _QUOTE, _RETURN = 10, 34, 13
_BOM = b"\xef\xbb\xbf"

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Malformed:
    """A record that cannot be assigned to columns."""

    row: int
    line: int
    rule: Rule
    text: str
    found: str


@dataclass
class Records:
    """Where a file's data records lie. Row numbers start at 1 with the first record after the header.

    `starts` and `ends` are byte positions [rows], `lines` physical line numbers [rows]; blank lines are no records.
    """

    header: bytes
    starts: Positions
    ends: Positions
    lines: Positions
    malformed: list[Malformed] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """How many data records there are, malformed ones included."""
        return len(self.starts)


def first_record(path: Path) -> bytes:
    """The header: the first line, without a byte order mark or its line end."""
    with path.open("rb") as file:
        return file.readline(1 << 20).removeprefix(_BOM).rstrip(b"\r\n")


def split(path: Path, delimiter: bytes, fields: int) -> Records:
    """Find the records of a file and those that have not `fields` fields or are not UTF-8.

    Args:
        path: the uncompressed file; it is held in memory.
        delimiter: one byte.
        fields: how many fields the header has.
    """
    data = np.fromfile(path, dtype=np.uint8)
    newlines = data == _NEWLINE
    inside = np.bitwise_xor.accumulate((data == _QUOTE).view(np.uint8)).view(bool)
    quoted = bool(inside.any())
    ends = np.flatnonzero(newlines & ~inside if quoted else newlines)
    if not len(ends) or ends[-1] != len(data) - 1:
        ends = np.append(ends, len(data))
    starts = np.concatenate([[0], ends[:-1] + 1])
    every_end = np.flatnonzero(newlines)
    delimiters = np.flatnonzero((data == delimiter[0]) & ~inside if quoted else data == delimiter[0])
    counts = np.searchsorted(delimiters, ends) - np.searchsorted(delimiters, starts) + 1
    lines = np.searchsorted(every_end, starts) + 1

    header = data[starts[0] : ends[0]].tobytes().removeprefix(_BOM).rstrip(b"\r")
    starts, ends, counts, lines = starts[1:], ends[1:], counts[1:], lines[1:]
    if quoted and (torn := (counts != fields) & _spans_lines(starts, ends, every_end)).any():
        starts, ends, counts, lines = _by_line(data, (starts, ends, counts, lines), torn, every_end, delimiter)
    blank = (ends - starts == 0) | ((ends - starts == 1) & (data[np.minimum(starts, len(data) - 1)] == _RETURN))
    starts, ends, counts, lines = (array[~blank] for array in (starts, ends, counts, lines))

    records = Records(header=header, starts=starts, ends=ends, lines=lines)
    wrong = set(np.flatnonzero(counts != fields).tolist())
    undecodable = _undecodable(data, starts, ends)
    for index in sorted(wrong | undecodable):
        raw = data[starts[index] : ends[index]].tobytes().rstrip(b"\r")
        is_text = index not in undecodable
        records.malformed.append(
            Malformed(
                row=index + 1,
                line=int(lines[index]),
                rule=FIELD_COUNT if is_text else ENCODING,
                text=raw.decode("utf-8", "backslashreplace"),
                found=f"{counts[index]} fields instead of {fields}" if is_text else "bytes that are not UTF-8",
            )
        )
    return records


def _spans_lines(starts: Positions, ends: Positions, every_end: Positions) -> npt.NDArray[np.bool_]:
    inner = np.searchsorted(every_end, ends) - np.searchsorted(every_end, starts)
    return np.asarray(inner > 0)


def _by_line(
    data: npt.NDArray[np.uint8],
    records: tuple[Positions, Positions, Positions, Positions],
    torn: npt.NDArray[np.bool_],
    every_end: Positions,
    delimiter: bytes,
) -> tuple[Positions, Positions, Positions, Positions]:
    """Replace torn records by their physical lines; a line with an odd quote counts as having no fields."""
    starts, ends, counts, lines = records
    extra: list[tuple[int, int, int, int]] = []
    for index in np.flatnonzero(torn).tolist():
        low, high = int(starts[index]), int(ends[index])
        inner = every_end[(every_end >= low) & (every_end < high)].tolist()
        line = int(lines[index])
        for start, end in zip([low, *(position + 1 for position in inner)], [*inner, high], strict=True):
            raw = data[start:end]
            odd = int(np.count_nonzero(raw == _QUOTE)) % 2
            quotes = np.bitwise_xor.accumulate((raw == _QUOTE).view(np.uint8)).view(bool)
            found = 0 if odd else int(np.count_nonzero((raw == delimiter[0]) & ~quotes)) + 1
            extra.append((start, end, found, line))
            line += 1
    added = np.array(extra, dtype=np.int64).T
    merged = [np.concatenate([array[~torn], new]) for array, new in zip(records, added, strict=True)]
    order = np.argsort(merged[0], kind="stable")
    starts, ends, counts, lines = (array[order] for array in merged)
    return starts, ends, counts, lines


def _undecodable(data: npt.NDArray[np.uint8], starts: Positions, ends: Positions) -> set[int]:
    """Indices of the records that are not UTF-8."""
    bad: set[int] = set()
    raw = data.tobytes()
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        suspects = np.unique(np.searchsorted(ends, np.flatnonzero(data > 127)))
        for index in suspects.tolist():
            if index < len(starts):
                try:
                    raw[starts[index] : ends[index]].decode("utf-8")
                except UnicodeDecodeError:
                    bad.add(index)
    return bad

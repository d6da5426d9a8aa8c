"""Splits a text file into records, so that one malformed row neither hides nor moves the others.

A file written by a program keeps RFC 4180: a quote opens a field right at its start and closes it right at its end.
Such a file is split block by block with numpy. Where a quote stands elsewhere, or a quoted line break gives a record
the wrong number of fields, a quote was probably left open: the file is then read again record by record, and a record
that starts with a quote that never closes ends with its line.
"""

from __future__ import annotations

import codecs
import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ingest.rules import ENCODING, FIELD_COUNT, OPEN_QUOTE, Rule

BOM = b"\xef\xbb\xbf"
# Parts a line's number from the line; it cannot stand in JSON as it is.
FIELD_MARK = b"\x01"
_NEWLINE, _QUOTE, _RETURN = 10, 34, 13
_BLOCK = 8 << 20
# A quoted field that spans lines may be this long before its quote counts as left open.
_LONGEST = 1 << 20

Positions = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Malformed:
    """A record that cannot be assigned to columns."""

    row: int
    line: int
    rule: Rule
    found: str


@dataclass
class Records:
    """Where a file's data records lie. Row numbers start at 1 with the first record after the header.

    `starts` and `ends` are byte positions [rows], `lines` physical line numbers [rows]; blank lines are no records.
    `line_end` is how every line ends, None when they differ. `regular` says that every line break outside quotes
    ends a row and every quote is where it belongs, so that any reader finds the same rows.
    """

    header: bytes
    starts: Positions
    ends: Positions
    lines: Positions
    line_end: str | None
    regular: bool
    malformed: list[Malformed] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """How many data records there are, malformed ones included."""
        return len(self.starts)


@dataclass
class _Scan:
    """Records of a file, header included.

    `counts` are their numbers of fields, 0 for a quote left open; `spans` their numbers of physical lines.
    """

    starts: Positions
    ends: Positions
    lines: Positions
    counts: Positions
    spans: Positions
    regular: bool
    line_end: str | None
    utf8: bool


def opened(path: Path) -> mmap.mmap:
    """A file's bytes, read as they are used."""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def first_record(path: Path) -> bytes:
    """The header: the first line, without a byte order mark or its line end."""
    with path.open("rb") as file:
        return file.readline(1 << 20).removeprefix(BOM).rstrip(b"\r\n")


def split(path: Path, delimiter: bytes | None, fields: int) -> Records:
    """Find the records of a file and those that have not `fields` fields or are not UTF-8.

    Args:
        path: the uncompressed file.
        delimiter: one byte; None when every line is a record and nothing is quoted. There is no header then.
        fields: how many fields the header has.
    """
    data = np.memmap(path, dtype=np.uint8, mode="r")
    skip = len(BOM) if data[: len(BOM)].tobytes() == BOM else 0
    scan = _scan(data, skip, delimiter)
    if delimiter is not None:
        torn = (scan.counts != fields) & (scan.spans > 1)
        if not scan.regular or torn.any():
            scan = _one_by_one(path, skip, delimiter, fields, scan)
    first = 0 if delimiter is None else 1
    header = data[skip : scan.ends[0]].tobytes().rstrip(b"\r") if first else b""
    starts, ends, counts, lines = (array[first:] for array in (scan.starts, scan.ends, scan.counts, scan.lines))
    filled = ~_blank(data, starts, ends)
    regular = scan.regular and bool(filled.all())
    starts, ends, counts, lines = (array[filled] for array in (starts, ends, counts, lines))

    records = Records(header, starts, ends, lines, scan.line_end, regular)
    undecodable = set() if scan.utf8 else _undecodable(data, starts, ends)
    wrong = set() if delimiter is None else set(np.flatnonzero(counts != fields).tolist())
    for index in sorted(wrong | undecodable):
        rule, found = FIELD_COUNT, f"{counts[index]} fields instead of {fields}"
        if index in undecodable:
            rule, found = ENCODING, "bytes that are not UTF-8"
        elif counts[index] == 0:
            rule, found = OPEN_QUOTE, "a quote that is not closed, or text after it"
        records.malformed.append(Malformed(index + 1, int(lines[index]), rule, found))
    return records


def rewrite(path: Path, records: Records, delimiter: bytes, target: Path) -> None:
    """Write the well-formed records with their row number in front, quoted as RFC 4180 wants it."""
    left_out = {item.row for item in records.malformed}
    one_field = _field(delimiter)
    with opened(path) as data, target.open("wb") as out:
        for row, (start, end) in enumerate(zip(records.starts.tolist(), records.ends.tolist(), strict=True), start=1):
            if row not in left_out:
                raw = data[start:end].removesuffix(b"\r")
                if b'"' in raw or b"\r" in raw:
                    raw = delimiter.join(map(_quoted, _fields(data[start:end], one_field)))
                out.write(b"%d%b%b\n" % (row, delimiter, raw))


def rewrite_lines(path: Path, records: Records, target: Path) -> None:
    """Write the well-formed lines of a file without quoting: row number, field mark, line."""
    left_out = {item.row for item in records.malformed}
    with opened(path) as data, target.open("wb") as out:
        for row, (start, end) in enumerate(zip(records.starts.tolist(), records.ends.tolist(), strict=True), start=1):
            if row not in left_out:
                line = data[start:end].replace(b"\r", b" ").replace(FIELD_MARK, b"\x02")
                out.write(b"%d%b%b\n" % (row, FIELD_MARK, line))


def _scan(data: Bytes, skip: int, delimiter: bytes | None) -> _Scan:
    found: dict[str, list[Positions]] = {"ends": [], "counts": [], "lines": []}
    inside, regular, line, delimiters, returned = False, True, 1, 0, 0
    decoder, utf8, ascii_only = codecs.getincrementaldecoder("utf-8")(), True, True
    for low in range(skip, len(data), _BLOCK):
        block = data[low : low + _BLOCK]
        newlines = block == _NEWLINE
        quotes = block == _QUOTE
        breaks = newlines
        fields = block == (delimiter or b"\0")[0]
        if delimiter is not None and (inside or quotes.any()):
            within = np.bitwise_xor.accumulate(quotes.view(np.uint8)).view(bool) ^ inside
            regular = regular and _well_quoted(data, low, skip, quotes, within, delimiter[0])
            breaks, fields = newlines & ~within, fields & ~within
            inside = bool(within[-1])
        else:
            within = np.zeros(1, dtype=bool)
        positions = np.flatnonzero(breaks)
        found["ends"].append(positions + low)
        found["counts"].append(np.searchsorted(np.flatnonzero(fields), positions) + delimiters)
        found["lines"].append(np.searchsorted(np.flatnonzero(newlines), positions, side="right") + line)
        delimiters += int(np.count_nonzero(fields))
        line += int(np.count_nonzero(newlines))
        returns = np.flatnonzero((block == _RETURN) & ~within)
        if len(returns):
            follows = np.minimum(returns + low + 1, len(data) - 1)
            regular = regular and bool((data[follows] == _NEWLINE).all())
            returned += len(returns)
        ascii_only = ascii_only and not (block > 127).any()
        if utf8 and not ascii_only:
            try:
                decoder.decode(block.tobytes(), final=low + _BLOCK >= len(data))
            except UnicodeDecodeError:
                utf8 = False
    ends, counts, lines = (np.concatenate(found[name]).astype(np.int64) for name in ("ends", "counts", "lines"))
    ended = len(ends)
    if not ended or ends[-1] != len(data) - 1:
        ends, counts, lines = np.append(ends, len(data)), np.append(counts, delimiters), np.append(lines, line + 1)
    return _Scan(
        starts=np.concatenate([[skip], ends[:-1] + 1]),
        ends=ends,
        lines=np.concatenate([[1], lines[:-1]]),
        counts=np.diff(counts, prepend=0) + 1,
        spans=np.diff(lines, prepend=1),
        regular=regular and not inside,
        line_end={0: "\\n", ended: "\\r\\n"}.get(returned),
        utf8=utf8,
    )


def _well_quoted(data: Bytes, low: int, skip: int, quotes: Mask, within: Mask, delimiter: int) -> bool:
    """Whether every quote of a block opens a field at its start, closes it at its end, or is doubled."""
    opening = np.flatnonzero(quotes & within) + low
    before = data[opening[opening > skip] - 1]
    closing = np.flatnonzero(quotes & ~within) + low
    after = data[closing[closing < len(data) - 1] + 1]
    return bool(
        np.isin(before, (delimiter, _NEWLINE, _QUOTE)).all()
        and np.isin(after, (delimiter, _NEWLINE, _QUOTE, _RETURN)).all()
    )


def _one_by_one(path: Path, skip: int, delimiter: bytes, fields: int, before: _Scan) -> _Scan:
    """The records of a file whose quotes are not to be trusted."""
    one_field = _field(delimiter)
    found: list[tuple[int, int, int, int]] = []
    with opened(path) as data:
        start, line, size = skip, 1, len(data)
        while start < size:
            newline = data.find(b"\n", start)
            end = size if newline < 0 else newline
            if data.find(b'"', start, end) < 0:
                count = data[start:end].count(delimiter) + 1
            else:
                count, last = _record(data, start, end, one_field, delimiter)
                # Over several lines only when that makes a whole row of them.
                count, end = (count, last) if last == end or count == fields else (0, end)
            found.append((start, end, line, count))
            line += data[start : end + 1].count(b"\n")
            start = end + 1
    starts, ends, lines, counts = np.array(found, dtype=np.int64).T
    return _Scan(starts, ends, lines, counts, np.ones_like(starts), regular=False, line_end=None, utf8=before.utf8)


def _record(
    data: mmap.mmap, start: int, end_of_line: int, one_field: re.Pattern[bytes], delimiter: bytes
) -> tuple[int, int]:
    """(number of fields, end) of the record at `start`; 0 fields and the end of its line when a quote stays open."""
    count, position, limit = 0, start, min(len(data), max(end_of_line, start + _LONGEST))
    while match := one_field.match(data, position, limit):
        count, position = count + 1, match.end()
        if data[position : position + 2] == b"\r\n" or data[position : position + 2] == b"\r":
            position += 1
        if position == len(data) or data[position] == _NEWLINE:
            return count, position
        if data[position] != delimiter[0]:
            break
        position += 1
    return 0, end_of_line


def _field(delimiter: bytes) -> re.Pattern[bytes]:
    """One field: quoted, or up to the delimiter; a quote inside an unquoted one is a character like any other."""
    mark = re.escape(delimiter)
    return re.compile(
        rb'"(?>[^"]*(?:""[^"]*)*)"(?=%b|\r?\n|\r?\Z)|(?!")[^%b\n]*?(?=%b|\r?\n|\r?\Z)' % (mark, mark, mark)
    )


def _fields(raw: bytes, one_field: re.Pattern[bytes]) -> Iterator[bytes]:
    """The values of a well-formed record, unquoted; its line may still end with a carriage return."""
    position = 0
    while match := one_field.match(raw, position):
        value = match.group()
        yield value[1:-1].replace(b'""', b'"') if value.startswith(b'"') else value
        position = match.end() + 1
        if raw[match.end() :] in {b"", b"\r"}:
            return


def _quoted(value: bytes) -> bytes:
    return b'"' + value.replace(b'"', b'""') + b'"' if value else b""


def _blank(data: Bytes, starts: Positions, ends: Positions) -> Mask:
    if not len(starts):
        return np.zeros(0, dtype=bool)
    lengths = ends - starts
    first = data[np.minimum(starts, len(data) - 1)]
    return np.asarray((lengths == 0) | ((lengths == 1) & (first == _RETURN)))


def _undecodable(data: Bytes, starts: Positions, ends: Positions) -> set[int]:
    """Indices of the records that are not UTF-8."""
    bad: set[int] = set()
    for low in range(0, len(data), _BLOCK):
        high = np.flatnonzero(data[low : low + _BLOCK] > 127) + low
        for index in np.unique(np.searchsorted(ends, high)).tolist():
            if index < len(starts):
                try:
                    data[starts[index] : ends[index]].tobytes().decode("utf-8")
                except UnicodeDecodeError:
                    bad.add(index)
    return bad

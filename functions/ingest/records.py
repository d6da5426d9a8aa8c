"""Splits a stream of text into blocks of whole records, so that one malformed row neither hides nor moves the others.

A file written by a program keeps RFC 4180: a quote opens a field right at its start and closes it right at its end.
Such a file is split block by block with numpy. Where a quote stands elsewhere, or a quoted line break gives a record
the wrong number of fields, a quote was probably left open: that block is then read record by record, and a record
that starts with a quote that never closes ends with its line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ingest import rules
from ingest.failure import WholeFile
from ingest.forms import LONGEST, Form, Split
from ingest.one_by_one import one_by_one
from ingest.parsing import Bytes, Mask, Positions
from ingest.spans import Spans

_NEWLINE, _RETURN = 10, 13
_BLOCK = 8 << 20
_MAX_LINE = 16_000_000


class Stream(Protocol):
    """Bytes in order."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; none at the end."""


@dataclass
class Block:
    """Bytes of whole records. `split` is there when they could not be told apart without splitting them."""

    data: bytes
    split: Split | None = None


def blocks(stream: Stream, form: Form) -> Iterator[Block]:
    """Cut a stream between records.

    Raises:
        WholeFile: one record is too long to be one.
    """
    rest, end = b"", False
    while not end:
        new = stream.read(_BLOCK)
        end = not new
        data = rest + new
        if end and data and not data.endswith(b"\n"):
            data += b"\n"
        block, used = _cut(data, form, end=end)
        rest = data[used:]
        if len(rest) > _MAX_LINE:
            raise _too_long(len(rest))
        if block.data:
            yield block


def split(block: Block, form: Form) -> Split:
    """The block's records.

    Raises:
        WholeFile: one of them is too long to be one.
    """
    found = block.split or _plain(block.data, form)
    if len(found.starts) and (longest := int((found.ends - found.starts).max())) > _MAX_LINE:
        raise _too_long(longest)
    return found


def lines(block: Block, split: Split, places: Positions) -> Spans:
    """Records as they came, without their line end."""
    starts, ends = split.starts[places], split.ends[places]
    data = np.frombuffer(block.data, dtype=np.uint8)
    return Spans(data, starts, ends - starts - ((ends > starts) & (data[ends - 1] == _RETURN)))


def undecodable(data: bytes, found: Split) -> list[int]:
    """Indices of the records that are not UTF-8."""
    if data.isascii():
        return []
    try:
        data.decode()
    except UnicodeDecodeError:
        pass
    else:
        return []
    high = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) > 127)
    bad = []
    for index in np.unique(np.searchsorted(found.ends, high)).tolist():
        if index < len(found.starts):
            try:
                data[found.starts[index] : found.ends[index]].decode()
            except UnicodeDecodeError:
                bad.append(index)
    return bad


def _too_long(size: int) -> WholeFile:
    return WholeFile(rules.TOO_LARGE, f"one row has {size / 1e6:.0f} MB; allowed: {_MAX_LINE / 1e6:.0f} MB")


def _cut(data: bytes, form: Form, *, end: bool) -> tuple[Block, int]:
    """The whole records at the beginning of some bytes, and how many bytes they take."""
    if form.quote is None or form.quote not in data:
        used = data.rfind(b"\n") + 1
        return Block(data[:used]), used
    found, used = _quoted(data, form, end=end) or one_by_one(data, form, end=end)
    return Block(data[:used], found), used


def _plain(data: bytes, form: Form) -> Split:
    body = np.frombuffer(data, dtype=np.uint8)
    newlines = body == _NEWLINE
    separators = newlines if form.delimiter is None else newlines | (body == form.delimiter[0])
    places = np.flatnonzero(separators)
    rows = places.reshape(-1, form.fields) if len(places) % form.fields == 0 else None
    if form.fields > 1 and rows is not None and newlines[rows[:, -1]].all() and np.count_nonzero(newlines) == len(rows):
        ends = rows[:, -1].copy()
        starts = np.concatenate((np.zeros(min(len(ends), 1), dtype=np.int64), ends[:-1] + 1))
        every = np.arange(len(ends))
        return _whole(body, starts, ends, every, np.full(len(ends), form.fields), every, rows, len(ends))
    return _columns(body, places, newlines, form.fields, lines=None)


def _quoted(data: bytes, form: Form, *, end: bool) -> tuple[Split, int] | None:
    """The records up to the last line break outside quotes, and where they end; None for quotes not to be trusted."""
    assert form.quote is not None  # noqa: S101
    assert form.delimiter is not None  # noqa: S101
    body = np.frombuffer(data, dtype=np.uint8)
    quotes = body == form.quote[0]
    within: Mask = np.bitwise_xor.accumulate(quotes.view(np.uint8)).view(bool)
    newlines = body == _NEWLINE
    breaks: Mask = newlines & ~within
    used = len(data) - int(np.argmax(breaks[::-1])) if breaks.any() else 0
    if used < len(data) and (end or len(data) - used > LONGEST):
        return None
    body, quotes, within, newlines, breaks = body[:used], quotes[:used], within[:used], newlines[:used], breaks[:used]
    opening, closing = np.flatnonzero(quotes & within), np.flatnonzero(quotes & ~within)
    if not _well_quoted(body, opening, closing, form):
        return None
    separators = np.flatnonzero(breaks | ((body == form.delimiter[0]) & ~within))
    line_ends = np.flatnonzero(newlines)
    found = _columns(body, separators, breaks, form.fields, np.searchsorted(line_ends, np.flatnonzero(breaks), "right"))
    several = np.searchsorted(line_ends, found.ends) > np.searchsorted(line_ends, found.starts)
    if (several & ((found.counts != form.fields) | (found.ends - found.starts > LONGEST))).any():
        return None
    _unquote(body, found, form.quote[0])
    doubled = opening[(opening > 0) & (body[opening - 1] == form.quote[0])]
    found.doubled = _places(found, doubled)
    found.breaks = len(line_ends)
    return found, used


def _well_quoted(body: Bytes, opening: Positions, closing: Positions, form: Form) -> bool:
    """Whether every quote opens a field at its start, closes it at its end, or is doubled."""
    assert form.quote is not None  # noqa: S101
    assert form.delimiter is not None  # noqa: S101
    quote, delimiter = form.quote[0], form.delimiter[0]
    before = body[opening[opening > 0] - 1]
    # Every block ends with a line break, so that something follows each closing quote, and a line end each return.
    after = body[closing + 1]
    returned = closing[after == _RETURN]
    return bool(
        np.isin(before, (delimiter, _NEWLINE, quote)).all()
        and np.isin(after, (delimiter, _NEWLINE, quote, _RETURN)).all()
        and (body[returned + 2] == _NEWLINE).all()
    )


def _columns(body: Bytes, separators: Positions, breaks: Mask, fields: int, lines: Positions | None) -> Split:
    """Records and values from where they are separated; `lines` is the line after each record (None: one each)."""
    places = np.flatnonzero(breaks[separators])
    ends = separators[places]
    starts = np.concatenate(([0], ends[:-1] + 1)) if len(ends) else ends
    line = np.arange(len(ends)) if lines is None else np.concatenate(([0], lines[:-1]))[: len(ends)]
    counts = np.diff(places, prepend=-1)
    first = places - counts + 1
    right = first[counts == fields]
    bounds = separators[right[:, None] + np.arange(fields)]
    every = len(ends)
    blank = (ends == starts) | ((ends == starts + 1) & (body[starts] == _RETURN)) if len(ends) else np.zeros(0, bool)
    if blank.any():
        bounds = bounds[~blank[counts == fields]]
        starts, ends, line, counts = (array[~blank] for array in (starts, ends, line, counts))
    return _whole(body, starts, ends, line, counts, np.flatnonzero(counts == fields), bounds, every)


def _whole(
    body: Bytes,
    starts: Positions,
    ends: Positions,
    line: Positions,
    counts: Positions,
    whole: Positions,
    bounds: Positions,
    breaks: int,
) -> Split:
    """Records, of which the whole ones' fields end at `bounds` [whole, fields]."""
    field_ends = np.ascontiguousarray(bounds.astype(np.int32).T)
    field_starts = np.empty_like(field_ends)
    field_starts[1:] = field_ends[:-1] + 1
    field_starts[0] = starts[whole]
    last = field_ends[-1]
    last -= (last > field_starts[-1]) & (body[last - 1] == _RETURN)
    return Split(starts, ends, line, counts, whole, field_starts, field_ends, [], breaks)


def _unquote(body: Bytes, found: Split, quote: int) -> None:
    starts, ends = found.field_starts, found.field_ends
    quoted = (body[starts] == quote) & (ends > starts)
    starts += quoted
    ends -= quoted


def _places(found: Split, positions: Positions) -> list[tuple[int, int]]:
    """The values in which these positions lie."""
    rows = np.searchsorted(found.ends[found.whole], positions)
    there = rows < len(found.whole)
    places = set()
    for row, position in zip(rows[there].tolist(), positions[there].tolist(), strict=True):
        field = int(np.searchsorted(found.field_starts[:, row], position, side="right")) - 1
        if field >= 0 and position < found.field_ends[field, row]:
            places.add((field, row))
    return sorted(places)

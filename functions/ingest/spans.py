"""Texts of rows as bytes that lie somewhere, and lines made of them without a loop over the rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ingest.parsing import Bytes, Mask, Positions

_MINUS, _POINT, _ZERO = 45, 46, 48
# Digits of the largest number of 64 bits.
_MOST = 20
# Digits of a decimal that is written here, those of them behind the point, and the least one without an exponent.
_WHOLE, _BEHIND, _EXACT, _PLAIN = 15, 9, 1e15, 1e-4
# Days from 1970 to the end of the year 9999.
_DAYS = 2_932_896
# Texts, and bytes of them, that are joined at a time: what is computed on the way stays in the processor's cache.
_AT_ONCE, _BYTES = 1 << 15, 1 << 16


@dataclass(frozen=True)
class Spans:
    """Texts [rows]: where each begins in `data`, and how many bytes it has; one that is missing has none."""

    data: Bytes
    starts: Positions
    lengths: Positions

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, rows: Positions | Mask | slice) -> Spans:
        return Spans(self.data, self.starts[rows], self.lengths[rows])

    def only(self, there: Mask) -> Spans:
        """Nothing in place of the others."""
        return Spans(self.data, self.starts, np.where(there, self.lengths, 0))

    def texts(self) -> list[bytes]:
        """Each by itself."""
        data, ends = self.data.data, self.starts + self.lengths
        return [bytes(data[start:end]) for start, end in zip(self.starts.tolist(), ends.tolist(), strict=True)]

    def holding(self, byte: int) -> Positions:
        """The rows of those in which this byte is."""
        places = np.flatnonzero(self.data == byte)
        if not len(places):
            return places
        before = np.searchsorted(places, self.starts)
        return np.flatnonzero(np.searchsorted(places, self.starts + self.lengths) > before)

    def put(self, rows: Positions, texts: Sequence[bytes]) -> Spans:
        """The same with other texts in these rows."""
        theirs, starts, lengths = of(texts), self.starts.copy(), self.lengths.copy()
        starts[rows], lengths[rows] = theirs.starts + len(self.data), theirs.lengths
        return Spans(np.concatenate([self.data, theirs.data]), starts, lengths)


def of(texts: Sequence[bytes]) -> Spans:
    """Texts from Python."""
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    return Spans(np.frombuffer(b"".join(texts), dtype=np.uint8), np.cumsum(lengths) - lengths, lengths)


def same(text: bytes, rows: int) -> Spans:
    """One text in every row."""
    return of([text])[np.zeros(rows, dtype=np.int64)]


def stacked(parts: Sequence[Spans]) -> Spans:
    """The rows of one after those of the other."""
    shifts = np.cumsum([0, *(len(part.data) for part in parts)])
    return Spans(
        np.concatenate([part.data for part in parts]),
        np.concatenate([part.starts + shift for part, shift in zip(parts, shifts[:-1], strict=True)]),
        np.concatenate([part.lengths for part in parts]),
    )


def joined(columns: Sequence[Spans]) -> Bytes:
    """The texts of the first row, one behind the other, then those of the second, and so on."""
    data = np.concatenate([column.data for column in columns]) if len(columns) > 1 else columns[0].data
    shifts = np.cumsum([0, *(len(column.data) for column in columns)])[:-1]
    out = np.empty(sum(int(column.lengths.sum()) for column in columns), dtype=np.uint8)
    position, rows = 0, max(1, _AT_ONCE // len(columns))
    for low in range(0, len(columns[0]), rows):
        part = slice(low, low + rows)
        starts = np.stack([column.starts[part] + shift for column, shift in zip(columns, shifts, strict=True)], axis=1)
        lengths = np.stack([column.lengths[part] for column in columns], axis=1)
        there = lengths != 0
        position += _copied(data, starts[there], lengths[there], out[position:])
    return out


def _copied(data: Bytes, starts: Positions, lengths: Positions, out: Bytes) -> int:
    """Write texts that are not empty one behind the other; answers how many bytes they are."""
    ends = np.cumsum(lengths)
    # From one byte to the next it is one place on; from a text's last one to the next text's first, as many as lie
    # between.
    between = starts[1:] - (starts[:-1] + lengths[:-1]) + 1
    bounds = np.searchsorted(ends, np.arange(_BYTES, int(ends[-1]) if len(ends) else 0, _BYTES)).tolist()
    steps = np.empty(0, dtype=np.int64)
    first = 0
    for low, high in zip([0, *bounds], [*bounds, len(ends)], strict=True):
        if low == high:
            continue
        size = int(ends[high - 1]) - first
        if len(steps) < size:
            steps = np.empty(max(size, _BYTES), dtype=np.int64)
        places = steps[:size]
        places[:] = 1
        places[0] = starts[low]
        places[ends[low : high - 1] - first] = between[low : high - 1]
        np.take(data, np.cumsum(places, out=places), out=out[first : first + size], mode="clip")
        first += size
    return first


def numbers(values: npt.NDArray[np.int64]) -> Spans:
    """Whole numbers."""
    body = np.empty((len(values), _MOST), dtype=np.uint8)
    return _signed(body, values < 0, _digits(body, np.abs(values).view(np.uint64)), _MOST)


def decimals(values: npt.NDArray[np.float64], other: Callable[[Positions], Sequence[bytes]]) -> Spans:
    """Decimals in as few digits as tell them from all others; `other` writes those at the places that it is given.

    Decimals of up to 15 digits are float64s of their own. So the first number of places behind the point with which the
    quotient of digits and power of ten is the value, to the last bit (Clinger 1990), is the shortest.
    """
    sizes = np.abs(values)
    left = np.flatnonzero(((sizes >= _PLAIN) & (sizes < _EXACT)) | (sizes == 0))
    behind = np.zeros(len(values), dtype=np.int64)
    digits = np.zeros(len(values), dtype=np.uint64)
    for places in range(1, _BEHIND + 1):
        scaled = np.rint(sizes[left] * 10.0**places)
        same = (scaled < _EXACT) & (scaled / 10.0**places == sizes[left])
        behind[left[same]], digits[left[same]] = places, scaled[same].astype(np.uint64)
        left = left[~same]
    powers = (10 ** np.arange(_BEHIND + 1, dtype=np.uint64))[behind]
    body = np.empty((len(values), 1 + _WHOLE + 1 + _BEHIND), dtype=np.uint8)
    point = 1 + _WHOLE
    body[:, point] = _POINT
    # All places behind the point, of which as many count as there are.
    rest = digits % powers * (10 ** np.arange(_BEHIND, -1, -1, dtype=np.uint64))[behind]
    _digits(body[:, point + 1 :], rest, _BEHIND)
    found = _signed(body, np.signbit(values), _digits(body[:, :point], digits // powers), point)
    found.lengths[:] += 1 + behind
    rows = np.flatnonzero(behind == 0)
    return found.put(rows, other(rows)) if len(rows) else found


def days(values: npt.NDArray[np.int64]) -> Spans:
    """Dates of the years 1 to 9999, as days since 1970, as yyyy-MM-dd."""
    low, high = int(values.min(initial=_DAYS)), int(values.max(initial=0))
    # Dates mostly lie close together: each is written once.
    close = high - low < len(values)
    every = np.arange(low, high + 1) if close else values
    size = len("yyyy-MM-dd")
    written = np.datetime_as_string(every.astype("datetime64[D]")).astype(f"U{size}")
    places = values - low if close else np.arange(len(values))
    return Spans(written.view(np.uint32).astype(np.uint8), places * size, np.full(len(values), size))


def _digits(body: npt.NDArray[np.uint8], sizes: npt.NDArray[np.uint64], least: int = 1) -> Positions:
    """Write numbers to the right end of `body` [rows, places], and how many digits each of them has."""
    lengths = np.full(len(sizes), least)
    top, width = int(sizes.max(initial=0)), body.shape[1]
    if top < 1 << 32:
        sizes = sizes.astype(np.uint32)
    ten: Any = sizes.dtype.type(10)
    place = 0
    while place < least or top:
        more = sizes // ten
        body[:, width - 1 - place] = sizes - more * ten + sizes.dtype.type(_ZERO)
        if place >= least:
            lengths += sizes != 0
        sizes, top, place = more, top // 10, place + 1
    return lengths


def _signed(body: npt.NDArray[np.uint8], minus: Mask, lengths: Positions, end: int) -> Spans:
    """The numbers whose digits end at this place of each row, with a sign in front of those below zero."""
    width = body.shape[1]
    starts = np.arange(len(body)) * width + end - lengths
    rows = np.flatnonzero(minus)
    if len(rows):
        flat = body.reshape(-1)
        flat[starts[rows] - 1] = _MINUS
        starts[rows] -= 1
        lengths = lengths + minus
    return Spans(body.reshape(-1), starts, lengths)

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
# Four digits at a time, as one value: those of every number that has no more.
_FOUR = 4
_FOURS = (np.arange(10**_FOUR)[:, None] // (1000, 100, 10, 1) % 10 + _ZERO).astype(np.uint8).view(np.uint32)[:, 0]
# Digits of a decimal that is written here, those of them behind the point, and the least one without an exponent.
_WHOLE, _BEHIND, _EXACT, _PLAIN = 15, 9, 1e15, 1e-4
# Days from 1970 to the end of the year 9999.
_DAYS = 2_932_896
# Bytes of lines that are written at a time, and how many times the bytes of their texts they may have.
_BYTES, _LOOSE = 4 << 20, 4
# Texts, and bytes of them, that are copied at a time: what is computed on the way stays in the processor's cache.
_TEXTS, _STEPS = 1 << 15, 1 << 16


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

    def first(self, most: int) -> Spans:
        """No more than so many bytes of each, in memory of their own."""
        width = min(most, int(self.lengths.max(initial=0)))
        body = self.wide(width).view(np.uint8) if width else np.zeros(0, dtype=np.uint8)
        return Spans(body, np.arange(len(self)) * width, np.minimum(self.lengths, width))

    def near(self) -> Spans:
        """The same in no more data than lies between the first and the last of them."""
        low = int(self.starts.min(initial=len(self.data)))
        return Spans(
            self.data[low : int((self.starts + self.lengths).max(initial=low))], self.starts - low, self.lengths
        )

    def wide(self, width: int) -> npt.NDArray[Any]:
        """So many bytes from each one's beginning on [rows], as one value; anything behind its end."""
        data = self.data
        if int(self.starts.max(initial=0)) + width > len(data):
            data = np.concatenate([data, np.zeros(width, dtype=np.uint8)])
        return _strips(data, width)[self.starts]

    def holding(self, byte: int) -> Positions:
        """The rows of those in which this byte is."""
        places = np.flatnonzero(self.data == byte)
        if not len(places):
            return places
        before = np.searchsorted(places, self.starts)
        return np.flatnonzero(np.searchsorted(places, self.starts + self.lengths) > before)

    def put(self, rows: Positions, texts: Sequence[bytes]) -> Spans:
        """The same with other texts in these rows."""
        if not len(rows):
            return self
        theirs, starts, lengths = of(texts), self.starts.copy(), self.lengths.copy()
        starts[rows], lengths[rows] = theirs.starts + len(self.data), theirs.lengths
        return Spans(np.concatenate([self.data, theirs.data]), starts, lengths)


@dataclass(frozen=True)
class Mark:
    """The same byte in each of these rows [rows], nothing in the others."""

    byte: int
    there: Mask

    def __len__(self) -> int:
        return len(self.there)

    def __getitem__(self, rows: slice) -> Mark:
        return Mark(self.byte, self.there[rows])

    @property
    def lengths(self) -> Mask:
        """How many bytes each row has of it."""
        return self.there

    def near(self) -> Spans:
        """The same as texts."""
        lengths = self.there.astype(np.int64)
        return Spans(np.array([self.byte], dtype=np.uint8), np.zeros_like(lengths), lengths)


def marks(text: bytes, rows: int) -> list[Mark]:
    """A text that stands in every row."""
    every = np.ones(rows, dtype=bool)
    return [Mark(byte, every) for byte in text]


def of(texts: Sequence[bytes]) -> Spans:
    """Texts from Python."""
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    return Spans(np.frombuffer(b"".join(texts), dtype=np.uint8), np.cumsum(lengths) - lengths, lengths)


def stacked(parts: Sequence[Spans]) -> Spans:
    """The rows of one after those of the other."""
    shifts = np.cumsum([0, *(len(part.data) for part in parts)])
    return Spans(
        np.concatenate([part.data for part in parts]),
        np.concatenate([part.starts + shift for part, shift in zip(parts, shifts[:-1], strict=True)]),
        np.concatenate([part.lengths for part in parts]),
    )


def joined(columns: Sequence[Spans | Mark]) -> Bytes:
    """The texts of the first row, one behind the other, then those of the second, and so on."""
    widths = [int(column.lengths.max(initial=0)) for column in columns]
    every, line = len(columns[0]), sum(widths)
    out = np.empty(sum(int(column.lengths.sum()) for column in columns), dtype=np.uint8)
    # Where a few texts are much longer than the others, lines of one length would be mostly empty.
    alike = every * line <= _LOOSE * len(out)
    write, rows = (_overlaid, _BYTES // max(1, line)) if alike else (_copied, _TEXTS // len(columns))
    position, rows = 0, max(1, rows)
    for low in range(0, every, rows):
        position += write([column[low : low + rows] for column in columns], widths, out[position:])
    return out


def _overlaid(columns: Sequence[Spans | Mark], widths: Sequence[int], out: Bytes) -> int:
    """Write texts of about the same lengths; answers how many bytes they are.

    Each goes to its row's end so far in lines of one length, with as many bytes as the column's longest one has: what
    lies behind it is written over by the next one.
    """
    rows, line = len(columns[0]), sum(widths)
    body = np.empty(rows * line, dtype=np.uint8)
    begins = np.arange(rows) * line
    ends = begins.copy()
    for column, width in zip(columns, widths, strict=True):
        if isinstance(column, Mark):
            body[ends] = column.byte
            ends += column.there
        elif width:
            _strips(body, width)[ends] = column.wide(width)
            ends += column.lengths
    lengths = ends - begins
    size = int(lengths.sum())
    # The narrower the numbers, the quicker so many are compared.
    kind = np.min_scalar_type(line)
    out[:size] = body.reshape(rows, line)[np.arange(line, dtype=kind) < lengths.astype(kind)[:, None]]
    return size


def _copied(columns: Sequence[Spans | Mark], _widths: Sequence[int], out: Bytes) -> int:
    """The same of any texts, byte by byte."""
    near = [column.near() for column in columns]
    data = np.concatenate([column.data for column in near])
    shifts = np.cumsum([0, *(len(column.data) for column in near)])[:-1]
    starts = np.stack([column.starts + shift for column, shift in zip(near, shifts, strict=True)], axis=1)
    lengths = np.stack([column.lengths for column in near], axis=1)
    there = lengths != 0
    starts, lengths = starts[there], lengths[there]
    ends = np.cumsum(lengths)
    # From one byte to the next it is one place on; from a text's last one to the next text's first, as many as lie
    # between.
    between = starts[1:] - (starts[:-1] + lengths[:-1]) + 1
    bounds = np.searchsorted(ends, np.arange(_STEPS, int(ends[-1]) if len(ends) else 0, _STEPS)).tolist()
    steps = np.empty(0, dtype=np.int64)
    first = 0
    for low, high in zip([0, *bounds], [*bounds, len(ends)], strict=True):
        if low == high:
            continue
        size = int(ends[high - 1]) - first
        if len(steps) < size:
            steps = np.empty(max(size, _STEPS), dtype=np.int64)
        places = steps[:size]
        places[:] = 1
        places[0] = starts[low]
        places[ends[low : high - 1] - first] = between[low : high - 1]
        np.take(data, np.cumsum(places, out=places), out=out[first : first + size], mode="clip")
        first += size
    return first


def _strips(data: Bytes, width: int) -> npt.NDArray[Any]:
    """So many bytes from each place on, as one value; nothing is copied."""
    return np.ndarray(len(data) - width + 1, dtype=f"V{width}", buffer=data.data, strides=(1,))


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
    # As many places behind the point as the longest has, in whole fours, of which as many count as there are.
    most = -(-int(behind.max(initial=1)) // _FOUR) * _FOUR
    powers = 10 ** np.arange(most + 1, dtype=np.uint64)
    point = 1 + _WHOLE
    body = np.empty((len(values), point + 1 + most), dtype=np.uint8)
    body[:, point] = _POINT
    whole = digits // powers[behind]
    _digits(body[:, point + 1 :], (digits - whole * powers[behind]) * powers[most - behind], most)
    found = _signed(body, np.signbit(values), _digits(body[:, :point], whole), point)
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
    """Write numbers to the right end of `body` [rows, places], and how many digits each of them has.

    Four digits at a time, so that there is room for whole fours.
    """
    lengths = np.full(len(sizes), least)
    top, end = int(sizes.max(initial=0)), body.shape[1]
    if top < 1 << 32:
        sizes = sizes.astype(np.uint32)
    for place in range(least, len(str(top))):
        lengths += sizes >= sizes.dtype.type(10**place)
    for place in range(end, end - max(least, len(str(top))), -_FOUR):
        more = sizes // sizes.dtype.type(10**_FOUR)
        body[:, place - _FOUR : place].view(_FOURS.dtype)[:, 0] = _FOURS[sizes - more * sizes.dtype.type(10**_FOUR)]
        sizes = more
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

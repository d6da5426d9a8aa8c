"""Fields of a text as numbers and dates, many at a time: eight characters are one 64-bit word.

Everything here is careful and quick: it reads the usual ways of writing a value and says which fields it did not read.
Those are read by the engine's exact rules (`ingest.checks.typed`); nothing is read here that they would not take.

Positions are those of a block's bytes with `PAD` bytes before and behind, so that words can be read around any field.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

PAD = 64
# Rows at a time: what is computed on the way stays in the processor's cache.
_SLICE = 1 << 15

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Positions = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Read = tuple[npt.NDArray[Any], Mask]


def _word(byte: int) -> np.uint64:
    return np.uint64(byte * 0x0101010101010101)


_ZEROS, _SIXES, _HIGH, _THREES = _word(0x30), _word(0x06), _word(0xF0), _word(0x33)
_TOP, _REST = _word(0x80), _word(0x7F)
_8, _16, _32, _4, _10, _56, _64, _255 = (np.uint64(number) for number in (8, 16, 32, 4, 10, 56, 64, 255))
_PAIRS, _BY_100, _BY_10000 = (
    np.uint64(number) for number in (0x000000FF000000FF, 0x000F424000000064, 0x0000271000000001)
)
# The last n bytes of a word (in memory), and the first n.
_LAST = np.array([(0xFFFFFFFFFFFFFFFF << (64 - 8 * n)) & 0xFFFFFFFFFFFFFFFF for n in range(9)], dtype=np.uint64)
_FIRST = np.array([(1 << (8 * n)) - 1 for n in range(9)], dtype=np.uint64)
_POWERS = 10.0 ** np.arange(16)
_DASH, _COLON, _Z = 45, 58, 90
# Where yyyy, MM and dd stand in yyyyMMdd.
_YEAR, _MONTH, _DAY = (np.uint64(bits) for bits in (0xFFFFFFFF, 0xFFFF << 32, 0xFFFF << 48))
_YEARS = range(1000, 10_000)
_MONTHS = np.arange("1000-01", "10000-01", dtype="datetime64[M]")
_FIRST_DAYS = _MONTHS.astype("datetime64[D]").astype(np.int64)
_LENGTHS = np.diff(np.append(_FIRST_DAYS, np.datetime64("10000-01-01", "D").astype(np.int64)))
_MICROSECONDS = 1_000_000


@dataclass(frozen=True)
class Fields:
    """One column of a block: where its values begin and end [rows] in `data`, whose words are `words`."""

    data: Bytes
    words: Words
    starts: npt.NDArray[np.int32] | Positions
    ends: npt.NDArray[np.int32] | Positions

    def __len__(self) -> int:
        return len(self.starts)

    def part(self, at: slice | Positions) -> Fields:
        """Some of the rows."""
        return Fields(self.data, self.words, self.starts[at].astype(np.int64), self.ends[at].astype(np.int64))


@dataclass(frozen=True)
class Values:
    """A column [rows]: which values are missing, which are there and of the type, and these.

    Numbers are int64 or float64, truths bool, dates days and timestamps microseconds since 1970 (int64); the texts of
    a string column stay where they are, and `values` is None.
    """

    missing: Mask
    there: Mask
    values: npt.NDArray[Any] | None


def words_of(data: Bytes) -> Words:
    """The eight bytes from each position on, as one number each; nothing is copied."""
    return np.ndarray(len(data) - 7, dtype="<u8", buffer=data.data, strides=(1,))


def integers(fields: Fields) -> Read:
    """Whole numbers of up to 16 digits, maybe with a minus: values (int64) and which were read."""
    return _sliced(fields, np.dtype(np.int64), _integers)


def decimals(fields: Fields, mark: str = ".") -> Read:
    """Numbers of up to 15 digits, at most 7 of them after the mark: values (float64) and which were read.

    Digits and power of ten are exact in a float64, and so is their quotient, to the last bit (Clinger 1990).
    """
    return _sliced(fields, np.dtype(np.float64), lambda part: _decimals(part, _word(ord(mark))))


def dates(fields: Fields) -> Read:
    """Dates written yyyy-MM-dd from the year 1000 on: days since 1970 (int64) and which were read."""
    return _sliced(fields, np.dtype(np.int64), lambda part: _dates(part, part.ends - part.starts == 10))


def moments(fields: Fields) -> Read:
    """Times written yyyy-MM-dd, T or a blank, HH:mm:ss, maybe Z: microseconds since 1970 (int64), which were read."""
    return _sliced(fields, np.dtype(np.int64), _moments)


def equal(fields: Fields, text: bytes) -> Mask:
    """Which fields are exactly this text."""
    found: Mask = np.asarray(fields.ends - fields.starts == len(text))
    candidates = np.flatnonzero(found)
    if len(text) and len(candidates):
        length = min(len(text), 8)
        start = np.uint64(int.from_bytes(text[:length], "little"))
        same = (fields.words[fields.starts[candidates]] & _FIRST[length]) == start
        found[candidates[~same]] = False
        if len(text) > 8:
            for index in candidates[same].tolist():
                whole = fields.data[fields.starts[index] : fields.ends[index]].tobytes()
                found[index] = whole == text
    return found


def views(fields: Fields) -> Words:
    """Arrow's views [rows, 2]: the length, and the text itself up to 12 bytes, or its first 4 and where it lies."""
    found = np.empty((len(fields), 2), dtype=np.uint64)
    for low in range(0, len(fields), _SLICE):
        part, out = fields.part(slice(low, low + _SLICE)), found[low : low + _SLICE]
        lengths = part.ends - part.starts
        head = part.words[part.starts] & _FIRST[np.minimum(lengths, 4)]
        out[:, 0] = lengths.view(np.uint64) | (head << _32)
        tail = part.words[part.starts + 4] & _FIRST[np.clip(lengths - 4, 0, 8)]
        out[:, 1] = np.where(lengths <= 12, tail, part.starts.view(np.uint64) << _32)
    return found


def _sliced(fields: Fields, kind: np.dtype[Any], read: Callable[[Fields], Read]) -> Read:
    values, good = np.empty(len(fields), dtype=kind), np.empty(len(fields), dtype=bool)
    for low in range(0, len(fields), _SLICE):
        part = slice(low, low + _SLICE)
        values[part], good[part] = read(fields.part(part))
    return values, good


def _digits(word: Words, count: Positions) -> tuple[Words, Mask]:
    """The last `count` (0 to 8) characters of each word as a number, and whether all of them are digits.

    Validation and the three multiplications are those of simdjson (Langdale and Lemire 2019, "Parsing Gigabytes of
    JSON per Second"), a column at a time.
    """
    used = _LAST[count]
    return _eight((word & used) | (_ZEROS & ~used))


def _eight(word: Words) -> tuple[Words, Mask]:
    """All eight characters of each word as a number, and whether all of them are digits."""
    good = ((word & _HIGH) | (((word + _SIXES) & _HIGH) >> _4)) == _THREES
    word = word - _ZEROS
    word = word * _10 + (word >> _8)
    word = ((word & _PAIRS) * _BY_100 + ((word >> _16) & _PAIRS) * _BY_10000) >> _32
    return word, good


def _begun(fields: Fields, last: Words, length: Positions) -> npt.NDArray[Any]:
    """The fields' first characters; of those of up to eight it is in the word that they end with."""
    first = (last >> (_64 - (_8 * length.view(np.uint64)))) & _255
    long = np.flatnonzero(length > 8)
    first[long] = fields.data[fields.starts[long]]
    return first


def _integers(fields: Fields) -> Read:
    length, last = fields.ends - fields.starts, fields.words[fields.ends - 8]
    minus = _begun(fields, last, length) == _DASH
    length -= minus
    number, good = _digits(last, np.minimum(length, 8))
    good &= (length > 0) & (length <= 16)
    if length.max() > 8:
        high, digits = _digits(fields.words[fields.ends - 16], np.clip(length - 8, 0, 8))
        number, good = number + high * np.uint64(10**8), good & digits
    value = number.view(np.int64)
    return (np.where(minus, -value, value) if minus.any() else value), good


def _decimals(fields: Fields, mark: np.uint64) -> Read:
    length, last = fields.ends - fields.starts, fields.words[fields.ends - 8]
    long = np.flatnonzero(length > 8)
    if not len(long):
        return _marked(fields, last, None, length, mark)
    if len(long) > len(length) // 2:
        return _marked(fields, last, fields.words[fields.ends - 16], length, mark)
    # A second word is read for the few that are longer than one.
    values, good = _marked(fields, last, None, length, mark)
    part = fields.part(long)
    values[long], good[long] = _marked(part, last[long], part.words[part.ends - 16], length[long], mark)
    return values, good


def _marked(fields: Fields, last: Words, before: Words | None, length: Positions, mark: np.uint64) -> Read:
    """Decimals that end in these words, `before` the eight characters in front of them; None: these do not count."""
    minus = _begun(fields, last, length) == _DASH
    length = length - minus
    # The highest bit of each byte that is the mark (Mycroft's test); what lies before the field does not count.
    other = last ^ mark
    marks = ~(((other & _REST) + _REST) | other | _REST) & _LAST[np.clip(length, 0, 8)]
    pointed = marks != 0
    # The mark's byte from the binary exponent: a single bit is exact in a float64.
    after = np.where(pointed, 7 - ((np.frexp(marks.astype(np.float64))[1] - 1) >> 3), 0)
    keep = _LAST[after]
    digits = length - pointed
    # Without the mark: the characters before it move up by one.
    moved = (last << _8) & ~keep
    closed = np.where(pointed, (last & keep) | (moved if before is None else moved | (before >> _56)), last)
    number, good = _digits(closed, np.clip(digits, 0, 8))
    good &= (digits > 0) & (digits < 16) & (length <= 16)
    if before is not None:
        high, rest = _digits(np.where(pointed, before << _8, before), np.clip(digits - 8, 0, 8))
        number, good = number + high * np.uint64(10**8), good & rest
    value = number.astype(np.float64) / _POWERS[after]
    return (np.where(minus, -value, value) if minus.any() else value), good


def _dates(fields: Fields, good: Mask) -> Read:
    """Days of the dates that begin at the fields' starts; only those that are `good` have ten characters."""
    start, end = fields.words[fields.starts], fields.words[fields.starts + 2]
    dashes = ((start >> _32) & np.uint64(0xFF) == _DASH) & (start >> _56 == _DASH)
    written, digits = _eight((start & _YEAR) | ((start >> _8) & _MONTH) | (end & _DAY))
    months = written // np.uint64(100)
    day = written - months * np.uint64(100)
    year = months // np.uint64(100)
    month = months - year * np.uint64(100)
    good = good & dashes & digits & (year >= _YEARS.start) & (month >= 1) & (month <= 12)
    place = np.where(good, (year - _YEARS.start) * 12 + month - 1, 0).astype(np.int64)
    good &= (day >= 1) & (day <= _LENGTHS[place])
    return _FIRST_DAYS[place] + day.astype(np.int64) - 1, good


def _moments(fields: Fields) -> Read:
    length = fields.ends - fields.starts
    good = (length == 19) | ((length == 20) & (fields.data[fields.ends - 1] == _Z))
    # Short fields read their neighbours here, but never beyond the block's own padding.
    starts = np.where(good, fields.starts, 0)
    part = Fields(fields.data, fields.words, starts, starts)
    day, good = _dates(part, good)
    between = fields.data[starts + 10]
    clock = fields.words[starts + 11]
    good &= (between == ord("T")) | (between == ord(" "))
    good &= ((clock >> _16) & np.uint64(0xFF) == _COLON) & ((clock >> np.uint64(40)) & np.uint64(0xFF) == _COLON)
    seconds = np.zeros(len(fields), dtype=np.int64)
    for shift, limit, unit in ((48, 24, 3600), (24, 60, 60), (0, 60, 1)):
        number, digits = _digits(clock << np.uint64(shift), np.full(len(fields), 2))
        good &= digits & (number < limit)
        seconds += number.astype(np.int64) * unit
    return day * (86_400 * _MICROSECONDS) + seconds * _MICROSECONDS, good

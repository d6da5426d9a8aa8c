"""Parquet's footer: where the row groups lie, and footers of some of them, or of those of several files, as one file.

The footer is the structure `FileMetaData` of
https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
in Thrift's compact protocol (https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md). Only
its number of rows, its list of row groups and the places that these name are touched; whatever else is in it stays as
it is.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

MAGIC = b"PAR1"
# Behind the footer: its length and the magic number.
TAIL = 8
_ROWS, _GROUPS = 3, 4
_STOP, _TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT, _UUID = 0, 1, 2, 3, 7, 8, 9, 10, 11, 12, 13
_FIXED = {_TRUE: 0, _FALSE: 0, _BYTE: 1, _DOUBLE: 8, _UUID: 16}
_NUMBERS = (4, 5, 6)
_LONG = 15
# No number of the protocol is longer.
_BITS = 64
# A row group's fields that are places in the file, by their numbers, those inside of others inside: of its columns the
# chunk's own (2), its indexes' (4, 6), and its description's pages (9, 10, 11) and Bloom filter (14); its own (5).
_PLACES: dict[int, Any] = {1: {2: {}, 3: {9: {}, 10: {}, 11: {}, 14: {}}, 4: {}, 6: {}}, 5: {}}


class Footer:
    """A footer of which parts can be made."""

    def __init__(self, data: bytes) -> None:
        """Take it apart.

        Raises:
            ValueError: it is none.
        """
        self._data = data
        spans: dict[int, tuple[int, int]] = {}
        place, number = 0, 0
        try:
            while (kind := data[place] & 15) != _STOP:
                number, place = _field(data, place, number)
                begin, place = place, _after(data, place, kind)
                spans[number] = (begin, place)
            self._rows, (begin, self._end) = spans[_ROWS], spans[_GROUPS]
            count, kind, place = _listed(data, begin)
            _fits(data, place, count)
            ends = [place]
            for _ in range(count):
                ends.append(_after(data, ends[-1], kind))
        except (IndexError, KeyError, RecursionError) as error:
            raise ValueError("no footer of a Parquet file") from error
        self._begin, self._groups = begin, list(pairwise(ends))
        if self._rows[1] > begin:
            raise ValueError("the number of rows stands behind the row groups")

    @property
    def rows(self) -> int:
        """How many rows the file has."""
        return _number(self._data, self._rows[0])[0] >> 1

    @property
    def groups(self) -> int:
        """How many row groups it has."""
        return len(self._groups)

    def moved(self, by: int) -> bytes:
        """The row groups as they are listed when they lie so many bytes further on."""
        return b"".join(_moved(self._data, begin, _STRUCT, _PLACES, by)[0] for begin, _ in self._groups)

    def of(self, first: int, last: int, rows: int) -> bytes:
        """The end of a file that holds the row groups `first` to `last` (not included) of so many rows."""
        chosen = self._groups[first:last]
        return self.listing(len(chosen), self._data[chosen[0][0] : chosen[-1][1]], rows)

    def listing(self, groups: int, listed: bytes, rows: int) -> bytes:
        """The end of a file of the same columns that holds so many row groups, listed like this, of so many rows."""
        data = self._data
        header = bytes([groups << 4 | _STRUCT]) if groups < _LONG else bytes([_LONG << 4 | _STRUCT]) + _varint(groups)
        body = data[: self._rows[0]] + _varint(rows << 1) + data[self._rows[1] : self._begin]
        body += header + listed + data[self._end :]
        return body + len(body).to_bytes(4, "little") + MAGIC


def footer_of(file: bytes) -> tuple[Footer, int]:
    """A whole file's footer, and where it begins.

    Raises:
        ValueError: it has none.
    """
    begin = len(file) - TAIL - int.from_bytes(file[-TAIL : -len(MAGIC)], "little")
    return Footer(file[begin:-TAIL]), begin


def _field(data: bytes, place: int, before: int) -> tuple[int, int]:
    """The number of the field whose header lies here, and where its value begins."""
    delta = data[place] >> 4
    if delta:
        return before + delta, place + 1
    coded, place = _number(data, place + 1)
    return (coded >> 1) ^ -(coded & 1), place


def _number(data: bytes, place: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        value |= (data[place] & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if data[place - 1] < 0x80:
            return value, place
        if shift > _BITS:
            raise IndexError(place)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _listed(data: bytes, place: int) -> tuple[int, int, int]:
    """Length and type of a list's elements, and where the first begins."""
    length, kind = data[place] >> 4, data[place] & 15
    if length < _LONG:
        return length, kind, place + 1
    length, place = _number(data, place + 1)
    return length, kind, place


def _fits(data: bytes, place: int, length: int) -> None:
    """Refuse to count what cannot be there: each element takes a byte at least."""
    if length > len(data) - place:
        raise IndexError(length)


def _element(kind: int) -> int:
    """The type of a list's or map's elements: alone, a truth is its field's type; there it is a byte."""
    return _BYTE if kind in {_TRUE, _FALSE} else kind


def _moved(data: bytes, place: int, kind: int, inside: dict[int, Any], by: int) -> tuple[bytes, int]:
    """A value with the places in it so many bytes further on, and the place behind it."""
    if not inside:
        found, place = _number(data, place)
        # Some writers leave a place that they do not name at 0.
        return _varint(found + (by << 1) if found else 0), place
    out = bytearray()
    if kind == _LIST:
        length, kind, behind = _listed(data, place)
        out += data[place:behind]
        for _ in range(length):
            value, behind = _moved(data, behind, kind, inside, by)
            out += value
        return bytes(out), behind
    number = 0
    while (kind := data[place] & 15) != _STOP:
        begin = place
        number, place = _field(data, place, number)
        out += data[begin:place]
        begin, place = place, _after(data, place, kind)
        out += _moved(data, begin, kind, inside[number], by)[0] if number in inside else data[begin:place]
    return bytes([*out, _STOP]), place + 1


def _after(data: bytes, place: int, kind: int) -> int:
    """The place behind a value."""
    if kind in _NUMBERS:
        return _number(data, place)[1]
    if kind in _FIXED:
        return place + _FIXED[kind]
    if kind == _BINARY:
        length, place = _number(data, place)
        return place + length
    if kind == _STRUCT:
        number = 0
        while (inner := data[place] & 15) != _STOP:
            number, place = _field(data, place, number)
            place = _after(data, place, inner)
        return place + 1
    if kind in {_LIST, _SET}:
        length, inner, place = _listed(data, place)
        _fits(data, place, length)
        for _ in range(length):
            place = _after(data, place, _element(inner))
        return place
    if kind == _MAP:
        length, place = _number(data, place)
        if not length:
            return place
        kinds, place = data[place], place + 1
        _fits(data, place, length)
        for _ in range(length):
            place = _after(data, _after(data, place, _element(kinds >> 4)), _element(kinds & 15))
        return place
    raise IndexError(kind)

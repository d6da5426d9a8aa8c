"""Finds a regular expression in many short texts at a time, without an engine: a text's places are a word's bits.

For each class of characters there is one word a text, whose bit i says whether character i is of the class, and one
word of markers: bit i is set when the pattern so far can end just before character i. A class moves the markers on by
a bit; a repeated class moves all of them through its runs with one addition, whose carry does the walking (Cameron et
al. 2014, "Bitwise data parallelism in regular expression matching"). So a pattern costs a few dozen operations on whole
columns, whatever its texts are.

The syntax is RE2's, of which the usual part is read here: literals, classes, `.`, groups, `|`, `^`, `$` and the
quantifiers. A pattern with anything else, and a text that is long or not ASCII, is left to the engine.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ingest.parsing import PAD, Fields, Mask

Markers = npt.NDArray[Any]
# Inclusive bounds of characters.
Ranges = tuple[tuple[int, int], ...]

_WORDS = {8: np.uint8, 16: np.uint16, 32: np.uint32, PAD: np.uint64}
# Texts at a time: what is computed on the way stays in the processor's cache.
_SLICE = 1 << 16
_MOST = 64
_LAST = 127
_DIGITS = ((48, 57),)
_BLANKS = ((9, 10), (12, 13), (32, 32))
_LETTERS = ((48, 57), (65, 90), (95, 95), (97, 122))
_CLASSES: dict[str, Ranges] = {"d": _DIGITS, "s": _BLANKS, "w": _LETTERS}
_CONTROLS = {"t": 9, "n": 10, "v": 11, "f": 12, "r": 13}
_NO_BREAK: Ranges = ((0, 9), (11, _LAST))


class _Streams:
    """Texts as words: `start` and `end` have the bit before the first and behind the last character."""

    def __init__(self, characters: npt.NDArray[np.uint8], lengths: npt.NDArray[Any], word: type[Any]) -> None:
        self._characters, self._word = characters, word
        self._found: dict[Ranges, Markers] = {}
        self._parts: dict[tuple[int, int], Markers] = {}
        self.start = word(1)
        self.end: Markers = np.left_shift(self.start, lengths.astype(word))

    def of(self, ranges: Ranges) -> Markers:
        """Which characters are within these bounds."""
        if ranges not in self._found:
            # One word a text: what is joined is a text's bits, not its bytes.
            self._found[ranges] = np.bitwise_or.reduce([self._part(low, high) for low, high in ranges])
        return self._found[ranges]

    def _part(self, low: int, high: int) -> Markers:
        if (low, high) not in self._parts:
            characters = self._characters
            among = characters == low if low == high else characters - np.uint8(low) <= high - low
            self._parts[low, high] = np.packbits(among, bitorder="little").view(self._word)
        return self._parts[low, high]


_Step = Callable[[Markers, _Streams], Markers]


class Pattern:
    """A pattern that may be found anywhere in a text, as RE2 finds it."""

    def __init__(self, step: _Step) -> None:
        self._step = step

    @classmethod
    def read(cls, written: str) -> Pattern | None:
        """None when it holds what is not read here."""
        try:
            return cls(_Reader(written).all())
        except _Unread:
            return None

    def missed(self, fields: Fields) -> tuple[Mask, Mask]:
        """Which texts it is not in, and which were not judged [rows]: those that are long or not ASCII."""
        lengths = fields.ends - fields.starts
        unread = lengths >= PAD
        longest = int((lengths[~unread] if unread.any() else lengths).max(initial=0))
        width = next(width for width in _WORDS if longest < width)
        texts = np.ndarray(len(fields.data) - width + 1, dtype=f"V{width}", buffer=fields.data.data, strides=(1,))
        missed = np.empty(len(fields), dtype=bool)
        for low in range(0, len(fields), _SLICE):
            part = slice(low, low + _SLICE)
            characters = texts[fields.starts[part]].view(np.uint8)
            streams = _Streams(characters, np.minimum(lengths[part], width - 1), _WORDS[width])
            within = (streams.end << streams.start) - streams.start
            missed[part] = self._step(within, streams) & within == 0
            if characters.max(initial=0) > _LAST:
                high = np.packbits(characters & 0x80, bitorder="little")
                unread[part] |= high.view(_WORDS[width]) & within >> streams.start != 0
        return missed, unread


class _Unread(Exception):
    """The pattern holds what is not read here."""


class _Reader:
    """Reads a pattern from left to right."""

    def __init__(self, written: str) -> None:
        if not written.isascii():
            raise _Unread
        self._rest = list(reversed(written))

    def all(self) -> _Step:
        step = self._choice()
        if self._rest:
            raise _Unread
        return step

    def _next(self) -> str:
        if not self._rest:
            raise _Unread
        return self._rest.pop()

    def _at(self, sign: str) -> bool:
        return bool(self._rest) and self._rest[-1] == sign

    def _choice(self) -> _Step:
        branches = [self._sequence()]
        while self._at("|"):
            self._next()
            branches.append(self._sequence())
        return branches[0] if len(branches) == 1 else partial(_any, branches)

    def _sequence(self) -> _Step:
        steps: list[_Step] = []
        while self._rest and self._rest[-1] not in "|)":
            steps += self._repeated(self._atom())
        if not steps:
            # RE2 does not find `(?:)$` where it finds `()$`.
            raise _Unread
        return partial(_one_after_the_other, steps)

    def _atom(self) -> _Step | Ranges:
        match sign := self._next():
            case "^":
                return _at_start
            case "$":
                return _at_end
            case ".":
                return _NO_BREAK
            case "[":
                return self._class()
            case "\\":
                return self._escaped()
            case "(":
                return self._group()
            case "*" | "+" | "?" | "{":
                raise _Unread
        return ((ord(sign), ord(sign)),)

    def _group(self) -> _Step:
        if self._at("?"):
            self._next()
            if self._next() != ":":
                raise _Unread
        step = self._choice()
        if self._next() != ")":
            raise _Unread
        return step

    def _escaped(self) -> Ranges:
        sign = self._next()
        if sign.lower() in _CLASSES:
            return _but(_CLASSES[sign.lower()]) if sign.isupper() else _CLASSES[sign]
        if sign in _CONTROLS:
            return ((_CONTROLS[sign], _CONTROLS[sign]),)
        if sign not in string.punctuation:
            raise _Unread
        return ((ord(sign), ord(sign)),)

    def _class(self) -> Ranges:
        negated = self._at("^")
        if negated:
            self._next()
        members: list[tuple[int, int]] = []
        # A bracket right at the start, or one more within, has a meaning that is not read here.
        while (sign := self._next()) != "]" or not members:
            if sign in "[]":
                raise _Unread
            low = self._escaped() if sign == "\\" else ((ord(sign), ord(sign)),)
            if self._at("-") and self._rest[-2:-1] != ["]"]:
                self._next()
                sign = self._next()
                high = self._escaped() if sign == "\\" else ((ord(sign), ord(sign)),)
                if sign in "[]" or len(low) > 1 or len(high) > 1 or low[0][0] > high[0][1]:
                    raise _Unread
                low = ((low[0][0], high[0][1]),)
            members += low
        joined = _joined(members)
        return _but(joined) if negated else joined

    def _repeated(self, atom: _Step | Ranges) -> list[_Step]:
        step = partial(_class, atom) if isinstance(atom, tuple) else atom
        if not self._rest or self._rest[-1] not in "*+?{":
            return [step]
        least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(self._next()) or self._bounds()
        if self._at("?"):
            # As few as possible: whether there is a match is the same.
            self._next()
        if self._rest and self._rest[-1] in "*+?{":
            raise _Unread
        if most is None:
            more: list[_Step] = [partial(_run, atom) if isinstance(atom, tuple) else partial(_often, step)]
        else:
            more = [partial(_maybe, step)] * (most - least)
        return [step] * least + more

    def _bounds(self) -> tuple[int, int | None]:
        inner = ""
        while (sign := self._next()) != "}":
            inner += sign
        low, comma, high = inner.partition(",")
        if not low.isdecimal() or (high and not high.isdecimal()):
            raise _Unread
        least = int(low)
        most = int(high) if high else None if comma else least
        if max(least, most or 0) > _MOST or (most is not None and most < least):
            raise _Unread
        return least, most


def _joined(ranges: Sequence[tuple[int, int]]) -> Ranges:
    """The same characters with as few bounds as can be."""
    joined: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if joined and low <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(high, joined[-1][1]))
        else:
            joined.append((low, high))
    return tuple(joined)


def _but(ranges: Ranges) -> Ranges:
    """All other characters of ASCII."""
    ends = [-1, *(place for bounds in _joined(ranges) for place in bounds), _LAST + 1]
    others = tuple((low + 1, high - 1) for low, high in zip(ends[::2], ends[1::2], strict=True) if low + 1 < high)
    if not others:
        raise _Unread
    return others


def _class(ranges: Ranges, markers: Markers, streams: _Streams) -> Markers:
    moved: Markers = (markers & streams.of(ranges)) << streams.start
    return moved


def _run(ranges: Ranges, markers: Markers, streams: _Streams) -> Markers:
    """The class any number of times: the addition carries each marker to the end of its run."""
    among = streams.of(ranges)
    return (((markers & among) + among) ^ among) | markers


def _maybe(step: _Step, markers: Markers, streams: _Streams) -> Markers:
    return markers | step(markers, streams)


def _often(step: _Step, markers: Markers, streams: _Streams) -> Markers:
    """Until no marker is new: at the latest when every place has one."""
    while ((more := _maybe(step, markers, streams)) != markers).any():
        markers = more
    return markers


def _any(branches: Sequence[_Step], markers: Markers, streams: _Streams) -> Markers:
    found = branches[0](markers, streams)
    for branch in branches[1:]:
        found = found | branch(markers, streams)
    return found


def _one_after_the_other(steps: Sequence[_Step], markers: Markers, streams: _Streams) -> Markers:
    for step in steps:
        markers = step(markers, streams)
    return markers


def _at_start(markers: Markers, streams: _Streams) -> Markers:
    kept: Markers = markers & streams.start
    return kept


def _at_end(markers: Markers, streams: _Streams) -> Markers:
    return markers & streams.end

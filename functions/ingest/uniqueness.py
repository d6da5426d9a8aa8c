"""Which keys came before, over any number of rows with little memory, and over any number of files.

A key is 64 bits where the value fits into them (a whole number, a decimal, a date) and else 128, the MD5 of its
unambiguous text. Whole numbers that lie close together are a bit each (`ingest.dense`). Of all others a Bloom filter
(Bloom 1970) knows of nearly every new key that it is new; the rest is looked for among all keys so far, which lie in
sorted runs: the newest in memory, older ones in files, of which memory keeps every 1,024th key, so that looking costs
one read a file.

**Key files**, by which uniqueness is judged across the files of a set: little-endian, 24 bytes a key: high 64 bits,
low 64 bits, row (from 1), sorted by these. Rows whose key has a missing part are not in it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ingest.dense import Dense
from ingest.parsing import Mask, Positions

Halves = npt.NDArray[np.uint64]
# Keys in memory before they are written down.
_IN_MEMORY = 2_000_000
_PAGE = 1024
_BITS_A_KEY = 12
_FEWEST_BITS = 1 << 24
_MIX = np.uint64(0x9E3779B97F4A7C15)
_UNMIX = np.uint64(pow(int(_MIX), -1, 1 << 64))
# Bits of a key by which the few that may be doubled are found.
_PREFIX = 16
_ONE, _6, _12, _32, _63 = (np.uint64(number) for number in (1, 6, 12, 32, 63))


@dataclass(frozen=True)
class Keys:
    """Keys of rows [rows]: 64 bits each, or 128 in two halves."""

    high: Halves
    low: Halves | None = None

    def __len__(self) -> int:
        return len(self.high)

    def __getitem__(self, rows: Positions | Mask) -> Keys:
        return Keys(self.high[rows], None if self.low is None else self.low[rows])

    def ordered(self) -> Keys:
        """The same keys, sorted by their high halves."""
        return Keys(np.sort(self.high)) if self.low is None else self[np.argsort(self.high)]

    @classmethod
    def of(cls, values: npt.NDArray[np.generic]) -> Keys:
        """Keys of values of eight bytes each, spread evenly: multiplying by an odd number loses nothing."""
        return cls(values.view(np.uint64) * _MIX)

    def values(self) -> Halves:
        """What keys of eight bytes are made of."""
        return self.high * _UNMIX

    def table(self) -> Halves:
        """Both halves [rows, 2]; what has one half has a low half of nothing."""
        return np.column_stack((self.high, np.zeros_like(self.high) if self.low is None else self.low))


class Seen:
    """The keys of the rows so far, all of the same kind."""

    def __init__(self, folder: Path, limit: int = _IN_MEMORY) -> None:
        """Files are written into `folder` when there are more than `limit` keys."""
        self._folder, self._limit = folder, limit
        self._runs: list[_Run] = []
        self._in_memory = self._total = 0
        self._filter = _Filter(_FEWEST_BITS)
        self._dense: Dense | None = Dense()

    def repeated(self, keys: Keys) -> Mask:
        """Which of these rows have a key that came before, here or in an earlier call; all count as seen from now."""
        if self._dense is not None:
            again = self._dense.repeated(keys.values()) if keys.low is None else None
            if again is not None:
                return again
            for known in self._dense.numbers():
                self._add(Keys.of(known).ordered())
            self._dense = None
        ordered = keys.ordered()
        again = _again(keys, ordered.high)
        maybe = np.flatnonzero(self._filter.maybe(keys.high))
        if len(maybe):
            some = keys[maybe]
            for run in self._runs:
                again[maybe] |= run.holds(some)
        self._add(ordered)
        return again

    def close(self) -> None:
        """Forget everything, on disk too."""
        for run in self._runs:
            run.close()
        self._runs = []

    def _add(self, keys: Keys) -> None:
        self._runs.append(_Run(keys))
        self._in_memory += len(keys)
        self._total += len(keys)
        if self._in_memory > self._limit:
            recent = [run for run in self._runs if run.in_memory]
            self._runs = [run for run in self._runs if not run.in_memory]
            merged = _joined([run.keys for run in recent]).ordered()
            self._runs.append(_Run(merged, self._folder / f"keys-{len(self._runs)}-{id(self)}"))
            self._in_memory = 0
        if self._total * _BITS_A_KEY > self._filter.bits:
            self._filter = _Filter(self._filter.bits * 4)
            for run in self._runs:
                self._filter.add(run.keys.high)
        else:
            self._filter.add(keys.high)


class _Filter:
    """A Bloom filter of a power of two of bits: three bits a key, all in the same word."""

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self._words = np.zeros(bits // 64, dtype=np.uint64)

    def add(self, keys: Halves) -> None:
        places, bits = self._places(keys)
        # Of two keys with the same word one is written, so that it takes a second round or a third.
        while len(places):
            self._words[places] |= bits
            lost = np.flatnonzero(self._words[places] & bits != bits)
            places, bits = places[lost], bits[lost]

    def maybe(self, keys: Halves) -> Mask:
        places, bits = self._places(keys)
        return np.asarray((self._words[places] & bits) == bits)

    def _places(self, keys: Halves) -> tuple[Positions, Halves]:
        mixed = keys ^ (keys >> _32)
        mixed *= _MIX
        bits = _ONE << (mixed & _63)
        bits |= _ONE << ((mixed >> _6) & _63)
        bits |= _ONE << ((mixed >> _12) & _63)
        return ((mixed >> _32) & np.uint64(self.bits // 64 - 1)).view(np.int64), bits


class _Run:
    """Sorted keys, in memory or in a file."""

    def __init__(self, keys: Keys, path: Path | None = None) -> None:
        self._kept, self._length = keys, len(keys)
        self.in_memory = path is None
        if path is not None:
            self._first = keys.high[::_PAGE].copy()
            self._wide = keys.low is not None
            (keys.table() if self._wide else keys.high).tofile(path)
            self._file = os.open(path, os.O_RDONLY)
            path.unlink()
            del self._kept

    @property
    def keys(self) -> Keys:
        """All of them."""
        return self._kept if self.in_memory else self._read(0, self._length)

    def holds(self, keys: Keys) -> Mask:
        """Which of these are here."""
        if self.in_memory:
            return _among(keys, self._kept)
        found = np.zeros(len(keys), dtype=bool)
        # Keys with the same high half may begin on the page before.
        pages = np.maximum(np.searchsorted(self._first, keys.high, side="left") - 1, 0)
        for page in np.unique(pages).tolist():
            mine = np.flatnonzero(pages == page)
            last = int(np.searchsorted(self._first, keys.high[mine].max(), side="right"))
            found[mine] = _among(keys[mine], self._read(page * _PAGE, min(last * _PAGE, self._length)))
        return found

    def close(self) -> None:
        """Give the file back."""
        if not self.in_memory:
            os.close(self._file)

    def _read(self, first: int, last: int) -> Keys:
        size = 16 if self._wide else 8
        wanted, data = (last - first) * size, b""
        while len(data) < wanted:
            data += os.pread(self._file, wanted - len(data), first * size + len(data))
        found = np.frombuffer(data, dtype=np.uint64)
        return Keys(found[::2], found[1::2]) if self._wide else Keys(found)


def _again(keys: Keys, ordered: Halves) -> Mask:
    """Rows whose key is in an earlier one of these rows; `ordered` are the high halves, sorted."""
    again = np.zeros(len(keys), dtype=bool)
    doubled = ordered[1:][ordered[1:] == ordered[:-1]]
    if len(doubled):
        seen: set[tuple[int, ...]] = set()
        # A table of their first bits knows of nearly every other key that it is none of them.
        shift = np.uint64(64 - _PREFIX)
        maybe = np.zeros(1 << _PREFIX, dtype=bool)
        maybe[(doubled >> shift).view(np.int64)] = True
        rows = np.flatnonzero(maybe[(keys.high >> shift).view(np.int64)])
        rows = rows[_among(Keys(keys.high[rows]), Keys(doubled))]
        for row, key in zip(rows.tolist(), map(tuple, keys[rows].table().tolist()), strict=True):
            again[row] = key in seen
            seen.add(key)
    return again


def _joined(keys: Sequence[Keys]) -> Keys:
    lows = [item.low for item in keys if item.low is not None]
    return Keys(np.concatenate([item.high for item in keys]), np.concatenate(lows) if lows else None)


def _among(keys: Keys, run: Keys) -> Mask:
    """Which keys are in a sorted run."""
    found = np.zeros(len(keys), dtype=bool)
    place = np.searchsorted(run.high, keys.high)
    # Keys with the same high half lie together; there is hardly ever more than one.
    left = np.flatnonzero(place < len(run))
    left = left[run.high[place[left]] == keys.high[left]]
    while len(left):
        if run.low is None or keys.low is None:
            found[left] = True
            break
        found[left] = run.low[place[left]] == keys.low[left]
        left = left[~found[left]]
        place[left] += 1
        left = left[place[left] < len(run)]
        left = left[run.high[place[left]] == keys.high[left]]
    return found


class KeyFile:
    """Writes the keys of one file, to be compared with those of others; see the module for the format."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._parts: list[Halves] = []

    def add(self, keys: Keys, rows: Positions) -> None:
        """Keys and the numbers of their rows (from 1)."""
        self._parts.append(np.column_stack((keys.table(), rows.astype(np.uint64))))

    def close(self) -> Path:
        """Write the file."""
        every = np.concatenate(self._parts) if self._parts else np.zeros((0, 3), dtype=np.uint64)
        every[np.lexsort((every[:, 2], every[:, 1], every[:, 0]))].tofile(self.path)
        return self.path

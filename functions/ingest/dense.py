"""Which whole numbers came before, a bit each: of numbers that lie close together, as keys mostly do."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ingest.parsing import Mask

Numbers = npt.NDArray[np.uint64]
# Numbers of a page: 128 KB of bits.
_PAGE_BITS = 20
_PAGE = 1 << _PAGE_BITS
# Pages that may be touched at a time, and bits that may be kept a number beside the first pages.
_SPREAD, _BITS_A_NUMBER, _FIRST_BITS = 64, 16, 1 << 24
# So that the numbers below zero come right before the others.
_SIGN = np.uint64(1 << 63)
_SHIFT, _WITHIN = np.uint64(_PAGE_BITS), np.uint64(_PAGE - 1)


class Dense:
    """The numbers so far (64 bits, with their sign)."""

    def __init__(self) -> None:
        self._pages: dict[int, npt.NDArray[np.uint8]] = {}
        self._total = 0
        # What is set in them is looked at right after, or taken back.
        self._rows = np.empty(_PAGE, dtype=np.int32)
        self._marks = np.zeros(_PAGE, dtype=bool)

    def repeated(self, numbers: Numbers) -> Mask | None:
        """Which of these came before, here or in an earlier call; None when they lie too far apart to be kept here."""
        again = np.zeros(len(numbers), dtype=bool)
        if not len(numbers):
            return again
        numbers = numbers ^ _SIGN
        pages = numbers >> _SHIFT
        first, last = int(pages.min()), int(pages.max())
        if last - first >= _PAGE:
            return None
        touched = np.flatnonzero(np.bincount((pages - np.uint64(first)).view(np.int64))) + first
        kept = len({*self._pages, *touched.tolist()}) * _PAGE
        if len(touched) > _SPREAD or kept > _FIRST_BITS + _BITS_A_NUMBER * (self._total + len(numbers)):
            return None
        within = (numbers & _WITHIN).view(np.int64)
        for page in touched.tolist():
            rows = slice(None) if len(touched) == 1 else np.flatnonzero(pages == page)
            again[rows] = self._of_page(page, within[rows])
        self._total += len(numbers)
        return again

    def numbers(self) -> Iterator[Numbers]:
        """All of them, page by page."""
        for page, bits in self._pages.items():
            places = np.flatnonzero(np.unpackbits(bits, bitorder="little"))
            yield (places.astype(np.uint64) + np.uint64(page * _PAGE)) ^ _SIGN

    def _of_page(self, page: int, places: npt.NDArray[np.int64]) -> Mask:
        bits = self._pages.get(page)
        if bits is None:
            bits = self._pages[page] = np.zeros(_PAGE // 8, dtype=np.uint8)
        again = np.asarray(bits[places >> 3] >> (places & 7).astype(np.uint8) & 1, dtype=bool)
        # Of the rows with the same number the first is written last.
        rows = np.arange(len(places), dtype=np.int32)
        self._rows[places[::-1]] = rows[::-1]
        again |= self._rows[places] != rows
        self._marks[places] = True
        bits |= np.packbits(self._marks, bitorder="little")
        self._marks[places] = False
        return again

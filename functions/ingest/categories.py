"""Texts of which a column has few, as numbers: which of a list of known texts each field is.

The known ones lie in a hash table by their bytes, eight of which are one 64-bit word; a field is looked for where its
hash says, and one place further as long as something else is there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from ingest.parsing import PAD, Fields, Words

# Of all bits of a word, eight a byte.
_BITS = 64
# Odd, and so that every bit of a word reaches the highest ones of the product: the fractions of the roots of 2, 3, ….
_SPREAD = np.array(
    [
        *(0x6A09E667F3BCC909, 0xBB67AE8584CAA73B, 0x3C6EF372FE94F82B, 0xA54FF53A5F1D36F1),
        *(0x510E527FADE682D1, 0x9B05688C2B3E6C1F, 0x1F83D9ABFB41BD6B, 0x5BE0CD19137E2179),
    ],
    dtype=np.uint64,
)
_LENGTH = np.uint64(0x9E3779B97F4A7C15)
# Places of the table a text.
_ROOM = 16


class Categories:
    """Known texts, each with its number: the place in `texts`, which are those of up to `PAD` bytes."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = [text for text in texts if len(text.encode()) <= PAD]
        written = [text.encode() for text in self.texts]
        self._lengths = np.array([len(text) for text in written], dtype=np.int64)
        self._words = -(-max([1, *self._lengths.tolist()]) // 8)
        data = np.frombuffer(b"".join([*written, bytes(PAD)]), dtype=np.uint8)
        ends = np.cumsum(self._lengths)
        self._known = self._keys(data, ends - self._lengths, self._lengths)
        self._shift = np.uint64(_BITS - max(8, (len(written) * _ROOM).bit_length()))
        places = self._places(self._known, self._lengths)
        # One place more, so that whoever goes on finds an end.
        self._table = np.full((1 << (_BITS - int(self._shift))) + len(written) + 1, -1, dtype=np.int32)
        for number, place in enumerate(places.tolist()):
            free = place
            while self._table[free] >= 0:
                free += 1
            self._table[free] = number

    def find(self, fields: Fields) -> npt.NDArray[np.int32]:
        """The number of each field's text [rows], -1 for one that is not known."""
        lengths = (fields.ends - fields.starts).astype(np.int64)
        keys = self._keys(fields.data, fields.starts, lengths)
        places = self._places(keys, lengths)
        found = self._table[places]
        left = np.flatnonzero(~self._same(found, keys, lengths) & (found >= 0))
        while len(left):
            places[left] += 1
            found[left] = self._table[places[left]]
            same = self._same(found[left], [key[left] for key in keys], lengths[left])
            left = left[~same & (found[left] >= 0)]
        return found

    def _keys(
        self, data: npt.NDArray[np.uint8], starts: npt.NDArray[Any], lengths: npt.NDArray[np.int64]
    ) -> list[Words]:
        """The texts' words [words][rows]; the last one's bytes are at its upper end, what is behind them is zero."""
        size = 8 * self._words
        texts = np.ndarray(len(data) - size + 1, dtype=f"V{size}", buffer=data.data, strides=(1,))[starts]
        words = texts.view("<u8").reshape(-1, self._words)
        return [
            words[:, place] << np.clip(_BITS - 8 * (lengths - 8 * place), 0, _BITS).view(np.uint64)
            for place in range(self._words)
        ]

    def _places(self, keys: list[Words], lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        mixed = lengths.view(np.uint64) * _LENGTH
        for key, odd in zip(keys, _SPREAD, strict=False):
            mixed = (mixed ^ (mixed >> np.uint64(32)) ^ key) * odd
        return (mixed >> self._shift).view(np.int64)

    def _same(
        self, numbers: npt.NDArray[np.int32], keys: list[Words], lengths: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.bool_]:
        """Whether the text of this number, if it is one, is the text of these words."""
        if not self.texts:
            return np.zeros(len(numbers), dtype=bool)
        same = np.asarray(self._lengths[numbers] == lengths)
        for known, key in zip(self._known, keys, strict=True):
            same &= known[numbers] == key
        return same

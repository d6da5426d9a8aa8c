"""Texts of which a column has few, as numbers: which of a list of known texts each field is.

The known ones lie in a hash table by their bytes, eight of which are one 64-bit word; a field is looked for where its
hash says, and one place further as long as something else is there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from ingest.parsing import PAD, Fields, Positions, Words

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
# Places of the table a text.
_ROOM = 16


class Categories:
    """Known texts, each with its number: the place in `texts`, which are those of less than `PAD` bytes."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = [text for text in texts if len(text.encode()) < PAD]
        written = [text.encode() for text in self.texts]
        lengths = np.array([len(text) for text in written], dtype=np.int64)
        # So many that a byte of the last one is left for the length.
        self._words = max([0, *lengths.tolist()]) // 8 + 1
        sizes = np.arange(8 * self._words + 1)
        self._moves = [
            np.clip(_BITS - 8 * (sizes - 8 * word), 0, _BITS).astype(np.uint64) for word in range(self._words)
        ]
        data = np.frombuffer(b"".join([*written, bytes(8 * self._words)]), dtype=np.uint8)
        ends = np.cumsum(lengths)
        self._known = self._keys(data, ends - lengths, lengths)
        self._shift = np.uint64(_BITS - max(8, (len(written) * _ROOM).bit_length()))
        # One place more, so that whoever goes on finds an end.
        self._table = np.full((1 << (_BITS - int(self._shift))) + len(written) + 1, -1)
        for number, place in enumerate(self._places(self._known).tolist()):
            free = place
            while self._table[free] >= 0:
                free += 1
            self._table[free] = number

    def find(self, fields: Fields) -> Positions:
        """The number of each field's text [rows], -1 for one that is not known."""
        keys = self._keys(fields.data, fields.starts, fields.ends - fields.starts)
        places = self._places(keys)
        found = self._table[places]
        left = np.flatnonzero(~self._same(found, keys) & (found >= 0))
        while len(left):
            places[left] += 1
            found[left] = self._table[places[left]]
            same = self._same(found[left], [key[left] for key in keys])
            left = left[~same & (found[left] >= 0)]
        return found

    def _keys(self, data: npt.NDArray[np.uint8], starts: npt.NDArray[Any], lengths: npt.NDArray[Any]) -> list[Words]:
        """The texts' words [words][rows]: the last one's bytes are at its upper end, at its lower end is the length.

        The length of a text that is longer is one that no known text has.
        """
        size = 8 * self._words
        texts = np.ndarray(len(data) - size + 1, dtype=f"V{size}", buffer=data.data, strides=(1,))[starts]
        words = texts.view("<u8").reshape(-1, self._words)
        sizes = np.minimum(lengths, size)
        keys = [words[:, word] << moves.take(sizes) for word, moves in enumerate(self._moves)]
        keys[-1] |= sizes.astype(np.uint64)
        return keys

    def _places(self, keys: list[Words]) -> Positions:
        mixed: Words = keys[0] * _SPREAD[0]
        for key, odd in zip(keys[1:], _SPREAD[1:], strict=False):
            mixed = (mixed ^ (mixed >> np.uint64(32)) ^ key) * odd
        return (mixed >> self._shift).view(np.int64)

    def _same(self, numbers: Positions, keys: list[Words]) -> npt.NDArray[np.bool_]:
        """Whether the text of this number is the text of these words; of no number, which is -1, it is not."""
        if not self.texts:
            return np.zeros(len(numbers), dtype=bool)
        same = np.asarray(self._known[0][numbers] == keys[0])
        for known, key in zip(self._known[1:], keys[1:], strict=True):
            same &= known[numbers] == key
        return same

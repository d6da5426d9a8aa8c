"""Checked columns as the session's inputs, [rows, 1] each: float32 with NaN where missing, text with "" where missing.

Numbers lie in one block and texts in another, and each input is a view of its rows: filling a block takes a third of
the time that an array an input takes, and the blocks can be filled again.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from serve.protocol.signature import Signature

Array = npt.NDArray[Any]


class Row:
    """Inputs of one row, in memory that each row is put into in its turn. `named` are the arrays by their names."""

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        # `f` of the machine rounds to the nearest float32.
        self._packed = struct.Struct(f"{len(signature.numbers)}f")
        self._numbers = bytearray(self._packed.size)
        self._texts = np.empty(len(signature.texts), object)
        self.named = _named(signature, np.frombuffer(self._numbers, np.float32), self._texts, 1)

    def fill(self, columns: Sequence[Sequence[Any]]) -> dict[str, Array]:
        """Put a row in, by the signature's order, [1] each: a number, boolean or text, None where missing."""
        signature = self._signature
        numbers = [columns[place][0] for place in signature.number_places]
        try:
            self._packed.pack_into(self._numbers, 0, *numbers)
        except struct.error:
            self._packed.pack_into(self._numbers, 0, *_filled(numbers, math.nan))
        texts = [columns[place][0] for place in signature.text_places]
        self._texts[:] = _filled(texts, "") if None in texts else texts
        return self.named


def packed(columns: Sequence[Sequence[Any]], rows: int, signature: Signature) -> bytearray:
    """The numbers of the columns, [rows] each in the signature's order, one column after the other.

    Raises:
        OverflowError: one is beyond the range of float32.
    """
    # The machine's own `f` would make it infinite.
    column = struct.Struct(f"<{rows}f")
    numbers = bytearray(column.size * len(signature.numbers))
    for offset, place in enumerate(signature.number_places):
        try:
            column.pack_into(numbers, offset * column.size, *columns[place])
        except struct.error:
            column.pack_into(numbers, offset * column.size, *_filled(columns[place], math.nan))
    return numbers


def tensors(
    columns: Sequence[Sequence[Any]], rows: int, signature: Signature, numbers: bytearray | None = None
) -> dict[str, Array]:
    """The session's inputs for these checked columns, [rows] each in the signature's order, in memory of their own."""
    if numbers is None:
        numbers = packed(columns, rows, signature)
    texts = np.empty((len(signature.texts), rows), object)
    if signature.texts:
        given = [columns[place] for place in signature.text_places]
        for place in signature.missing_texts:
            if _holds_none(given[place]):
                given[place] = _filled(given[place], "")
        texts[:] = given
    return _named(signature, np.frombuffer(numbers, np.float32), texts, rows)


def _named(signature: Signature, numbers: Array, texts: Array, rows: int) -> dict[str, Array]:
    views = numbers.reshape(-1, rows, 1), texts.reshape(-1, rows, 1)
    return dict(zip([*signature.numbers, *signature.texts], chain.from_iterable(views), strict=True))


def _filled(values: Sequence[Any], missing: Any) -> list[Any]:
    return [missing if value is None else value for value in values]


def _holds_none(texts: Sequence[str | None]) -> bool:
    """`None in texts`, in a quarter of its time."""
    try:
        "".join(texts)  # type: ignore[arg-type]
    except TypeError:
        return True
    return False

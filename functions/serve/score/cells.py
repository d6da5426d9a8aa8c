"""Texts of a file as the values that the prediction door takes, by the contract: as ingest reads them.

What is no value of its type stays the text that it is, and the door's own check refuses it as that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from interlock.contract import Column, Contract, Dialect
from serve.protocol.signature import Tensor

# Columns repeat themselves, and a text is read in a tenth of the time when it is known.
_REMEMBERED = 10_000
# Longer ones are numbers to nobody, and slow to read.
_LONGEST_NUMBER = 400
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}
# Of these signs alone, Python's own reading of a column takes exactly what the patterns below take.
_QUICK: dict[str, tuple[re.Pattern[str], Callable[[str], int | float]]] = {
    "INT64": (re.compile(r"[0-9+-]*"), int),
    "FP32": (re.compile(r"[0-9+.eE-]*"), float),
}

# A column's texts, None where nothing is, as values.
Read = Callable[[Sequence[str | None]], list[Any]]


def reader(tensor: Tensor, contract: Contract, dialect: Dialect) -> Read:
    """What reads the texts of one input's column."""
    missing = frozenset(tokens(tensor.name, contract))
    one = lru_cache(_REMEMBERED)(_reader(tensor.datatype, dialect))
    plain = dialect.decimal == "." and dialect.thousands is None

    def there(texts: Sequence[str]) -> list[Any]:
        if tensor.datatype == "BYTES":
            return list(texts)
        if plain and tensor.datatype in _QUICK:
            signs, quick = _QUICK[tensor.datatype]
            try:
                if signs.fullmatch("".join(texts)) and len(max(texts, key=len)) < _LONGEST_NUMBER:
                    return list(map(quick, texts))
            except ValueError:
                pass
        return list(map(one, texts))

    def read(texts: Sequence[str | None]) -> list[Any]:
        found = [text for text in texts if text is not None and text not in missing]
        if len(found) == len(texts):
            return there(found) if found else []
        values = iter(there(found) if found else [])
        return [None if text is None or text in missing else next(values) for text in texts]

    return read


def tokens(name: str, contract: Contract) -> tuple[str, ...]:
    """Texts that mean a missing value in a column; the contract may have changed since the training and have it not."""
    found: Column | None = next((column for column in contract.columns if column.name == name), None)
    return (*contract.null_tokens, *(found.missing_tokens if found else ()))


def _reader(datatype: str, dialect: Dialect) -> Callable[[str], bool | int | float | str]:
    """What reads one text that means something."""
    thousands, mark = dialect.thousands, re.escape(dialect.decimal)
    groups = rf"|[0-9]{{1,3}}({re.escape(thousands)}[0-9]{{3}})+" if thousands else ""
    # JSON Schema's integer: 5.0 is one, 5.5 is not.
    integer = re.compile(rf"[+-]?([0-9]+{groups})({mark}0*)?")
    number = re.compile(rf"[+-]?(([0-9]+{groups})({mark}[0-9]*)?|{mark}[0-9]+)([eE][+-]?[0-9]+)?")

    def plain(text: str) -> str:
        return (text.replace(thousands, "") if thousands else text).replace(dialect.decimal, ".")

    def whole(text: str) -> int | str:
        short = len(text) < _LONGEST_NUMBER and integer.fullmatch(text)
        return int(plain(text).partition(".")[0]) if short else text

    def decimal(text: str) -> float | str:
        return float(plain(text)) if len(text) < _LONGEST_NUMBER and number.fullmatch(text) else text

    def truth(text: str) -> bool | str:
        return _TRUTHS.get(text.lower(), text)

    readers: dict[str, Callable[[str], bool | int | float | str]] = {"INT64": whole, "FP32": decimal, "BOOL": truth}
    return readers.get(datatype, str)

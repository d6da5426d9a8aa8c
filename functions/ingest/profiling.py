"""The profile of a block's good rows; those of all blocks are added."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ingest.categories import Categories
from ingest.parsing import Mask, Positions
from ingest.tables import Table
from interlock.contract import Column, ColumnType, Contract
from interlock.stats.profile import GAMMA, MAX_CATEGORIES, TINY, NumberProfile, Profile, TextProfile, cell_step

_LOG_GAMMA = math.log(GAMMA)
_SAMPLE = 20_000
# The range of whole numbers that are counted one by one.
_FEW = 4096
Times = npt.NDArray[np.int64] | None
# A date counts in days, a time in seconds.
_UNIT = {ColumnType.TIMESTAMP: 1e-6}


def free_texts(table: Table, contract: Contract) -> frozenset[int]:
    """Columns that are free text, judged by a file's first rows: most values come once, and there are many.

    Counting every one of them would tell nobody anything; their lengths are kept.
    """
    columns = [index for index, column in enumerate(contract.columns) if column.type is ColumnType.STRING]
    found = {index: table.distinct(index, _SAMPLE) for index in columns}
    return frozenset(
        index for index, (count, different) in found.items() if different > MAX_CATEGORIES and different > count / 2
    )


def profile(
    table: Table, contract: Contract, bad: Mask, salt: str, free: frozenset[int], met: dict[int, Categories]
) -> Profile:
    """Profile a block without its bad rows; `salt` hides the texts of restricted columns.

    `free` are the columns of free text, `met` the texts of the others that were met so far.
    """
    rows = np.flatnonzero(~bad)
    numbers, texts = {}, {}
    for index, column in enumerate(contract.columns):
        found = table.columns[index]
        there = found.there[rows]
        places = rows if there.all() else rows[there]
        missing = len(rows) - len(places)
        if found.values is None or column.type is ColumnType.BOOLEAN:
            texts[column.name] = _texts(table, index, column, places, missing, salt, None if index in free else met)
        elif column.restricted:
            # Bounds and bins of numbers would be values.
            texts[column.name] = TextProfile(count=len(places), missing=missing, other=len(places))
        else:
            values, times = _distinct(found.values[places])
            values = values.astype(np.float64) * _UNIT.get(column.type, 1.0)
            numbers[column.name] = _numbers(values, times, missing)
    return Profile(rows=len(rows), numbers=numbers, texts=texts)


def _distinct(values: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], Times]:
    """Whole numbers of a small range are few: each of them once, and how often it is there. Others are as they are."""
    if values.dtype.kind == "i" and len(values) and int(values.max()) - int(values.min()) < _FEW:
        first = values.min()
        times = np.bincount(values - first)
        there = np.flatnonzero(times)
        return there + first, times[there]
    return values, None


def _numbers(values: npt.NDArray[np.float64], times: Times, missing: int) -> NumberProfile:
    """Of values that are there once each, or so many `times`."""
    if not len(values):
        return NumberProfile(missing=missing)
    low, high = float(values.min()), float(values.max())
    # In units of the largest one, or the squares of huge values would leave the type's range.
    unit = max(abs(low), abs(high)) or 1.0
    scaled = values / unit
    count = len(values) if times is None else int(times.sum())
    mean = _total(scaled, times) / count
    scaled -= mean
    spread = _total(np.square(scaled, out=scaled), times)
    zero, positive, negative = _by_sign(values, times, low)
    step = cell_step(low, high)
    return NumberProfile(
        step=step,
        cells={} if step is None else _counted(np.floor(values / math.ldexp(1.0, step)), times),
        count=count,
        missing=missing,
        minimum=low,
        maximum=high,
        mean=mean * unit,
        m2=spread * unit * unit,
        zero=zero,
        positive=positive,
        negative=negative,
    )


def _total(values: npt.NDArray[Any], times: Times) -> float:
    return float(values.sum() if times is None else (values * times).sum())


def _by_sign(values: npt.NDArray[np.float64], times: Times, low: float) -> tuple[int, dict[int, int], dict[int, int]]:
    """How many are zero, and in which buckets are those above it and those below; `low` is the smallest."""
    if low >= TINY:
        return 0, _buckets(values, times), {}
    sizes = np.abs(values)
    tiny, below = sizes < TINY, values < 0
    zero = int(_total(tiny, times))
    return zero, _buckets(sizes, times, ~(below | tiny)), _buckets(sizes, times, below & ~tiny) if low < 0 else {}


def _buckets(sizes: npt.NDArray[np.float64], times: Times, which: Mask | slice = slice(None)) -> dict[int, int]:
    some = sizes[which]
    if not len(some):
        return {}
    buckets = np.log(some)
    buckets /= _LOG_GAMMA
    return _counted(np.ceil(buckets, out=buckets), None if times is None else times[which])


def _counted(numbers: npt.NDArray[np.float64], times: Times) -> dict[int, int]:
    """How often each of these whole numbers, which lie close together, is there."""
    places = numbers.astype(np.int64)
    first = int(places.min())
    counts = np.bincount(places - first, times)
    there = np.flatnonzero(counts)
    return dict(zip((there + first).tolist(), counts[there].astype(np.int64).tolist(), strict=True))


def _texts(
    table: Table,
    index: int,
    column: Column,
    places: Positions,
    missing: int,
    salt: str,
    met: dict[int, Categories] | None,
) -> TextProfile:
    """How many texts there are, how long, and, apart from free text, which are the most frequent."""
    count = len(places)
    categories: dict[str, int] = {}
    truths = table.columns[index].values
    if count and met is not None:
        if truths is None:
            counted = table.counted(index, places, MAX_CATEGORIES, met)
        else:
            true = int(truths[places].sum())
            both = (("false", count - true), ("true", true))
            counted = sorted(((name, number) for name, number in both if number), key=lambda item: -item[1])
        # A restricted column keeps how many there are of each, not which they are.
        categories = {masked(text, salt) if column.restricted else text: number for text, number in counted}
    lengths = None
    if count and not column.restricted:
        lengths = (table.lengths(index) if truths is None else np.where(truths, len("true"), len("false")))[places]
    return TextProfile(
        count=count,
        missing=missing,
        categories=categories,
        other=count - sum(categories.values()),
        shortest=None if lengths is None else int(lengths.min()),
        longest=None if lengths is None else int(lengths.max()),
    )


def masked(value: str, salt: str) -> str:
    """A stand-in for a restricted text: the same for the same text, so that counts can be added."""
    return "#" + hashlib.sha256(f"{salt}\x1f{value}".encode()).hexdigest()[:8]

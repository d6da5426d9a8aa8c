"""From captured predictions to what an estimate takes: scores, and each column's place among the reference's bins.

A restricted column was captured as its bin by the version that answered, whose reference this is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from interlock.contract import Column
from interlock.sql import quoted
from interlock.stats.drift.distribution import plain
from interlock.stats.drift.reference import Reference
from interlock.stats.metrics import Floats
from interlock.stats.performance.estimate import Estimate
from interlock.stats.performance.expected import category_places, number_places
from interlock.stats.performance.losses import Bins

Array = npt.NDArray[Any]
# Rows that an estimate is made from; more do not change it.
ROWS = 20_000


def chosen(reference: Reference, columns: Sequence[Column]) -> str:
    """The expressions to select from capture files: `score`, and the columns by their names."""
    found = (f"{_place(reference, column)} AS {quoted(column.name)}" for column in columns)
    return ", ".join(["score AS interlock_score", *found])


def estimated(
    reference: Reference, columns: Sequence[Column], found: Mapping[str, Array], rows: int
) -> dict[str, Estimate]:
    """What some rows of `rows`, selected as `chosen` says, promise of the metrics; nothing without an expectation."""
    if reference.expected is None or not rows:
        return {}
    scores = np.asarray(np.ma.filled(found["interlock_score"], np.nan), dtype=np.float64)
    bins: dict[str, Bins] = {}
    for column in columns:
        name, values = column.name, found[column.name]
        numbers, known = reference.numbers.get(name), reference.categories.get(name)
        if numbers is not None:
            last = len(numbers.edges) + 1
            bins[name] = _bins(values, last) if column.restricted else number_places(numbers.edges, plain(values))
        elif known is not None:
            last = len(known.categories) + 1
            bins[name] = _bins(values, last) if column.restricted else category_places(known.categories, values)
    return expected(reference, scores, bins, rows)


def expected(reference: Reference, scores: Floats, bins: dict[str, Bins], rows: int) -> dict[str, Estimate]:
    """The same from scores [n] and places by column [n]."""
    if reference.expected is None:
        return {}
    if reference.score is not None:
        bins = {**bins, "(score)": number_places(reference.score.edges, scores)}
    return reference.expected.estimated(scores, bins, rows)


def _place(reference: Reference, column: Column) -> str:
    """What is read of a column: a number, a text, or the captured bin of a restricted one."""
    source = quoted(f"in_{column.name}")
    if column.restricted:
        return f"TRY_CAST({source} AS INTEGER)"
    if column.name in reference.numbers:
        return f"TRY_CAST({source} AS FLOAT)"
    known = reference.categories.get(column.name)
    kept = f"CAST({source} AS VARCHAR)"
    # The model is fed the empty text where a value is missing (interlock.inference).
    return kept if known is not None and "" in known.categories else f"nullif({kept}, '')"


def _bins(values: Array, missing: int) -> Bins:
    """Captured bins; where there is none, the place of missing values."""
    return np.asarray(np.ma.filled(np.ma.asarray(values, dtype=np.int64), missing))

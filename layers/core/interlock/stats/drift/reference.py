"""What the training data looked like, kept small: bins and categories with their counts, and how columns go together.

Numbers are taken as float32, as the model sees them: a value lies in the same bin before and after it was served.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from interlock.schema import Model
from interlock.stats.drift.counted import Counted
from interlock.stats.drift.distribution import Distribution, Floats, ordered
from interlock.stats.drift.together import Together, category_scores, number_scores
from interlock.stats.performance.expected import Expected

BINS = 10
MAX_CATEGORIES = 50
MAX_SEGMENTS = 20
# What the categories are called that share the place after the last.
OTHER = "(other)"


class NumberReference(Model):
    """Bins between `edges` (ascending, without the infinite ends): `counts` has one more entry than `edges`.

    A value belongs to the bin above every edge that is not greater than it. A restricted column, and one without any
    value, has no `distribution`.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    missing: int
    distribution: Distribution | None = None

    @property
    def rows(self) -> int:
        """All rows, those without a value included."""
        return sum(self.counts) + self.missing


class CategoryReference(Model):
    """The most frequent categories with their counts; all others share a place of their own at the end."""

    categories: tuple[str, ...]
    counts: tuple[int, ...]
    other: int
    missing: int

    @property
    def rows(self) -> int:
        """All rows, those without a value included."""
        return sum(self.counts) + self.other + self.missing


class Segment(Model):
    """The training rows with one value of a column; `value` is that of the captures, a restricted column's bin."""

    value: str
    rows: int
    numbers: dict[str, NumberReference]
    categories: dict[str, CategoryReference]


class Reference(Model):
    """All that a check needs of the training data, by column, so that it never reads that data again.

    `score` and `label` are what the model said about the holdout, `expected` how well; `segments` by the column that
    makes them.
    """

    schema_version: int = 2
    numbers: dict[str, NumberReference]
    categories: dict[str, CategoryReference]
    score: NumberReference | None = None
    label: CategoryReference | None = None
    together: Together | None = None
    expected: Expected | None = None
    segments: dict[str, tuple[Segment, ...]] = {}


def number_reference(values: npt.NDArray[np.float64], bins: int = BINS, *, detailed: bool = False) -> NumberReference:
    """Bins of about equal mass; nan counts as missing. `detailed` keeps the distribution as well.

    A value that would fill a bin alone shares it with nobody: of a column that is nine tenths zeros, the other values
    still have bins of their own.
    """
    known = ordered(values)
    edges = _edges(known, bins) if len(known) else np.empty(0)
    return NumberReference(
        edges=tuple(edges.tolist()),
        counts=tuple(binned(edges, known).tolist()),
        missing=int(len(values) - len(known)),
        distribution=Distribution.of(known) if detailed and len(known) else None,
    )


def binned(edges: Floats, known: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """How many of the ascending values each bin holds."""
    ends = np.searchsorted(known, edges.astype(np.float32), side="left")
    return np.diff(np.concatenate([[0], ends, [len(known)]]))


def normal_scores(reference: Reference, columns: Mapping[str, npt.NDArray[Any]]) -> dict[str, Floats]:
    """Each column's normal scores [n] by what it was in training: numbers with nan, texts masked where missing.

    Restricted columns have none, nor have those that training does not describe.
    """
    found = {}
    for name, values in columns.items():
        numbers, categories = reference.numbers.get(name), reference.categories.get(name)
        if numbers is not None and numbers.distribution is not None:
            found[name] = number_scores(numbers.distribution.tally(), values)
        elif categories is not None:
            counted = dict(zip(categories.categories, categories.counts, strict=True))
            found[name] = category_scores(counted, categories.other, values)
    return found


def _edges(known: npt.NDArray[np.float32], bins: int) -> Floats:
    """The first value of each bin but the lowest."""
    values, counts = np.unique(known, return_counts=True)
    if len(values) == 1:
        # Of a constant, both sides are news.
        return np.array([values[0], np.nextafter(np.float32(values[0]), np.float32(np.inf))], dtype=np.float64)
    wanted = len(known) / bins
    alone = counts >= wanted
    # Runs: each value that stands alone, and each stretch between such values.
    run = np.cumsum(alone | np.concatenate([[False], alone[:-1]]))
    mass = np.bincount(run, counts)
    middle = np.cumsum(counts) - counts / 2 - (np.cumsum(mass) - mass)[run]
    piece = np.floor(middle / mass[run] * np.maximum(1, np.rint(mass / wanted))[run])
    return np.asarray(values[1:][(np.diff(run) != 0) | (np.diff(piece) != 0)], dtype=np.float64)


def category_reference(counts: Sequence[tuple[str, int]], missing: int) -> CategoryReference:
    """From each category's count."""
    ordered = sorted(counts, key=lambda item: (-item[1], item[0]))
    kept, rest = ordered[:MAX_CATEGORIES], ordered[MAX_CATEGORIES:]
    return CategoryReference(
        categories=tuple(name for name, _ in kept),
        counts=tuple(count for _, count in kept),
        other=sum(count for _, count in rest),
        missing=missing,
    )


def counted_categories(column: str, reference: CategoryReference, found: Mapping[str, int], missing: int) -> Counted:
    """A column of categories in training and now: `found` is how often each came, `missing` rows have none."""
    known = [found.get(category, 0) for category in reference.categories]
    rest = sum(found.values()) - sum(known)
    return Counted(
        column=column,
        bins=(*reference.categories, OTHER),
        before=(*reference.counts, reference.other),
        now=(*known, rest),
        missing_before=reference.missing,
        missing_now=missing,
        # Of the rare ones in training it is not known which they were.
        new=0 if reference.other else rest,
        rest=True,
    )

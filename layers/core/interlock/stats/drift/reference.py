"""What a column looked like in the training data, kept small: bins with their counts."""

from __future__ import annotations

import bisect
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from interlock.schema import Model

BINS = 10
MAX_CATEGORIES = 50


class NumberReference(Model):
    """Bins between `edges` (ascending, without the infinite ends): `counts` has one more entry than `edges`.

    A value belongs to the bin above every edge that is not greater than it.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    missing: int

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


class Reference(Model):
    """All that a check needs of the training data, by column; `score` is what the model said about the holdout."""

    schema_version: int = 1
    numbers: dict[str, NumberReference]
    categories: dict[str, CategoryReference]
    score: NumberReference | None = None


def number_reference(values: npt.NDArray[np.float64], bins: int = BINS) -> NumberReference:
    """Bins of about equal mass; nan counts as missing.

    A value that would fill a bin alone shares it with nobody: of a column that is nine tenths zeros, the other values
    still have bins of their own.
    """
    known = values[~np.isnan(values)]
    edges = _edges(known, bins) if len(known) else np.empty(0)
    counts = np.bincount(np.searchsorted(edges, known, side="right"), minlength=len(edges) + 1)
    return NumberReference(
        edges=tuple(edges.tolist()), counts=tuple(counts.tolist()), missing=int(len(values) - len(known))
    )


def _edges(known: npt.NDArray[np.float64], bins: int) -> npt.NDArray[np.float64]:
    """The first value of each bin but the lowest."""
    values, counts = np.unique(known, return_counts=True)
    if len(values) == 1:
        # Of a constant, both sides are news.
        return np.array([values[0], np.nextafter(values[0], np.inf)])
    wanted = len(known) / bins
    alone = counts >= wanted
    # Runs: each value that stands alone, and each stretch between such values.
    run = np.cumsum(alone | np.concatenate([[False], alone[:-1]]))
    mass = np.bincount(run, counts)
    middle = np.cumsum(counts) - counts / 2 - (np.cumsum(mass) - mass)[run]
    piece = np.floor(middle / mass[run] * np.maximum(1, np.rint(mass / wanted))[run])
    return np.asarray(values[1:][(np.diff(run) != 0) | (np.diff(piece) != 0)])


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


def number_bin(edges: Sequence[float], value: float) -> int:
    """The bin of a value."""
    return bisect.bisect_right(edges, value)


def category_bin(categories: Sequence[str], value: str) -> int:
    """The place of a category; one that was never seen gets the place after the last."""
    try:
        return list(categories).index(value)
    except ValueError:
        return len(categories)

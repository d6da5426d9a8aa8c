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
    """Bins of equal mass; nan counts as missing. Values that are very frequent share a bin with nobody."""
    known = values[~np.isnan(values)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1])) if len(known) else np.empty(0)
    # The lowest value as an edge would leave an empty bin below it.
    edges = edges[edges > known.min()] if len(known) else edges
    counts = np.bincount(np.searchsorted(edges, known, side="right"), minlength=len(edges) + 1)
    return NumberReference(
        edges=tuple(edges.tolist()), counts=tuple(counts.tolist()), missing=int(len(values) - len(known))
    )


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

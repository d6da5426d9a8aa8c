"""Whether columns go together as they did in training, though each by itself may look the same.

Each value becomes a normal score by its column's training distribution, a category by its place among the more and the
less frequent ones; a missing value is 0, as good as the middle. Two things are compared: every pair's correlation, and
how far rows lie from the training data's main directions (the error of reconstruction by principal components; Jolliffe
2002), which also notices what no pair shows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from interlock.schema import Model
from interlock.stats.drift.distribution import Floats, Tally, as_float32

# Rows of a window that are looked at: correlations are then known to 0.01, far finer than what matters.
SAMPLE = 10_000
# The share of the variance that the main directions hold (NannyML's default).
_KEPT = 0.65
_FEWEST_COLUMNS = 2
# A deviation of standard scores below it is rounding.
_CONSTANT = 1e-9


class Together(Model):
    """How columns went together in training.

    `centres` and `scales` [p] make the normal scores standard; `correlations` and `spreads` are of the pairs
    [p (p - 1) / 2] in the order of the upper triangle, a spread being the deviation of a row's influence on the
    correlation; `error` and `error_deviation` are of a row's distance from the main directions.
    """

    columns: tuple[str, ...]
    rows: int
    centres: tuple[float, ...]
    scales: tuple[float, ...]
    correlations: tuple[float, ...]
    spreads: tuple[float, ...]
    error: float
    error_deviation: float

    @classmethod
    def of(cls, scores: Mapping[str, Floats]) -> Self | None:
        """From the columns' normal scores [n]; None when fewer than two columns vary."""
        varying = {name: values for name, values in scores.items() if len(values) > 1 and values.std() > _CONSTANT}
        if len(varying) < _FEWEST_COLUMNS:
            return None
        matrix = np.column_stack(list(varying.values()))
        centres, scales = matrix.mean(axis=0).round(6), matrix.std(axis=0).round(6)
        standard = (matrix - centres) / scales
        correlations, spreads = _pairs(standard)
        errors = _errors(standard, correlations)
        return cls(
            columns=tuple(varying),
            rows=len(matrix),
            centres=tuple(centres.tolist()),
            scales=tuple(scales.tolist()),
            correlations=tuple(correlations.tolist()),
            spreads=tuple(spreads.tolist()),
            error=float(errors.mean()),
            error_deviation=float(errors.std()),
        )

    def names(self) -> list[tuple[str, str]]:
        """The pairs, in the order of `correlations`."""
        first, second = np.triu_indices(len(self.columns), 1)
        return [(self.columns[i], self.columns[j]) for i, j in zip(first, second, strict=True)]


@dataclass(frozen=True)
class Comparison:
    """The pair whose correlation changed most against its noise, and the error; each with its z, a normal deviate.

    `effect` is the change of the error in its own deviations.
    """

    rows: int
    pairs: int
    pair: tuple[str, str]
    before: float
    now: float
    z: float
    error_before: float
    error_now: float
    effect: float
    error_z: float


def compare(reference: Together, scores: Mapping[str, Floats]) -> Comparison | None:
    """Compare a window's normal scores [m] with training; None below two rows."""
    rows = len(next(iter(scores.values()))) if scores else 0
    if rows < 2 or not set(reference.columns) <= set(scores):
        return None
    matrix = np.column_stack([scores[name] for name in reference.columns])
    standard = (matrix - np.array(reference.centres)) / np.array(reference.scales)
    deviations = standard.std(axis=0)
    constant = deviations < _CONSTANT
    own = (standard - standard.mean(axis=0)) / np.where(constant, 1.0, deviations)
    before = np.array(reference.correlations)
    now, spreads = _pairs(own)
    spreads = np.maximum(np.array(reference.spreads), spreads)
    # Without any variance in the window a correlation is not defined: it says nothing.
    first, second = np.triu_indices(len(reference.columns), 1)
    change = np.where(constant[first] | constant[second], 0.0, now - before)
    noise = spreads * math.sqrt(1 / reference.rows + 1 / rows)
    z = np.abs(change) / np.where(noise > 0, noise, np.inf)
    worst = int(z.argmax())
    errors = _errors(standard, before)
    spread = max(reference.error_deviation, float(errors.std()))
    moved = float(errors.mean()) - reference.error
    return Comparison(
        rows=rows,
        pairs=len(before),
        pair=reference.names()[worst],
        before=float(before[worst]),
        now=float(before[worst] + change[worst]),
        z=float(z[worst]),
        error_before=reference.error,
        error_now=float(errors.mean()),
        effect=abs(moved) / reference.error_deviation if reference.error_deviation else 0.0,
        error_z=abs(moved) / (spread * math.sqrt(1 / reference.rows + 1 / rows)) if spread else 0.0,
    )


def number_scores(reference: Tally, values: npt.NDArray[np.float64]) -> Floats:
    """Normal scores [n] of numbers by their training distribution; nan, a missing value, is 0."""
    middles = (reference.below() + reference.up_to()) / 2
    known = ~np.isnan(values)
    scores = np.interp(as_float32(np.where(known, values, 0.0)), reference.edges, _normal(middles, reference.count))
    return np.asarray(np.where(known, scores, 0.0))


def category_scores(categories: Mapping[str, int], other: int, values: npt.NDArray[Any]) -> Floats:
    """Normal scores [n] of categories by their counts in training, the most frequent first; 0 where masked.

    A category without a count shares the place of all others after the last.
    """
    counts = np.array([*categories.values(), max(1, other)], dtype=np.float64)
    middles = (np.cumsum(counts) - counts / 2) / counts.sum()
    scores = _normal(middles, int(counts.sum()))
    place = {name: float(score) for name, score in zip(categories, scores, strict=False)}
    rest = float(scores[-1])
    found = np.array([place.get(value, rest) for value in np.asarray(values)], dtype=np.float64)
    return np.where(getattr(values, "mask", False), 0.0, found)


def _normal(shares: Floats, count: int) -> Floats:
    inverse, least = NormalDist().inv_cdf, 0.5 / max(1, count)
    return np.array([inverse(min(max(float(share), least), 1 - least)) for share in shares])


def _pairs(standard: Floats) -> tuple[Floats, Floats]:
    """Correlation of each pair, rounded as it is kept, and the deviation of a row's influence on it.

    The influence of a row is z1 z2 - r (z1^2 + z2^2) / 2 (Devlin, Gnanadesikan and Kettenring 1975), so that the
    noise is right for skewed and for discrete columns too.
    """
    first, second = np.triu_indices(standard.shape[1], 1)
    correlations = (standard.T @ standard / len(standard))[first, second].round(6)
    squares = standard**2
    spreads = np.array(
        [
            (standard[:, i] * standard[:, j] - r * (squares[:, i] + squares[:, j]) / 2).std()
            for i, j, r in zip(first, second, correlations, strict=True)
        ]
    )
    return correlations, spreads


def _errors(standard: Floats, correlations: Floats) -> Floats:
    """Each row's distance from the directions that hold 65% of the variance in training [n]."""
    size = standard.shape[1]
    matrix = np.eye(size)
    matrix[np.triu_indices(size, 1)] = correlations
    matrix = np.triu(matrix) + np.triu(matrix, 1).T
    values, vectors = np.linalg.eigh(matrix)
    held = np.cumsum(values[::-1]) / values.sum()
    kept = vectors[:, ::-1][:, : int(np.searchsorted(held, _KEPT)) + 1]
    return np.asarray(np.linalg.norm(standard - standard @ kept @ kept.T, axis=1))

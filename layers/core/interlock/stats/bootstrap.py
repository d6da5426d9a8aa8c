"""How sure a metric is: intervals by resampling the holdout's rows, the same rows for both models.

Percentile bootstrap (Efron and Tibshirani 1993, chapter 13), paired for the difference of two models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from interlock.stats.metrics import Floats, Metric

RESAMPLES = 200
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A value and the bounds within which it lies with 95% confidence."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Scored:
    """A model's answers on the holdout, and the threshold it says yes from."""

    scores: Floats
    threshold: float


def intervals(
    metrics: Sequence[Metric],
    y: npt.NDArray[np.generic],
    challenger: Scored,
    champion: Scored | None = None,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> tuple[dict[str, Interval], dict[str, Interval]]:
    """Each metric of the challenger, and its difference to the champion on the same resamples.

    Returns:
        two dictionaries by the metric's name; the second is empty without a champion.
    """
    generator = np.random.default_rng(seed)
    drawn = np.empty((2, len(metrics), resamples))
    for turn in range(resamples):
        rows = generator.integers(0, len(y), len(y))
        for index, metric in enumerate(metrics):
            drawn[0, index, turn] = metric.compute(y[rows], challenger.scores[rows], challenger.threshold)
            if champion is not None:
                drawn[1, index, turn] = metric.compute(y[rows], champion.scores[rows], champion.threshold)
    own, difference = {}, {}
    for index, metric in enumerate(metrics):
        value = metric.compute(y, challenger.scores, challenger.threshold)
        own[metric.name] = _interval(value, drawn[0, index])
        if champion is not None:
            other = metric.compute(y, champion.scores, champion.threshold)
            difference[metric.name] = _interval(value - other, drawn[0, index] - drawn[1, index])
    return own, difference


def _interval(value: float, drawn: Floats) -> Interval:
    # A resample that holds one class only has no AUC; it says nothing about the others.
    known = drawn[~np.isnan(drawn)]
    if not len(known):
        return Interval(value, value, value)
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))

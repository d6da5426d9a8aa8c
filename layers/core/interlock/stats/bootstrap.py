"""How sure a metric is: intervals by resampling the holdout's rows, the same rows for both models.

Percentile bootstrap (Efron and Tibshirani 1993, chapter 13), paired for the difference of two models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    models = [challenger] if champion is None else [challenger, champion]
    computed = [[_on_rows(metric, y, model) for metric in metrics] for model in models]
    drawn = np.empty((resamples, len(models), len(metrics)))
    for turn in range(resamples):
        rows = generator.integers(0, len(y), len(y))
        drawn[turn] = [[compute(rows) for compute in model] for model in computed]
    every = np.arange(len(y))
    values = np.array([[compute(every) for compute in model] for model in computed])
    own, difference = {}, {}
    for index, metric in enumerate(metrics):
        own[metric.name] = _interval(values[0, index], drawn[:, 0, index])
        if champion is not None:
            difference[metric.name] = _interval(
                values[0, index] - values[1, index], drawn[:, 0, index] - drawn[:, 1, index]
            )
    return own, difference


def between(
    metric: Metric,
    one: tuple[npt.NDArray[np.generic], Scored],
    two: tuple[npt.NDArray[np.generic], Scored],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Interval:
    """The metric of one minus that of two, each with labels and answers of its own rows, resampled apart."""
    generator = np.random.default_rng(seed)
    values, drawn = [], []
    for y, model in (one, two):
        compute = _on_rows(metric, y, model)
        values.append(compute(np.arange(len(y))))
        drawn.append([compute(generator.integers(0, len(y), len(y))) for _ in range(resamples)])
    return _interval(values[0] - values[1], np.array(drawn[0]) - np.array(drawn[1]))


def _on_rows(metric: Metric, y: npt.NDArray[np.generic], model: Scored) -> Callable[[npt.NDArray[np.int64]], float]:
    """The metric of some rows; losses a row are computed once and not for every resample."""
    if metric.per_row is None:
        return lambda rows: metric.compute(y[rows], model.scores[rows], model.threshold)
    losses = metric.per_row(y, model.scores, model.threshold)
    return lambda rows: float(losses[rows].mean())


def _interval(value: float, drawn: Floats) -> Interval:
    # A resample that holds one class only has no AUC; it says nothing about the others.
    known = drawn[~np.isnan(drawn)]
    if not len(known):
        return Interval(float(value), float(value), float(value))
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(value), float(low), float(high))

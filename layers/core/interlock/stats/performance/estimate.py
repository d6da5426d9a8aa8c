"""What a classifier's metrics are expected to be on rows without labels, from its scores alone.

Confidence-based performance estimation: a calibrated probability says how often such a row is positive, and so how
much loss to expect (as NannyML's CBPE). It holds as long as a score still means what it meant on the holdout: a change
of the relation between inputs and target (concept drift) cannot be seen by it.
"""

from __future__ import annotations

import math

import numpy as np

from interlock.kind import Kind
from interlock.schema import Model
from interlock.stats.metrics import Floats, Metric, metrics_for
from interlock.stats.performance.calibrator import Calibrator

_Z = 1.959963984540054


class Estimate(Model):
    """A metric with the band in which the realised one of these rows is expected with 95% confidence."""

    value: float
    low: float
    high: float


def estimate_binary(scores: Floats, threshold: float, calibrator: Calibrator, seed: int = 0) -> dict[str, Estimate]:
    """Every metric of a binary model that can be estimated, by name; the calibration error is assumed, not estimated.

    The band holds the chance of the labels (drawn as often as the calibration was resampled) and the uncertainty of
    the calibration.
    """
    generator = np.random.default_rng(seed)
    probabilities = calibrator(scores)
    metrics = [metric for metric in metrics_for(Kind.BINARY) if metric.per_row or metric.name == "roc_auc"]
    drawn = [
        [metric.compute(generator.random(len(scores)) < curve, scores, threshold) for metric in metrics]
        for curve in calibrator.resampled(scores)
    ]
    found = {}
    for metric, column in zip(metrics, np.array(drawn).T, strict=True):
        value = _expected(metric, scores, probabilities, threshold)
        known = column[~np.isnan(column)]
        if math.isnan(value) or len(known) < 2:
            continue
        spread = _Z * float(known.std(ddof=1))
        found[metric.name] = Estimate(value=value, low=value - spread, high=value + spread)
    return found


def estimate_accuracy(confidences: Floats, calibrator: Calibrator) -> dict[str, Estimate]:
    """The accuracy of a multi-class model: how often the class it names is right, given how sure it was.

    Captures hold the winner's probability only, so that nothing else can be estimated.
    """
    right = calibrator(confidences)
    curves = [float(curve.mean()) for curve in calibrator.resampled(confidences)]
    chance = float((right * (1 - right)).mean()) / len(right)
    spread = _Z * math.sqrt(chance + float(np.var(curves, ddof=1)))
    value = float(right.mean())
    return {"accuracy": Estimate(value=value, low=max(0.0, value - spread), high=min(1.0, value + spread))}


def _expected(metric: Metric, scores: Floats, probabilities: Floats, threshold: float) -> float:
    if metric.per_row is not None:
        yes = metric.per_row(np.ones(len(scores), dtype=np.int64), scores, threshold)
        no = metric.per_row(np.zeros(len(scores), dtype=np.int64), scores, threshold)
        return float((probabilities * yes + (1 - probabilities) * no).mean())
    return _expected_auc(scores, probabilities)


def _expected_auc(scores: Floats, probabilities: Floats) -> float:
    """Each row counts as a positive by its probability and as a negative by the rest; ties count half."""
    _, inverse = np.unique(scores, return_inverse=True)
    yes, no = np.bincount(inverse, probabilities), np.bincount(inverse, 1 - probabilities)
    if yes.sum() <= 0 or no.sum() <= 0:
        return math.nan
    below = np.cumsum(no) - no / 2
    return float((yes * below).sum() / (yes.sum() * no.sum()))

"""Tests that may be looked at as often as one likes: their error rates hold at every moment at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
# Fewer independent units than these, and a mean is not normal enough for its estimated variance.
MIN_UNITS = 100


@dataclass(frozen=True)
class Mean:
    """A mean over rows that come in units (a caller's rows belong together): its variance, and how many units."""

    value: float
    variance: float
    units: int
    rows: int


def clustered_mean(values: Floats, units: npt.NDArray[np.generic]) -> Mean:
    """The mean of values [rows] whose unit [rows] is what was drawn at random.

    The variance is the ratio estimator's (Deng, Knoblich and Lu 2018, "Applying the delta method in metric analytics",
    section 3; Cochran 1977, 6.4).
    """
    _, place = np.unique(units, return_inverse=True)
    counts = np.bincount(place).astype(np.float64)
    sums = np.bincount(place, weights=values)
    n, rows = len(counts), len(values)
    value = float(values.mean()) if rows else math.nan
    if n < 2:
        return Mean(value, math.inf, n, rows)
    residuals = sums - value * counts
    return Mean(value, float(n / (n - 1) * (residuals**2).sum() / rows**2), n, rows)


@dataclass(frozen=True)
class Difference:
    """Of two means, with an interval that holds at every look."""

    value: float
    low: float
    high: float

    @property
    def decided(self) -> bool:
        """Whether the interval leaves out that there is no difference."""
        return self.low > 0 or self.high < 0


def sequential_difference(one: Mean, two: Mean, effect: float, alpha: float) -> Difference:
    """One - two with its always-valid interval: outside it, the mixture likelihood ratio exceeds 1 / alpha.

    The mixture sequential probability ratio test with a normal mixture (Robbins 1970; Johari, Pekelis and Walsh 2015,
    "Always valid inference: bringing sequential analysis to A/B testing", section 4):

        sqrt(V / (V + t^2)) exp(t^2 d^2 / (2 V (V + t^2))), d the difference, V its variance, t the mixture's deviation.

    Args:
        one: the one mean.
        two: the other.
        effect: the smallest difference that matters; the mixture's deviation.
        alpha: how often two equal means may be called different.
    """
    variance, mixing = one.variance + two.variance, effect**2
    value = one.value - two.value
    if min(one.units, two.units) < MIN_UNITS or not math.isfinite(variance):
        return Difference(value, -math.inf, math.inf)
    if variance == 0:
        return Difference(value, value, value)
    wide = (
        (variance + mixing) / mixing * variance * (2 * math.log(1 / alpha) + math.log((variance + mixing) / variance))
    )
    return Difference(value, value - math.sqrt(wide), value + math.sqrt(wide))


def exceeds(events: int, trials: int, share: float) -> float:
    """How strongly a count speaks for a rate above `share`: an e-value, 1 / alpha of it refuses at level alpha.

    The mean of likelihood ratios against larger rates, spread evenly over the logarithm (Robbins' mixture on a grid;
    Ville 1939 bounds its supremum over time). Under every rate up to `share` it exceeds 1 / alpha, at any look, with a
    probability of at most alpha.

    Args:
        events: how often it happened.
        trials: out of how many.
        share: the rate that is allowed, above 0 and below 1.
    """
    rates = np.geomspace(share, 1.0, 65)[1:-1]
    logs = events * np.log(rates / share) + (trials - events) * (np.log1p(-rates) - math.log1p(-share))
    top = float(logs.max())
    return math.exp(min(700.0, top + math.log(float(np.exp(logs - top).mean()))))

"""Quantiles and their intervals, whatever the distribution."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from interlock.stats.shares import Z


def quantile_bounds(values: npt.NDArray[np.float64], probability: float) -> tuple[float, float, float]:
    """A quantile with its 95% interval by order statistics (Hahn and Meeker 1991, chapter 5, normal approximation).

    Args:
        values: the sample [n], of at least one value.
        probability: which quantile.

    Returns:
        (value, low, high); an end that the sample is too small for is minus or plus infinity.
    """
    ordered = np.sort(values)
    n = len(ordered)
    half = Z * math.sqrt(n * probability * (1 - probability))
    low, high = math.floor(n * probability - half), math.ceil(n * probability + half)
    return (
        float(np.quantile(ordered, probability)),
        float(ordered[low - 1]) if low >= 1 else -math.inf,
        float(ordered[high]) if high < n else math.inf,
    )

"""Population stability index."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt


def psi(reference: npt.NDArray[np.int64], current: npt.NDArray[np.int64]) -> float:
    """Sum over bins of (q - p) ln(q / p), p and q the bins' shares of reference and current (Siddiqi 2006).

    Each count gets half a row more, so that an empty bin gives a large number and not an infinite one.
    """
    p = (reference + 0.5) / (reference.sum() + 0.5 * len(reference))
    q = (current + 0.5) / (current.sum() + 0.5 * len(current))
    return float(((q - p) * np.log(q / p)).sum())


def psi_noise(reference: int, current: int, bins: int, probability: float) -> float:
    """The index that two samples of the same population stay below with this probability.

    Without drift the index times nm / (n + m) is approximately chi-square with bins - 1 degrees of freedom
    (Yurdakul 2018, "Statistical properties of population stability index").
    """
    if bins < 2:
        return 0.0
    return chi_square_quantile(probability, bins - 1) * (1 / reference + 1 / current)


def chi_square_quantile(probability: float, degrees: int) -> float:
    """Quantile of the chi-square distribution (Wilson and Hilferty 1931), within 1% of it from 2 degrees on."""
    spread = 2 / (9 * degrees)
    return float(degrees * (1 - spread + normal_quantile(probability) * math.sqrt(spread)) ** 3)


def normal_quantile(probability: float) -> float:
    """Quantile of the normal distribution."""
    from statistics import NormalDist

    return NormalDist().inv_cdf(probability)

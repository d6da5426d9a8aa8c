"""Evidently's default choice of test and threshold (version 0.7): `monitoring.drift.method: evidently`.

For those who come from there and want the verdicts they know. Its tests do not account for the number of columns, and
its distances not for the sizes of the samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from interlock.stats.drift import numbers, shares
from interlock.stats.drift.counted import Counted
from interlock.stats.drift.significance import chi_square_tail, normal_tail, smirnov_tail

# Reference rows up to which significance is tested; beyond, distances are taken.
_SMALL = 1000
_FEW_VALUES = 5
_SIGNIFICANT, _FAR = 0.05, 0.1
# The share of the columns from which on it calls the whole dataset drifted.
DRIFTED_SHARE = 0.5


@dataclass(frozen=True)
class Tested:
    """The test that Evidently chooses for a column, its value (p or distance), and the verdict."""

    test: str
    value: float
    drifted: bool

    @property
    def significance(self) -> bool:
        """Whether the value is a p value."""
        return self.test in {"ks", "chisquare", "z"}


def test(counted: Counted) -> Tested | None:
    """What Evidently says of a column; None where it refuses: a side without values."""
    if not all(counted.known):
        return None
    n = counted.known[0]
    before, now = _values(counted)
    there = (before > 0) | (now > 0)
    before, now = before[there], now[there]
    if counted.distributions is not None and len(before) > _FEW_VALUES:
        if n > _SMALL:
            reference, current = counted.distributions
            distance = numbers.wasserstein(reference, current) / max(counted.deviation, 0.001)
            return Tested("wasserstein", distance, distance >= _FAR)
        p = smirnov_tail(numbers.kolmogorov_smirnov(*counted.distributions), *counted.known)
        return Tested("ks", p, p <= _SIGNIFICANT)
    if n > _SMALL:
        distance = shares.jensen_shannon(before, now)
        return Tested("jensenshannon", distance, distance >= _FAR)
    if len(before) > 2:
        p = _chi_square(before, now)
        return Tested("chisquare", p, p < _SIGNIFICANT)
    p = _proportions(before, now)
    return Tested("z", p, p < _SIGNIFICANT)


def _values(counted: Counted) -> tuple[shares.Counts, shares.Counts]:
    """Counts value by value; numbers between two edges of the reference are as one value."""
    if counted.distributions is None:
        return counted.counts
    reference, current = counted.distributions
    return (
        np.concatenate([reference.at, reference.between]),
        np.concatenate([current.at, current.between]),
    )


def _chi_square(before: shares.Counts, now: shares.Counts) -> float:
    """Goodness of fit to the reference's shares, taken as if they were exact."""
    expected = before * (now.sum() / before.sum())
    if (expected == 0).any():
        return 0.0
    return chi_square_tail(float(((now - expected) ** 2 / expected).sum()), len(before) - 1)


def _proportions(before: shares.Counts, now: shares.Counts) -> float:
    """Two-sided z test of a share, its variance pooled."""
    if len(before) == 1:
        return 1.0
    n, m = int(before.sum()), int(now.sum())
    pooled = (before[0] + now[0]) / (n + m)
    z = (before[0] / n - now[0] / m) / math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return normal_tail(float(z))

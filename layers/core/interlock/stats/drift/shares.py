"""Distances between two samples' shares of the same bins or categories. All take counts [k]."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]


def jensen_shannon(reference: Counts, current: Counts) -> float:
    """Distance: the root of the divergence from the mean of both, with natural logarithms (Lin 1991)."""
    p, q = _shares(reference, current)
    middle = (p + q) / 2
    return math.sqrt(max(0.0, (_divergence(p, middle) + _divergence(q, middle)) / 2))


def total_variation(reference: Counts, current: Counts) -> float:
    """The largest difference of the two probabilities of any set of bins: half the sum of all differences."""
    p, q = _shares(reference, current)
    return float(np.abs(p - q).sum() / 2)


def hellinger(reference: Counts, current: Counts) -> float:
    """Euclidean distance of the shares' roots over the root of two (Hellinger 1909)."""
    p, q = _shares(reference, current)
    return float(np.linalg.norm(np.sqrt(p) - np.sqrt(q)) / math.sqrt(2))


def cramers_v(reference: Counts, current: Counts) -> float:
    """Pearson's chi-square of the 2 x k table as an effect size that does not grow with the samples (Cramer 1946)."""
    n = int(reference.sum() + current.sum())
    return math.sqrt(chi_square(reference, current) / n) if n else 0.0


def chi_square(reference: Counts, current: Counts) -> float:
    """Pearson's statistic of homogeneity of the 2 x k table (1900)."""
    table = np.array([reference, current], dtype=np.float64)
    table = table[:, table.sum(axis=0) > 0]
    total = table.sum()
    if not total or not table.sum(axis=1).all():
        return 0.0
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / total
    return float(((table - expected) ** 2 / expected).sum())


def _shares(reference: Counts, current: Counts) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    return reference / max(1, reference.sum()), current / max(1, current.sum())


def _divergence(p: npt.NDArray[np.float64], q: npt.NDArray[np.float64]) -> float:
    there = p > 0
    return float((p[there] * np.log(p[there] / q[there])).sum())

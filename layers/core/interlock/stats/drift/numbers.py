"""Distances between two distributions of numbers."""

from __future__ import annotations

import numpy as np

from interlock.stats.drift.distribution import Tally


def kolmogorov_smirnov(reference: Tally, current: Tally) -> float:
    """Largest difference of the two distribution functions (Smirnov 1939), looked for on both sides of every edge.

    Exact when every value of the reference is an edge; otherwise a difference inside a bin may be missed, of at most
    the bin's share.
    """
    before = np.abs(reference.below() - current.below()).max()
    return float(max(before, np.abs(reference.up_to() - current.up_to()).max()))


def wasserstein(reference: Tally, current: Tally) -> float:
    """Area between the two distribution functions, in the column's unit (Kantorovich 1942).

    Between two edges the integral of the difference is known exactly from counts and sums; it is the area unless the
    functions cross there, and then the area of the two triangles is taken if that is larger.
    """
    width = np.diff(reference.edges)
    start = reference.up_to()[:-1] - current.up_to()[:-1]
    end = reference.below()[1:] - current.below()[1:]
    signed = np.abs(width * start + _gained(reference) - _gained(current))
    both = np.abs(start) + np.abs(end)
    crossing = np.where(start * end < 0, width * (start**2 + end**2) / np.where(both > 0, 2 * both, 1.0), 0.0)
    return float(np.maximum(signed, crossing).sum() + np.abs(_outside(reference) - _outside(current)).sum())


def _gained(tally: Tally) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Between each two edges [k - 1]: the integral of what the distribution function gains after the first edge."""
    return np.asarray((tally.between[1:-1] * tally.edges[1:] - tally.sums[1:-1]) / max(1, tally.count))


def _outside(tally: Tally) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The integrals below the first edge and above the last."""
    low, high = tally.edges[0], tally.edges[-1]
    below, above = tally.between[0] * low - tally.sums[0], tally.sums[-1] - tally.between[-1] * high
    return np.array([below, above]) / max(1, tally.count)

"""Every statistic of drift: its name, what it is for, its range, from where on it matters, and where it comes from."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from interlock.stats.drift import numbers, shares
from interlock.stats.drift.counted import Counted
from interlock.stats.drift.psi import psi

ColumnKind = Literal["number", "category"]
_BOTH: tuple[ColumnKind, ...] = ("number", "category")


@dataclass(frozen=True)
class Statistic:
    """One statistic. `compute` answers None where a column does not have it; `threshold` is from where on it matters.

    Bins of numbers are the reference's, of about equal mass.
    """

    name: str
    title: str
    kinds: tuple[ColumnKind, ...]
    low: float
    high: float
    threshold: float
    source: str
    compute: Callable[[Counted], float | None]


def _psi(counted: Counted) -> float | None:
    return psi(*counted.counts) if all(counted.known) else None


def _of_shares(function: Callable[[shares.Counts, shares.Counts], float]) -> Callable[[Counted], float | None]:
    return lambda counted: function(*counted.counts) if all(counted.known) else None


def _kolmogorov_smirnov(counted: Counted) -> float | None:
    if counted.distributions is None or not all(counted.known):
        return None
    return numbers.kolmogorov_smirnov(*counted.distributions)


def _wasserstein(counted: Counted) -> float | None:
    """In units of the training data's standard deviation; of a constant, in thousandths of the column's unit."""
    if counted.distributions is None or not all(counted.known):
        return None
    return numbers.wasserstein(*counted.distributions) / max(counted.deviation, 0.001)


def _missing(counted: Counted) -> float:
    before, now = counted.rows
    return counted.missing_now / max(1, now) - counted.missing_before / max(1, before)


def _new(counted: Counted) -> float:
    before, now = counted.known
    # Of a column that was always empty in training, every value is new.
    return (counted.new if before else now) / max(1, now)


def _outside(counted: Counted) -> float | None:
    if counted.distributions is None:
        return None
    return counted.distributions[1].outside / max(1, counted.known[1])


_ALL = (
    Statistic("psi", "Population stability index", _BOTH, 0, math.inf, 0.2, "Siddiqi 2006", _psi),
    Statistic(
        "kolmogorov_smirnov", "Kolmogorov-Smirnov distance", ("number",), 0, 1, 0.1, "Smirnov 1939", _kolmogorov_smirnov
    ),
    Statistic(
        "wasserstein",
        "Wasserstein distance in standard deviations",
        ("number",),
        0,
        math.inf,
        0.1,
        "Kantorovich 1942",
        _wasserstein,
    ),
    Statistic(
        "jensen_shannon",
        "Jensen-Shannon distance",
        _BOTH,
        0,
        math.sqrt(math.log(2)),
        0.1,
        "Lin 1991",
        _of_shares(shares.jensen_shannon),
    ),
    Statistic("chi_square", "Chi-square as Cramer's V", _BOTH, 0, 1, 0.1, "Cramer 1946", _of_shares(shares.cramers_v)),
    Statistic(
        "total_variation",
        "Total variation distance",
        _BOTH,
        0,
        1,
        0.1,
        "Levin and Peres 2017, 4.1",
        _of_shares(shares.total_variation),
    ),
    Statistic("hellinger", "Hellinger distance", _BOTH, 0, 1, 0.1, "Hellinger 1909", _of_shares(shares.hellinger)),
    Statistic("missing_rate", "More values missing", _BOTH, -1, 1, 0.05, "Fisher 1935", _missing),
    Statistic("new_categories", "Values never seen in training", _BOTH, 0, 1, 0.01, "Good 1953", _new),
    Statistic("range_violations", "Values outside the training range", ("number",), 0, 1, 0.01, "Wilks 1941", _outside),
)
STATISTICS = {statistic.name: statistic for statistic in _ALL}


def computed(counted: Counted) -> dict[str, float]:
    """All statistics that a column has, rounded for keeping."""
    found = {statistic.name: statistic.compute(counted) for statistic in _ALL}
    return {name: round(value, 6) for name, value in found.items() if value is not None}

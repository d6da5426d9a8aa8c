"""How probable a difference is when nothing changed: what scipy would answer, without scipy."""

from __future__ import annotations

import math

import numpy as np

# Above it the limit's distribution is used, as scipy does.
_EXACT_ROWS = 10_000


def chi_square_tail(statistic: float, degrees: int) -> float:
    """Probability that chi-square exceeds the statistic: the upper incomplete gamma function (DLMF 8.11.4, 8.9.2)."""
    a, x = degrees / 2, statistic / 2
    if x <= 0 or degrees < 1:
        return 1.0
    scale = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1:
        term = total = 1 / a
        while term > total * 1e-16:
            a += 1
            term *= x / a
            total += term
        return max(0.0, 1 - scale * total)
    # Lentz's evaluation of the continued fraction.
    b = x + 1 - a
    c, d = 1e300, 1 / b
    fraction = d
    for i in range(1, 10_000):
        step = i * (a - i)
        b += 2
        d, c = 1 / (step * d + b), b + step / c
        fraction *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return scale * fraction


def normal_tail(z: float) -> float:
    """Probability that a standard normal value lies farther from zero than z."""
    return math.erfc(abs(z) / math.sqrt(2))


def smirnov_tail(distance: float, n: int, m: int) -> float:
    """Probability of at least this distance between samples of n and m rows of one continuous distribution.

    Up to 10,000 rows exact, by counting the lattice paths that stay inside (Hodges 1957); beyond, Kolmogorov's limit
    with Stephens' correction (1970).
    """
    if distance <= 0:
        return 1.0
    if max(n, m) > _EXACT_ROWS:
        root = math.sqrt(n * m / (n + m))
        scaled = (root + 0.12 + 0.11 / root) * distance
        total: float = sum((-1) ** (k - 1) * math.exp(-2 * (k * scaled) ** 2) for k in range(1, 101))
        return min(1.0, max(0.0, 2 * total))
    common = n * m // math.gcd(n, m)
    reach = round(distance * common)
    places = np.arange(n + 1)
    inside = np.zeros(n + 1)
    inside[0] = 1.0
    for step in range(1, n + m + 1):
        # The chance that a random path of this length ends at (place, step - place) and never was outside.
        moved = np.concatenate([[0.0], inside[:-1]]) * places / step
        inside = moved + inside * np.maximum(0, step - places) / step
        there = step - places
        apart = np.abs(places * (common // n) - there * (common // m))
        inside[(apart >= reach) | (there < 0) | (there > m)] = 0.0
    return float(min(1.0, max(0.0, 1 - inside[n])))

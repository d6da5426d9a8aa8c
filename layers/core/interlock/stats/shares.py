"""Intervals of shares and of their differences."""

from __future__ import annotations

import math

Z = 1.959963984540054  # 97.5% of the normal distribution


def wilson(share: float, n: int) -> tuple[float, float]:
    """Wilson's 95% score interval of a share of n (Wilson 1927)."""
    square = Z**2 / n
    middle = (share + square / 2) / (1 + square)
    half = Z * math.sqrt(share * (1 - share) / n + square / (4 * n)) / (1 + square)
    return middle - half, middle + half


def newcombe(one: float, n: int, two: float, m: int) -> tuple[float, float]:
    """95% interval of the difference one - two (Newcombe 1998, method 10: by Wilson's intervals of each)."""
    (low_one, high_one), (low_two, high_two) = wilson(one, n), wilson(two, m)
    gap = one - two
    return (
        gap - math.sqrt((one - low_one) ** 2 + (high_two - two) ** 2),
        gap + math.sqrt((high_one - one) ** 2 + (two - low_two) ** 2),
    )

"""Share of rows without a value."""

from __future__ import annotations

import math
from statistics import NormalDist


def more_missing(before: int, reference: int, now: int, current: int, rate: float) -> bool:
    """Whether more is missing than chance explains (two-proportion z-test with pooled variance, one-sided).

    Args:
        before: missing among `reference` rows.
        reference: rows, all of them.
        now: missing among `current` rows.
        current: rows, all of them.
        rate: how often the answer may be yes when nothing changed.
    """
    if not reference or not current:
        return False
    pooled = (before + now) / (reference + current)
    spread = math.sqrt(pooled * (1 - pooled) * (1 / reference + 1 / current))
    return spread > 0 and (now / current - before / reference) / spread > NormalDist().inv_cdf(1 - rate)

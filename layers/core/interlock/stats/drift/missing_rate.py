"""Share of rows without a value."""

from __future__ import annotations

import math

# Of the sum so far: terms below it change nothing.
_NEGLIGIBLE = 1e-12


def more_missing(before: int, reference: int, now: int, current: int, rate: float) -> bool:
    """Whether more is missing than chance explains: Fisher's exact test (1935), one-sided.

    The normal approximation is not for this: with a window of hundreds and a reference of thousands of rows its tail is
    a third of the true one, and cries wolf three times too often.

    Args:
        before: missing among `reference` rows.
        reference: rows, all of them.
        now: missing among `current` rows.
        current: rows, all of them.
        rate: how often the answer may be yes when nothing changed.
    """
    if now * reference <= before * current:
        return False
    missing, tail = before + now, 0.0
    term = math.exp(
        _log_choose(current, now) + _log_choose(reference, before) - _log_choose(reference + current, missing)
    )
    for count in range(now, min(missing, current) + 1):
        tail += term
        if tail > rate:
            return False
        if term <= tail * _NEGLIGIBLE:
            break
        term *= (current - count) * (missing - count) / ((count + 1) * (reference - missing + count + 1))
    return True


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)

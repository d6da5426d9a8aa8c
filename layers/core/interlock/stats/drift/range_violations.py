"""Values outside the range that training saw."""

from __future__ import annotations

from interlock.stats.drift.new_categories import more_new

# The smallest and the largest value of training came once each, as far as anybody knows.
_ENDS = 2


def more_outside(outside: int, current: int, reference: int, rate: float) -> bool:
    """Whether more values lie outside the training range than chance puts there.

    Of `reference` values the next one falls outside their range with probability 2 / (reference + 1) (Wilks 1941),
    as if two of them were new: compared as new categories are.

    Args:
        outside: values of the window below the smallest or above the largest of training.
        current: values of the window.
        reference: values of the training data.
        rate: how often the answer may be yes when nothing changed.
    """
    return more_new(outside, current, _ENDS, reference, rate)

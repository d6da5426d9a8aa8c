"""Values that never came in training."""

from __future__ import annotations

import math

# Below this many rows it is somebody's typing error.
_FEWEST = 5


def more_new(new: int, current: int, once: int, reference: int, rate: float) -> bool:
    """Whether more rows have a value never seen before than chance explains.

    After a small training something new is bound to come: its share is about that of the rows whose value came exactly
    once (Good 1953). So `new` of `current` rows are compared with `once` (and one more) of `reference` rows, as two
    Poisson rates are: given their sum, `new` is binomial (Przyborowski and Wilenski 1940). Its tail is taken by its
    Chernoff bound (Hoeffding 1963), which is never too small.

    Args:
        new: rows with a value never seen in training.
        current: rows of the window.
        once: values that came exactly once in training.
        reference: rows of the training data.
        rate: how often the answer may be yes when nothing changed.
    """
    if new < _FEWEST:
        return False
    both = new + once + 1
    found, expected = new / both, current / (current + reference)
    if found <= expected:
        return False
    distance = found * math.log(found / expected) + (1 - found) * math.log((1 - found) / (1 - expected))
    return math.exp(-both * distance) <= rate

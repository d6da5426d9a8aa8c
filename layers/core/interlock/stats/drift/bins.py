"""In which bin of the reference a single value falls; without the library that reads references, for serving."""

from __future__ import annotations

import bisect
from collections.abc import Sequence

import numpy as np


def number_bin(edges: Sequence[float], value: float) -> int:
    """The bin of a value."""
    return bisect.bisect_right(edges, float(np.float32(value)))


def category_bin(categories: Sequence[str], value: str) -> int:
    """The place of a category; one that was never seen gets the place after the last."""
    try:
        return list(categories).index(value)
    except ValueError:
        return len(categories)

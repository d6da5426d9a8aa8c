"""A column in training and in a window, counted alike: what every statistic is computed from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interlock.stats.drift.distribution import Tally
from interlock.stats.drift.shares import Counts


@dataclass(frozen=True)
class Counted:
    """Counts by the same bins; of numbers that are not restricted also the distributions, by the same edges.

    `rest` says that the last bin is all categories that have none of their own; `new` are the rows in it of categories
    never seen in training. `deviation` is that of the training data's numbers.
    """

    column: str
    bins: tuple[str, ...]
    before: tuple[int, ...]
    now: tuple[int, ...]
    missing_before: int
    missing_now: int
    new: int = 0
    rest: bool = False
    distributions: tuple[Tally, Tally] | None = None
    deviation: float = 0.0

    @property
    def counts(self) -> tuple[Counts, Counts]:
        """Training and window as arrays [k]."""
        return np.array(self.before, dtype=np.int64), np.array(self.now, dtype=np.int64)

    @property
    def known(self) -> tuple[int, int]:
        """Rows with a value, in training and in the window."""
        return sum(self.before), sum(self.now)

    @property
    def rows(self) -> tuple[int, int]:
        """All rows, in training and in the window."""
        before, now = self.known
        return before + self.missing_before, now + self.missing_now

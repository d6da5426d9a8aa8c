"""The verdict on a window of traffic: a column at a time, then the whole."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import numpy.typing as npt

from interlock.schema import Model
from interlock.spec import Drift
from interlock.stats.drift.psi import normal_quantile, psi, psi_noise

State = Literal["stable", "warn", "drift", "too_few"]


class ColumnDrift(Model):
    """One column. Shares are of rows with a value; `noise` is what chance alone gives at these sizes."""

    column: str
    state: State
    psi: float
    noise: float
    missing_before: float
    missing_now: float
    new_share: float
    reason: str
    bins: tuple[str, ...]
    before: tuple[float, ...]
    now: tuple[float, ...]

    @property
    def moved(self) -> tuple[str, float, float] | None:
        """The bin whose share changed most, with its share before and now; None when one side has no values."""
        if not any(self.before) or not any(self.now):
            return None
        return max(
            zip(self.bins, self.before, self.now, strict=True), key=lambda found: abs(found[2] - found[1]), default=None
        )


class WindowDrift(Model):
    """The whole window; `columns` with the most drifted first."""

    state: State
    rows: int
    columns: tuple[ColumnDrift, ...]

    @property
    def drifted(self) -> tuple[str, ...]:
        """Names of the drifted columns, the most drifted first."""
        return tuple(column.column for column in self.columns if column.state == "drift")


class Counted(Model):
    """A column's counts in reference and window, by the same bins; `new` are rows of categories never seen."""

    column: str
    bins: tuple[str, ...]
    before: tuple[int, ...]
    now: tuple[int, ...]
    missing_before: int
    missing_now: int
    new: int = 0


def judge(columns: list[Counted], rows: int, policy: Drift) -> WindowDrift:
    """Judge a window.

    A column drifts when its index is both large (policy.psi) and more than chance gives at these sample sizes; the
    chance is the policy's false-alarm rate of the whole window, shared among all tests (Bonferroni).
    """
    tests = max(1, 3 * len(columns))
    rate = policy.false_alarm_rate / tests
    few = rows < policy.min_rows
    judged = [_column(column, policy, rate, few=few) for column in columns]
    order = {"drift": 0, "warn": 1, "stable": 2, "too_few": 3}
    judged.sort(key=lambda column: (order[column.state], -column.psi))
    state: State = "too_few" if few or not judged else judged[0].state
    return WindowDrift(state=state, rows=rows, columns=tuple(judged))


def _column(counted: Counted, policy: Drift, rate: float, *, few: bool) -> ColumnDrift:
    before, now = np.array(counted.before, dtype=np.int64), np.array(counted.now, dtype=np.int64)
    n, m = int(before.sum()), int(now.sum())
    index, noise = 0.0, 0.0
    if n and m:
        index, noise = psi(before, now), psi_noise(n, m, len(before), 1 - rate)
    missing_before = counted.missing_before / max(1, counted.missing_before + n)
    total = counted.missing_now + m
    missing_now = counted.missing_now / max(1, total)
    new_share = counted.new / max(1, m)
    reasons: list[str] = []
    state: State = "stable"
    if index >= policy.psi_warn and index > noise:
        state = "drift" if index >= policy.psi else "warn"
        reasons.append(f"PSI {index:.2f} (chance alone stays below {noise:.2f})")
    increase = missing_now - missing_before
    if increase >= policy.missing_increase and _more(
        missing_before, n + counted.missing_before, missing_now, total, rate
    ):
        state = "drift"
        reasons.append(f"missing {missing_now:.1%} instead of {missing_before:.1%}")
    if new_share >= policy.new_category_share and counted.new >= 5:
        state = "drift"
        reasons.append(f"{new_share:.1%} of the values are categories never seen in training")
    if few:
        state, reasons = "too_few", ["too few rows to judge"]
    return ColumnDrift(
        column=counted.column,
        state=state,
        psi=index,
        noise=noise,
        missing_before=missing_before,
        missing_now=missing_now,
        new_share=new_share,
        reason="; ".join(reasons) or "as in training",
        bins=counted.bins,
        before=_shares(before),
        now=_shares(now),
    )


def _more(share: float, n: int, other: float, m: int, rate: float) -> bool:
    """Whether the second share is above the first by more than chance (two-proportion z-test, one-sided)."""
    if not n or not m:
        return False
    pooled = (share * n + other * m) / (n + m)
    spread = math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return spread > 0 and (other - share) / spread > normal_quantile(1 - rate)


def _shares(counts: npt.NDArray[np.int64]) -> tuple[float, ...]:
    total = int(counts.sum())
    return tuple((counts / total).tolist()) if total else tuple(0.0 for _ in counts)

"""The verdict on a window of traffic: a column at a time, then the whole."""

from __future__ import annotations

from typing import Literal

import numpy as np

from interlock.schema import Model
from interlock.spec import Drift
from interlock.stats.drift.missing_rate import more_missing
from interlock.stats.drift.new_categories import more_new
from interlock.stats.drift.psi import Counts, joined, psi, psi_noise

State = Literal["stable", "warn", "drift", "too_few"]


class ColumnDrift(Model):
    """One column; shares are of rows with a value.

    `psi` is over the bins that are not rare, without new categories; `noise` is what chance alone gives at these sizes.
    """

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
        """The bin whose share changed most, with its share before and now; None when chance may have changed it."""
        if self.psi <= self.noise and not self.new_share:
            return None
        shares = zip(self.bins, self.before, self.now, strict=True)
        return max(shares, key=lambda found: abs(found[2] - found[1]))


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
    """A column's counts in reference and window, by the same bins.

    `rest` says that the last bin is all categories that have none of their own; `new` are the rows in it of categories
    never seen in training.
    """

    column: str
    bins: tuple[str, ...]
    before: tuple[int, ...]
    now: tuple[int, ...]
    missing_before: int
    missing_now: int
    new: int = 0
    rest: bool = False


def judge(columns: list[Counted], rows: int, policy: Drift) -> WindowDrift:
    """Judge a window.

    A column drifts when something about it is both large by the policy and more than chance gives at these sample
    sizes; the chance is the policy's false-alarm rate of the whole window, shared among all tests (Bonferroni).
    """
    rate = policy.false_alarm_rate / max(1, 3 * len(columns))
    few = rows < policy.min_rows
    judged = [_column(column, policy, rate, few=few) for column in columns]
    order = {"drift": 0, "warn": 1, "stable": 2, "too_few": 3}
    judged.sort(key=lambda column: (order[column.state], -_strength(column, policy)))
    state: State = "too_few" if few or not judged else judged[0].state
    return WindowDrift(state=state, rows=rows, columns=tuple(judged))


def _column(counted: Counted, policy: Drift, rate: float, *, few: bool) -> ColumnDrift:
    before, now = np.array(counted.before, dtype=np.int64), np.array(counted.now, dtype=np.int64)
    n, m = int(before.sum()), int(now.sum())
    # Of a column that was always empty in training, every value is new.
    new = counted.new if n else m
    index, noise = _index(counted, 1 - rate)
    reference, current = n + counted.missing_before, m + counted.missing_now
    missing_before, missing_now = counted.missing_before / max(1, reference), counted.missing_now / max(1, current)
    new_share = new / max(1, m)
    reasons: list[str] = []
    state: State = "stable"
    if index >= policy.psi_warn and index > noise:
        state = "drift" if index >= policy.psi else "warn"
        reasons.append(f"PSI {index:.2f} (chance alone stays below {noise:.2f})")
    if missing_now - missing_before >= policy.missing_increase and more_missing(
        counted.missing_before, reference, counted.missing_now, current, rate
    ):
        state = "drift"
        reasons.append(f"missing {missing_now:.1%} instead of {missing_before:.1%}")
    if new_share >= policy.new_category_share and more_new(new, current, int((before == 1).sum()), reference, rate):
        state = "drift"
        reasons.append(f"{new_share:.1%} of the values were never seen in training")
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


def _index(counted: Counted, probability: float) -> tuple[float, float]:
    """PSI and what chance alone gives.

    Rows of new categories are left out: their bin is empty in training by its definition, so that chance fills it; they
    are judged by their share.
    """
    before, now = np.array(counted.before, dtype=np.int64), np.array(counted.now, dtype=np.int64)
    now[-1] -= counted.new
    if not before.any() or not now.any():
        return 0.0, 0.0
    before, now = joined(before, now, rest=counted.rest)
    return psi(before, now), psi_noise(int(before.sum()), int(now.sum()), len(before), probability)


def _strength(column: ColumnDrift, policy: Drift) -> float:
    """How many times its limit the strongest of a column's changes is."""
    return max(
        column.psi / policy.psi,
        (column.missing_now - column.missing_before) / policy.missing_increase,
        column.new_share / policy.new_category_share,
    )


def _shares(counts: Counts) -> tuple[float, ...]:
    total = int(counts.sum())
    return tuple((counts / total).tolist()) if total else tuple(0.0 for _ in counts)

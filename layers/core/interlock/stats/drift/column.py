"""The verdict on one column."""

from __future__ import annotations

from interlock.spec import Drift
from interlock.stats.drift import evidently
from interlock.stats.drift.counted import Counted
from interlock.stats.drift.found import ColumnDrift, State
from interlock.stats.drift.missing_rate import more_missing
from interlock.stats.drift.new_categories import more_new
from interlock.stats.drift.psi import Counts, joined, psi, psi_noise
from interlock.stats.drift.range_violations import more_outside
from interlock.stats.drift.registry import STATISTICS, computed
from interlock.stats.drift.shares import chi_square
from interlock.stats.drift.significance import chi_square_tail, smirnov_tail

# Tests of a column, each of which may cry wolf: its shape, missing values, new ones, and those outside the range.
TESTS = 4


def judge_as_evidently(counted: Counted, policy: Drift, *, few: bool) -> ColumnDrift:
    """Judge one column by Evidently's default test for it."""
    judged = judge_column(counted, policy, policy.false_alarm_rate, few=few)
    tested = evidently.test(counted)
    if few or tested is None:
        return judged
    word = "p value" if tested.significance else "distance"
    return judged.model_copy(
        update={
            "state": "drift" if tested.drifted else "stable",
            "reason": f"Evidently's {tested.test}: {word} {tested.value:.3g}",
        }
    )


def judge_column(counted: Counted, policy: Drift, rate: float, *, few: bool) -> ColumnDrift:
    """Judge one column; each of its tests may cry wolf with probability `rate`."""
    before, now = counted.counts
    n, m = counted.known
    reference, current = counted.rows
    statistics = computed(counted)
    index, noise = _index(counted, 1 - rate)
    missing_before, missing_now = counted.missing_before / max(1, reference), counted.missing_now / max(1, current)
    # Of a column that was always empty in training, every value is new.
    new = counted.new if n else m
    beyond = counted.distributions[1].outside if counted.distributions else 0
    new_share, outside = new / max(1, m), beyond / max(1, m)
    reasons: list[str] = []
    state, shape = _shape(counted, policy, statistics, index, noise, rate)
    if shape:
        reasons.append(shape)
    if missing_now - missing_before >= policy.missing_increase and more_missing(
        counted.missing_before, reference, counted.missing_now, current, rate
    ):
        state = "drift"
        reasons.append(f"missing {missing_now:.1%} instead of {missing_before:.1%}")
    if new_share >= policy.new_category_share and more_new(new, current, int((before == 1).sum()), reference, rate):
        state = "drift"
        reasons.append(f"{new_share:.1%} of the values were never seen in training")
    if outside >= policy.outside_share and more_outside(beyond, m, n, rate):
        state = "drift"
        reasons.append(f"{outside:.1%} of the values lie outside the training range")
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
        outside=outside,
        statistics=statistics,
    )


def _shape(
    counted: Counted, policy: Drift, statistics: dict[str, float], index: float, noise: float, rate: float
) -> tuple[State, str]:
    """Whether the values lie otherwise, by the statistic that the policy names for such a column."""
    name = policy.numbers if counted.distributions is not None else policy.categories
    if name == "psi":
        if index < policy.psi_warn or index <= noise:
            return "stable", ""
        state: State = "drift" if index >= policy.psi else "warn"
        return state, f"PSI {index:.2f} (chance alone stays below {noise:.2f})"
    statistic = STATISTICS[name]
    value, limit = statistics.get(name, 0.0), policy.thresholds.get(name, statistic.threshold)
    chance = _chance(name, counted, value)
    if value < limit / 2 or chance > rate:
        return "stable", ""
    state = "drift" if value >= limit else "warn"
    return state, f"{statistic.title} {value:.2f} (by chance once in {1 / max(chance, 1e-9):,.0f} windows)"


def _chance(name: str, counted: Counted, value: float) -> float:
    """How probable as much is without drift: by Smirnov's test for distances of numbers, by chi-square for others."""
    if name in {"kolmogorov_smirnov", "wasserstein"}:
        distance = value if name == "kolmogorov_smirnov" else computed(counted).get("kolmogorov_smirnov", 0.0)
        return smirnov_tail(distance, *counted.known)
    before, now = joined(*_without_new(counted), rest=counted.rest)
    return chi_square_tail(chi_square(before, now), len(before) - 1)


def _without_new(counted: Counted) -> tuple[Counts, Counts]:
    """The counts without rows of new categories.

    Their bin is empty in training by its definition, so that chance fills it; they are judged by their share.
    """
    before, now = counted.counts
    now[-1] -= counted.new
    return before, now


def _index(counted: Counted, probability: float) -> tuple[float, float]:
    """PSI and what chance alone gives."""
    before, now = _without_new(counted)
    if not before.any() or not now.any():
        return 0.0, 0.0
    before, now = joined(before, now, rest=counted.rest)
    return psi(before, now), psi_noise(int(before.sum()), int(now.sum()), len(before), probability)


def strength(column: ColumnDrift, policy: Drift) -> float:
    """How many times its limit the strongest of a column's changes is."""
    return max(
        column.psi / policy.psi,
        (column.missing_now - column.missing_before) / policy.missing_increase,
        column.new_share / policy.new_category_share,
        column.outside / policy.outside_share,
    )


def _shares(counts: Counts) -> tuple[float, ...]:
    total = int(counts.sum())
    return tuple((counts / total).tolist()) if total else tuple(0.0 for _ in counts)

"""A step's fairness checks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from interlock.records import Check, CheckStatus
from interlock.spec import FairnessLimit
from interlock.stats.fairness import equal_opportunity
from interlock.stats.shares import wilson
from release.traffic import Arm
from release.window import Window

# Fewer rows than these say nothing about a share.
MIN_ROWS = 50


def fairness(window: Window, limit: FairnessLimit) -> Iterator[Check]:
    """Whether the groups of a column that callers send are served alike by the challenger."""
    two = window.challenger
    title = f"Selection-rate ratio by {limit.column}"
    wanted = f"at least {limit.min_selection_ratio:g}"
    groups = two.groups.get(limit.column)
    if groups is None:
        reason = f"callers do not send {limit.column}; the gate judged it on the holdout"
        yield Check(
            id=f"selection:{limit.column}", title=title, status=CheckStatus.TOO_FEW, limit=wanted, reason=reason
        )
        return
    value, best = _selection_ratio(two, limit.column)
    before, _ = _selection_ratio(window.champion, limit.column)
    status, reason = (
        CheckStatus.PASS,
        f"version {window.champion.version}: {'–' if before is None else f'{before:.3g}'}",
    )
    if value is None or best is None:
        status, reason = CheckStatus.TOO_FEW, f"fewer than two groups with {MIN_ROWS} rows"
    elif value < limit.min_selection_ratio:
        worse = before is None or before >= limit.min_selection_ratio
        status = CheckStatus.FAIL if worse and best < limit.min_selection_ratio else CheckStatus.WARN
    yield Check(id=f"selection:{limit.column}", title=title, status=status, value=value, limit=wanted, reason=reason)
    known = ~np.isnan(two.truth)
    found = equal_opportunity(two.truth[known] == 1, two.places[known] == 1, groups[known], limit.min_positives)
    status, reason = CheckStatus.PASS, ""
    if found.gap is None or found.low is None:
        status, reason = (
            CheckStatus.TOO_FEW,
            f"too few labels yet: fewer than two groups with {limit.min_positives} positives",
        )
    elif found.gap > limit.max_gap:
        status, reason = (CheckStatus.FAIL, "") if found.low > 0 else (CheckStatus.WARN, "chance could have made it")
    yield Check(
        id=f"fairness:{limit.column}", title=f"Equal opportunity by {limit.column}: gap in true positive rates",
        status=status, value=found.gap, low=found.low, high=found.high, limit=f"at most {limit.max_gap:g}",
        reason=reason,
    )  # fmt: skip


def _selection_ratio(arm: Arm, column: str) -> tuple[float | None, float | None]:
    """The lowest selection rate over the highest, and the best that chance leaves of it."""
    groups, chosen = arm.groups[column], arm.places == 1
    rates = []
    for name in np.unique(groups):
        mine = groups == name
        if (count := int(mine.sum())) >= MIN_ROWS:
            rates.append((float(chosen[mine].mean()), count))
    if len(rates) < 2 or not max(rates)[0]:
        return None, None
    (low, n), (high, m) = min(rates), max(rates)
    return low / high, wilson(low, n)[1] / max(1e-9, wilson(high, m)[0])

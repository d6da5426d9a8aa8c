"""A step's checks of how good the answers are: by labels, and by what the scores promise before any label comes."""

from __future__ import annotations

import math

import numpy as np

from interlock.kind import Kind
from interlock.models import DeployedModel
from interlock.records import Check, CheckStatus
from interlock.spec import Limit
from interlock.stats.bootstrap import Interval, Scored, between
from interlock.stats.metrics import Floats, Metric
from release.traffic import Arm
from release.window import Window

_PASS, _WARN, _FAIL, _TOO_FEW = CheckStatus.PASS, CheckStatus.WARN, CheckStatus.FAIL, CheckStatus.TOO_FEW
_MIN_LABELS = 100


def by_labels(model: DeployedModel, metric: Metric, limit: Limit, window: Window) -> Check:
    """The metric against the champion's, of the rows whose labels have come."""
    version = window.champion.version
    one, two = (labelled(model, arm) for arm in (window.challenger, window.champion))
    check = Check(
        id=f"labels:{metric.name}", title=f"{metric.title} against version {version}, by labels", status=_TOO_FEW,
        limit=f"worse by at most {limit.tolerance:g}",
        reason=f"{len(one[0])} and {len(two[0])} labels so far; {_MIN_LABELS} of each are wanted",
    )  # fmt: skip
    if min(len(one[0]), len(two[0])) < _MIN_LABELS:
        return check
    found = between(metric, one, two)
    better, best = (found.value, found.high) if metric.higher_is_better else (-found.value, -found.low)
    status, reason = _PASS, f"{len(one[0]):,} and {len(two[0]):,} labels"
    if math.isnan(found.value):
        status, reason = _TOO_FEW, "the labels are all of one class"
    elif best < -(limit.tolerance or 0):
        status = _FAIL
    elif better < -(limit.tolerance or 0):
        status, reason = _WARN, f"{reason}; chance could have made it"
    return check.model_copy(update={"status": status, "reason": reason, **_interval(found)})


def promised(model: DeployedModel, metric: Metric, limit: Limit, window: Window, *, decided: bool) -> Check:
    """The metric without labels: what the scores of each version promise by its own holdout's calibration.

    It sees a challenger whose answers to these callers are less sure, or whose errors lie where these callers are; it
    cannot see that the target has changed. Where there are labels, they decide.
    """
    one, two, limit_of = window.challenger, window.champion, limit.tolerance or 0
    few = model.spec.monitoring.drift.min_rows
    check = Check(
        id=f"estimate:{metric.name}", title=f"{metric.title} against version {two.version}, estimated without labels",
        status=_TOO_FEW, limit=f"worse by at most {limit.tolerance:g}",
    )  # fmt: skip
    if reason := one.unestimated or two.unestimated:
        return check.model_copy(update={"reason": reason})
    if min(len(one.scores), len(two.scores)) < few:
        reason = f"{len(one.scores)} and {len(two.scores)} rows so far; {few} of each are wanted"
        return check.model_copy(update={"reason": reason})
    mine, other = one.estimated.get(metric.name), two.estimated.get(metric.name)
    if mine is None or other is None:
        return check.model_copy(update={"reason": "this metric cannot be estimated from what is captured"})
    value = mine.value - other.value
    spread = math.hypot(mine.high - mine.low, other.high - other.low) / 2
    better = value if metric.higher_is_better else -value
    status, reason = _PASS, f"{mine.value:.4g} beside {other.value:.4g}"
    if better < -limit_of:
        surely = better + spread < -limit_of
        status = _FAIL if surely and not decided else _WARN
        reason += "; the labels decide" if surely and decided else "" if surely else "; chance could have made it"
    return check.model_copy(
        update={"status": status, "reason": reason, "value": value, "low": value - spread, "high": value + spread}
    )


def labelled(model: DeployedModel, arm: Arm) -> tuple[Floats, Scored]:
    """Labels and answers of the labelled rows, in the form that the metrics want."""
    known = ~np.isnan(arm.truth)
    truth = arm.truth[known]
    if model.spec.target.kind is not Kind.MULTICLASS:
        return truth, Scored(arm.scores[known], arm.threshold)
    # Of several classes the named one is captured: all that accuracy needs.
    one_hot = np.eye(len(model.classes))[arm.places[known]]
    return truth, Scored(one_hot, arm.threshold)


def _interval(found: Interval) -> dict[str, float | None]:
    if math.isnan(found.value):
        return {}
    return {"value": found.value, "low": found.low, "high": found.high}

"""A step's checks: pure judgement of what callers got from both versions since it began.

Only failures and an experiment are judged at every look, by tests that bear being looked at; everything else once, when
the step has baked. A check fails when chance did not make the difference; where too little is there to say, it says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime, timedelta

import numpy as np

from interlock.kind import Kind
from interlock.models import DeployedModel
from interlock.records import Check, CheckStatus, LiveRelease
from interlock.spec import Experiment, Release
from interlock.stats.drift.psi import Counts, joined, psi, psi_noise
from interlock.stats.metrics import METRICS, Floats
from interlock.stats.quantiles import quantile_bounds
from interlock.stats.sequential import clustered_mean, exceeds, sequential_difference
from interlock.stats.shares import wilson
from interlock.steps import Outcome, StepVerdict
from release.groups import MIN_ROWS, fairness
from release.performance import by_labels, labelled, promised
from release.tally import Tally
from release.traffic import silent
from release.window import Pair, Window

_PASS, _WARN, _FAIL, _TOO_FEW = CheckStatus.PASS, CheckStatus.WARN, CheckStatus.FAIL, CheckStatus.TOO_FEW
# How often a version that fails no more than it may is taken back for failing, over a whole step.
_ERROR_ALPHA = 0.001
_SCORE_CONFIDENCE = 0.999
_SCORE_BINS = 10
_PERCENTILE = 0.95
# Below this a difference in milliseconds is nobody's concern.
_SLOW_MS = 1.0


def glance(model: DeployedModel, live: LiveRelease, tally: Tally, at: datetime) -> StepVerdict:
    """What the number of calls and of failures says: whether there is anything to judge.

    Of a shadow only the champion's calls are captured: it has had as many.
    """
    champion, challenger = live.champion, live.challenger
    assert champion is not None  # noqa: S101 - a step bakes beside a champion
    assert challenger is not None  # noqa: S101
    one, two = (
        silent(version, calls=tally.calls.get(of, 0), failures=tally.failures.get(of, 0))
        for version, of in (
            (champion.version, champion.version),
            (challenger.version, challenger.version if live.share else champion.version),
        )
    )
    return judge(model, live, Window(one, two, Pair()), at, counts_only=True)


def judge(
    model: DeployedModel, live: LiveRelease, window: Window, at: datetime, *, counts_only: bool = False
) -> StepVerdict:
    """What the step shows at this moment, and what follows; with `counts_only` nothing else is looked at."""
    plan, began, challenger, champion = live.plan, live.began, live.challenger, live.champion
    assert plan is not None  # noqa: S101 - a step bakes by a plan, since a moment, and both versions are there
    assert began is not None  # noqa: S101
    assert challenger is not None  # noqa: S101
    assert champion is not None  # noqa: S101
    waiting = "" if plan.mode == "ab" else _waiting(plan, window, began, at)
    checks = [_errors(plan, window)]
    if not waiting and plan.experiment is None and not counts_only:
        checks += _settled(model, plan, window)
    outcome, reason = _outcome(checks, waiting)
    if outcome == "pass" and plan.experiment is not None and not counts_only:
        check, outcome = _experiment(model, plan.experiment, window)
        checks, reason = [*checks, check], check.reason
        if outcome == "win":
            # It is better by its metric; the other limits hold for it all the same.
            checks += _settled(model, plan, window)
            if (other := _outcome(checks, ""))[0] == "fail":
                outcome, reason = other
    return StepVerdict(
        model=model.id,
        release=live.split,
        version=challenger.version,
        champion=champion.version,
        mode=plan.mode,
        step=live.step,
        steps=len(plan.shares),
        share=live.share,
        revision=live.revision,
        began=began,
        at=at,
        calls=window.challenger.calls,
        champion_calls=window.champion.calls,
        outcome=outcome,
        reason=reason,
        checks=tuple(checks),
    )


def _waiting(plan: Release, window: Window, began: datetime, at: datetime) -> str:
    """What the step still waits for."""
    calls = window.challenger.calls + window.challenger.failures
    wanted = (
        [f"{plan.min_calls - calls} more calls of version {window.challenger.version}"]
        if calls < plan.min_calls
        else []
    )
    ends = began + timedelta(minutes=plan.bake_minutes)
    if at < ends:
        wanted.insert(0, f"{ends:%Y-%m-%d %H:%M:%S} UTC")
    return " and ".join(wanted)


def _outcome(checks: list[Check], waiting: str) -> tuple[Outcome, str]:
    failed = [check for check in checks if check.status is _FAIL]
    if failed:
        return "fail", "; ".join(_said(check) for check in failed)
    if waiting:
        return "wait", f"it waits for {waiting}"
    return "pass", f"{sum(check.status is _PASS for check in checks)} checks passed, none failed"


def _said(check: Check) -> str:
    value = "" if check.value is None else f"{check.value:.3g}, "
    because = f" ({check.reason})" if check.reason else ""
    return f"{check.title}: {value}{check.limit}{because}"


def _settled(model: DeployedModel, plan: Release, window: Window) -> Iterator[Check]:
    yield _latency(plan, window)
    if plan.mode != "ab":
        yield _agreement(model, plan, window.pair)
        yield _shift(plan, window)
    for fair in model.spec.gate.fairness:
        yield from fairness(window, fair)
    for name, limit in model.spec.gate.metrics.items():
        metric = METRICS[model.spec.target.kind, name]
        if limit.tolerance is not None and not (model.spec.target.kind is Kind.MULTICLASS and name != "accuracy"):
            told = by_labels(model, metric, limit, window)
            yield told
            yield promised(model, metric, limit, window, decided=told.status is not _TOO_FEW)


def _errors(plan: Release, window: Window) -> Check:
    one, two = window.champion, window.challenger
    trials = two.calls + two.failures
    own = one.failures / max(1, one.calls + one.failures)
    allowed = min(0.999, plan.limits.max_error_rate + own)
    value = two.failures / trials if trials else None
    status, reason = _PASS, f"{two.failures} of {trials} calls failed; version {one.version}: {one.failures}"
    if not trials:
        status, reason = _TOO_FEW, "nobody has called yet"
    elif exceeds(two.failures, trials, allowed) >= 1 / _ERROR_ALPHA:
        status = _FAIL
    elif two.failures / trials > allowed:
        status, reason = _WARN, f"{reason}; chance could have made it"
    low, high = wilson(value, trials) if value is not None else (None, None)
    return Check(
        id="errors", title="Failed calls", status=status, value=value, low=low, high=high,
        limit=f"at most {allowed:.3g}", reason=reason,
    )  # fmt: skip


def _latency(plan: Release, window: Window) -> Check:
    title, limit = (
        "95th percentile of the model's time (ms)",
        f"at most {plan.limits.max_slowdown:g} times the champion's",
    )
    one, two = window.champion.milliseconds, window.challenger.milliseconds
    if min(len(one), len(two)) < MIN_ROWS:
        return Check(
            id="latency", title=title, status=_TOO_FEW, limit=limit, reason=f"fewer than {MIN_ROWS} calls of one"
        )
    before, _, most = quantile_bounds(one, _PERCENTILE)
    value, least, high = quantile_bounds(two, _PERCENTILE)
    status, reason = _PASS, f"version {window.champion.version} takes {before:.3g} ms"
    if value > plan.limits.max_slowdown * before and value - before > _SLOW_MS:
        surely = least > plan.limits.max_slowdown * most
        status, reason = (_FAIL, reason) if surely else (_WARN, f"{reason}; chance could have made it")
    return Check(
        id="latency", title=title, status=status, value=value, low=least if math.isfinite(least) else None,
        high=high if math.isfinite(high) else None, limit=limit, reason=reason,
    )  # fmt: skip


def _agreement(model: DeployedModel, plan: Release, pair: Pair) -> Check:
    limit = f"at least {plan.limits.min_agreement:g}"
    title = "Rows that both versions answer alike"
    if pair.reason or pair.rows < MIN_ROWS:
        reason = pair.reason or f"{pair.rows} rows can be put to both"
        return Check(id="agreement", title=title, status=_TOO_FEW, limit=limit, reason=reason)
    if model.spec.target.kind is Kind.REGRESSION:
        title = "Rows on which the predictions differ by less than half their spread"
        alike = np.abs(pair.champion_scores - pair.challenger_scores) < pair.champion_scores.std() / 2
    else:
        alike = pair.champion_places == pair.challenger_places
    value = float(alike.mean())
    low, high = wilson(value, pair.rows)
    status, reason = _PASS, f"{pair.rows:,} rows under both"
    if pair.left_out:
        reason += f", {pair.left_out:,} left out since a restricted value is not kept whole"
    if value < plan.limits.min_agreement:
        status = _FAIL if high < plan.limits.min_agreement else _WARN
    return Check(
        id="agreement", title=title, status=status, value=value, low=low, high=high, limit=limit, reason=reason
    )


def _shift(plan: Release, window: Window) -> Check:
    title, limit = "Shift of the scores (PSI)", f"at most {plan.limits.max_score_shift:g}"
    one, two = window.champion.scores, window.challenger.scores
    if min(len(one), len(two)) < MIN_ROWS:
        return Check(
            id="scores", title=title, status=_TOO_FEW, limit=limit, reason=f"fewer than {MIN_ROWS} rows of one"
        )
    edges = np.unique(np.quantile(one, np.linspace(0, 1, _SCORE_BINS + 1)[1:-1]))
    before, now = joined(_binned(one, edges), _binned(two, edges))
    value, noise = psi(before, now), psi_noise(len(one), len(two), len(before), _SCORE_CONFIDENCE)
    status, reason = _PASS, f"chance alone stays below {noise:.3g}"
    if value > plan.limits.max_score_shift:
        status = _FAIL if value > noise else _WARN
    return Check(id="scores", title=title, status=status, value=value, limit=limit, reason=reason)


def _binned(scores: Floats, edges: Floats) -> Counts:
    return np.bincount(np.searchsorted(edges, scores, side="right"), minlength=len(edges) + 1)


def _experiment(model: DeployedModel, plan: Experiment, window: Window) -> tuple[Check, Outcome]:
    """The A/B test so far."""
    metric = METRICS[model.spec.target.kind, plan.metric]
    assert metric.per_row is not None  # noqa: S101 - DeployedModel takes no other
    means = []
    for arm in (window.challenger, window.champion):
        y, answers = labelled(model, arm)
        losses = metric.per_row(y, answers.scores, answers.threshold)
        means.append(clustered_mean(losses, arm.units[~np.isnan(arm.truth)]))
    one, two = means
    found = sequential_difference(one, two, plan.min_effect, plan.false_positive_rate)
    rows = one.rows + two.rows
    better = found.value if metric.higher_is_better else -found.value
    outcome: Outcome = "wait"
    said = f"{one.rows:,} and {two.rows:,} labelled rows of {one.units:,} and {two.units:,} callers"
    if found.decided:
        outcome = "win" if better > 0 else "fail"
        said = f"{'better' if better > 0 else 'worse'}, and not by chance: {said}"
    elif rows >= plan.max_rows:
        outcome, said = "no_winner", f"no difference was found: {said}"
    elif max(abs(found.low), abs(found.high)) < plan.min_effect:
        outcome, said = "no_winner", f"no difference that matters is left: {said}"
    else:
        said = f"undecided: {said}; it ends at {plan.max_rows:,}"
    status = {"win": _PASS, "fail": _FAIL}.get(outcome, _TOO_FEW)
    return (
        Check(
            id="experiment", title=f"A/B test of {metric.title.lower()}", status=status,
            value=None if math.isnan(found.value) else found.value,
            low=found.low if math.isfinite(found.low) else None,
            high=found.high if math.isfinite(found.high) else None,
            limit=f"a difference of {plan.min_effect:g} matters; {plan.false_positive_rate:g} false alarms at any look",
            reason=said,
        ),
        outcome,
    )  # fmt: skip

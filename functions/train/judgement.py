"""The gate's checks: pure judgement of an evaluation, one line a check.

A check fails on its value. Where an interval says that chance could have decided, it warns. Against the champion it is
the other way round: a difference counts only when the interval says that chance did not make it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from interlock.inference import places
from interlock.kind import Kind
from interlock.models import DeployedModel
from interlock.records import Check, CheckStatus, Verdict
from interlock.spec import FairnessLimit, Limit
from interlock.stats.bootstrap import Interval, Scored, intervals
from interlock.stats.fairness import Opportunity, equal_opportunity
from interlock.stats.metrics import METRICS, Metric
from train.documents import Evaluation

Array = npt.NDArray[Any]
_PASS, _WARN, _FAIL, _TOO_FEW = CheckStatus.PASS, CheckStatus.WARN, CheckStatus.FAIL, CheckStatus.TOO_FEW


@dataclass(frozen=True)
class Scores:
    """What evaluation wrote: y [rows], scores [rows, classes or 1], groups [rows] by column."""

    y: Array
    challenger: Array
    champion: Array | None
    groups: Mapping[str, npt.NDArray[np.str_]]


def judge(model: DeployedModel, evaluation: Evaluation, scores: Scores, at: datetime) -> Verdict:
    """The verdict on a run: it passes when no check fails."""
    checks = tuple(_checks(model, evaluation, scores))
    champion = evaluation.champion
    return Verdict(
        model=model.id,
        run=evaluation.run,
        passed=all(check.status is not _FAIL for check in checks),
        checks=checks,
        threshold=evaluation.threshold,
        champion_version=champion.version if champion else None,
        holdout_rows=evaluation.holdout_rows,
        decided_at=at,
    )


def _checks(model: DeployedModel, evaluation: Evaluation, scores: Scores) -> Iterator[Check]:
    yield _rows(model, evaluation)
    yield from _metrics(model, evaluation, scores)
    for limit in model.spec.gate.fairness:
        yield from _fairness(model, evaluation, scores, limit)
    yield from _parity(model, evaluation)
    yield from _serving(model, evaluation)


def _rows(model: DeployedModel, evaluation: Evaluation) -> Check:
    rows, wanted = evaluation.holdout_rows, model.spec.gate.min_rows
    enough = rows >= wanted
    return Check(
        id="holdout:rows",
        title="Held-out rows",
        status=_PASS if enough else _FAIL,
        value=rows,
        limit=f"at least {wanted}",
        reason="" if enough else "too few rows to judge a model by; upload more labelled data",
    )


def _metrics(model: DeployedModel, evaluation: Evaluation, scores: Scores) -> Iterator[Check]:
    kind, champion = evaluation.kind, evaluation.champion
    limits = {METRICS[kind, name]: limit for name, limit in model.spec.gate.metrics.items()}
    challenger = Scored(_shaped(kind, scores.challenger), _threshold(evaluation.threshold))
    rival = None
    if champion is not None and scores.champion is not None:
        rival = Scored(_shaped(kind, scores.champion), _threshold(champion.threshold))
    own, differences = intervals(tuple(limits), scores.y, challenger, rival)
    for metric, limit in limits.items():
        if limit.min is not None or limit.max is not None:
            yield _absolute(metric, limit, own[metric.name])
    if champion is None:
        yield Check(id="champion", title="Against the champion", status=_PASS, reason="no version serves yet")
    elif rival is None:
        yield Check(
            id="champion",
            title=f"Against version {champion.version}",
            status=_WARN,
            reason=f"version {champion.version} cannot be judged on these rows: {champion.reason}",
        )
    else:
        for metric, limit in limits.items():
            if limit.tolerance is not None:
                yield _against(metric, limit.tolerance, differences[metric.name], champion.version)


def _absolute(metric: Metric, limit: Limit, found: Interval) -> Check:
    """The value against the limits of model.yaml."""
    low = -np.inf if limit.min is None else limit.min
    high = np.inf if limit.max is None else limit.max
    status, reason = _PASS, ""
    if not low <= found.value <= high:
        status, reason = _FAIL, f"{metric.title} is {found.value:.4g}"
    elif not (low <= found.low and found.high <= high):
        status, reason = _WARN, "passes, but the interval reaches over the limit"
    return Check(
        id=f"metric:{metric.name}",
        title=metric.title,
        status=status,
        **_interval(found),
        limit=" and ".join(
            text
            for text in (
                f"at least {limit.min:g}" if limit.min is not None else "",
                f"at most {limit.max:g}" if limit.max is not None else "",
            )
            if text
        ),
        reason=reason,
    )


def _against(metric: Metric, tolerance: float, found: Interval, version: int) -> Check:
    """The paired difference to the champion: fails when even the interval's better end is worse than tolerated."""
    better_end = found.high if metric.higher_is_better else -found.low
    better = found.value if metric.higher_is_better else -found.value
    status, reason = _PASS, ""
    if np.isnan(found.value):
        status, reason = _WARN, "it cannot be computed on these rows"
    elif better_end < -tolerance:
        status, reason = _FAIL, f"worse than version {version} by more than tolerated, and not by chance"
    elif better < -tolerance:
        status, reason = _WARN, f"worse than version {version} by more than tolerated, but chance could have made it"
    return Check(
        id=f"champion:{metric.name}",
        title=f"{metric.title} against version {version}",
        status=status,
        **_interval(found),
        limit=f"worse by at most {tolerance:g}",
        reason=reason,
    )


def _fairness(model: DeployedModel, evaluation: Evaluation, scores: Scores, limit: FairnessLimit) -> Iterator[Check]:
    predicted = places(Kind.BINARY, scores.challenger, evaluation.threshold)
    found = equal_opportunity(scores.y, predicted, scores.groups[limit.column], limit.min_positives)
    groups = [vars(group) for group in found.groups]
    few = [group.name for group in found.groups if group.too_few]
    left_out = f"not judged, with fewer than {limit.min_positives} positives: {', '.join(few)}" if few else ""
    yield _opportunity(limit, found, groups, left_out)
    status, reason = _PASS, ""
    if found.selection_ratio is None:
        status, reason = _TOO_FEW, left_out
    elif found.selection_ratio < limit.min_selection_ratio:
        status = _WARN
        reason = f"'{model.spec.target.positive}' is said of one group much less often than of another"
    yield Check(
        id=f"selection:{limit.column}",
        title=f"Selection-rate ratio by {limit.column}",
        status=status,
        value=found.selection_ratio,
        limit=f"warns below {limit.min_selection_ratio:g}",
        reason=reason,
        evidence={"groups": groups},
    )


def _opportunity(limit: FairnessLimit, found: Opportunity, groups: list[dict[str, Any]], left_out: str) -> Check:
    status, reason = _PASS, left_out
    if found.gap is None or found.high is None:
        status = _TOO_FEW
    elif found.gap > limit.max_gap:
        status, reason = _FAIL, f"'{found.worst}' is found much less often than '{found.best}' where it should be"
    elif found.high > limit.max_gap:
        status, reason = _WARN, "passes, but the interval reaches over the limit"
    return Check(
        id=f"fairness:{limit.column}",
        title=f"Equal opportunity by {limit.column}: gap in true positive rates",
        status=status,
        value=found.gap,
        low=found.low,
        high=found.high,
        limit=f"at most {limit.max_gap:g}",
        reason=reason,
        evidence={"groups": groups, "best": found.best, "worst": found.worst},
    )


def _parity(model: DeployedModel, evaluation: Evaluation) -> Iterator[Check]:
    limit, found = model.spec.gate.parity, evaluation.parity
    over, flips = found.rows_over / found.rows, found.label_flips / found.rows
    evidence = {"max_difference": found.max_difference, "rows_over": found.rows_over, "label_flips": found.label_flips}
    yield Check(
        id="parity:scores",
        title=f"Rows whose ONNX score differs from scikit-learn's by more than {limit.max_difference:g}",
        status=_PASS if over <= limit.max_rows_over else _FAIL,
        value=over,
        limit=f"at most {limit.max_rows_over:g} of the rows",
        reason=f"{found.rows_over} of {found.rows} rows; largest difference {found.max_difference:.2g}",
        evidence=evidence,
    )
    if evaluation.kind is not Kind.REGRESSION:
        yield Check(
            id="parity:labels",
            title="Rows whose label the ONNX file turns",
            status=_PASS if flips <= limit.max_label_flips else _FAIL,
            value=flips,
            limit=f"at most {limit.max_label_flips:g} of the rows",
            reason=f"{found.label_flips} of {found.rows} rows",
            evidence=evidence,
        )


def _serving(model: DeployedModel, evaluation: Evaluation) -> Iterator[Check]:
    limit, found = model.spec.gate.serving, evaluation.footprint
    memory = min(limit.max_memory_mb, found.function_mb)
    for name, title, value, most, unit in (
        ("size", "Size of the ONNX file", found.megabytes, limit.max_megabytes, "MB"),
        ("start", "Loading it and the first answer", found.start_ms, limit.max_start_ms, "ms"),
        ("memory", "Memory of a process that serves it", found.memory_mb, memory, "MB"),
    ):
        yield Check(
            id=f"serving:{name}",
            title=f"{title} ({unit})",
            status=_PASS if value <= most else _FAIL,
            value=value,
            limit=f"at most {most:g} {unit}",
            reason=f"in the serving function of {found.function_mb} MB",
        )


def _shaped(kind: Kind, scores: Array) -> npt.NDArray[np.float64]:
    """As the metrics want them: [rows, classes] for several classes, else [rows]."""
    return np.asarray(scores if kind is Kind.MULTICLASS else scores[:, -1], dtype=np.float64)


def _threshold(value: float | None) -> float:
    # Metrics of models without a threshold do not look at it.
    return 0.5 if value is None else value


def _interval(found: Interval) -> dict[str, float | None]:
    return {
        name: float(value) if np.isfinite(value) else None
        for name, value in (("value", found.value), ("low", found.low), ("high", found.high))
    }

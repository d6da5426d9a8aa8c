"""How good the model was: estimated from the window's scores, realised where labels have come."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

from interlock.figures import number
from interlock.kind import Kind
from interlock.models import DeployedModel
from interlock.sql import quoted, text
from interlock.stats.bootstrap import Scored, intervals
from interlock.stats.drift.reference import Reference
from interlock.stats.fairness import equal_opportunity
from interlock.stats.metrics import METRICS, metrics_for
from interlock.stats.performance import captured
from interlock.stats.performance.estimate import Estimate
from interlock.stats.performance.expected import Expected, worse
from interlock.windows import GroupGap, Performed, Realised, RealisedDay
from monitor.labels import Labels
from monitor.traffic import Traffic

# Labelled rows that are resampled.
_SAMPLE = 20_000

Array = npt.NDArray[Any]


def estimate(traffic: Traffic, model: DeployedModel, reference: Reference) -> dict[str, Estimate]:
    """The metrics that the window's predictions are expected to reach, without any label."""
    columns = [column for column in model.features if f"in_{column.name}" in traffic.columns]
    if reference.expected is None or not traffic.rows:
        return {}
    found = traffic.sample(captured.chosen(reference, columns), captured.ROWS)
    return captured.estimated(reference, columns, found, traffic.rows)


def realise(
    con: duckdb.DuckDBPyConnection,
    files: Sequence[Path],
    labels: Labels,
    model: DeployedModel,
    version: int,
    expected: Expected,
    estimated: dict[str, Estimate],
    *,
    drifted: bool,
) -> Performed:
    """Join labels to the predictions of the capture files, measure them, and judge.

    Labels are joined by request and row whenever they came; a prediction counts once, by the last label it was told.
    """
    performed = Performed(
        metric=model.watched,
        state="unknown",
        reason="",
        holdout=expected.holdout,
        estimated=estimated,
        labels=labels.counts,
    )
    if not files:
        unknown = labels.counts.told - labels.counts.unusable - labels.counts.repeated
        performed = performed.model_copy(update={"labels": labels.counts.model_copy(update={"unknown": unknown})})
        return judge(performed, model, drifted=drifted)
    listed = ", ".join(text(str(path)) for path in files)
    source = f"read_parquet([{listed}], union_by_name=true)"
    there = {name for name, *_ in con.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}  # noqa: S608
    groups = "".join(f", {_group(name, there)} AS {quoted('group_' + name)}" for name in labels.groups)
    con.execute(
        f"CREATE TABLE joined AS SELECT DISTINCT ON (asked.request_id, asked.row) asked.time, asked.version,"  # noqa: S608
        f" asked.score, asked.label AS said, labels.label AS truth, asked.request_id, asked.row{groups}"
        f" FROM {source} AS asked JOIN labels USING (request_id, row)"
    )
    ((matched, mine),) = con.execute("SELECT count(*), count(*) FILTER (version = ?) FROM joined", [version]).fetchall()
    ((distinct,),) = con.execute("SELECT count(*) FROM labels").fetchall()
    counts = labels.counts.model_copy(update={"unknown": distinct - matched, "other_version": matched - mine})
    rows = con.execute("SELECT * FROM joined WHERE version = ? ORDER BY time, request_id, row", [version]).fetchnumpy()
    performed = performed.model_copy(update={"labelled": mine, "labels": counts})
    if mine >= model.spec.monitoring.performance.min_labels:
        performed = performed.model_copy(update=_measured(rows, labels, model, expected))
    return judge(performed, model, drifted=drifted)


def judge(performed: Performed, model: DeployedModel, *, drifted: bool) -> Performed:
    """Say whether the model has become worse: by its labels where there are enough, otherwise by the estimate.

    Only what the interval's better end still says counts.
    """
    kind, name = model.spec.target.kind, performed.metric
    drop, before = model.spec.monitoring.performance.drop, performed.holdout.get(name)
    title = METRICS[kind, name].title
    realised, expected = performed.realised.get(name), performed.expected.get(name)
    estimated = performed.estimated.get(name)
    known = realised or estimated
    state, reason = "unknown", "too few labels, and this metric cannot be estimated without"
    if known is not None and before is not None:
        source = f"{performed.labelled:,} labelled predictions" if realised else "estimated without labels"
        told = f"{title} {number(known.value)} ({number(known.low)} to {number(known.high)}, {source})"
        state, reason = "fine", f"{told}; on the holdout {number(before)}"
        if min(worse(kind, name, end, before) for end in (known.low, known.high)) > drop:
            state, reason = "dropped", f"{told} instead of {number(before)} on the holdout"
    if realised is not None and expected is not None and not drifted and _apart(kind, name, realised, expected):
        state = "concept"
        reason = (
            f"{title} of {performed.labelled:,} labelled predictions is {number(realised.value)}, while their scores"
            f" promised {number(expected.value)} and the inputs are as in training: the relation itself has changed"
        )
    return performed.model_copy(update={"state": state, "reason": reason})


def _apart(kind: Kind, name: str, realised: Realised, expected: Estimate) -> bool:
    """Whether the realised metric is worse than expected beyond both intervals."""
    best = min((realised.low, realised.high), key=lambda end: worse(kind, name, end, expected.value))
    least = max((expected.low, expected.high), key=lambda end: worse(kind, name, end, expected.value))
    return worse(kind, name, best, least) > 0


def _measured(rows: dict[str, Array], labels: Labels, model: DeployedModel, expected: Expected) -> dict[str, Any]:
    kind, threshold = model.spec.target.kind, expected.threshold or 0.5
    scores = np.asarray(np.ma.filled(rows["score"], np.nan), dtype=np.float64)
    said, truth = rows["said"].astype(str), rows["truth"].astype(str)
    if kind is Kind.BINARY:
        y: Array = (truth == model.spec.target.positive).astype(np.int64)
        metrics = metrics_for(kind)
    elif kind is Kind.REGRESSION:
        y, metrics = truth.astype(np.float64), metrics_for(kind)
    else:
        # Only the winner's probability is captured: how often it is right is all that can be told.
        y, metrics = (said == truth).astype(np.int64), (METRICS[Kind.BINARY, "accuracy"],)
    judged = Scored(np.ones(len(y)) if kind is Kind.MULTICLASS else scores, threshold)
    few = np.linspace(0, len(y) - 1, min(len(y), _SAMPLE)).astype(np.int64)
    own, _ = intervals(metrics, y[few], Scored(judged.scores[few], threshold))
    days = rows["time"].astype("datetime64[D]")
    return {
        "realised": {
            name: Realised(value=found.value, low=found.low, high=found.high)
            for name, found in own.items()
            if np.isfinite(found.value)
        },
        "expected": expected.estimated(scores, {}, len(scores)),
        "days": tuple(
            RealisedDay(
                day=day.item(),
                rows=int((days == day).sum()),
                metrics={
                    metric.name: value
                    for metric in metrics
                    if np.isfinite(value := metric.compute(y[days == day], judged.scores[days == day], threshold))
                },
            )
            for day in np.unique(days)
        ),
        "fairness": tuple(_gap(rows, name, y, scores >= threshold, model) for name in labels.groups),
    }


def _gap(rows: dict[str, Array], name: str, y: Array, said: Array, model: DeployedModel) -> GroupGap:
    """Equal opportunity among the rows whose label came with the group."""
    limit = next(limit for limit in model.spec.gate.fairness if limit.column == name)
    groups = rows[f"group_{name}"]
    there = ~np.ma.getmaskarray(groups)
    if not there.any():
        return GroupGap(
            column=name, gap=None, low=None, high=None, best=None, worst=None, limit=limit.max_gap, state="too_few"
        )
    found = equal_opportunity(y[there], said[there], np.ma.getdata(groups)[there].astype(np.str_), limit.min_positives)
    state = "too_few" if found.gap is None else "unfair" if (found.low or 0.0) > limit.max_gap else "fine"
    return GroupGap(
        column=name,
        gap=found.gap,
        low=found.low,
        high=found.high,
        best=found.best,
        worst=found.worst,
        limit=limit.max_gap,
        state=state,
    )


def _group(name: str, captured: set[str]) -> str:
    """Where a row's group stands: beside its label, or else among its inputs."""
    told = f"labels.{quoted(name)}"
    return f"coalesce({told}, CAST(asked.{quoted(f'in_{name}')} AS VARCHAR))" if f"in_{name}" in captured else told

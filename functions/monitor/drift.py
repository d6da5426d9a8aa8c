"""Compares a window of the champion's traffic with its training data, and its answers with the truth."""

from __future__ import annotations

import json
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from interlock import keys
from interlock.aws.live import live_release
from interlock.aws.objects import Objects
from interlock.aws.state import State
from interlock.database import connect
from interlock.errors import NotServing
from interlock.models import DeployedModel, deployed
from interlock.observability import logger, metrics, observed
from interlock.records import LiveRelease, ObjectRef
from interlock.report import page
from interlock.settings import ArtefactsBucket, DataBucket, StateTable
from interlock.stats.drift.reference import Reference
from interlock.stats.drift.verdict import judge
from interlock.windows import Outcome, Stretch, WindowResult
from monitor import labels
from monitor.fetching import fetch
from monitor.performance import estimate, realise
from monitor.span import choose, first_day
from monitor.traffic import Traffic
from monitor.window import Window, count


class Settings(DataBucket, ArtefactsBucket, StateTable):
    """What this function uses."""


@observed
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """{model, at, execution} → {window, verdict, result, more}; `more`: the next window by number is full as well.

    Raises:
        NotServing: the model has not been released yet.
    """
    settings = Settings.load()
    model = deployed(event["model"])
    at = datetime.fromisoformat(event["at"]).astimezone(UTC)
    state = State(settings.state_table)
    live = live_release(state, model.id)
    if live is None or live.champion is None:
        raise NotServing(f"no version of '{model.id}' serves yet: there is no traffic to check")
    artefacts = Objects(settings.artefacts_bucket)
    reference = Reference.from_json(artefacts.get(live.champion.reference))
    # Half for the engine: the interpreter and one column's values need room too.
    memory = max(256, int(context.memory_limit_in_mb) // 2)
    last = last_stretch(state, model.id, live.champion.version)
    result, stored = check(Objects(settings.data_bucket), model, live, reference, at, memory, last)
    logger.append_keys(model=model.id, window=result.window)
    _measure(result)
    return {
        "window": result.window,
        "verdict": result.state,
        "result": stored.model_dump(mode="json"),
        "more": result.more,
    }


def last_stretch(state: State, model: str, version: int) -> Stretch | None:
    """The last full window by number of a version that something was decided about."""
    outcomes = state.query(Outcome, f"model#{model}", "outcome#", newest_first=True)
    return next((item.stretch for item in outcomes if item.stretch and item.stretch.version == version), None)


def check(
    data: Objects,
    model: DeployedModel,
    live: LiveRelease,
    reference: Reference,
    at: datetime,
    memory_mb: int = 1024,
    last: Stretch | None = None,
) -> tuple[WindowResult, ObjectRef]:
    """Judge the window that is due at `at` and write its report; the same time gives the same window again.

    `last` is the window by number before it.
    """
    champion = live.champion
    assert champion is not None  # noqa: S101 - the handler has looked
    wanted = model.spec.monitoring.window.predictions
    scratch = Path(tempfile.mkdtemp(prefix="monitor-"))
    try:
        since = first_day(model, last, at)
        fetched = fetch(data, model.id, since, at, scratch)
        with connect(memory_mb, scratch, threads=None) as con:
            chosen = choose(con, fetched.files, model, champion.version, last, at)
        rows, window, estimated = chosen.rows, Window((), None, ()), {}
        if fetched.files and (wanted is None or rows >= wanted):
            traffic = Traffic(
                fetched.files,
                champion.version,
                chosen.start,
                chosen.end,
                scratch,
                memory_mb,
                distinct=fetched.distinct,
            )
            rows, window = traffic.rows, count(traffic, model, reference)
            estimated = estimate(traffic, model, reference) if rows >= model.spec.monitoring.drift.min_rows else {}
        drift = judge(window.columns, rows, model.spec.monitoring.drift, window.together, window.segments)
        performed = None
        if reference.expected is not None:
            told = labels.fetch(data, model.id, (at - _label_days(model)).date(), scratch)
            # Labels come later than their predictions: those of earlier days are looked at again.
            before = at - _label_days(model) if told else since
            earlier = fetch(data, model.id, before, since - timedelta(days=1), scratch).files
            with connect(memory_mb, scratch, threads=None) as con:
                performed = realise(
                    con,
                    (*earlier, *fetched.files),
                    labels.read(con, told, model),
                    model,
                    champion.version,
                    reference.expected,
                    estimated,
                    drifted=drift.state == "drift",
                )
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    result = WindowResult(
        model=model.id,
        # Several windows by number may end within a second.
        window=f"{chosen.end:%Y%m%dT%H%M%S}{'' if chosen.end == at else f'{chosen.end:%f}'}-v{champion.version}",
        start=chosen.start,
        end=chosen.end,
        version=champion.version,
        revision=live.revision,
        manifest_id=champion.manifest_id,
        run=champion.run,
        state=drift.state if rows else "silent",
        drift=drift,
        performed=performed,
        unreadable=fetched.unreadable,
        checked_at=at,
        wanted=wanted,
        late=chosen.late,
        more=chosen.more,
    )
    return write(data, model, result)


def write(data: Objects, model: DeployedModel, result: WindowResult) -> tuple[WindowResult, ObjectRef]:
    """The report for people, and the result that names it."""

    def key(name: str) -> str:
        return keys.report(model.id, "monitor", result.window, name)

    html = page("drift", result=result, policy=model.spec.monitoring.drift, restricted=_restricted(model))
    report = data.put(key("report.html"), html.encode(), "text/html")
    result = result.model_copy(update={"report": report})
    body = json.dumps(result.model_dump(mode="json"), indent=1).encode()
    return result, data.put(key("report.json"), body, "application/json")


def _label_days(model: DeployedModel) -> timedelta:
    return timedelta(days=model.spec.monitoring.performance.label_days)


def _restricted(model: DeployedModel) -> set[str]:
    return {column.name for column in model.features if column.restricted}


def _measure(result: WindowResult) -> None:
    """Three metrics a window; what each column gave are properties of the log line, which cost nothing."""
    drift = result.drift
    metrics.add_dimension(name="model", value=result.model)
    # Once more over all models, for the one alarm.
    metrics.add_dimensions(service="monitor")
    metrics.add_metric(name="Drift", unit=MetricUnit.Count, value=int(result.state == "drift"))
    metrics.add_metric(name="RowsChecked", unit=MetricUnit.Count, value=drift.rows)
    metrics.add_metric(
        name="ShareDrifted", unit=MetricUnit.Percent, value=100 * len(drift.drifted) / max(1, len(drift.columns))
    )
    metrics.add_metadata(
        key="columns",
        value={column.column: {"state": column.state, "psi": round(column.psi, 4)} for column in drift.columns},
    )

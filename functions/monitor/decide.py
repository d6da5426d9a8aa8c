"""Decides what a window leads to: nothing, a word to a person, a retraining; with brakes on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from interlock import keys
from interlock.aws.alerts import AlertTopic
from interlock.aws.bus import EventBus
from interlock.aws.datasets import Datasets
from interlock.aws.ledger import Ledger
from interlock.aws.objects import Objects
from interlock.aws.state import State
from interlock.events import DriftDetected, PerformanceDropped, RetrainRequested
from interlock.ledger import Decision
from interlock.models import deployed
from interlock.observability import logger, observed
from interlock.records import CheckedWindow, EndedJob, MetricPoint, ObjectRef, TrainingManifest
from interlock.settings import Alerts, Bus, DataBucket, LedgerTable, StateTable
from interlock.windows import Outcome, WindowResult
from monitor.policy import Past, decide
from monitor.wording import alert

# A window in small is read a thousand at a time.
_KEPT_COLUMNS = 50


class Settings(DataBucket, StateTable, LedgerTable, Bus, Alerts):
    """What this function uses."""

    training_price_per_hour: float


@observed
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """{model, window, result} → {action, reason}."""
    settings = Settings.load()
    model = deployed(event["model"])
    logger.append_keys(model=model.id, window=event["window"])
    data, state = Objects(settings.data_bucket), State(settings.state_table)
    result = WindowResult.from_json(data.get(ObjectRef.model_validate(event["result"])))
    ledger = Ledger(settings.ledger_table)
    past = look_back(state, data, ledger, result, settings.training_price_per_hour, model.contract.digest())
    outcome = once(state, decide(result, past, model.spec.monitoring, datetime.now(UTC)))
    bus, alerts = EventBus(settings.bus_name), AlertTopic(settings.alerts_topic)
    for due, about in [*untold(data, past), (outcome, result)]:
        if not due.told:
            carry_out(due, about, context.function_name, ledger, bus, alerts)
            place = f"window#{about.window.rpartition('-v')[0]}"
            state.put(f"model#{model.id}", place, in_small(due, about, model.watched))
            state.put(*_place(due), due.model_copy(update={"told": True}))
    return {"action": outcome.action, "reason": outcome.reason}


def look_back(
    state: State, data: Objects, ledger: Ledger, result: WindowResult, price_per_hour: float, contract_sha256: str
) -> Past:
    """What the decision depends on: earlier outcomes, newer data, money spent, what the gate said of earlier runs."""
    pk = f"model#{result.model}"
    outcomes = [item for item in state.query(Outcome, pk, "outcome#") if item.window != result.window]
    jobs = list(state.query(EndedJob, pk, "job#"))
    there = {item.id for item in Datasets(state, result.model).in_training(contract_sha256)}
    return Past(
        outcomes=tuple(outcomes),
        jobs=tuple((job.ended_at, job.billable_seconds / 3600 * price_per_hour) for job in jobs),
        new_datasets=tuple(sorted(there - _used(data, result))),
        refused=_refused(ledger, result.model),
    )


def untold(data: Objects, past: Past) -> Iterator[tuple[Outcome, WindowResult]]:
    """Earlier outcomes whose check died before everybody was told, the oldest first, and their windows."""
    for outcome in sorted(past.outcomes, key=lambda item: item.at):
        if not outcome.told:
            stored = data.describe(keys.report(outcome.model, "monitor", outcome.window, "report.json"))
            if stored is not None:
                yield outcome, WindowResult.from_json(data.get(stored))


def once(state: State, outcome: Outcome) -> Outcome:
    """Keep the outcome; the one that was decided before stands, whoever decides again."""
    if state.put_new(*_place(outcome), outcome):
        return outcome
    return state.get(Outcome, *_place(outcome)) or outcome


def carry_out(
    outcome: Outcome, result: WindowResult, actor: str, ledger: Ledger, bus: EventBus, alerts: AlertTopic
) -> None:
    """Write the decision down, then tell it. Told again when it died half-way: rather twice than never."""
    drifted = result.drift.drifted
    ledger.append(
        Decision(
            model=result.model,
            key=f"outcome:{result.window}",
            stage="monitor",
            action=f"window {result.state}: {outcome.action}",
            subject=result.window,
            actor=actor,
            evidence={
                "rows": result.drift.rows,
                "version": result.version,
                "drifted": list(drifted),
                "performance": outcome.performance,
                "reason": outcome.reason,
                "report": result.report.uri if result.report else None,
            },
        )
    )
    if result.state == "drift" and result.report is not None:
        bus.publish(DriftDetected(model=result.model, window=result.window, columns=drifted, report=result.report.uri))
    if outcome.performance in {"dropped", "concept"} and result.performed and result.report:
        bus.publish(
            PerformanceDropped(
                model=result.model,
                window=result.window,
                metric=result.performed.metric,
                reason=result.performed.reason,
                report=result.report.uri,
            )
        )
    if outcome.action == "retrain":
        bus.publish(RetrainRequested(model=result.model, window=result.window, reason=outcome.reason))
    if outcome.action != "none" and not outcome.held:
        alerts.send(*alert(outcome, result))


def in_small(outcome: Outcome, result: WindowResult, metric: str) -> CheckedWindow:
    """The window for whoever shows many of them at once."""
    drift, performed = result.drift, result.performed
    found = (
        {
            name: MetricPoint(**point.model_dump())
            for name, points in (("estimated", performed.estimated), ("realised", performed.realised))
            if (point := points.get(metric)) is not None
        }
        if performed
        else {}
    )
    return CheckedWindow(
        model=result.model,
        window=result.window,
        start=result.start,
        end=result.end,
        version=result.version,
        revision=result.revision,
        rows=drift.rows,
        state=result.state,
        performance=outcome.performance,
        action=outcome.action,
        reason=outcome.reason,
        drifted=len(drift.drifted),
        columns={column.column: round(column.psi, 4) for column in drift.columns[:_KEPT_COLUMNS]},
        metric=metric,
        holdout=performed.holdout.get(metric) if performed else None,
        estimated=found.get("estimated"),
        realised=found.get("realised"),
        labelled=performed.labelled if performed else 0,
        report=result.report,
    )


def _place(outcome: Outcome) -> tuple[str, str]:
    """Where an outcome lies in the state table."""
    return f"model#{outcome.model}", f"outcome#{outcome.window}"


def _used(data: Objects, result: WindowResult) -> set[str]:
    """Ids of the datasets that the champion's training has seen; those that it had to skip would be skipped again."""
    key = keys.training(result.model, result.run, "manifest.json")
    stored = data.describe(key)
    if stored is None:
        return set()
    manifest = TrainingManifest.from_json(data.get(stored))
    return {*manifest.datasets, *manifest.skipped}


def _refused(ledger: Ledger, model: str) -> int:
    """How many runs the gate has refused since it last let one pass."""
    count = 0
    for entry in ledger.newest_first(model):
        match entry.decision.action:
            case "model registered":
                break
            case "model rejected":
                count += 1
    return count

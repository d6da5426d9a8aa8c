"""Tells that a run failed the gate; what serves, serves on."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from interlock import keys
from interlock.aws.alerts import AlertTopic
from interlock.aws.bus import EventBus
from interlock.aws.ledger import Ledger
from interlock.aws.objects import Objects
from interlock.events import ModelRejected
from interlock.ledger import Decision
from interlock.observability import logger, observed
from interlock.records import Check, CheckStatus, ObjectRef, Verdict
from interlock.settings import Alerts, Bus, DataBucket, LedgerTable


class Settings(DataBucket, LedgerTable, Bus, Alerts):
    """What this function uses."""


@observed
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """{model, run, verdict} → {failed}: the ids of the checks that failed."""
    settings = Settings.load()
    logger.append_keys(model=event["model"], run=event["run"])
    data = Objects(settings.data_bucket)
    failed = reject(
        data,
        ObjectRef.model_validate(event["verdict"]),
        Ledger(settings.ledger_table),
        EventBus(settings.bus_name),
        AlertTopic(settings.alerts_topic),
        context.function_name,
    )
    return {"failed": [check.id for check in failed]}


def reject(
    data: Objects, verdict_ref: ObjectRef, ledger: Ledger, bus: EventBus, alerts: AlertTopic, actor: str
) -> list[Check]:
    """Write the decision down and tell it; answers the checks that failed."""
    verdict = Verdict.from_json(data.get(verdict_ref))
    failed = [check for check in verdict.checks if check.status is CheckStatus.FAIL]
    report = f"s3://{data.bucket}/{keys.report(verdict.model, 'train', verdict.run, 'report.html')}"
    ledger.append(
        Decision(
            model=verdict.model,
            key=f"refused:{verdict.run}",
            stage="train",
            action="model rejected",
            subject=verdict.run,
            actor=actor,
            evidence={
                "verdict": verdict_ref.uri,
                "failed": {check.id: check.value for check in failed},
                "champion_version": verdict.champion_version,
            },
        )
    )
    bus.publish(
        ModelRejected(
            model=verdict.model, run=verdict.run, failed_checks=tuple(check.id for check in failed), report=report
        )
    )
    lines = "\n".join(
        f"- {check.title}: {'–' if check.value is None else f'{check.value:.4g}'}, {check.limit}. {check.reason}"
        for check in failed
    )
    serving = f"version {verdict.champion_version} serves on" if verdict.champion_version else "no version serves yet"
    alerts.send(
        f"{verdict.model}: run {verdict.run} failed the gate",
        f"Run {verdict.run} of {verdict.model} was not registered; {serving}.\nFailed:\n{lines}\n"
        f"Report: {report}  (interlock report {verdict.model} --stage train)",
    )
    return failed

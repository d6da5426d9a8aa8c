"""Leaves an upload in quarantine and tells a person why."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from ingest.judgement import Judgement
from interlock.aws.alerts import AlertTopic
from interlock.aws.bus import EventBus
from interlock.aws.claims import conclude
from interlock.aws.ledger import Ledger
from interlock.aws.objects import Objects
from interlock.aws.state import State
from interlock.events import DatasetRejected
from interlock.ledger import Decision
from interlock.observability import logger, observed
from interlock.records import ClaimStatus, ObjectRef
from interlock.settings import Alerts, Bus, DataBucket, LedgerTable, StateTable


class Settings(DataBucket, StateTable, LedgerTable, Bus, Alerts):
    """What this function uses."""


@observed
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, str]:
    """{claim, model, execution, result} → {claim}."""
    settings = Settings.load()
    logger.append_keys(model=event["model"], claim=event["claim"])
    result = ObjectRef.model_validate(event["result"])
    judgement = Judgement.from_json(Objects(settings.data_bucket).get(result))
    reject(
        judgement,
        result,
        context.function_name,
        Ledger(settings.ledger_table),
        AlertTopic(settings.alerts_topic),
        EventBus(settings.bus_name),
    )
    # Last: until here a repeat would tell everything again, and tell it once in the ledger.
    state = State(settings.state_table)
    now = datetime.now(UTC)
    conclude(state, judgement.claim, ClaimStatus.REJECTED, event["execution"], now, judgement.origin)
    return {"claim": judgement.claim}


def reject(
    judgement: Judgement, report: ObjectRef, actor: str, ledger: Ledger, alerts: AlertTopic, bus: EventBus
) -> None:
    """Write the decision down and tell it."""
    reason = "; ".join(f"{problem.condition}: {problem.found}" for problem in judgement.problems)
    ledger.append(
        Decision(
            model=judgement.model,
            key=f"rejected:{judgement.claim}",
            stage="ingest",
            action="dataset rejected",
            subject=judgement.claim,
            actor=actor,
            evidence={
                **({"mended_from": judgement.origin.claim} if judgement.origin else {}),
                "source": judgement.source.uri,
                "version": judgement.source.version,
                "rows": judgement.rows,
                "bad_rows": judgement.bad_rows,
                "reason": reason,
                "report": report.uri,
            },
        )
    )
    page = judgement.files["report"].uri
    remedies = "\n".join(f"- {problem.remedy}" for problem in judgement.problems)
    alerts.send(
        f"{judgement.model}: upload rejected",
        f"{judgement.source.uri} was rejected: {reason}.\nNothing of it was admitted; the file stays where it is.\n"
        f"What to do:\n{remedies}\nReport: {page}  (interlock report {judgement.model} --stage ingest)",
    )
    bus.publish(
        DatasetRejected(
            model=judgement.model, claim=judgement.claim, key=judgement.source.key, reason=reason, report=page
        )
    )

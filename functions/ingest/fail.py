"""Gives back the claim of an upload whose work failed, so that it can be tried again, and tells a person."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from interlock.aws.alerts import AlertTopic
from interlock.aws.claims import conclude
from interlock.aws.ledger import Ledger
from interlock.aws.state import State
from interlock.errors import InvalidUpload, UnknownModel, reason
from interlock.ledger import Decision
from interlock.observability import logger, observed
from interlock.records import ClaimStatus
from interlock.settings import Alerts, LedgerTable, StateTable

# Somebody's upload that is not for us, or is gone: nothing of ours has failed.
_REFUSED = {InvalidUpload.__name__, UnknownModel.__name__}


class Settings(StateTable, LedgerTable, Alerts):
    """What this function uses."""


@observed
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, str]:
    """{claim?, model?, bucket, key, version, execution, error, cause} → {error, message}."""
    settings = Settings.load()
    message = reason(event["cause"])
    logger.append_keys(model=event["model"], claim=event["claim"])
    if event["claim"] and event["model"]:
        ledger = Ledger(settings.ledger_table)
        ledger.append(
            Decision(
                model=event["model"],
                key=f"failed:{event['claim']}:{event['execution']}",
                stage="ingest",
                action="ingest failed",
                subject=event["claim"],
                actor=context.function_name,
                evidence={"key": event["key"], "error": event["error"], "message": message[:500]},
            )
        )
        state = State(settings.state_table)
        conclude(state, event["claim"], ClaimStatus.FAILED, event["execution"], datetime.now(UTC))
    if event["error"] in _REFUSED:
        # The workflow ends well, so this is the only word about it.
        AlertTopic(settings.alerts_topic).send(
            "Upload not taken",
            f"s3://{event['bucket']}/{event['key']} was not taken: {message}\n"
            "Nothing was changed. Upload it under incoming/<model>/<file>; `interlock status` lists the models.",
        )
    return {"error": event["error"], "message": message}

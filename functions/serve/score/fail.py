"""Gives back the claim of a file that could not be scored, answers with the reason, and tells a person."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from interlock import errors, keys
from interlock.aws.alerts import AlertTopic
from interlock.aws.bus import EventBus
from interlock.aws.claims import conclude, pk
from interlock.aws.objects import Objects
from interlock.aws.state import State
from interlock.errors import InvalidUpload, NotServing, UnknownModel, reason
from interlock.events import FileNotScored
from interlock.observability import logger, observed
from interlock.records import Claim, ClaimStatus
from interlock.settings import Alerts, Bus, DataBucket, StateTable
from serve.score.documents import Result

# A file that is not for us or cannot be read, or that nobody can answer yet: nothing of ours has failed.
_REFUSED = {InvalidUpload.__name__, UnknownModel.__name__, NotServing.__name__}


class Settings(DataBucket, StateTable, Bus, Alerts):
    """What this function uses."""


@observed
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, str]:
    """{bucket, key, version, execution, error, cause} → {error, message}."""
    settings = Settings.load()
    # What is not ours may say anything, maybe somebody's value: its name is enough.
    message = reason(event["cause"]) if hasattr(errors, event["error"]) else event["error"]
    state = State(settings.state_table)
    try:
        found = keys.asked(event["bucket"], event["key"], event["version"])
    except InvalidUpload:
        claim = None
    else:
        logger.append_keys(model=found.model, claim=found.claim)
        claim = state.get(Claim, pk(found.claim), "claim")
    # A file that is done has its answer; one that another execution works on will have it.
    if claim is not None and claim.execution == event["execution"] and claim.status is ClaimStatus.CLAIMED:
        result = Result(
            model=claim.model, claim=claim.claim, key=claim.key, state="failed", error=event["error"], message=message
        )
        key = keys.predictions(claim.model, claim.claim, "result.json")
        Objects(settings.data_bucket).put(key, result.to_json().encode(), "application/json")
        EventBus(settings.bus_name).publish(
            FileNotScored(model=claim.model, claim=claim.claim, key=claim.key, reason=message)
        )
        conclude(state, claim.claim, ClaimStatus.FAILED, event["execution"], datetime.now(UTC))
    if event["error"] in _REFUSED:
        # The workflow ends well, so this is the only word about it.
        AlertTopic(settings.alerts_topic).send(
            "File not scored",
            f"s3://{event['bucket']}/{event['key']} was not scored: {message}\n"
            "Put it under score/<model>/<file> again, mended; `interlock status` shows which models serve.",
        )
    return {"error": event["error"], "message": message}

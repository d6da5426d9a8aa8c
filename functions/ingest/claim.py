"""Takes an upload once, whatever the number of events that tell of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from interlock.aws.claims import take
from interlock.aws.executions import Executions
from interlock.aws.state import State
from interlock.keys import upload
from interlock.models import deployed
from interlock.observability import logger, observed
from interlock.settings import StateTable


@observed
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, str]:
    """{bucket, key, version, execution} → {claim, model, kind: file or set}.

    Raises:
        InvalidUpload: the key names no model.
        UnknownModel: the model is not deployed.
        AlreadyClaimed: another execution has the upload, or had it to its end.
    """
    found = upload(event["bucket"], event["key"], event["version"])
    logger.append_keys(model=found.model, claim=found.claim)
    deployed(found.model)
    state = State(StateTable.load().state_table)
    taken = take(state, Executions(), found, event["execution"], datetime.now(UTC))
    return {"claim": taken.claim, "model": taken.model, "kind": "set" if found.names_a_set else "file"}

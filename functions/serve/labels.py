"""Takes the true answers for predictions that were given, by request id."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from interlock import keys
from interlock.access import check
from interlock.aws.objects import Objects
from interlock.errors import InvalidRequest
from interlock.models import DeployedModel, deployed
from interlock.observability import logger
from interlock.settings import DataBucket
from serve.door import Reply, Response, call_of, refusal, response_of

_MAX_LABELS = 10_000


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> Response:
    """POST /models/<model>/labels {"labels": [{"request_id", "row"?, "label"}]} → how many were taken."""
    request_id = context.aws_request_id
    try:
        call = call_of(event, request_id)
        model = call.path.split("/")[2]
        check(event, model, "label")
        taken = take(call.body, deployed(model), Objects(DataBucket.load().data_bucket), datetime.now(UTC))
        reply = Reply(202, json.dumps({"accepted": taken}).encode())
    except Exception as error:  # noqa: BLE001 - the error form is owed to every caller
        logger.warning(str(error), error=type(error).__name__)
        reply = refusal(error, request_id)
    return response_of(reply, request_id)


def take(raw: bytes, model: DeployedModel, data: Objects, now: datetime) -> int:
    """Check the labels and keep them; the same labels sent again overwrite themselves.

    Raises:
        InvalidRequest: lists every label that cannot be taken; none of them is kept then.
    """
    try:
        document = json.loads(raw)
    except (ValueError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"the body is not JSON: {error}") from None
    given = document.get("labels") if isinstance(document, dict) else None
    if not isinstance(given, list) or not given or len(given) > _MAX_LABELS:
        raise InvalidRequest(f"the body must be an object with a list 'labels' of 1 to {_MAX_LABELS}")
    wrong = [f"labels[{place}]: {reason}" for place, item in enumerate(given) if (reason := _reason(item, model))]
    if wrong:
        raise InvalidRequest("; ".join(wrong[:20]))
    lines = "".join(
        json.dumps(
            {
                "schema_version": 1,
                "model": model.id,
                "request_id": item["request_id"],
                "row": item.get("row", 0),
                "label": item["label"],
                "received": now.isoformat(),
            }
        )
        + "\n"
        for item in given
    )
    name = hashlib.sha256(raw).hexdigest()[:32] + ".jsonl"
    data.put(keys.labels(model.id, now.date(), name), lines.encode(), "application/x-ndjson")
    return len(given)


def _reason(item: Any, model: DeployedModel) -> str | None:
    """Why a label cannot be taken."""
    if not isinstance(item, dict) or not isinstance(item.get("request_id"), str) or "label" not in item:
        return "wants {request_id, label}"
    if type(item.get("row", 0)) is not int or item.get("row", 0) < 0:
        return "row must be a whole number from 0 up"
    if model.classes and item["label"] not in model.classes:
        return f"label must be one of {', '.join(model.classes)}"
    if not model.classes and type(item["label"]) not in {int, float}:
        return "label must be a number"
    return None

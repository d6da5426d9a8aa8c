"""Takes the true answers for predictions that were given, by request id."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from interlock import keys
from interlock.aws.objects import Objects
from interlock.errors import InterlockError, InvalidRequest, UnknownModel
from interlock.models import DeployedModel, deployed
from interlock.observability import logger
from interlock.settings import DataBucket

_MAX_LABELS = 10_000


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """POST /models/<model>/labels {"labels": [{"request_id", "row"?, "label"}]} → how many were taken."""
    try:
        model = event["rawPath"].split("/")[2]
        body = event.get("body") or ""
        raw = base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()
        taken = take(raw, deployed(model), Objects(DataBucket.load().data_bucket), datetime.now(UTC))
        return _response(202, {"accepted": taken}, context.aws_request_id)
    except (InvalidRequest, UnknownModel) as error:
        return _response(error.http_status, {"error": f"{error.message}. {error.next_step}"}, context.aws_request_id)
    except InterlockError as error:
        logger.exception(error.message)
        return _response(error.http_status, {"error": error.headline}, context.aws_request_id)


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


def _response(status: int, document: dict[str, Any], request_id: str) -> dict[str, Any]:
    headers = {"content-type": "application/json", "x-request-id": request_id, "cache-control": "no-store"}
    return {"statusCode": status, "headers": headers, "body": json.dumps(document)}

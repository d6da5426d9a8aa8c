"""The Lambda door of the protocol: an HTTP API event in, an answer and capture lines out."""

from __future__ import annotations

import base64
import json
import sys
import time
from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from interlock.aws.objects import Objects
from interlock.aws.state import State
from interlock.errors import InterlockError, UnknownModel, UnsupportedContent
from interlock.models import deployed_ids
from interlock.settings import ArtefactsBucket, StateTable
from serve.answering import answered
from serve.captures import failure, lines
from serve.live import Live
from serve.protocol.infer import outputs_of, write
from serve.protocol.routes import Operation, Route, route

Response = dict[str, Any]
_VERSION = "0.1.0"


class Settings(StateTable, ArtefactsBucket):
    """What this function uses."""


def handler(event: dict[str, Any], context: LambdaContext) -> Response:
    """Answer one request; whatever goes wrong is answered in the protocol's error form."""
    http = event["requestContext"]["http"]
    request_id = context.aws_request_id
    try:
        return _answer(route(http["method"], event["rawPath"]), event, request_id)
    except InterlockError as error:
        _log(request_id, type(error).__name__, error.message)
        return _response(error.http_status, {"error": f"{error.message}. {error.next_step}"}, request_id)
    except Exception as error:  # noqa: BLE001 - the protocol's error form is owed to every caller
        _log(request_id, type(error).__name__, str(error))
        return _response(500, {"error": f"internal error; ask for request {request_id} in the log"}, request_id)


def _answer(asked: Route, event: dict[str, Any], request_id: str) -> Response:
    match asked.operation:
        case Operation.SERVER:
            return _response(200, {"name": "interlock", "version": _VERSION, "extensions": []}, request_id)
        case Operation.LIVE:
            return _response(200, {"live": True}, request_id)
        case Operation.READY:
            # The specification says `live`, KServe says `ready`: whoever asks finds his word.
            ready = all(_ready(model) for model in deployed_ids())
            return _response(200 if ready else 503, {"live": True, "ready": ready}, request_id)
        case Operation.MODEL:
            return _metadata(asked, request_id)
        case Operation.MODEL_READY:
            release = _live().release(asked.model)
            _live().version(release, asked.version)
            return _response(200, {"name": asked.model, "ready": True}, request_id)
        case Operation.INFER:
            return _infer(asked, event, request_id)


def _ready(model: str) -> bool:
    """Whether a model can be answered; one that was never released asks nothing of us."""
    try:
        _live().version(_live().release(model), None)
    except UnknownModel:
        return True
    except InterlockError:
        return False
    return True


def _metadata(asked: Route, request_id: str) -> Response:
    release = _live().release(asked.model)
    loaded = _live().version(release, asked.version)
    document = {
        "name": asked.model,
        "versions": [str(loaded.served.version)],
        "platform": "onnx_onnxv1",
        "inputs": [
            {"name": item.name, "datatype": item.datatype, "shape": [-1, 1]} for item in loaded.signature.inputs
        ],
        "outputs": outputs_of(loaded.signature),
    }
    return _response(200, document, request_id, release.revision)


def _infer(asked: Route, event: dict[str, Any], request_id: str) -> Response:
    content_type = event.get("headers", {}).get("content-type", "application/json")
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedContent(f"the body is {content_type}")
    release = _live().release(asked.model)
    body = event.get("body") or ""
    raw = base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()
    started = time.perf_counter()
    at = datetime.now(UTC).isoformat()

    def failed(version: int, error: Exception) -> None:
        sys.stdout.write(failure(asked.model, version, release.revision, request_id, at, error) + "\n")
        _metric({"ModelFailures": 1}, asked.model)

    found = answered(_live(), release, asked.version, raw, event.get("headers", {}), failed)
    parameters = {"revision": release.revision, "request_id": request_id}
    document = write(found.request, found.answer, found.loaded.signature, parameters)
    served, revision = found.loaded.served, release.revision
    for line in lines(found.request, found.answer, served, revision, request_id, at, found.milliseconds, found.unit):
        sys.stdout.write(line + "\n")
    _metric({"Predictions": found.request.rows, "Milliseconds": 1000 * (time.perf_counter() - started)}, asked.model)
    return _response(200, document, request_id, release.revision)


def _response(status: int, document: dict[str, Any], request_id: str, revision: int | None = None) -> Response:
    headers = {
        "content-type": "application/json",
        "x-request-id": request_id,
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
    }
    if revision is not None:
        headers["x-interlock-revision"] = str(revision)
    return {"statusCode": status, "headers": headers, "body": json.dumps(document)}


@cache
def _live() -> Live:
    settings = Settings.load()
    return Live(
        State(settings.state_table),
        Objects(settings.artefacts_bucket),
        unreadable=lambda: _metric({"LiveReleaseUnreadable": 1}, None),
    )


def _metric(values: dict[str, float], model: str | None) -> None:
    """One line in CloudWatch's embedded metric format; a library for it would cost more than the call itself.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    dimensions = {"service": "serve", **({"model": model} if model else {})}
    line = {
        "_aws": {
            "Timestamp": int(time.time() * 1000),
            "CloudWatchMetrics": [
                {
                    "Namespace": "Interlock",
                    "Dimensions": [list(dimensions)],
                    "Metrics": [{"Name": name} for name in values],
                }
            ],
        },
        **dimensions,
        **values,
    }
    sys.stdout.write(json.dumps(line) + "\n")


def _log(request_id: str, name: str, message: str) -> None:
    sys.stdout.write(
        json.dumps(
            {"level": "WARNING", "service": "serve", "error": name, "message": message, "request_id": request_id}
        )
        + "\n"
    )

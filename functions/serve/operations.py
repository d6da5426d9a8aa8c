"""What the serving function answers: one function an operation of the protocol."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from interlock.errors import InterlockError, UnknownModel, UnsupportedContent
from serve.answering import Answered, answered
from serve.captures import failure, lines
from serve.door import Call, Reply
from serve.live import Live
from serve.loaded import Loaded
from serve.protocol.request import Request
from serve.protocol.response import encode, write
from serve.protocol.routes import Operation, Route
from serve.telemetry import embedded, metrics, say

_VERSION = "0.1.0"


class Service(NamedTuple):
    """What operations work with: the models in memory, the ids of those that are deployed; whether to capture."""

    live: Live
    models: tuple[str, ...]
    captures: bool = True


def perform(asked: Route, call: Call, service: Service) -> Reply:
    """Do what a route names.

    Raises:
        InterlockError: as the operation says; `serve.door.refusal` words it.
    """
    match asked.operation:
        case Operation.INFER:
            return _infer(asked, call, service)
        case Operation.SERVER:
            return _document({"name": "interlock", "version": _VERSION, "extensions": []})
        case Operation.LIVE:
            return _document({"live": True})
        case Operation.READY:
            # The specification says `live`, KServe says `ready`: whoever asks finds his word.
            ready = all(_ready(model, service) for model in service.models)
            return _document({"live": True, "ready": ready}, 200 if ready else 503)
        case Operation.MODEL:
            release = service.live.release(asked.model)
            loaded = service.live.version(release, asked.version)
            return _document(loaded.signature.metadata(), revision=release.revision)
        case Operation.MODEL_READY:
            release = service.live.release(asked.model)
            service.live.version(release, asked.version)
            return _document({"name": asked.model, "ready": True}, revision=release.revision)


def _infer(asked: Route, call: Call, service: Service) -> Reply:
    content_type = call.headers.get("content-type", "application/json")
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedContent(f"the body is {content_type}")
    found, parameters = predicted(asked, call, service, lambda loaded: loaded.read(call.body))
    body = write(found.request, found.answer, found.loaded.signature, parameters)
    return Reply(200, body, revision=parameters["revision"])


def predicted(
    asked: Route, call: Call, service: Service, checked: Callable[[Loaded], Request]
) -> tuple[Answered, dict[str, Any]]:
    """A prediction, captured and counted, and what its answer tells beside it."""
    started = time.perf_counter()
    at = datetime.now(UTC).isoformat()
    release = service.live.release(asked.model)

    def failed(version: int, error: Exception) -> None:
        say(
            failure(asked.model, version, release.revision, call.id, at, error),
            metrics({"ModelFailures": 1}, asked.model),
        )

    found = answered(service.live, release, asked.version, checked, call.headers, failed)
    parameters = {"revision": release.revision, "request_id": call.id}
    if not service.captures:
        return found, parameters
    took = 1000 * (time.perf_counter() - started)
    counted = embedded({"Predictions": found.request.rows, "Milliseconds": took}, asked.model)
    say(
        *lines(
            found.request, found.answer, found.loaded.served, release.revision, call.id, at,
            found.milliseconds, found.unit, counted,
        )
    )  # fmt: skip
    return found, parameters


def _ready(model: str, service: Service) -> bool:
    """Whether a model can be answered; one that was never released asks nothing of us."""
    try:
        service.live.release(model)
    except UnknownModel:
        return True
    except InterlockError:
        return False
    return True


def _document(document: dict[str, Any], status: int = 200, revision: int | None = None) -> Reply:
    return Reply(status, encode(document), revision=revision)

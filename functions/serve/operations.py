"""What the serving function answers: one function an operation of the protocol."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from interlock import VERSION
from interlock.errors import InterlockError, UnknownModel, UnsupportedContent
from serve.answering import Answered, answered
from serve.captures import failure, lines
from serve.deployed import contract, openapi
from serve.door import Call, Reply
from serve.live import Live
from serve.loaded import Loaded
from serve.protocol import rows
from serve.protocol.request import Request
from serve.protocol.response import encode, write
from serve.protocol.routes import Operation, Route
from serve.telemetry import embedded, instant, metrics, say


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
            return _document({"name": "interlock", "version": VERSION, "extensions": []})
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
        case Operation.MODEL_READY | Operation.PING:
            release = service.live.release(asked.model)
            service.live.version(release, asked.version)
            return _document({"name": asked.model, "ready": True}, revision=release.revision)
        case Operation.PREDICT:
            return _predict(asked, call, service)
        case Operation.INVOCATIONS:
            return _invocations(asked, call, service)
        case Operation.OPENAPI:
            return Reply(200, openapi())


def _infer(asked: Route, call: Call, service: Service) -> Reply:
    _wants(call, "application/json")
    if "inference-header-content-length" in call.headers:
        raise UnsupportedContent("tensors in binary form", remedy="Send all tensors as JSON (binary_data=False).")
    found, parameters = predicted(asked, call, service, lambda loaded: loaded.read(call.body))
    body = write(found.request, found.answer, found.loaded.signature, parameters)
    return Reply(200, body, revision=parameters["revision"])


def _predict(asked: Route, call: Call, service: Service) -> Reply:
    _wants(call, "application/json")
    known = contract(asked.model)
    found, parameters = predicted(
        asked, call, service, lambda loaded: rows.read_objects(call.body, "rows", loaded.signature, known)
    )
    said = rows.predictions(found.answer, found.loaded.signature)
    signature = found.loaded.signature
    document = {
        "model": signature.model,
        "version": signature.version,
        **parameters,
        **({} if signature.threshold is None else {"threshold": signature.threshold}),
        "predictions": said,
    }
    return _document(document, revision=parameters["revision"])


def _invocations(asked: Route, call: Call, service: Service) -> Reply:
    """SageMaker's: JSON `instances` or lines of CSV, answered in the same form unless `accept` names the other."""
    given = _wants(call, "application/json", "text/csv")
    known = contract(asked.model)

    def checked(loaded: Loaded) -> Request:
        if given == "text/csv":
            return rows.read_csv(call.body, loaded.signature, known)
        return rows.read_objects(call.body, "instances", loaded.signature, known)

    found, parameters = predicted(asked, call, service, checked)
    accepted = call.headers.get("accept", "")
    wanted = next((form for form in ("text/csv", "application/json") if form in accepted), given)
    if wanted == "text/csv":
        return Reply(200, rows.write_csv(found.answer), "text/csv; charset=utf-8", parameters["revision"])
    said = rows.predictions(found.answer, found.loaded.signature)
    return _document({"predictions": said}, revision=parameters["revision"])


def _wants(call: Call, *content_types: str) -> str:
    """The body's content type, which must be one of these; the first where the caller names none."""
    named = call.headers.get("content-type", content_types[0])
    given = named.partition(";")[0].strip().lower()
    if given not in content_types:
        raise UnsupportedContent(f"the body is {named}", remedy=f"Send {' or '.join(content_types)}.")
    if (encoding := call.headers.get("content-encoding", "identity")) != "identity":
        raise UnsupportedContent(f"the body is encoded as {encoding}", remedy="Send it as it is.")
    return given


def predicted(
    asked: Route, call: Call, service: Service, checked: Callable[[Loaded], Request]
) -> tuple[Answered, dict[str, Any]]:
    """A prediction, captured and counted, and what its answer tells beside it."""
    started = time.perf_counter()
    at = instant()
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
    counts = {"Predictions": found.request.rows, "Milliseconds": took}
    if service.live.cache is not None:
        counts |= service.live.cache.told()
    counted = embedded(counts, asked.model)
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

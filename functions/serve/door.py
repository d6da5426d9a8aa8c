"""Requests and answers as HTTP API's events hold them; the same for every function behind the API."""

from __future__ import annotations

import base64
import json
from typing import Any, NamedTuple

from interlock.errors import InterlockError, InvalidRequest, QuotaExceeded

Response = dict[str, Any]
_HEADERS = {
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
    "strict-transport-security": "max-age=63072000",
}


class Call(NamedTuple):
    """A request. `headers` by lower-case name."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    id: str


class Reply(NamedTuple):
    """An answer; `revision` is that of the release it was made under, `retry_after` in seconds."""

    status: int
    body: bytes
    content_type: str = "application/json"
    revision: int | None = None
    retry_after: int | None = None


def call_of(event: dict[str, Any], request_id: str) -> Call:
    """Read an event."""
    http, body = event["requestContext"]["http"], event.get("body") or ""
    raw = base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()
    return Call(http["method"], event["rawPath"], event.get("headers") or {}, raw, request_id)


def response_of(reply: Reply, request_id: str) -> Response:
    """The answer as the API wants it."""
    headers = {"content-type": reply.content_type, "x-request-id": request_id, **_HEADERS}
    if reply.revision is not None:
        headers["x-interlock-revision"] = str(reply.revision)
    if reply.retry_after is not None:
        headers["retry-after"] = str(reply.retry_after)
    return {"statusCode": reply.status, "headers": headers, "body": reply.body.decode()}


def refusal(error: Exception, request_id: str) -> Reply:
    """Whatever went wrong, in the protocol's error form; an unexpected fault shows nothing of itself."""
    if isinstance(error, InterlockError):
        fields = {"fields": error.fields} if isinstance(error, InvalidRequest) and error.fields else {}
        reply = _error(error.http_status, {"error": f"{error.message}. {error.next_step}", **fields})
        return reply._replace(retry_after=error.seconds) if isinstance(error, QuotaExceeded) else reply
    return _error(500, {"error": f"internal error; ask for request {request_id} in the log"})


def _error(status: int, document: dict[str, Any]) -> Reply:
    return Reply(status, json.dumps(document).encode())

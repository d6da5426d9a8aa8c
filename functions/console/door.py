"""Requests and answers of the console, as HTTP API's events hold them."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping
from typing import Any, NamedTuple

from console.sources import Sources
from interlock.errors import InputError

Response = dict[str, Any]

HTML = "text/html; charset=utf-8"
# Nothing of a page comes from elsewhere, nothing in it is run or styled that is not a file of ours.
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "strict-transport-security": "max-age=63072000",
}
# An asset's name holds a hash of its bytes.
_FOREVER = "private, max-age=31536000, immutable"
# What is smaller gains nothing.
_PACKED_FROM = 1024


class NotFound(InputError):
    """There is no such page, or what it is about does not exist."""

    headline = "There is nothing here"
    remedy = "Begin at the list of models."
    http_status = 404


class Asked(NamedTuple):
    """What a page is asked for.

    Args:
        sources: where it reads.
        models: ids of the deployed models that the caller may read, sorted.
        parts: what the path names, by the names of its route: model, run, window …
        query: the query's parameters.
    """

    sources: Sources
    models: tuple[str, ...]
    parts: Mapping[str, str]
    query: Mapping[str, str]

    @property
    def model(self) -> str:
        """The model that the path names; it is deployed, and the caller may read it."""
        return self.parts["model"]


class Reply(NamedTuple):
    """An answer. What is `kept` never changes under its address."""

    body: bytes
    content_type: str = HTML
    status: int = 200
    policy: str = PAGE_POLICY
    kept: bool = False


def response_of(reply: Reply, request_id: str, accept_encoding: str = "") -> Response:
    """The answer as the API wants it; packed where the caller takes that, for the API does not pack."""
    headers = {
        "content-type": reply.content_type,
        "content-security-policy": reply.policy,
        "cache-control": _FOREVER if reply.kept else "no-store",
        "vary": "accept-encoding",
        "x-request-id": request_id,
        **_HEADERS,
    }
    if len(reply.body) < _PACKED_FROM or "gzip" not in accept_encoding:
        return {"statusCode": reply.status, "headers": headers, "body": reply.body.decode()}
    packed = base64.b64encode(gzip.compress(reply.body, 6, mtime=0)).decode()
    headers["content-encoding"] = "gzip"
    return {"statusCode": reply.status, "headers": headers, "body": packed, "isBase64Encoded": True}

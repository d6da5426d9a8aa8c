"""Which operation a method and a path name."""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from interlock.errors import InvalidRequest


class UnknownPath(InvalidRequest):
    """No operation lies at this path."""

    headline = "There is nothing at this path"
    remedy = "GET /openapi.json lists the paths."
    http_status = 404


class Operation(Enum):
    """What can be asked: the method it takes, and the scope that a caller with a token needs for it."""

    SERVER = ("server", "GET", "read")
    LIVE = ("live", "GET", "read")
    READY = ("ready", "GET", "read")
    OPENAPI = ("openapi", "GET", "read")
    MODEL = ("model", "GET", "read")
    MODEL_READY = ("model ready", "GET", "read")
    INFER = ("infer", "POST", "infer")
    PREDICT = ("predict", "POST", "infer")
    PING = ("ping", "GET", "read")
    INVOCATIONS = ("invocations", "POST", "infer")

    def __init__(self, _name: str, method: str, scope: str) -> None:
        self.method = method
        self.scope = scope


class Route(NamedTuple):
    """An operation and whom it is about: an empty model is all of them, no version the one that serves."""

    operation: Operation
    model: str = ""
    version: int | None = None


_PLAIN = {
    "/v2": Operation.SERVER,
    "/v2/health/live": Operation.LIVE,
    "/v2/health/ready": Operation.READY,
    "/openapi.json": Operation.OPENAPI,
}
_V2 = re.compile(r"/v2/models/(?P<model>[^/]+)(?:/versions/(?P<version>[^/]+))?(?:/(?P<verb>ready|infer))?")
_V2_VERBS = {None: Operation.MODEL, "ready": Operation.MODEL_READY, "infer": Operation.INFER}
_OWN = re.compile(r"/models/(?P<model>[^/]+)/(?P<verb>predict|ping|invocations)")
_OWN_VERBS = {"predict": Operation.PREDICT, "ping": Operation.PING, "invocations": Operation.INVOCATIONS}
_LONGEST_VERSION = 9


@lru_cache(maxsize=1024)
def route(method: str, path: str) -> Route:
    """Read a request's method and path.

    Raises:
        UnknownPath: nothing lies there, or not for this method.
    """
    path = path.rstrip("/") or "/"
    if operation := _PLAIN.get(path):
        found = Route(operation)
    elif match := _V2.fullmatch(path):
        version = match["version"]
        if version is not None and not (version.isascii() and version.isdigit() and len(version) <= _LONGEST_VERSION):
            raise UnknownPath(f"{path}: a version is a whole number, not '{version}'")
        found = Route(_V2_VERBS[match["verb"]], match["model"], int(version) if version else None)
    elif match := _OWN.fullmatch(path):
        found = Route(_OWN_VERBS[match["verb"]], match["model"])
    else:
        raise UnknownPath(f"nothing lies at {path}")
    if method != found.operation.method:
        raise UnknownPath(f"{path} takes {found.operation.method}, not {method}")
    return found

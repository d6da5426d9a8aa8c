"""Which operation a method and a path name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache

from interlock.errors import InvalidRequest


class UnknownPath(InvalidRequest):
    """No operation lies at this path."""

    headline = "There is nothing at this path"
    remedy = "The paths are /v2, /v2/health/live, /v2/health/ready, /v2/models/<model>[/versions/<n>][/ready|/infer]."
    http_status = 404


class Operation(Enum):
    """What can be asked."""

    SERVER = auto()
    LIVE = auto()
    READY = auto()
    MODEL = auto()
    MODEL_READY = auto()
    INFER = auto()


@dataclass(frozen=True)
class Route:
    """An operation and whom it is about; no version means the one that serves."""

    operation: Operation
    model: str = ""
    version: int | None = None


_MODEL = re.compile(r"/v2/models/(?P<model>[^/]+)(?:/versions/(?P<version>[^/]+))?(?:/(?P<verb>ready|infer))?")
_PLAIN = {
    "/v2": Operation.SERVER,
    "/v2/health/live": Operation.LIVE,
    "/v2/health/ready": Operation.READY,
}
_VERBS = {None: Operation.MODEL, "ready": Operation.MODEL_READY, "infer": Operation.INFER}


@lru_cache(maxsize=1024)
def route(method: str, path: str) -> Route:
    """Read a request's method and path.

    Raises:
        UnknownPath: nothing lies there, or not for this method.
    """
    path = path.rstrip("/") or "/"
    if operation := _PLAIN.get(path):
        found = Route(operation)
    elif match := _MODEL.fullmatch(path):
        version = match["version"]
        if version is not None and not version.isdigit():
            raise UnknownPath(f"{path}: a version is a whole number, not '{version}'")
        found = Route(_VERBS[match["verb"]], match["model"], int(version) if version else None)
    else:
        raise UnknownPath(f"nothing lies at {path}")
    wanted = "POST" if found.operation is Operation.INFER else "GET"
    if method != wanted:
        raise UnknownPath(f"{path} takes {wanted}, not {method}")
    return found

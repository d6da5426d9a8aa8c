"""Where a URL leads: a connection to its host, and what is asked for there."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit


def connection_to(url: str, seconds: float) -> http.client.HTTPConnection:
    """A connection to where a URL lies; it is opened when it is first used, and waits so long for each answer."""
    parts = urlsplit(url)
    # Names under .localhost mean this machine (RFC 6761), but not every resolver knows it.
    host = "127.0.0.1" if (parts.hostname or "").endswith(".localhost") else parts.hostname or ""
    make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return make(host, parts.port, timeout=seconds)


def request_target(url: str) -> str:
    """What is asked for at a URL's host (RFC 9112's request-target): path and query."""
    parts = urlsplit(url)
    return f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"

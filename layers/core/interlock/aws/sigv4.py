"""Signature Version 4 for one request, in the standard library alone.

botocore signs too, but building one of its clients costs more than twice what a cold serving function needs for
everything else. Pure: no clock and no environment of its own; the tests hold it against botocore's signatures.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote

_ALGORITHM = "AWS4-HMAC-SHA256"
# What the algorithm leaves as it is, beside letters and digits.
_UNRESERVED = "-_.~"


class Credentials(NamedTuple):
    """Who signs; a session's credentials have a token."""

    key: str
    secret: str
    token: str | None = None


def escaped(path: str) -> str:
    """A path as it is sent and signed: every segment percent-encoded once, as S3 wants it."""
    return quote(path, safe="/" + _UNRESERVED)


def signed(
    method: str,
    path: str,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    body: bytes,
    credentials: Credentials,
    region: str,
    service: str,
    at: str,
) -> dict[str, str]:
    """The headers to send, `authorization` among them.

    Args:
        method: GET, POST …
        path: as it is sent: escaped.
        query: names and values, not escaped.
        headers: lower-case names; `host` must be there.
        body: what is sent.
        credentials: who signs.
        region: us-east-1 …
        service: s3, dynamodb …
        at: the moment of signing in UTC, as YYYYMMDDTHHMMSSZ.
    """
    digest = hashlib.sha256(body).hexdigest()
    sent = {**headers, "x-amz-date": at}
    if service == "s3":
        sent["x-amz-content-sha256"] = digest
    if credentials.token:
        sent["x-amz-security-token"] = credentials.token
    names = ";".join(sorted(sent))
    canonical = "\n".join(
        [
            method,
            # Every service but S3 signs the path escaped once more.
            path if service == "s3" else escaped(path),
            query_string(query),
            *(f"{name}:{' '.join(sent[name].split())}" for name in sorted(sent)),
            "",
            names,
            digest,
        ]
    )
    scope = f"{at[:8]}/{region}/{service}/aws4_request"
    text = f"{_ALGORITHM}\n{at}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{credentials.secret}".encode()
    for part in (at[:8], region, service, "aws4_request"):
        key = _mac(key, part)
    sent["authorization"] = (
        f"{_ALGORITHM} Credential={credentials.key}/{scope}, SignedHeaders={names}, Signature={_mac(key, text).hex()}"
    )
    return sent


def query_string(query: Mapping[str, str]) -> str:
    """A query as it is sent and signed."""
    pairs = sorted((quote(name, safe=_UNRESERVED), quote(value, safe=_UNRESERVED)) for name, value in query.items())
    return "&".join(f"{name}={value}" for name, value in pairs)


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()

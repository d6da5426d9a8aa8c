"""HTTPS calls signed with SigV4, as the API's IAM authorisation wants them."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from interlock.errors import DependencyUnavailable

_SECONDS = 30


def signed_post(url: str, body: bytes, session: boto3.Session | None = None) -> tuple[int, bytes]:
    """POST JSON to an endpoint of API Gateway; answers status and body.

    Raises:
        DependencyUnavailable: nothing answers there.
    """
    return signed("POST", url, body, session)[:2]


def signed(
    method: str, url: str, body: bytes = b"", session: boto3.Session | None = None
) -> tuple[int, bytes, dict[str, str]]:
    """Call an endpoint of API Gateway; answers status, body and headers.

    Raises:
        DependencyUnavailable: nothing answers there.
    """
    session = session or boto3.Session()
    headers = signed_headers(method, url, body, session)
    parts = urlsplit(url)
    # Names under .localhost mean this machine (RFC 6761), but not every resolver knows it.
    host = "127.0.0.1" if (parts.hostname or "").endswith(".localhost") else parts.hostname or ""
    make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = make(host, parts.port, timeout=_SECONDS)
    try:
        connection.request(method, parts.path or "/", body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}
    except OSError as error:
        raise DependencyUnavailable(f"{url}: {error}") from error
    finally:
        connection.close()


def signed_headers(method: str, url: str, body: bytes, session: boto3.Session) -> dict[str, str]:
    """The headers of a signed call, `host` among them."""
    request = AWSRequest(
        method, url, data=body, headers={"content-type": "application/json", "host": urlsplit(url).netloc}
    )
    credentials = session.get_credentials()
    if credentials is None:
        raise DependencyUnavailable("there are no credentials to sign with", remedy="Configure an AWS profile.")
    SigV4Auth(credentials, "execute-api", session.region_name).add_auth(request)
    return dict(request.headers.items())

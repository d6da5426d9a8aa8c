"""HTTPS calls signed with SigV4, as the API's IAM authorisation wants them."""

from __future__ import annotations

from urllib.parse import urlsplit

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError

from interlock.connection import connection_to, request_target
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
    headers = signed_headers(method, url, body, session or boto3.Session())
    connection = connection_to(url, _SECONDS)
    try:
        connection.request(method, request_target(url), body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}
    except OSError as error:
        raise DependencyUnavailable(f"{url}: {error}") from error
    finally:
        connection.close()


def signed_headers(
    method: str, url: str, body: bytes, session: boto3.Session, content_type: str | None = "application/json"
) -> dict[str, str]:
    """The headers of a signed call, `host` among them.

    Raises:
        DependencyUnavailable: there are no credentials, or they have ended.
    """
    given = {"host": urlsplit(url).netloc, **({"content-type": content_type} if content_type else {})}
    request = AWSRequest(method, url, data=body, headers=given)
    try:
        credentials = session.get_credentials()
        if credentials is None:
            raise DependencyUnavailable("there are no credentials to sign with", remedy="Configure an AWS profile.")
        # All three parts of one moment: another thread may renew them meanwhile.
        SigV4Auth(credentials.get_frozen_credentials(), "execute-api", session.region_name).add_auth(request)
    except BotoCoreError as error:
        raise DependencyUnavailable(f"the credentials cannot be used: {error}", remedy="Sign in again.") from error
    return dict(request.headers.items())

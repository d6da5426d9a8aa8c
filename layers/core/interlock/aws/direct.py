"""What a cold serving function reads before its first answer: an item of the state table, an object by its version.

Without boto3, whose import and clients would take longer than all the rest. Requests are signed by
`interlock.aws.sigv4` and sent over connections that are kept; the endpoints, region and credentials are those that the
runtime's environment names, as boto3 takes them.
"""

from __future__ import annotations

import calendar
import hashlib
import http.client
import json
import os
import random
import time
from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import urlsplit

from interlock.aws.sigv4 import Credentials, escaped, query_string, signed
from interlock.connection import connection_to, request_target
from interlock.errors import ChecksumMismatch, DependencyUnavailable, Throttled

_ATTEMPTS = 3
_FIRST_PAUSE = 0.05
_TIMEOUT = 5.0
# Credentials of a restored snapshot come from an address and end; they are asked for anew this long before.
_EXPIRY_MARGIN = 300.0
_THROTTLED = {"ProvisionedThroughputExceededException", "RequestLimitExceeded", "ThrottlingException", "SlowDown"}


class Ref(Protocol):
    """Exactly these bytes in S3: `interlock.records.ObjectRef`, or what serving reads of it."""

    @property
    def bucket(self) -> str:
        """The bucket's name."""

    @property
    def key(self) -> str:
        """The object's key."""

    @property
    def version(self) -> str:
        """The object's version."""

    @property
    def sha256(self) -> str:
        """What its bytes hash to, in hexadecimal."""


class Direct:
    """Reads by hand what boto3 would read; one a process."""

    def __init__(
        self, table: str, sleep: Callable[[float], None] = time.sleep, clock: Callable[[], float] = time.time
    ) -> None:
        self._table = table
        self._sleep = sleep
        self._clock = clock
        self._region = os.environ["AWS_REGION"]
        self._connections: dict[str, http.client.HTTPConnection] = {}
        self._credentials: tuple[float, Credentials] | None = None

    def document(self, pk: str, sk: str) -> bytes | None:
        """A document of the state table, read consistently; None when there is none.

        Raises:
            Throttled, DependencyUnavailable: DynamoDB does not answer, after retries.
        """
        key = {"pk": {"S": pk}, "sk": {"S": sk}}
        body = json.dumps({"TableName": self._table, "Key": key, "ConsistentRead": True}).encode()
        headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": "DynamoDB_20120810.GetItem"}
        status, answer = self._ask("dynamodb", None, "POST", "/", {}, headers, body)
        if status != 200:
            raise DependencyUnavailable(f"reading state {pk}/{sk}: {status} {answer[:300].decode('utf-8', 'replace')}")
        item = json.loads(answer).get("Item")
        return str(item["document"]["S"]).encode() if item else None

    def count(self, table: str, key: str, limit: int, expires: int) -> bool:
        """Add one to an item's count unless it is at its limit; whether it was added.

        A retry whose first attempt arrived after all counts twice.

        Args:
            table: has the key `caller` and drops items after `expires`, in seconds of the epoch.
            key: the item.
            limit: the highest count.
            expires: when the item may go.

        Raises:
            Throttled, DependencyUnavailable: DynamoDB does not answer, after retries.
        """
        asked = {
            "TableName": table,
            "Key": {"caller": {"S": key}},
            "UpdateExpression": "SET #expires = :expires ADD #calls :one",
            "ConditionExpression": "attribute_not_exists(#calls) OR #calls < :limit",
            "ExpressionAttributeNames": {"#calls": "calls", "#expires": "expires"},
            "ExpressionAttributeValues": {
                ":one": {"N": "1"}, ":limit": {"N": str(limit)}, ":expires": {"N": str(expires)},
            },
        }  # fmt: skip
        headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": "DynamoDB_20120810.UpdateItem"}
        status, answer = self._ask("dynamodb", None, "POST", "/", {}, headers, json.dumps(asked).encode())
        if status == 200:
            return True
        if b"ConditionalCheckFailedException" in answer:
            return False
        raise DependencyUnavailable(f"counting a call: {status} {answer[:300].decode('utf-8', 'replace')}")

    def get(self, ref: Ref) -> bytes:
        """Read exactly these bytes.

        Raises:
            ChecksumMismatch: the object is gone or is not what was recorded.
            Throttled, DependencyUnavailable: S3 does not answer, after retries.
        """
        where = f"s3://{ref.bucket}/{ref.key} (version {ref.version})"
        status, body = self._ask("s3", ref.bucket, "GET", f"/{ref.key}", {"versionId": ref.version}, {}, b"")
        if status == 404:
            raise ChecksumMismatch(f"{where} is gone")
        if status != 200:
            raise DependencyUnavailable(f"reading {where}: {status} {body[:300].decode('utf-8', 'replace')}")
        if hashlib.sha256(body).hexdigest() != ref.sha256:
            raise ChecksumMismatch(f"{where} is not the recorded {ref.sha256[:12]}…")
        return body

    def _ask(
        self,
        service: str,
        bucket: str | None,
        method: str,
        path: str,
        query: dict[str, str],
        headers: dict[str, str],
        body: bytes,
    ) -> tuple[int, bytes]:
        """Status and body; throttles, faults and broken connections are tried again."""
        origin, prefix = self._endpoint(service, bucket)
        path = escaped(prefix + path)
        for attempt in range(1, _ATTEMPTS + 1):
            last = attempt == _ATTEMPTS
            try:
                status, answer = self._once(service, origin, method, path, query, headers, body)
            except (OSError, http.client.HTTPException) as error:
                # A kept connection that the service closed meanwhile ends here too.
                self._connections.pop(origin, None)
                if last:
                    raise DependencyUnavailable(f"{service} does not answer: {error}") from error
            else:
                throttled = any(code.encode() in answer for code in _THROTTLED) if status >= 400 else False
                if not throttled and status < 500:
                    return status, answer
                if last:
                    kind = Throttled if throttled else DependencyUnavailable
                    raise kind(f"{service} answered {status}: {answer[:300].decode('utf-8', 'replace')}")
            # Full jitter, so that many functions that failed together do not come back together.
            self._sleep(random.uniform(0, _FIRST_PAUSE * 2**attempt))  # noqa: S311 - nothing secret
        raise AssertionError

    def _once(
        self,
        service: str,
        origin: str,
        method: str,
        path: str,
        query: dict[str, str],
        headers: dict[str, str],
        body: bytes,
    ) -> tuple[int, bytes]:
        at = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._clock()))
        sent = {**headers, "host": urlsplit(origin).netloc}
        sent = signed(method, path, query, sent, body, self._credential(), self._region, service, at)
        connection = self._connections.get(origin)
        if connection is None:
            connection = self._connections[origin] = connection_to(origin, _TIMEOUT)
        connection.request(method, f"{path}?{query_string(query)}" if query else path, body or None, sent)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def _endpoint(self, service: str, bucket: str | None) -> tuple[str, str]:
        """Where a service lies, and what stands before every path there."""
        own = os.environ.get(f"AWS_ENDPOINT_URL_{service.upper()}") or os.environ.get("AWS_ENDPOINT_URL")
        if own:
            return own.rstrip("/"), f"/{bucket}" if bucket else ""
        suffix = "amazonaws.com.cn" if self._region.startswith("cn-") else "amazonaws.com"
        # A name with dots in the host would not match the service's certificate.
        if bucket and "." in bucket:
            return f"https://{service}.{self._region}.{suffix}", f"/{bucket}"
        return f"https://{bucket + '.' if bucket else ''}{service}.{self._region}.{suffix}", ""

    def _credential(self) -> Credentials:
        """The role's credentials: in the environment, or, after a restore from a snapshot, behind an address."""
        address = os.environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
        if address is None:
            return Credentials(
                os.environ["AWS_ACCESS_KEY_ID"],
                os.environ["AWS_SECRET_ACCESS_KEY"],
                os.environ.get("AWS_SESSION_TOKEN"),
            )
        if self._credentials is None or self._clock() > self._credentials[0] - _EXPIRY_MARGIN:
            self._credentials = _fetched(address)
        return self._credentials[1]


def _fetched(address: str) -> tuple[float, Credentials]:
    connection = connection_to(address, 1.0)
    try:
        headers = {"authorization": os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")}
        connection.request("GET", request_target(address), headers=headers)
        found: dict[str, Any] = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    expires = calendar.timegm(time.strptime(found["Expiration"][:19], "%Y-%m-%dT%H:%M:%S"))
    return expires, Credentials(found["AccessKeyId"], found["SecretAccessKey"], found["Token"])

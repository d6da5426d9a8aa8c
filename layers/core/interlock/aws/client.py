"""Clients, made once a process, and their errors in our words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from interlock.errors import DependencyUnavailable, Throttled

_THROTTLES = {
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "SlowDown",
}


@cache
def client(service: str) -> Any:
    """The process's client of that service; new accounts have small quotas, so throttles are retried."""
    config = Config(retries={"mode": "standard", "total_max_attempts": 5}, connect_timeout=5, read_timeout=60)
    make: Any = boto3.client
    return make(service, config=config)


def code(error: ClientError) -> str:
    """The service's own error code."""
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn a service's throttle or fault into ours; what the caller did wrong stays botocore's error.

    Raises:
        Throttled: asked to slow down, after the client's own retries.
        DependencyUnavailable: no answer, or the service's own fault (HTTP 5xx).
    """
    try:
        yield
    except ClientError as error:
        if code(error) in _THROTTLES:
            raise Throttled(f"{what}: {error}") from error
        if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500:
            raise DependencyUnavailable(f"{what}: {error}") from error
        raise
    except BotoCoreError as error:
        raise DependencyUnavailable(f"{what}: {error}") from error

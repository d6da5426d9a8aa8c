"""A bucket whose answers a test writes itself: the real adapter and client, before an HTTP server on the loopback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import pytest
from botocore.config import Config

from interlock.aws.objects import Objects
from tests.door import Door, served


@contextmanager
def answered_by(store: type[Door], monkeypatch: pytest.MonkeyPatch) -> Iterator[Objects]:
    """The bucket `data`; requests are made once."""
    with served(store) as address:
        client = boto3.client(
            "s3",
            endpoint_url=address,
            region_name="eu-central-1",
            aws_access_key_id="k",
            aws_secret_access_key="s",
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        )
        monkeypatch.setattr("interlock.aws.objects.client", lambda _: client)
        yield Objects("data")
        client.close()

"""A bucket whose answers a test writes itself: the real adapter and client, before an HTTP server on the loopback."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import pytest
from botocore.config import Config

from interlock.aws.objects import Objects


@contextmanager
def answered_by(store: type[http.server.BaseHTTPRequestHandler], monkeypatch: pytest.MonkeyPatch) -> Iterator[Objects]:
    """The bucket `data`; requests are made once."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), store)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    client = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{server.server_port}",
        region_name="eu-central-1",
        aws_access_key_id="k",
        aws_secret_access_key="s",
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )
    monkeypatch.setattr("interlock.aws.objects.client", lambda _: client)
    yield Objects("data")
    client.close()
    server.shutdown()
    server.server_close()
    thread.join()

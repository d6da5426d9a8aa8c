"""A job's log: to CloudWatch Logs, and to the metrics that its request looks for in it."""

from __future__ import annotations

import contextlib
import logging
import re
import threading
import time
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.sagemaker.store import Record, now

logger = logging.getLogger(__name__)

GROUP = "/aws/sagemaker/TrainingJobs"
# PutLogEvents takes 10,000 events and 1 MB at once, 256 KB an event, 26 bytes of each its own.
_BATCH_BYTES, _LINE_BYTES, _EVENT_BYTES = 1_000_000, 250_000, 26
_BATCH_EVENTS = 5_000
_SECONDS = 0.5


class JobLog:
    """Lines on their way to the log, half a second behind at most. Logs that cannot be written do not end a job."""

    def __init__(self, client: Any, job: str, definitions: list[Record]) -> None:
        self._client = client
        self._stream = f"{job}/algo-1-{int(time.time())}"
        self._definitions = [(item["Name"], re.compile(item["Regex"])) for item in definitions]
        self._metrics: dict[str, Record] = {}
        self._lines: list[Record] = []
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._sender = threading.Thread(target=self._send, daemon=True)
        self._sender.start()

    def write(self, line: str) -> None:
        """Take a line, and the metrics in it."""
        for name, expression in self._definitions:
            if (match := expression.search(line)) and (value := _number(match)) is not None:
                self._metrics[name] = {"MetricName": name, "Value": value, "Timestamp": now()}
        message = line.encode()[:_LINE_BYTES].decode("utf-8", "ignore") or " "
        with self._lock:
            self._lines.append({"timestamp": int(time.time() * 1000), "message": message})

    def close(self) -> list[Record]:
        """Send what waits; answers the last value of each metric."""
        self._done.set()
        self._sender.join()
        return list(self._metrics.values())

    def _send(self) -> None:
        try:
            self._create()
            while not self._done.wait(_SECONDS):
                self._put()
            self._put()
        except (ClientError, BotoCoreError):
            logger.exception("the log of %s is not written", self._stream)

    def _create(self) -> None:
        with contextlib.suppress(self._client.exceptions.ResourceAlreadyExistsException):
            self._client.create_log_group(logGroupName=GROUP)
        self._client.create_log_stream(logGroupName=GROUP, logStreamName=self._stream)

    def _put(self) -> None:
        with self._lock:
            waiting, self._lines = self._lines, []
        batch: list[Record] = []
        size = 0
        for line in waiting:
            bytes_ = len(line["message"].encode()) + _EVENT_BYTES
            if batch and (size + bytes_ > _BATCH_BYTES or len(batch) == _BATCH_EVENTS):
                self._client.put_log_events(logGroupName=GROUP, logStreamName=self._stream, logEvents=batch)
                batch, size = [], 0
            batch.append(line)
            size += bytes_
        if batch:
            self._client.put_log_events(logGroupName=GROUP, logStreamName=self._stream, logEvents=batch)


def _number(match: re.Match[str]) -> float | None:
    try:
        return float(match.group(1))
    except (IndexError, ValueError, TypeError):
        return None

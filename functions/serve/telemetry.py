"""What the serving function tells: metrics and log lines on stdout, without a library that costs more than a call."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

from serve.protocol.response import encode


class Voice:
    """Standard output. What cannot be written is lost, costs no caller the answer, and is counted when it is over."""

    def __init__(self) -> None:
        self._lost = 0

    def say(self, *lines: bytes) -> None:
        """Write lines in one go: every write is a system call, and a log event of its own."""
        told = (metrics({"LinesLost": self._lost}), *lines) if self._lost else lines
        try:
            sys.stdout.buffer.write(b"\n".join((*told, b"")))
            sys.stdout.buffer.flush()
        except (OSError, ValueError):
            self._lost += len(lines)
        else:
            self._lost = 0


say = Voice().say


def instant() -> str:
    """Now, as `datetime.isoformat` writes it in UTC; the second is written once."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return f"{_second(seconds)}.{nanoseconds // 1000:06d}+00:00"


@lru_cache(maxsize=1)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def embedded(values: dict[str, float], model: str | None = None) -> dict[str, Any]:
    """Fields that make a line of JSON count, in CloudWatch's embedded metric format.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    dimensions, directives = _counting(model, (*values,))
    told = {"Timestamp": time.time_ns() // 1_000_000, "CloudWatchMetrics": directives}
    return {"_aws": told, **dimensions, **values}


@lru_cache
def _counting(model: str | None, names: tuple[str, ...]) -> tuple[dict[str, str], msgspec.Raw]:
    """Whose the fields are and what CloudWatch is to make of them: the same in every line that counts the same."""
    dimensions = {"service": "serve", "model": model} if model else {"service": "serve"}
    metrics = [{"Name": name} for name in names]
    told = [{"Namespace": "Interlock", "Dimensions": [[*dimensions]], "Metrics": metrics}]
    return dimensions, msgspec.Raw(encode(told))


def metrics(values: dict[str, float], model: str | None = None) -> bytes:
    """A line that only counts."""
    return encode(embedded(values, model))


def warning(request_id: str, name: str, message: str) -> bytes:
    """A line about a request that was refused or could not be answered."""
    return encode({"level": "WARNING", "service": "serve", "error": name, "message": message, "request_id": request_id})

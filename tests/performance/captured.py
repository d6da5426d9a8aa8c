"""Whether captures are lost: 100,000 calls by 16 callers of one process, whose standard output is a pipe that is read.

    python -m tests.performance.captured [calls]

The pipe is what Lambda's runtime reads; the runtime itself is not there, since one instance answers one call at a time.
Every answer is held against the model's own, every line against the answer that it is about.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

import serve.infer
from serve.live import Live
from serve.loaded import Memory
from serve.operations import Service
from tests.performance import served
from tests.performance.bench_serve import Stored

CALLS, CALLERS, _ROWS = 100_000, 16, 500


class Context(NamedTuple):
    """What the runtime hands a handler."""

    aws_request_id: str


def made() -> served.Made:
    """The model and its table; the same in both processes."""
    return served.make(rows=3000, trees=20)


def expected(model: served.Made) -> Any:
    """The model's own scores of the rows that are asked for."""
    return served.session(model.onnx).run(None, served.tensors(model.frame.iloc[:_ROWS]))[-1][:, 1]


def ask(calls: int) -> None:
    """Answer so many calls, 16 at a time, captures on standard output."""
    model = made()
    wanted = expected(model)
    live = Live(Stored(model.onnx), Memory(10**9), lambda: None)
    service = Service(live, (served.MODEL,))
    serve.infer.service = lambda: service  # type: ignore[assignment]
    events = [json.loads(served.event(served.request(model.frame.iloc[row : row + 1]))) for row in range(_ROWS)]

    def one(number: int) -> None:
        row = number % _ROWS
        response = serve.infer.handler(events[row], Context(f"{number}"))  # type: ignore[arg-type]
        answer = json.loads(response["body"])
        assert response["statusCode"] == 200
        assert answer["parameters"]["request_id"] == str(number)
        assert abs(answer["outputs"][1]["data"][0] - wanted[row]) < 1e-6

    with ThreadPoolExecutor(CALLERS) as callers:
        for _ in callers.map(one, range(calls), chunksize=1):
            pass


def main() -> None:
    """Count what came through the pipe."""
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else CALLS
    wanted = expected(made())
    seen = np.zeros(calls, int)
    wrong, started = 0, time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", "tests.performance.captured", "asking", str(calls)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        for text in process.stdout:
            line = json.loads(text)
            number = int(line["request_id"])
            seen[number] += 1
            wrong += abs(line["scores"][0] - wanted[number % _ROWS]) > 1e-6
    took = time.monotonic() - started
    lost, twice = int((seen == 0).sum()), int((seen > 1).sum())
    print(f"{calls} calls by {CALLERS} callers in {took:.0f} s: {lost} captures lost, {twice} twice, {wrong} wrong")
    print(json.dumps({"calls": calls, "lost": lost, "twice": twice, "wrong": int(wrong), "exit": process.returncode}))
    sys.exit(bool(lost or twice or wrong or process.returncode))


if __name__ == "__main__":
    if sys.argv[1:2] == ["asking"]:
        ask(int(sys.argv[2]))
    else:
        main()

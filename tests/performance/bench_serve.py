"""What a prediction costs above the session's own run: `make bench-serve`.

Cases are run in turn, in many short batches, so that whatever else the machine does falls on all of them alike: read
the ratios, not the seconds. What is compared runs as many calls a batch as what it is compared to: the first of a batch
finds the caches full of another case's code, and must weigh as much on both sides. The last line is one JSON object.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any, NamedTuple

import msgspec
import numpy as np

import serve.infer
from serve.captures import lines
from serve.live import Live
from serve.loaded import Memory
from serve.operations import Service
from serve.protocol.response import interpret, write
from serve.stored import served_model
from serve.telemetry import embedded
from tests.performance import billed, cold, over_http, served, several

ROUNDS = 300
_BATCH = 0.002
# Calls of a batch, by rows a call.
_CALLS = {1: 100, 1000: 5}
_WHOLE, _LAX = "the handler: everything checked, captured, counted", "a lax handler: no check, capture or count"


class Stored:
    """The state table and the bucket, in memory."""

    def __init__(self, onnx: bytes) -> None:
        self.objects = {}
        onnx_ref = self._put("model.onnx", onnx)
        placeholder = self._put("served.json", b"")
        _, described = served.records(onnx_ref, placeholder)
        self.live, _ = served.records(onnx_ref, self._put("served.json", described))

    def _put(self, key: str, body: bytes) -> dict[str, Any]:
        self.objects[key] = body
        digest = hashlib.sha256(body).hexdigest()
        return {"bucket": "b", "key": key, "version": "1", "sha256": digest, "size": len(body)}

    def document(self, pk: str, sk: str) -> bytes | None:
        return self.live

    def get(self, ref: Any) -> bytes:
        return self.objects[ref.key]


class Context:
    """What the runtime hands a handler."""

    aws_request_id = "00000000-0000-0000-0000-000000000000"


def timed(cases: dict[str, Callable[[], Any]], calls: int | None = None) -> dict[str, float]:
    """Seconds of this thread's processor a call: the median of many short batches, one of each case in turn.

    A batch is so short that what else the machine does falls on whole batches, which the median leaves out. It has so
    many calls, or as many as take 2 ms.
    """
    counts: dict[str, int] = {}
    for name, case in cases.items():
        case()
        started = time.thread_time()
        case()
        counts[name] = calls or max(1, int(_BATCH / max(time.thread_time() - started, 1e-6)))
    taken: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(ROUNDS):
        for name, case in cases.items():
            started = time.thread_time()
            for _ in range(counts[name]):
                case()
            taken[name].append((time.thread_time() - started) / counts[name])
    return {name: statistics.median(values) for name, values in taken.items()}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Standard output goes to a file that nobody reads, with the system calls that go with it."""
    with open(os.devnull, "wb") as sink, contextlib.redirect_stdout(io.TextIOWrapper(sink)):  # noqa: PTH123
        yield


class Times(NamedTuple):
    """Seconds a call: of whole calls, a loop of each and a single one of each in turn; of parts in a loop."""

    loops: dict[str, float]
    singles: dict[str, float]
    parts: dict[str, float]


def in_process(made: served.Made, rows: int) -> Times:
    """The handler and its parts for one request of these rows; every answer is first held against the session's."""
    frame = made.frame.iloc[:rows]
    session, inputs = served.session(made.onnx), served.tensors(frame)
    stored = Stored(made.onnx)
    live = Live(stored, Memory(10**9), lambda: None)
    serve.infer.service = lambda: Service(live, (served.MODEL,))  # type: ignore[assignment]
    body = served.request(frame)
    event = served.event(body)
    release = live.release(served.MODEL)
    loaded = live.version(release, None)
    described = served_model(stored.objects["served.json"])

    def handler() -> bytes:
        return json.dumps(serve.infer.handler(json.loads(event), Context())).encode()  # type: ignore[arg-type]

    with quiet():
        answer = json.loads(json.loads(handler())["body"])
    wanted = session.run(None, inputs)[-1][:, 1]
    np.testing.assert_allclose(answer["outputs"][1]["data"], wanted, atol=1e-6)

    request = loaded.read(body)
    raw = loaded.answer(request)
    said = interpret(raw, loaded.signature)
    parameters = {"revision": 1, "request_id": Context.aws_request_id}
    response = json.loads(handler_bytes) if (handler_bytes := _silently(handler)) else {}
    at = "2026-01-01T00:00:00.000000+00:00"
    whole: dict[str, Callable[[], Any]] = {
        "session.run alone": lambda: session.run(None, inputs),
        _WHOLE: handler,
        _LAX: _lax(session, event),
    }
    parts: dict[str, Callable[[], Any]] = {
        "event from JSON": lambda: json.loads(event),
        "request decoded and checked": lambda: loaded.read(body),
        "tensors and scores": lambda: loaded.answer(request),
        "answer read and written": lambda: write(
            request, interpret(raw, loaded.signature), loaded.signature, parameters
        ),
        "capture and metrics": lambda: lines(
            request, said, described, 1, "r" * 36, at, 0.03, None, embedded({"Predictions": rows}, served.MODEL)
        ),
        "response to JSON": lambda: json.dumps(response).encode(),
    }
    with quiet():
        return Times(timed(whole, _CALLS[rows]), timed(whole, 1), timed(parts))


def _silently(call: Callable[[], bytes]) -> bytes:
    with quiet():
        return call()


def _lax(session: Any, event: bytes) -> Callable[[], bytes]:
    """The least that answers: numpy takes whatever comes, nobody is told."""
    numpy_types: dict[str, Any] = {"FP32": np.float32, "BYTES": object}

    def handler() -> bytes:
        document = msgspec.json.decode(json.loads(event)["body"])
        inputs = {
            item["name"]: np.asarray(item["data"], dtype=numpy_types[item["datatype"]]).reshape(item["shape"])
            for item in document["inputs"]
        }
        outputs = [
            {"name": name, "shape": list(values.shape), "datatype": "FP32", "data": values.reshape(-1).tolist()}
            for name, values in zip(("label", "probability"), session.run(None, inputs), strict=True)
        ]
        body = msgspec.json.encode({"model_name": served.MODEL, "id": document["id"], "outputs": outputs})
        headers = {"content-type": "application/json"}
        return json.dumps({"statusCode": 200, "headers": headers, "body": body.decode()}).encode()

    return handler


def main() -> None:
    """Print the tables and the line."""
    made = served.make()
    print(
        f"Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in ("onnxruntime", "numpy", "msgspec"))
    )
    found: dict[str, float] = {}
    for rows in (1, 1000):
        loops, singles, parts = in_process(made, rows)
        base, single = loops["session.run alone"], singles["session.run alone"]
        print(f"\n{rows} row{'s' if rows > 1 else ''}, 20 inputs, gradient boosting; in a loop, one call in turn")
        for name, seconds in loops.items():
            alone = f"{1e6 * singles[name]:10.1f} us  {singles[name] / single:6.2f}"
            print(f"  {name:52} {1e6 * seconds:10.1f} us  {seconds / base:6.2f} {alone}")
        for name, seconds in parts.items():
            print(f"    {name:50} {1e6 * seconds:10.1f} us  {seconds / base:6.2f}")
        found[f"handler_ratio_{rows}"] = round(loops[_WHOLE] / base, 2)
        found[f"handler_ratio_{rows}_in_turn"] = round(singles[_WHOLE] / single, 2)
        found[f"lax_ratio_{rows}"] = round(loops[_LAX] / base, 2)
        if rows == 1:
            found["capture_ms"] = round(1e3 * parts["capture and metrics"], 4)
    found |= several.measured()
    if "--warm" not in sys.argv:
        found |= cold.measured(made)
        found |= billed.measured(made)
        found |= over_http.measured(made)
    print(json.dumps(found))


if __name__ == "__main__":
    main()

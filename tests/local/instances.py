"""Many instances of the serving function at once, each a process of its own that is asked at its own pace."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

import httpx

from cli import inference
from cli.target import Target

COUNT = 16
# Between two calls of an instance: every fourth one is asked so rarely that what it knows is old each time.
_PAUSE, _LONG_PAUSE = 0.3, 2.5


class Seen(NamedTuple):
    """An answer: whose, when it came in seconds of the epoch, under which revision and by which version."""

    instance: int
    at: float
    revision: int
    version: str


@contextmanager
def asked(target: Target, model: str, rows: list[dict[str, Any]]) -> Iterator[list[Seen]]:
    """All of them asked over and over; yields their answers, when each has answered once."""
    path = f"/v2/models/{model}/infer"
    event = {
        "requestContext": {"http": {"method": "POST", "path": path}},
        "rawPath": path,
        "headers": {"content-type": "application/json"},
        "body": json.dumps(inference.request(target, model, rows)),
    }
    payload, lambdas = json.dumps(event).encode(), target.client("lambda")
    seen: list[Seen] = []
    ended = threading.Event()

    def ask(number: int, function: str) -> None:
        while not ended.is_set():
            answer = json.loads(lambdas.invoke(FunctionName=function, Payload=payload)["Payload"].read())
            assert answer.get("statusCode") == 200, answer
            body = json.loads(answer["body"])
            seen.append(Seen(number, time.time(), body["parameters"]["revision"], body["model_version"]))
            ended.wait(_PAUSE if number % 4 else _LONG_PAUSE)

    with _functions(target) as functions, ThreadPoolExecutor(COUNT) as pool:
        asking = [pool.submit(ask, number, function) for number, function in enumerate(functions)]
        try:
            deadline = time.monotonic() + 60
            while len({item.instance for item in seen}) < COUNT and not any(item.done() for item in asking):
                assert time.monotonic() < deadline, "the instances do not start"
                time.sleep(0.1)
            yield seen
        finally:
            ended.set()
        for item in asking:
            item.result()


@contextmanager
def _functions(target: Target) -> Iterator[list[str]]:
    """Functions that are the deployed one in all but the name: the emulator starts a process for each."""
    lambdas = target.client("lambda")
    deployed = lambdas.get_function(FunctionName=f"{target.stack}-serve-infer")
    known, code = deployed["Configuration"], httpx.get(deployed["Code"]["Location"]).content
    names = [f"{target.stack}-serve-infer-{number}" for number in range(COUNT)]
    try:
        for name in names:
            lambdas.create_function(
                FunctionName=name,
                Code={"ZipFile": code},
                Layers=[layer["Arn"] for layer in known["Layers"]],
                Environment={"Variables": known["Environment"]["Variables"]},
                **{key: known[key] for key in ("Runtime", "Role", "Handler", "Timeout", "MemorySize")},
            )
        lambdas.get_waiter("function_active_v2").wait(FunctionName=names[-1])
        yield names
    finally:
        for name in names:
            lambdas.delete_function(FunctionName=name)
            target.client("logs").delete_log_group(logGroupName=f"/aws/lambda/{name}")

"""Whether captures are lost: 100,000 calls by 16 callers, every answer held against the model's, every line against it.

    python -m tests.performance.captured [calls]
    python -m tests.performance.captured emulator [calls]

First as threads of one process whose standard output is a pipe that is read; this is more than Lambda asks, where one
environment answers one call at a time. Then as Lambda does it: in AWS's runtime emulator, four environments side by
side, a caller waiting until one of them is free, and what the function wrote read back from its standard output.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import serve.infer
from serve.live import Live
from serve.loaded import Memory
from serve.operations import Service
from tests.performance import emulator, served
from tests.performance.bench_serve import Stored

CALLS, CALLERS, _ROWS, _ENVIRONMENTS = 100_000, 16, 500, 4


class Context(NamedTuple):
    """What the runtime hands a handler."""

    aws_request_id: str


def made() -> served.Made:
    """The model and its table; the same in both processes."""
    return served.make(rows=3000, trees=20)


def expected(model: served.Made) -> Any:
    """The model's own scores of the rows that are asked for."""
    return served.session(model.onnx).run(None, served.tensors(model.frame.iloc[:_ROWS]))[-1][:, 1]


def events(model: served.Made) -> list[bytes]:
    """The calls that ask for them."""
    return [served.event(served.request(model.frame.iloc[row : row + 1])) for row in range(_ROWS)]


def ask(calls: int) -> None:
    """Answer so many calls, 16 at a time, captures on standard output."""
    model = made()
    wanted = expected(model)
    live = Live(Stored(model.onnx), Memory(10**9), lambda: None)
    service = Service(live, (served.MODEL,))
    serve.infer.service = lambda: service  # type: ignore[assignment]
    asked = [json.loads(event) for event in events(model)]

    def one(number: int) -> None:
        row = number % _ROWS
        response = serve.infer.handler(asked[row], Context(f"{number}"))  # type: ignore[arg-type]
        assert _checked(response, wanted[row]) == str(number)

    with ThreadPoolExecutor(CALLERS) as callers:
        for _ in callers.map(one, range(calls), chunksize=1):
            pass


def _checked(response: dict[str, Any], wanted: float) -> str:
    """The request id of an answer that is right."""
    assert response["statusCode"] == 200, response
    answer = json.loads(response["body"])
    assert abs(answer["outputs"][1]["data"][0] - wanted) < 1e-6, answer
    return str(answer["parameters"]["request_id"])


def in_process(calls: int) -> dict[str, int]:
    """What came through the pipe."""
    wanted = expected(made())
    command = [sys.executable, "-m", "tests.performance.captured", "asking", str(calls)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        found = _compared(process.stdout, {str(number): wanted[number % _ROWS] for number in range(calls)})
    return found | {"failed": int(process.returncode != 0)}


def in_emulator(calls: int) -> dict[str, int]:
    """What the emulators' functions wrote."""
    model = made()
    wanted, asked = expected(model), events(model)
    answered: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as running:
        folder = Path(scratch)
        emulator.unpacked(folder)
        variables = emulator.environment(folder, emulator.Cloud(model), write=True)
        free: queue.SimpleQueue[Any] = queue.SimpleQueue()
        outputs = [folder / f"stdout-{place}" for place in range(_ENVIRONMENTS)]
        for output in outputs:
            stdout = running.enter_context(output.open("wb"))
            free.put(running.enter_context(emulator.running(variables, emulator.HANDLER, stdout)))

        def one(number: int) -> None:
            row, environment = number % _ROWS, free.get()
            try:
                response = emulator.invoke(environment, asked[row])
            finally:
                free.put(environment)
            answered[_checked(response, wanted[row])] = wanted[row]

        with ThreadPoolExecutor(CALLERS) as callers:
            for _ in callers.map(one, range(calls)):
                pass
        running.close()
        assert len(answered) == calls
        return _compared((line for output in outputs for line in output.open("rb")), answered)


def _compared(output: Iterable[bytes], answered: Mapping[str, float]) -> dict[str, int]:
    """Captures that are not there, there twice, or say another score than the answer of that request id."""
    seen: dict[str, int] = {}
    wrong = 0
    for text in output:
        if b'"interlock":"capture"' in text:
            line = json.loads(text)
            name = line["request_id"]
            seen[name] = seen.get(name, 0) + 1
            wrong += name not in answered or abs(line["scores"][0] - answered[name]) > 1e-6
    twice = sum(count > 1 for count in seen.values())
    return {"lost": len(answered.keys() - seen.keys()), "twice": twice, "wrong": int(wrong)}


def main(where: str, calls: int) -> None:
    """Print what became of the captures."""
    started = time.monotonic()
    found = in_emulator(calls) if where == "emulator" else in_process(calls)
    took = time.monotonic() - started
    print(
        f"{calls} calls by {CALLERS} callers in {took:.0f} s: " + ", ".join(f"{n} {name}" for name, n in found.items())
    )
    print(json.dumps({"where": where, "calls": calls, **found}))
    sys.exit(any(found.values()))


if __name__ == "__main__":
    named = sys.argv[1] if sys.argv[1:2] in (["asking"], ["emulator"]) else "process"
    count = int(next((argument for argument in sys.argv[1:] if argument.isdigit()), CALLS))
    if named == "asking":
        ask(count)
    else:
        main(named, count)

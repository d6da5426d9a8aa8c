"""The exported server over HTTP, beside an ASGI app around onnxruntime that validates nothing; one caller and sixteen.

Both run under uvicorn in the environment that the exported folder's own pins make, and are asked in turns.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from cli.export import write
from interlock.records import ServedModel
from localcloud.supervisor import ROOT
from tests.performance import served

_ROUNDS, _CALLS, _CALLERS = 15, 200, 16

# It decodes, feeds, runs and encodes; whatever else a request holds, it takes.
_BARE = """\
import msgspec, numpy as np, onnxruntime as ort
options = ort.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = ort.InferenceSession("model/model.onnx", options, providers=["CPUExecutionProvider"])
decode, encode = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    given = decode(body)
    feeds = {
        item["name"]: np.array(item["data"], dtype=object if item["datatype"] == "BYTES" else np.float32).reshape(-1, 1)
        for item in given["inputs"]
    }
    found = session.run(None, feeds)[-1]
    outputs = [{"name": "probability", "datatype": "FP32", "shape": [len(found)], "data": found[:, 1].tolist()}]
    answer = encode({"model_name": "bench", "model_version": "1", "outputs": outputs})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})
"""


def measured(made: served.Made) -> dict[str, float]:
    """Print the table; answers the ratios of latency (lower is better) and throughput (higher is better)."""
    request = _request(made)
    wanted = float(served.session(made.onnx).run(None, served.tensors(made.frame.iloc[:1]))[-1][0, 1])
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch, ExitStack() as running:
        folder = Path(scratch) / "out"
        _export(made, folder)
        (folder / "bare.py").write_text(_BARE, "utf-8")
        binaries = _environment(folder, Path(scratch) / "env")
        ports = {
            name: running.enter_context(_serving(binaries, folder, app, path))
            for name, app, path in (("bare", "bare:app", "."), ("exported", "serve.asgi:app", "server"))
        }
        one: dict[str, list[float]] = {name: [] for name in ports}
        many: dict[str, list[float]] = {name: [] for name in ports}
        for _ in range(_ROUNDS):
            for name, port in ports.items():
                one[name] += asyncio.run(_caller(port, request, _CALLS, wanted))
            for name, port in ports.items():
                many[name].append(asyncio.run(_callers(port, request, wanted)))
    latency = {name: statistics.median(values) for name, values in one.items()}
    throughput = {name: statistics.median(values) for name, values in many.items()}
    print("\nover HTTP, one row a call, 20 inputs, one process")
    for name in ports:
        print(
            f"  {name:10} {1e3 * latency[name]:8.3f} ms  {latency[name] / latency['bare']:6.2f}"
            f"   {_CALLERS} callers: {throughput[name]:8.0f} calls/s  {throughput[name] / throughput['bare']:6.2f}"
        )
    return {
        "http_ratio": round(latency["exported"] / latency["bare"], 2),
        "http_throughput_ratio": round(throughput["exported"] / throughput["bare"], 2),
    }


def _export(made: served.Made, folder: Path) -> None:
    _, described = served.records(_ref("model.onnx", made.onnx), {})
    live, _ = served.records({}, _ref("served.json", described))
    parts = {"served.json": described, "model.onnx": made.onnx, "release.json": live}
    write(folder, parts, ServedModel.from_json(described))


def _ref(key: str, body: bytes) -> dict[str, Any]:
    return {"bucket": "b", "key": key, "version": "1", "sha256": hashlib.sha256(body).hexdigest(), "size": len(body)}


def _environment(folder: Path, env: Path) -> Path:
    uv = str(ROOT / ".venv/bin/uv")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(env)], check=True)
    pins = ["--no-deps", "--require-hashes", "-r", str(folder / "requirements.txt")]
    subprocess.run([uv, "pip", "install", "--quiet", *pins], env={**os.environ, "VIRTUAL_ENV": str(env)}, check=True)
    return env / "bin"


@contextmanager
def _serving(binaries: Path, folder: Path, app: str, path: str) -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [str(binaries / "uvicorn"), app, "--app-dir", path, "--port", str(port), "--no-access-log"]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as server:
        try:
            _wait(port)
            yield port
        finally:
            server.terminate()


def _wait(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(f"no server at port {port}")


def _request(made: served.Made) -> bytes:
    body = served.request(made.frame.iloc[:1])
    head = f"POST /v2/models/{served.MODEL}/infer HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


async def _caller(port: int, request: bytes, calls: int, wanted: float) -> list[float]:
    """So many calls one after the other on one connection; what each took. Every answer is held against the model's."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    taken, tail = [], b""
    for _ in range(calls):
        started = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]
        body = await reader.readexactly(int(length))
        taken.append(time.perf_counter() - started)
        # The first answer is read, the others must end as it does: reading each would slow the fastest server down.
        if not tail:
            outputs = {item["name"]: item["data"] for item in json.loads(body).get("outputs", [])}
            if outputs.get("probability") != [wanted]:
                raise ValueError(f"wanted {wanted}, got {body[:200]!r}")
            tail = body[body.index(b'"outputs"') :]
        if not body.endswith(tail):
            raise ValueError(f"wanted {tail!r}, got {body[:200]!r}")
    writer.close()
    await writer.wait_closed()
    return taken


async def _callers(port: int, request: bytes, wanted: float) -> float:
    """Calls a second by all callers together."""
    started = time.perf_counter()
    await asyncio.gather(*(_caller(port, request, _CALLS // 4, wanted) for _ in range(_CALLERS)))
    return _CALLERS * (_CALLS // 4) / (time.perf_counter() - started)


if __name__ == "__main__":
    found: dict[str, Any] = measured(served.make())
    print(json.dumps(found))

"""The exported server over HTTP, beside an ASGI app around onnxruntime that validates nothing, MLServer and MLflow.

The first two run under uvicorn in the environment that the exported folder's own pins make. All are asked in turns, by
one caller and by sixteen.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from cli.export import write
from interlock.records import ServedModel
from localcloud.supervisor import ROOT
from tests.performance import http_peers, served

_ROUNDS, _CALLS, _CALLERS = 11, 200, 16

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


class Server(NamedTuple):
    """Where one listens, what it is asked, and from where on every answer must be the same."""

    port: int
    request: bytes
    marker: bytes


def measured(made: served.Made) -> dict[str, float]:
    """Print the table; answers the ratios of latency (lower is better) and throughput (higher is better)."""
    wanted = float(served.session(made.onnx).run(None, served.tensors(made.frame.iloc[:1]))[-1][0, 1])
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch, ExitStack() as running:
        servers = {name: running.enter_context(server) for name, server in _servers(made, Path(scratch)).items()}
        one: dict[str, list[float]] = {name: [] for name in servers}
        many: dict[str, list[float]] = {name: [] for name in servers}
        for _ in range(_ROUNDS):
            for name, server in servers.items():
                one[name] += asyncio.run(_caller(server, _CALLS, wanted))
            for name, server in servers.items():
                many[name].append(asyncio.run(_callers(server, wanted)))
    latency = {name: statistics.median(values) for name, values in one.items()}
    throughput = {name: statistics.median(values) for name, values in many.items()}
    print(f"\nover HTTP, one row a call, 20 inputs, one process; peers: {http_peers.versions()}")
    for name in servers:
        print(
            f"  {name:10} {1e3 * latency[name]:8.3f} ms  {latency[name] / latency['bare']:6.2f}"
            f"   {_CALLERS} callers: {throughput[name]:8.0f} calls/s  {throughput[name] / throughput['bare']:6.3f}"
        )
    found = {}
    for name, key in (("exported", "http"), ("MLServer", "mlserver_http"), ("MLflow", "mlflow_http")):
        found[f"{key}_ratio"] = round(latency[name] / latency["bare"], 2)
        found[f"{key}_throughput_ratio"] = round(throughput[name] / throughput["bare"], 3)
    return found


def _servers(made: served.Made, scratch: Path) -> dict[str, AbstractContextManager[Server]]:
    folder = scratch / "out"
    _export(made, folder)
    (folder / "bare.py").write_text(_BARE, "utf-8")
    binaries = _environment(folder, scratch / "env")
    found: dict[str, AbstractContextManager[Server]] = {}
    for name, app, path in (("bare", "bare:app", "."), ("exported", "serve.asgi:app", "server")):
        (port,) = _free(1)
        command = [str(binaries / "uvicorn"), app, "--app-dir", path, "--port", str(port), "--no-access-log"]
        body, asked = served.request(made.frame.iloc[:1]), f"/v2/models/{served.MODEL}/infer"
        found[name] = _serving(http_peers.Peer(command, folder, asked, body, b'"outputs"'), port)
    ports = _free(4)
    found["MLServer"] = _serving(http_peers.mlserver(made, scratch / "mlserver", ports[:3]), ports[0])
    found["MLflow"] = _serving(http_peers.mlflow(made, scratch / "mlflow", ports[3]), ports[3])
    return found


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


def _free(count: int) -> list[int]:
    """Ports that nobody listens at."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [int(item.getsockname()[1]) for item in sockets]


@contextmanager
def _serving(peer: http_peers.Peer, port: int) -> Iterator[Server]:
    binaries = str(Path(peer.command[0]).parent)
    # Some start processes of their own: a session of their own lets all of them be ended.
    with subprocess.Popen(
        peer.command,
        cwd=peer.folder,
        env={**os.environ, "PATH": f"{binaries}:{os.environ['PATH']}"},
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    ) as server:
        try:
            _wait(port)
            head = f"POST {peer.path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            request = f"{head}content-length: {len(peer.body)}\r\n\r\n".encode() + peer.body
            yield Server(port, request, peer.marker)
        finally:
            os.killpg(server.pid, signal.SIGTERM)


def _wait(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(f"no server at port {port}")


async def _caller(server: Server, calls: int, wanted: float) -> list[float]:
    """So many calls one after the other on one connection; what each took. Every answer is held against the model's."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    taken, tail = [], b""
    for _ in range(calls):
        started = time.perf_counter()
        writer.write(server.request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]
        body = await reader.readexactly(int(length))
        taken.append(time.perf_counter() - started)
        # The first answer is read, the others must end as it does: reading each would slow the fastest server down.
        if not tail:
            if _probability(json.loads(body)) != wanted:
                raise ValueError(f"wanted {wanted}, got {body[:200]!r}")
            tail = body[body.index(server.marker) :]
        if not body.endswith(tail):
            raise ValueError(f"wanted {tail!r}, got {body[:200]!r}")
    writer.close()
    await writer.wait_closed()
    return taken


def _probability(answer: dict[str, Any]) -> Any:
    """What an answer in the protocol's form, or in MLflow's, says of the only row."""
    found = [item["data"] for item in answer.get("outputs", []) if item["name"] == "probability"]
    return (found or [answer.get("predictions", [None])])[0][0]


async def _callers(server: Server, wanted: float) -> float:
    """Calls a second by all callers together."""
    started = time.perf_counter()
    await asyncio.gather(*(_caller(server, _CALLS // 4, wanted) for _ in range(_CALLERS)))
    return _CALLERS * (_CALLS // 4) / (time.perf_counter() - started)


if __name__ == "__main__":
    found: dict[str, Any] = measured(served.make())
    print(json.dumps(found))

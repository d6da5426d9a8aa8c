"""A cold start in AWS's own runtime emulator: process start to first answer, release and model fetched and verified.

The floor is a process that imports numpy and onnxruntime and opens the same model. Both run the bench's Python on the
layers that the deployment builds, with bytecode and without it.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from infra.build import ROOT, build
from tests.performance import served

ENVIRONMENT = ROOT / ".interlock/envs/bench"
STARTS = 9
_FLOOR = """
import numpy, onnxruntime, sys
with open(sys.argv[1], "rb") as file:
    onnxruntime.InferenceSession(file.read())
"""
_NOTHING = "def handler(event, context):\n    return {}\n"


class Cloud:
    """DynamoDB and S3 as far as a first answer needs them, on the loopback address."""

    def __init__(self, made: served.Made) -> None:
        from tests.performance.bench_serve import Stored

        stored = Stored(made.onnx)
        item = json.dumps({"Item": {"document": {"S": stored.live.decode()}}}).encode()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                self._say(item)

            def do_GET(self) -> None:
                self._say(stored.objects[urlsplit(self.path).path.rpartition("/")[2]])

            def _say(self, body: bytes) -> None:
                assert self.headers["authorization"].startswith("AWS4-HMAC-SHA256")
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def measured(made: served.Made) -> dict[str, float]:
    """Print the table; answers `cold_ratio` and what goes with it."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "model.onnx").write_bytes(made.onnx)
        layers = build("local", progress=lambda _line: None).layers
        for name in ("core", "numeric", "onnx", "models"):
            shutil.copytree(layers[name] / "python", folder / "opt", dirs_exist_ok=True)
        shutil.copytree(ROOT / "functions/serve", folder / "task/serve", ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "task/nothing.py").write_text(_NOTHING)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        cloud = Cloud(made)
        event = served.event(served.request(made.frame.iloc[:1]))
        found = {}
        print("\nCold start, ms")
        for written, cached in (("with bytecode", True), ("without", False)):
            if not cached:
                for cache in [*(folder / "opt").rglob("__pycache__"), *(folder / "task").rglob("__pycache__")]:
                    shutil.rmtree(cache)
            taken: dict[str, list[float]] = {"floor": [], "first answer": [], "an empty handler": []}
            for start in range(STARTS + 1):
                environment = _environment(folder, cloud, write=cached and start == 0)
                times = {
                    "floor": _floor(folder, environment),
                    "first answer": _answered(environment, "serve.infer.handler", event),
                    "an empty handler": _answered(environment, "nothing.handler", event),
                }
                # The first round warms the page cache, and writes what bytecode the build did not.
                if start:
                    for name, seconds in times.items():
                        taken[name].append(seconds)
            medians = {name: statistics.median(values) for name, values in taken.items()}
            for name, seconds in medians.items():
                spread = f"[{1e3 * min(taken[name]):.0f}..{1e3 * max(taken[name]):.0f}]"
                print(f"  {written:14} {name:18} {1e3 * seconds:8.1f} {spread:12} {seconds / medians['floor']:6.2f}")
            key = "cold_ratio" if cached else "cold_ratio_without_bytecode"
            found[key] = round(medians["first answer"] / medians["floor"], 2)
        cloud.server.shutdown()
        print(f"  unzipped, code and layers: {size / 1e6:.0f} MB")
        return found


def _environment(folder: Path, cloud: Cloud, *, write: bool) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{folder / 'task'}:{folder / 'opt'}",
        **({} if write else {"PYTHONDONTWRITEBYTECODE": "1"}),
        "AWS_ENDPOINT_URL": cloud.url,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_LAMBDA_FUNCTION_NAME": "serve",
        "STATE_TABLE": "state",
        "MODEL_MEMORY_MB": "800",
        "LAMBDA_TASK_ROOT": str(folder / "task"),
        "FOLDER": str(folder),
    }


def _python() -> str:
    return str(ENVIRONMENT / "bin/python")


def _floor(folder: Path, environment: dict[str, str]) -> float:
    started = time.perf_counter()
    subprocess.run([_python(), "-c", _FLOOR, str(folder / "model.onnx")], env=environment, check=True)
    return time.perf_counter() - started


def _answered(environment: dict[str, str], handler: str, event: bytes) -> float:
    """Seconds from the emulator's start to the first answer's last byte."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    emulator = next((ENVIRONMENT / "lib").glob("python*/site-packages/samcli/local/rapid/aws-lambda-rie-x86_64"))
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        runtime = other.getsockname()[1]
    command = [
        str(emulator), "--log-level", "error",
        "--runtime-interface-emulator-address", f"127.0.0.1:{port}", "--runtime-api-address", f"127.0.0.1:{runtime}",
        _python(), "-m", "awslambdaric", handler,
    ]  # fmt: skip
    started = time.perf_counter()
    process = subprocess.Popen(
        command, env=environment, cwd=environment["FOLDER"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while True:
            try:
                connection.connect()
                break
            except OSError:
                if time.perf_counter() - started > 20:
                    sys.exit("the runtime emulator does not start")
                time.sleep(0.001)
        connection.request("POST", "/2015-03-31/functions/function/invocations", event)
        answer = json.loads(connection.getresponse().read())
        taken = time.perf_counter() - started
        if handler.startswith("serve"):
            assert answer["statusCode"] == 200, answer
        return taken
    finally:
        process.terminate()
        process.wait()

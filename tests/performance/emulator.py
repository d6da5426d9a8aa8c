"""The serving function in AWS's own runtime emulator: the deployment's own layers, and a stand-in for the cloud."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from infra.build import ROOT, build
from tests.door import Door
from tests.performance import served

_ENVIRONMENT = ROOT / ".interlock/envs/bench"
PYTHON = str(_ENVIRONMENT / "bin/python")
HANDLER = "serve.infer.handler"


class Cloud:
    """DynamoDB and S3 as far as a first answer needs them, on the loopback address."""

    def __init__(self, made: served.Made) -> None:
        from tests.performance.bench_serve import Stored

        stored = Stored(made.onnx)
        item = json.dumps({"Item": {"document": {"S": stored.live.decode()}}}).encode()

        class Answers(Door):
            def answer(self) -> None:
                assert self.headers["authorization"].startswith("AWS4-HMAC-SHA256")
                self.came()
                name = urlsplit(self.path).path.rpartition("/")[2]
                self.say(200, item if self.command == "POST" else stored.objects[name])

        # As long as this process.
        server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()


def unpacked(folder: Path) -> None:
    """Put layers and code where Lambda has them."""
    layers = build("local", progress=lambda _line: None).layers
    for name in ("core", "numeric", "onnx", "models"):
        shutil.copytree(layers[name] / "python", folder / "opt", dirs_exist_ok=True)
    shutil.copytree(ROOT / "functions/serve", folder / "task/serve", ignore=shutil.ignore_patterns("__pycache__"))


def environment(folder: Path, cloud: Cloud, *, write: bool) -> dict[str, str]:
    """The function's environment; `write`: Python may write the bytecode that is missing."""
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


@contextmanager
def running(
    variables: dict[str, str], handler: str, stdout: int | IO[bytes], log: str = "error"
) -> Iterator[http.client.HTTPConnection]:
    """An emulator with one environment of the function, which answers one call at a time.

    On standard output comes what the function writes and, with `log` info, what the emulator reports of each call.
    """
    port, runtime = _free(), _free()
    emulator = next((_ENVIRONMENT / "lib").glob("python*/site-packages/samcli/local/rapid/aws-lambda-rie-x86_64"))
    command = [
        str(emulator), "--log-level", log,
        "--runtime-interface-emulator-address", f"127.0.0.1:{port}", "--runtime-api-address", f"127.0.0.1:{runtime}",
        PYTHON, "-m", "awslambdaric", handler,
    ]  # fmt: skip
    process = subprocess.Popen(
        command, env=variables, cwd=variables["FOLDER"], stdout=stdout, stderr=subprocess.DEVNULL
    )
    try:
        connection, deadline = http.client.HTTPConnection("127.0.0.1", port, timeout=30), time.monotonic() + 20
        while True:
            try:
                connection.connect()
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.001)
        yield connection
    finally:
        process.terminate()
        process.wait()


def invoke(connection: http.client.HTTPConnection, event: bytes) -> Any:
    """What the function returns."""
    connection.request("POST", "/2015-03-31/functions/function/invocations", event)
    return json.loads(connection.getresponse().read())


def _free() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])

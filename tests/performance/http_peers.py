"""MLflow and MLServer as the exported server's peers: the same ONNX file under the same onnxruntime, one process each.

Both run it in the way they document for a model of one's own, which is quicker than their scikit-learn flavours. They
live in an environment of their own (`requirements/bench-peers.txt`).
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from localcloud.supervisor import ROOT
from tests.performance import served

ENVIRONMENT = ROOT / ".interlock/envs/bench-peers"

_SESSION = """\
options = ort.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = ort.InferenceSession({path!r}, options, providers=["CPUExecutionProvider"])
"""
_MLSERVER = """\
import onnxruntime as ort
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceResponse
import numpy as np

{session}

class Onnx(MLModel):
    async def predict(self, payload):
        feeds = {{
            item.name: np.array(StringCodec.decode_input(item), dtype=object).reshape(item.shape)
            if item.datatype == "BYTES"
            else NumpyCodec.decode_input(item)
            for item in payload.inputs
        }}
        found = session.run(None, feeds)[-1][:, 1]
        outputs = [NumpyCodec.encode_output("probability", found)]
        return InferenceResponse(model_name=self.name, model_version=self.version, id=payload.id, outputs=outputs)
"""
_MLFLOW = """\
import mlflow
import numpy as np
import onnxruntime as ort

{session}

class Onnx(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        feeds = {{
            name: values.astype(object if values.dtype.kind in "OU" else np.float32)
            for name, values in model_input.items()
        }}
        return session.run(None, feeds)[-1][:, 1]

mlflow.models.set_model(Onnx())
"""


class Peer(NamedTuple):
    """How one is started and asked; an answer says from `marker` on what it says of the request."""

    command: Sequence[str]
    folder: Path
    path: str
    body: bytes
    marker: bytes


def mlserver(made: served.Made, folder: Path, ports: Sequence[int]) -> Peer:
    """MLServer (https://mlserver.readthedocs.io), asked in the same protocol by the same request."""
    folder.mkdir()
    (folder / "own.py").write_text(_MLSERVER.format(session=_session(made, folder)), "utf-8")
    model = {"name": served.MODEL, "implementation": "own.Onnx", "parameters": {"version": "1"}}
    (folder / "model-settings.json").write_text(json.dumps(model), "utf-8")
    names = ("http_port", "grpc_port", "metrics_port")
    settings: dict[str, Any] = {"host": "127.0.0.1", "parallel_workers": 0, "debug": False}
    (folder / "settings.json").write_text(json.dumps(settings | dict(zip(names, ports, strict=True))), "utf-8")
    path, body = f"/v2/models/{served.MODEL}/infer", served.request(made.frame.iloc[:1])
    command = [str(ENVIRONMENT / "bin/mlserver"), "start", "."]
    return Peer(command, folder, path, body, b'"outputs"')


def mlflow(made: served.Made, folder: Path, port: int) -> Peer:
    """MLflow's scoring server (https://mlflow.org/docs/latest/ml/deployment), asked with a dictionary of tensors."""
    folder.mkdir()
    (folder / "own.py").write_text(_MLFLOW.format(session=_session(made, folder)), "utf-8")
    saving = "import mlflow; mlflow.pyfunc.save_model('model', python_model='own.py', pip_requirements=[])"
    subprocess.run(
        [str(ENVIRONMENT / "bin/python"), "-W", "ignore", "-c", saving], cwd=folder, check=True, capture_output=True
    )
    inputs = {item["name"]: [item["data"]] for item in json.loads(served.request(made.frame.iloc[:1]))["inputs"]}
    command = [
        str(ENVIRONMENT / "bin/mlflow"), "models", "serve", "--model-uri", "model", "--host", "127.0.0.1",
        "--port", str(port), "--env-manager", "local", "--workers", "1",
    ]  # fmt: skip
    return Peer(command, folder, "/invocations", json.dumps({"inputs": inputs}).encode(), b'"predictions"')


def versions() -> str:
    """What they are, of which version."""
    names = ("mlserver", "mlflow", "onnxruntime", "numpy")
    code = f"from importlib.metadata import version; print(*(f'{{n}} {{version(n)}}' for n in {names}), sep=', ')"
    return subprocess.run(
        [str(ENVIRONMENT / "bin/python"), "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()


def _session(made: served.Made, folder: Path) -> str:
    path = folder / "model.onnx"
    path.write_bytes(made.onnx)
    return _SESSION.format(path=str(path))

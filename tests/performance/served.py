"""What the bench of serving serves: a gradient boosting on a census-like table, 14 numbers and 6 categories."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime as ort
import pandas as pd
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

NUMBERS = [f"x{place}" for place in range(14)]
CATEGORIES = [f"c{place}" for place in range(6)]
MODEL = "bench"


@dataclass(frozen=True)
class Made:
    """The ONNX file and a table to ask about."""

    onnx: bytes
    frame: pd.DataFrame


def make(rows: int = 20_000, trees: int = 100) -> Made:
    """Train it; the seed is fixed."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {name: random.normal(size=rows).round(5).astype("float32") for name in NUMBERS}
        | {
            name: random.choice([f"v{item}" for item in range(4 + 2 * place)], rows)
            for place, name in enumerate(CATEGORIES)
        }
    )
    risk = frame.x0 - 0.5 * frame.x1 * frame.x2 + (frame.c0 == "v1") * 1.2 - (frame.c3 == "v2")
    estimator = GradientBoostingClassifier(n_estimators=trees, random_state=0)
    prepared = ColumnTransformer(
        [
            ("numbers", StandardScaler(), NUMBERS),
            ("categories", OneHotEncoder(handle_unknown="ignore", sparse_output=False), CATEGORIES),
        ]
    )
    pipeline = make_pipeline(prepared, estimator).fit(frame, (risk + random.normal(size=rows) > 0).astype(int))
    types = [(name, FloatTensorType([None, 1])) for name in NUMBERS]
    types += [(name, StringTensorType([None, 1])) for name in CATEGORIES]
    options = {id(estimator): {"zipmap": False}}
    converted = to_onnx(pipeline, initial_types=types, options=options, target_opset={"": 18, "ai.onnx.ml": 3})
    return Made(converted.SerializeToString(), frame)


def session(onnx: bytes) -> ort.InferenceSession:
    """Opened as the serving function opens it."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return ort.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])


def tensors(frame: pd.DataFrame) -> dict[str, Any]:
    """The bare session's inputs."""
    return {
        name: frame[[name]].to_numpy().astype(np.float32 if name in NUMBERS else object)
        for name in (*NUMBERS, *CATEGORIES)
    }


def request(frame: pd.DataFrame) -> bytes:
    """The protocol's request for these rows."""
    inputs = [
        {
            "name": name,
            "datatype": "FP32" if name in NUMBERS else "BYTES",
            "shape": [len(frame), 1],
            "data": [round(float(value), 5) if name in NUMBERS else value for value in frame[name]],
        }
        for name in (*NUMBERS, *CATEGORIES)
    ]
    return json.dumps({"id": "bench", "inputs": inputs}).encode()


def event(body: bytes, path: str = f"/v2/models/{MODEL}/infer") -> bytes:
    """The HTTP API's event that carries it."""
    http = {"method": "POST", "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "bench"}
    return json.dumps(
        {
            "version": "2.0",
            "routeKey": f"POST {path}",
            "rawPath": path,
            "rawQueryString": "",
            "headers": {"content-type": "application/json", "content-length": str(len(body)), "host": "bench"},
            "requestContext": {"http": http, "stage": "$default", "requestId": "r", "timeEpoch": 1_700_000_000_000},
            "body": body.decode(),
            "isBase64Encoded": False,
        }
    ).encode()


def records(onnx_ref: dict[str, Any], served_ref: dict[str, Any]) -> tuple[bytes, bytes]:
    """The live release and the version's description, as they are stored."""
    inputs = [{"name": name, "datatype": "FP32", "required": True} for name in NUMBERS]
    inputs += [{"name": name, "datatype": "BYTES", "required": False} for name in CATEGORIES]
    served = {
        "schema_version": 1, "model": MODEL, "version": 1, "run": "r", "kind": "binary", "inputs": inputs,
        "classes": ["no", "yes"], "threshold": 0.5, "onnx": onnx_ref, "contract_version": "1",
    }  # fmt: skip
    candidate = {"version": 1, "run": "r", "served": served_ref, "package_arn": "a", "manifest_id": "m"}
    live = {"schema_version": 1, "model": MODEL, "revision": 1, "champion": candidate, "state": "live"}
    return json.dumps(live).encode(), json.dumps(served).encode()

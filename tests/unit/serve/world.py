"""A small model in memory, with a live release, behind the serving function's own handler."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import numpy as np
import pytest
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import serve.infer
from interlock.kind import Kind
from interlock.records import Candidate, Input, LiveRelease, ObjectRef, ServedModel
from serve.live import Live
from serve.loaded import Loaded, Memory
from serve.operations import Service
from tests.unit.context import Context
from tests.unit.fakes import FakeObjects, FakeState

INPUTS = (
    Input(name="size", datatype="FP32", required=True),
    Input(name="place", datatype="BYTES", required=False, restricted=True, categories=("north", "south")),
)


def onnx() -> bytes:
    import pandas as pd

    frame = pd.DataFrame({"size": np.float32([1, 2, 3, 4] * 5), "place": ["north", "south"] * 10})
    pipeline = make_pipeline(
        make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["place"]), remainder="passthrough"),
        LogisticRegression(),
    ).fit(frame, [0, 1, 1, 0] * 5)
    types = [("size", FloatTensorType([None, 1])), ("place", StringTensorType([None, 1]))]
    written: bytes = to_onnx(
        pipeline, initial_types=types, options={id(pipeline): {"zipmap": False}}, target_opset={"": 18, "ai.onnx.ml": 3}
    ).SerializeToString()
    return written


MODEL = onnx()


class Stored:
    """What `interlock.aws.direct` reads, from a table and a bucket in memory."""

    def __init__(self, state: FakeState, objects: FakeObjects) -> None:
        self.state, self.objects = state, objects

    def document(self, pk: str, sk: str) -> bytes | None:
        item = self.state.items.get((pk, sk))
        return item.document.encode() if item else None

    def get(self, ref: Any) -> bytes:
        return self.objects.get(ObjectRef(**msgspec.structs.asdict(ref)))


class World(Stored):
    """A bucket and a table with one live model in them."""

    def __init__(self, onnx: bytes = MODEL) -> None:
        super().__init__(FakeState(), FakeObjects("artefacts"))
        self.now, self.unreadable = 0.0, 0
        self.served = ServedModel(
            model="flats",
            version=3,
            run="r",
            kind=Kind.BINARY,
            inputs=INPUTS,
            classes=("no", "yes"),
            threshold=0.6,
            onnx=self.objects.put("models/flats/r/model.onnx", onnx),
            contract_version="1",
        )
        served = self.objects.put("models/flats/r/served.json", self.served.to_json().encode())
        self.candidate = Candidate(
            version=3, run="r", served=served, package_arn="arn", reference=served, manifest_id="m"
        )
        self.release(1)
        self.memory = Memory(1_000_000_000)
        self.live = Live(self, self.memory, self.count, lambda: self.now)
        self.service = Service(self.live, ("flats",))

    def serve(self, patch: pytest.MonkeyPatch) -> None:
        """Let the handler see this world instead of AWS."""
        patch.setattr(serve.infer, "service", lambda: self.service)

    def release(self, revision: int, *, probing: bool = False) -> None:
        """The model live, or as a first version that is only asked by its number."""
        self.state.put(
            "model#flats",
            "live",
            LiveRelease(
                model="flats",
                revision=revision,
                champion=None if probing else self.candidate,
                challenger=self.candidate if probing else None,
                state="probing" if probing else "live",
                changed_at="2026-01-01T00:00:00Z",
                changed_by="a test",
                reason="",
            ),
        )

    def count(self) -> None:
        self.unreadable += 1

    def loaded(self) -> Loaded:
        return self.live.version(self.live.release("flats"), None)


def call(method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, Any], dict[str, str]]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    event = {
        "requestContext": {"http": {"method": method}},
        "rawPath": path,
        "headers": headers,
        "body": base64.b64encode(raw).decode(),
        "isBase64Encoded": True,
    }
    answer = serve.infer.handler(event, Context("serve-infer"))
    return answer["statusCode"], json.loads(answer["body"]), answer["headers"]


def document(sizes: list[Any], places: list[Any], **more: Any) -> dict[str, Any]:
    rows = len(sizes)
    return {
        "inputs": [
            {"name": "size", "datatype": "FP32", "shape": [rows, 1], "data": sizes},
            {"name": "place", "datatype": "BYTES", "shape": [rows], "data": places},
        ],
        **more,
    }

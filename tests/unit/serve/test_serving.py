"""The protocol and what serves: judged by onnxruntime itself on the same rows."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import serve.answering
import serve.infer
from interlock.errors import DependencyUnavailable, InvalidRequest, UnknownModel
from interlock.records import Candidate, Input, LiveRelease, ServedModel
from interlock.spec import Kind
from serve.captures import lines
from serve.live import Live, Loaded
from serve.protocol.infer import interpret, read, write
from serve.protocol.routes import Operation, UnknownPath, route
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


class World:
    """A bucket and a table with one live model in them."""

    def __init__(self, onnx: bytes = MODEL) -> None:
        self.objects, self.state = FakeObjects("artefacts"), FakeState()
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
        self.live = Live(self.state, self.objects, self.count, lambda: self.now)

    def release(self, revision: int) -> None:
        self.state.put(
            "model#flats",
            "live",
            LiveRelease(
                model="flats",
                revision=revision,
                champion=self.candidate,
                state="live",
                changed_at="2026-01-01T00:00:00Z",
                changed_by="a test",
                reason="",
            ),
        )

    def count(self) -> None:
        self.unreadable += 1

    def loaded(self) -> Loaded:
        return self.live.version(self.live.release("flats"), None)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(serve.infer, "_live", lambda: world.live)
    monkeypatch.setattr(serve.infer, "deployed_ids", lambda: ("flats",))
    return world


def call(method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, Any], dict[str, str]]:
    class Context:
        aws_request_id = "request-1"

    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    event = {
        "requestContext": {"http": {"method": method}},
        "rawPath": path,
        "headers": headers,
        "body": base64.b64encode(raw).decode(),
        "isBase64Encoded": True,
    }
    answer = serve.infer.handler(event, Context())  # type: ignore[arg-type]
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


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-1e6, 1e6, width=32), st.one_of(st.none(), st.text(max_size=5))), min_size=1, max_size=20
    )
)
def test_every_answer_is_onnxruntimes_own(rows: list[tuple[float, str | None]]) -> None:
    loaded = WORLD.loaded()
    request = read(json.dumps(document([r[0] for r in rows], [r[1] for r in rows])).encode(), loaded.signature)
    session = ort.InferenceSession(MODEL)
    feeds = {
        "size": np.float32([[r[0]] for r in rows]),
        "place": np.array([[r[1] or ""] for r in rows], dtype=object),
    }
    wanted = session.run(None, feeds)[-1][:, 1]
    from interlock.inference import feeds as fed
    from interlock.inference import scores

    answer = interpret(scores(loaded.session, fed(loaded.served.inputs, request.values)), loaded.signature)
    response = write(request, answer, loaded.signature, {})
    outputs = {item["name"]: item for item in response["outputs"]}
    np.testing.assert_allclose(outputs["probability"]["data"], wanted, atol=1e-7)
    assert outputs["label"]["data"] == ["yes" if score >= 0.6 else "no" for score in wanted]
    assert outputs["label"]["shape"] == [len(rows)]


WORLD = World()


def test_the_whole_surface_answers(world: World) -> None:
    assert call("GET", "/v2")[1] == {"name": "interlock", "version": "0.1.0", "extensions": []}
    assert call("GET", "/v2/health/live")[1] == {"live": True}
    assert call("GET", "/v2/health/ready")[1] == {"live": True, "ready": True}
    assert call("GET", "/v2/models/flats/ready")[1] == {"name": "flats", "ready": True}
    assert call("GET", "/v2/models/flats/versions/3")[1]["platform"] == "onnx_onnxv1"
    status, answer, headers = call("POST", "/v2/models/flats/versions/3/infer", document([1.0], ["north"], id="mine"))
    assert (status, answer["id"], answer["model_version"]) == (200, "mine", "3")
    assert headers["x-interlock-revision"] == "1"
    assert answer["parameters"] == {"revision": 1, "request_id": "request-1"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v3", 404),
        ("GET", "/v2/models/flats/infer", 404),
        ("POST", "/v2/models/flats", 404),
        ("GET", "/v2/models/nobody", 404),
        ("GET", "/v2/models/flats/versions/4", 404),
        ("GET", "/v2/models/flats/versions/latest", 404),
    ],
)
def test_what_does_not_exist_is_answered_in_the_error_form(world: World, method: str, path: str, status: int) -> None:
    got, answer, _ = call(method, path, {})
    assert got == status
    assert answer["error"]


def test_another_content_type_is_refused(world: World) -> None:
    status, answer, _ = call("POST", "/v2/models/flats/infer", b"x", **{"content-type": "text/csv"})
    assert status == 415
    assert "text/csv" in answer["error"]


def test_an_unexpected_fault_is_a_500_without_details(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("a secret detail")

    monkeypatch.setattr(serve.answering, "read", broken)
    status, answer, _ = call("POST", "/v2/models/flats/infer", document([1], ["x"]))
    assert status == 500
    assert "secret" not in answer["error"]


def test_null_is_taken_only_where_a_value_may_be_missing() -> None:
    signature = WORLD.loaded().signature
    assert read(json.dumps(document([1], [None])).encode(), signature).values["place"] == [None]
    with pytest.raises(InvalidRequest, match="'size': element 0 is null"):
        read(json.dumps(document([None], ["x"])).encode(), signature)


def test_an_error_never_repeats_a_value() -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(json.dumps(document([1], [4711])).encode(), WORLD.loaded().signature)
    assert "4711" not in caught.value.message


def test_a_release_is_read_again_after_five_seconds(world: World) -> None:
    assert world.live.release("flats").revision == 1
    world.release(2)
    world.now = 4.9
    assert world.live.release("flats").revision == 1
    world.now = 5.0
    assert world.live.release("flats").revision == 2


def test_the_last_release_serves_on_when_it_cannot_be_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert world.live.release("flats").revision == 1

    def down(*_: Any) -> None:
        raise DependencyUnavailable("the table does not answer")

    monkeypatch.setattr(world.state, "get", down)
    world.now = 60
    assert world.live.release("flats").revision == 1
    assert world.unreadable == 1


def test_nothing_serves_before_the_first_release() -> None:
    live = Live(FakeState(), FakeObjects(), lambda: None)
    with pytest.raises(UnknownModel):
        live.release("flats")


def test_altered_bytes_are_not_loaded() -> None:
    from interlock.errors import ChecksumMismatch

    world = World()
    wrong = world.served.onnx.model_copy(update={"sha256": "0" * 64})
    body = world.served.model_copy(update={"onnx": wrong}).to_json().encode()
    world.candidate = world.candidate.model_copy(update={"served": world.objects.put("served.json", body)})
    world.release(2)
    with pytest.raises(ChecksumMismatch):
        world.loaded()


def test_a_restricted_value_is_captured_as_its_bin(world: World) -> None:
    loaded = world.loaded()
    request = read(json.dumps(document([1, 2, 3], ["south", "atlantis", None])).encode(), loaded.signature)
    answer = interpret(np.array([[0.5, 0.5]] * 3), loaded.signature)
    found = [json.loads(line) for line in lines(request, answer, loaded.served, 7, "r", "2026-01-01T00:00:00+00:00")]
    assert [line["inputs"]["place"] for line in found] == [1, 2, None]
    assert [line["row"] for line in found] == [0, 1, 2]
    assert {line["revision"] for line in found} == {7}
    assert "south" not in json.dumps(found)


def test_paths_name_operations() -> None:
    assert route("GET", "/v2/") == route("GET", "/v2")
    assert route("POST", "/v2/models/a/versions/12/infer").version == 12
    assert route("GET", "/v2/models/a").operation is Operation.MODEL
    with pytest.raises(UnknownPath):
        route("DELETE", "/v2/models/a")


@pytest.mark.parametrize("number", ["1e39", "-1e400", "1" + "0" * 60])
def test_a_number_beyond_float32_is_refused(number: str) -> None:
    body = json.dumps(document([0], ["x"])).replace('"data": [0]', f'"data": [{number}]').encode()
    with pytest.raises(InvalidRequest, match="'size': element 0 is beyond the range of float32"):
        read(body, WORLD.loaded().signature)

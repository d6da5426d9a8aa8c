"""Requests that are wrong in every known way, against the deployed endpoint."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cli import inference
from cli.executions import Run
from cli.target import Target

from .conftest import CENSUS

ROW = {
    "age": 45, "workclass": "Private", "education_num": 13, "marital_status": "Divorced", "occupation": "Sales",
    "relationship": "Unmarried", "capital_gain": 0, "capital_loss": 0, "hours_per_week": 40,
    "native_country": "United-States",
}  # fmt: skip


def ask(target: Target, document: Any, path: str = f"/v2/models/{CENSUS}/infer") -> tuple[int, dict[str, Any]]:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    status, answer, _ = target.call("POST", path, body)
    return status, json.loads(answer)


def good(target: Target, rows: int = 1) -> dict[str, Any]:
    return inference.request(target, CENSUS, [ROW] * rows)


def changed(target: Target, **values: Any) -> dict[str, Any]:
    document = good(target)
    document["inputs"][0] |= values
    return document


@pytest.mark.parametrize(
    ("values", "status", "word"),
    [
        ({"shape": [2, 1]}, 400, "wants 2 values"),
        ({"shape": [1, 2]}, 400, "shape"),
        ({"shape": "1"}, 400, "shape"),
        ({"datatype": "BYTES"}, 400, "datatype"),
        ({"datatype": "FP16"}, 400, "datatype"),
        ({"data": ["45"]}, 400, "element 0 is str"),
        ({"data": [True]}, 400, "element 0 is bool"),
        ({"data": [45.5]}, 400, "element 0 is float"),
        ({"data": [None]}, 400, "element 0 is null"),
        ({"name": "shoe_size"}, 400, "age"),
    ],
)
def test_an_input_that_is_wrong_is_named(
    target: Target, champions: dict[str, Run], values: dict[str, Any], status: int, word: str
) -> None:
    got, answer = ask(target, changed(target, **values))
    assert got == status
    assert word in answer["error"]


def test_a_missing_input_is_named(target: Target, champions: dict[str, Run]) -> None:
    document = good(target)
    missing = document["inputs"].pop()["name"]
    status, answer = ask(target, document)
    assert status == 400
    assert missing in answer["error"]


def test_nan_is_not_json(target: Target, champions: dict[str, Run]) -> None:
    body = json.dumps(changed(target, data=[float("nan")])).encode()
    status, answer = ask(target, body)
    assert status == 400
    assert "NaN" in answer["error"]


def test_an_unknown_category_is_answered_as_one_never_seen(target: Target, champions: dict[str, Run]) -> None:
    found = inference.predict(target, CENSUS, [ROW | {"workclass": "Astronaut"}])
    assert found[0].label in {"<=50K", ">50K"}


def test_ten_thousand_rows_are_answered_and_one_more_is_refused(target: Target, champions: dict[str, Run]) -> None:
    assert len(inference.predict(target, CENSUS, [ROW] * 10_000)) == 10_000
    status, answer = ask(target, good(target, 10_001))
    assert status == 413
    assert "10000" in answer["error"].replace(",", "")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v2/models/nobody/infer", 404),
        (f"/v2/models/{CENSUS}/versions/99/infer", 404),
    ],
)
def test_what_does_not_exist_is_not_found(target: Target, champions: dict[str, Run], path: str, status: int) -> None:
    got, _ = ask(target, good(target), path)
    assert got in {status, 403}


def test_id_is_echoed_and_outputs_are_filtered(target: Target, champions: dict[str, Run]) -> None:
    status, answer = ask(target, good(target) | {"id": "mine", "outputs": [{"name": "probability"}]})
    assert status == 200
    assert answer["id"] == "mine"
    assert [item["name"] for item in answer["outputs"]] == ["probability"]
    assert ask(target, good(target) | {"outputs": [{"name": "nothing"}]})[0] == 400


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"inputs": 1}', b'{"inputs": [1]}', b"\xff\xfe"])
def test_a_body_that_is_no_request_is_refused(target: Target, champions: dict[str, Run], body: bytes) -> None:
    status, answer = ask(target, body)
    assert status == 400
    assert answer["error"]


def test_over_the_payload_limit_is_refused_before_the_function(target: Target, champions: dict[str, Run]) -> None:
    status, answer = ask(target, good(target) | {"id": "x" * 6_400_000})
    assert status in {413, 502}
    assert "RequestEntityTooLarge" in json.dumps(answer)
    assert ask(target, good(target))[0] == 200


def test_a_model_file_altered_in_s3_is_not_served(target: Target, champions: dict[str, Run]) -> None:
    """The live record names an exact version and hash: a newer object under the key changes nothing."""
    s3, bucket = target.client("s3"), target.outputs["ArtefactsBucket"]
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket, Prefix=f"models/{CENSUS}/")["Contents"]]
    key = next(key for key in keys if key.endswith("model.onnx"))
    before = inference.predict(target, CENSUS, [ROW])[0].score
    s3.put_object(Bucket=bucket, Key=key, Body=b"not a model")
    assert inference.predict(target, CENSUS, [ROW])[0].score == before

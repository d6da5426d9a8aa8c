"""The other doors: rows for people, SageMaker's, the description of it all, and what a token allows."""

from __future__ import annotations

import json
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    response_schema_conformance,
    status_code_conformance,
)
from werkzeug import Request, Response

import serve.deployed
import serve.infer
import serve.operations
from infra.build import ROOT
from interlock.contract import Column, ColumnType, Contract, Severity
from interlock.folder import model_folders, read_model
from interlock.kind import Kind
from interlock.models import DeployedModel
from interlock.openapi import describe, text
from interlock.spec import Gate, Holdout, Limit, ModelSpec, Target
from serve.protocol.response import encode
from serve.protocol.rows import columns
from tests.unit.context import Context
from tests.unit.serve.world import World, call

FLATS = DeployedModel(
    spec=ModelSpec(
        id="flats",
        target=Target(column="rented", kind=Kind.BINARY, positive="yes"),
        holdout=Holdout(key="a-key"),
        gate=Gate(metrics={"roc_auc": Limit(min=0.5)}),
    ),
    contract=Contract(
        id="flats",
        version="1",
        columns=(
            Column(name="size", type=ColumnType.NUMBER, required=True, minimum=-1e6, maximum=1e6),
            Column(name="place", type=ColumnType.STRING, restricted=True, allowed=("north", "south")),
            Column(name="rented", type=ColumnType.STRING, required=True, allowed=("no", "yes")),
        ),
    ),
)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    found = World()
    found.serve(monkeypatch)
    monkeypatch.setattr(serve.operations, "contract", lambda _model: columns(FLATS.to_json().encode()))
    monkeypatch.setattr(serve.operations, "openapi", lambda: encode(describe([FLATS])))
    return found


def test_rows_are_answered_as_tensors_are(world: World) -> None:
    rows = [{"size": 1.5, "place": "north"}, {"size": 2, "place": None}, {"size": 3}]
    status, answer, headers = call("POST", "/models/flats/predict", {"rows": rows})
    assert (status, headers["x-interlock-revision"]) == (200, "1")
    assert (answer["model"], answer["version"], answer["revision"], answer["threshold"]) == ("flats", 3, 1, 0.6)
    assert answer["request_id"] == "request-1"
    inputs = [
        {"name": "size", "datatype": "FP32", "shape": [3, 1], "data": [1.5, 2, 3]},
        {"name": "place", "datatype": "BYTES", "shape": [3, 1], "data": ["north", None, None]},
    ]
    _, tensors, _ = call("POST", "/v2/models/flats/infer", {"inputs": inputs})
    label, probability = (item["data"] for item in tensors["outputs"])
    assert answer["predictions"] == [
        {"label": name, "probability": score} for name, score in zip(label, probability, strict=True)
    ]


def test_every_value_that_the_contract_does_not_allow_is_named_and_none_is_shown(world: World) -> None:
    rows = [{"size": 2e6, "place": "atlantis"}, {"place": "north"}, {"size": True, "place": 4711}]
    status, answer, _ = call("POST", "/models/flats/predict", {"rows": rows})
    assert status == 400
    assert answer["fields"] == [
        {"row": 0, "column": "place", "message": "must be one of north, south"},
        {"row": 0, "column": "size", "message": "must be at most 1e+06"},
        {"row": 1, "column": "size", "message": "is missing"},
        {"row": 2, "column": "place", "message": "must be a text"},
        {"row": 2, "column": "size", "message": "must be a number"},
    ]
    assert answer["error"].startswith("5 values cannot be taken: row 0, place: must be one of north, south")
    assert "atlantis" not in json.dumps(answer)
    assert "4711" not in json.dumps(answer)


@pytest.mark.parametrize(
    ("rule", "value", "message"),
    [
        ({"exclusive_minimum": 1}, 1, "must be greater than 1"),
        ({"exclusive_maximum": 1}, 1, "must be less than 1"),
        ({"minimum": 1}, 0.5, "must be at least 1"),
        ({"multiple_of": 0.1}, 0.25, "must be a multiple of 0.1"),
        ({"min_length": 2}, "a", "must have at least 2 characters"),
        ({"max_length": 2}, "abc", "must have at most 2 characters"),
        ({"pattern": "^a"}, "ba", "must match ^a"),
    ],
)
def test_each_rule_of_a_column_is_kept_unless_it_only_warns(rule: dict[str, Any], value: Any, message: str) -> None:
    from serve.protocol.rows import Column as Light
    from serve.protocol.rows import _violations

    kind = "string" if isinstance(value, str) else "number"
    assert list(_violations(value, Light("c", kind, **rule))) == [message]
    assert not list(_violations(value, Light("c", kind, severity="warning", **rule)))
    whole = Column(name="c", type=ColumnType(kind), severity=Severity.WARNING, **rule)
    contract = FLATS.contract.model_copy(update={"columns": (whole,)})
    assert columns(FLATS.model_copy(update={"contract": contract}).to_json().encode())["c"].refuses("minimum") is False


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "the body is not JSON"),
        (b'{"rows": 1}', "the body must be an object with a list 'rows' of objects"),
        (b'{"rows": [1]}', "the body must be an object with a list 'rows' of objects"),
        (b'{"rows": []}', "there are no rows"),
        (b'{"rows": [{"size": 1, "shoe": 2}]}', "unknown columns: shoe"),
        (b'{"rows": [{"size": 1e39}]}', "1 value cannot be taken: row 0, size: is beyond the range of float32"),
    ],
)
def test_a_body_without_rows_is_refused(world: World, body: bytes, said: str) -> None:
    status, answer, _ = call("POST", "/models/flats/predict", body)
    assert status == 400
    assert answer["error"].startswith(said)


def plain(body: bytes, **headers: str) -> tuple[int, str, str]:
    """An invocation's answer as it is."""

    event = {
        "requestContext": {"http": {"method": "POST"}},
        "rawPath": "/models/flats/invocations",
        "headers": {name.replace("_", "-"): value for name, value in headers.items()},
        "body": body.decode(),
    }
    answer = serve.infer.handler(event, Context("serve-infer"))
    return answer["statusCode"], answer["headers"]["content-type"], answer["body"]


def test_sagemaker_s_clients_speak_json_and_csv(world: World) -> None:
    assert call("GET", "/models/flats/ping")[0] == 200
    status, kind, said = plain(b'{"instances": [{"size": 1, "place": "north"}]}', content_type="application/json")
    assert (status, kind) == (200, "application/json")
    prediction = json.loads(said)["predictions"][0]
    as_csv = f"{prediction['label']},{prediction['probability']!r}\n"
    assert plain(b"1,north\n", content_type="text/csv") == (200, "text/csv; charset=utf-8", as_csv)
    assert plain(b"1,north\n", content_type="text/csv", accept="application/json")[2] == said
    assert plain(b'{"instances": [{"size": 1, "place": "north"}]}', accept="text/csv")[2] == as_csv
    assert plain("\ufeff1,\r\n2.5,south\r\n".encode(), content_type="text/csv")[0] == 200


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"1\n", "row 0 has 1 fields, not 2"),
        (b'"1,north\n', "the body is not CSV"),
        (b"", "there are no rows"),
        (b"nan,north\n", "1 value cannot be taken: row 0, size: must be a number"),
        (b"1e39,north\n", "1 value cannot be taken: row 0, size: is beyond the range of float32"),
        (b",north\n", "1 value cannot be taken: row 0, size: is missing"),
    ],
)
def test_wrong_csv_is_refused_by_place(world: World, body: bytes, said: str) -> None:
    status, _, answer = plain(body, content_type="text/csv")
    assert status == 400
    assert json.loads(answer)["error"].startswith(said)


def test_other_forms_are_refused_with_what_is_taken(world: World) -> None:
    assert plain(b"x", content_type="text/plain")[0] == 415
    assert plain(b"x", content_encoding="gzip")[0] == 415
    body = json.dumps({"inputs": []}).encode()
    status, answer, _ = call("POST", "/v2/models/flats/infer", body, **{"inference-header-content-length": "10"})
    assert status == 415
    assert "binary_data=False" in answer["error"]


@pytest.mark.parametrize(
    ("claims", "allowed"),
    [
        ({"scope": "flats/infer"}, {"infer"}),
        ({"scope": "openid flats/read flats/infer"}, {"infer", "read", "server"}),
        ({"scope": "*/infer"}, {"infer"}),
        ({"scp": "[flats/read other/infer]"}, {"read", "server"}),
        ({"scope": "other/infer other/read"}, {"server"}),
        ({"scope": "flats/inferior"}, set()),
        ({}, set()),
    ],
)
def test_a_token_allows_what_its_scopes_name(world: World, claims: dict[str, str], allowed: set[str]) -> None:
    asked = {
        "infer": ("POST", "/models/flats/predict", '{"rows": [{"size": 1}]}'),
        "read": ("GET", "/v2/models/flats", ""),
        "server": ("GET", "/v2", ""),
    }
    for what, (method, path, body) in asked.items():
        event = {
            "requestContext": {"http": {"method": method}, "authorizer": {"jwt": {"claims": claims, "scopes": None}}},
            "rawPath": path,
            "headers": {},
            "body": body,
        }
        answer = serve.infer.handler(event, Context("serve-infer"))
        assert answer["statusCode"] == (200 if what in allowed else 403), (what, answer["body"])


def test_the_committed_description_is_the_code_s() -> None:
    """`make docs` writes it anew."""
    assert (ROOT / "docs/openapi.json").read_text("utf-8") == text(
        read_model(path) for path in model_folders(ROOT / "models")
    )


def wsgi(environ: Any, start: Any) -> Any:
    """The serving function behind a plain web server."""
    request = Request(environ)

    event = {
        "requestContext": {"http": {"method": request.method}},
        "rawPath": request.path,
        "headers": {name.lower(): value for name, value in request.headers.items()},
        "body": request.get_data().decode("utf-8", "surrogateescape").encode("utf-8", "replace").decode(),
    }
    answer = serve.infer.handler(event, Context("serve-infer"))
    return Response(answer["body"], answer["statusCode"], answer["headers"])(environ, start)


def served() -> Any:
    schema = describe([FLATS])
    # Labels are another function's; who may call is the API's to say.
    del schema["security"]
    schema["paths"] = {path: item for path, item in schema["paths"].items() if not path.endswith("/labels")}
    return schemathesis.openapi.from_dict(schema)


SCHEMA = served()


@SCHEMA.parametrize()
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_schemathesis_finds_no_fault_and_no_answer_that_is_not_described(case: Case, world: World) -> None:
    checks = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
    if case.path.endswith("/predict"):
        # Shapes and data of tensors, and text that must be CSV, are more than a schema can say.
        checks += [negative_data_rejection, positive_data_acceptance]
    case.call_and_validate(app=wsgi, checks=checks)

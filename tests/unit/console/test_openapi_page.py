"""The API's description as a page: everything of the document is on it, and its form asks what the model takes."""

from __future__ import annotations

import html
from html.parser import HTMLParser

import pytest

from console.described import operations
from infra.build import ROOT
from interlock.contract import Column, ColumnType, Contract
from interlock.folder import model_folders, read_model
from interlock.models import DeployedModel
from interlock.openapi import describe
from tests.unit.console.world import World, flats, get

HOSTILE = '"><script>alert(1)</script>'


class Controls(HTMLParser):
    """The form's controls by the column they ask for, with their label."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: dict[str, dict[str, str | None]] = {}
        self.labels: set[str | None] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "label":
            self.labels.add(given["for"])
        if name := given.get("data-name"):
            self.found[name] = given | {"tag": tag}


def test_every_operation_answer_and_column_of_the_document_is_on_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    models = {model.id: model for model in (read_model(path) for path in model_folders(ROOT / "models"))}
    World(models).serve(monkeypatch)
    status, body, _ = get("/console/openapi")
    assert status == 200
    text = html.unescape(body)
    document = describe(models.values())
    for path, item in document["paths"].items():
        assert path in text
        for operation in (item[method] for method in ("get", "post") if method in item):
            assert operation["summary"].rpartition(": ")[2][1:] in text
            assert f'id="{operation["operationId"]}"' in text
    for model in models.values():
        for column in model.features:
            assert text.count(f"<bdi>{column.name}</bdi>") >= 2, "in the form and in what is sent"
            assert f'name "{column.name}"' in text, "as a tensor of the protocol"


def test_the_form_asks_for_each_column_as_its_contract_says(monkeypatch: pytest.MonkeyPatch) -> None:
    World().serve(monkeypatch)
    controls = Controls(get("/console/openapi")[1])
    assert set(controls.found) == {"size", "place"}
    size, place = controls.found["size"], controls.found["place"]
    assert (size["tag"], size["type"]) == ("input", "number")
    assert (float(size["min"] or "nan"), float(size["max"] or "nan")) == (0, 1e6)
    assert "required" in size
    assert (place["tag"], place["data-kind"]) == ("select", "string")
    assert "required" not in place
    assert controls.labels == {size["id"], place["id"]}


def test_columns_are_never_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = flats()
    columns = (
        Column(name=HOSTILE, type=ColumnType.STRING, description=HOSTILE, allowed=(HOSTILE, "b"), required=True),
        Column(name="free", type=ColumnType.STRING, max_length=3, pattern="^[a-z]+$"),
        Column(name="new", type=ColumnType.BOOLEAN, required=True),
        plain.target,
    )
    model = DeployedModel(spec=plain.spec, contract=Contract(id="flats", version="1", columns=columns))
    World({"flats": model}).serve(monkeypatch)
    _, body, _ = get("/console/openapi")
    assert "<script>alert" not in body
    controls = Controls(body)
    assert controls.found[HOSTILE]["tag"] == "select"
    assert controls.found["free"]["maxlength"] == "3"
    assert controls.found["new"]["data-kind"] == "boolean"
    assert "at most 3 characters; matches ^[a-z]+$" in html.unescape(body)


def test_fields_lie_below_what_holds_them() -> None:
    found = {operation.id: operation for operation in operations(describe([flats()]))}
    rows = [(field.name, field.depth, field.kind, field.required) for field in found["predict_flats"].bodies[0].fields]
    assert rows == [
        ("rows", 0, "list of objects", True),
        ("size", 1, "number", True),
        ("place", 1, "string or null", False),
    ]
    versioned = found["flats_open_inference_protocol_v2_of_a_version"]
    assert [(field.name, field.kind) for field in versioned.parameters] == [("version", "integer")]
    tensors = [field.notes for field in versioned.bodies[0].fields if field.name.startswith("[")]
    assert tensors == ['name "size", datatype "FP32"', 'name "place", datatype "BYTES"']


def test_the_page_shows_the_models_that_a_token_may_read(monkeypatch: pytest.MonkeyPatch) -> None:
    World({"flats": flats(), "rents": flats("rents")}).serve(monkeypatch)
    body = get("/console/openapi", scope="rents/read")[1]
    assert "/models/rents/predict" in body
    assert "flats" not in body

"""The score workflow without a cloud: its handlers, called as the state machine calls them, over fakes."""

from __future__ import annotations

import csv
import importlib
import io
import json
import tempfile
from pathlib import Path
from typing import Any, cast

import duckdb
import pytest

import serve.operations
from interlock.contract import Column, ColumnType, Contract
from interlock.errors import UnknownModel
from interlock.kind import Kind
from interlock.models import DeployedModel
from interlock.records import Claim
from interlock.settings import Settings
from interlock.spec import Gate, Holdout, Limit, ModelSpec, Target
from serve.protocol.rows import columns
from serve.score import cut, fail, finish, part, take
from serve.score.documents import Result
from tests.unit.context import Context
from tests.unit.fakes import FakeAlerts, FakeBus, FakeExecutions, FakeObjects
from tests.unit.serve.world import World, call

STAGE = {"take": take, "cut": cut, "part": part, "finish": finish, "fail": fail}
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
        primary_key=("id",),
        null_tokens=("", "NA"),
        columns=(
            Column(name="id", type=ColumnType.STRING, required=True),
            Column(name="size", type=ColumnType.NUMBER, required=True, minimum=-1e6, maximum=1e6),
            Column(name="place", type=ColumnType.STRING, restricted=True, allowed=("north", "south")),
            Column(name="seen", type=ColumnType.DATE),
            Column(name="rented", type=ColumnType.STRING, required=True, allowed=("no", "yes")),
        ),
    ),
)


class Scoring(World):
    """A live model, and what is stored and told when files are scored by it."""

    def __init__(self, patch: pytest.MonkeyPatch, model: DeployedModel = FLATS) -> None:
        super().__init__()
        self.model = model
        self.data, self.bus, self.alerts, self.executions = FakeObjects(), FakeBus(), FakeAlerts(), FakeExecutions()
        self.serve(patch)
        light = columns(model.to_json().encode())
        patch.setattr(serve.operations, "contract", lambda _model: light)
        fakes = {
            "State": self.state,
            "EventBus": self.bus,
            "AlertTopic": self.alerts,
            "Executions": self.executions,
        }
        for module in STAGE.values():
            if hasattr(module, "Objects"):
                patch.setattr(module, "Objects", lambda name: self.data if name == "data_bucket" else self.objects)
            for name, fake in fakes.items():
                if hasattr(module, name):
                    patch.setattr(module, name, lambda *_, fake=fake: fake)
            if hasattr(module, "deployed"):
                patch.setattr(module, "deployed", self.deployed)
        patch.setattr(part, "deployed_text", lambda _model: self.model.to_json().encode())
        for name in ("environment", "data_bucket", "artefacts_bucket", "state_table", "bus_name", "alerts_topic"):
            patch.setenv(name.upper(), name)
        Settings.load.cache_clear()

    def deployed(self, name: str) -> DeployedModel:
        if name != self.model.id:
            raise UnknownModel(f"no model '{name}' is deployed")
        return self.model

    def step(self, name: str, **event: Any) -> dict[str, Any]:
        module = importlib.import_module(f"serve.score.{name}")
        context = Context(f"serve-score-{name}")
        # Events are JSON: nothing but JSON goes from step to step.
        sent = json.loads(json.dumps(event))
        return cast("dict[str, Any]", json.loads(json.dumps(module.handler(sent, context))))

    def put(self, body: bytes, key: str = "score/flats/people") -> dict[str, Any]:
        ref = self.data.put(key, body)
        return {"bucket": "data", "key": key, "version": ref.version}

    def run(self, file: dict[str, Any], execution: str = "e1") -> str:
        """The state machine's way through its steps; answers the state it ends in."""
        try:
            taken = self.step("take", **file, execution=execution)
            about = {name: taken[name] for name in ("claim", "model", "release")}
            source: dict[str, Any] = {}
            if taken["kind"] == "whole":
                answers = self.step("part", **about, piece=taken["piece"])
            else:
                done = self.step("cut", **about, piece=taken["piece"])
                source, answers = done["source"], self.pieces(about, done["items"])
            self.step("finish", **about, key=file["key"], execution=execution, answers=answers, source=source)
        except Exception as error:
            name = type(error).__name__
            if name == "AlreadyClaimed":
                return "AlreadyTaken"
            cause = json.dumps({"errorMessage": str(error)})
            self.step("fail", **file, execution=execution, error=name, cause=cause)
            if name not in {"InvalidUpload", "UnknownModel", "NotServing"}:
                raise
            return "Refused"
        return "Scored"

    def pieces(self, about: dict[str, Any], items: dict[str, str]) -> dict[str, str]:
        """The distributed map: one call a piece, in any order, the answers in S3."""
        listed = json.loads(self.data.raw(items["key"], items["version"]))
        answers = [self.step("part", **about, piece=piece) for piece in reversed(listed)]
        folder = f"scoring/{self.model.id}/{about['claim']}/answers"
        self.data.put(f"{folder}/SUCCEEDED_0.json", json.dumps(answers).encode())
        results = {"FAILED": [], "PENDING": [], "SUCCEEDED": [{"Key": f"{folder}/SUCCEEDED_0.json"}]}
        self.data.put(f"{folder}/manifest.json", json.dumps({"ResultFiles": results}).encode())
        return {"Bucket": "data", "Key": f"{folder}/manifest.json"}

    def result(self) -> Result:
        (key,) = (key for key in self.data.keys("predictions/") if key.endswith("result.json"))
        return Result.from_json(self.data.read(key))

    def predictions(self) -> list[dict[str, Any]]:
        """The answer's rows; what is empty in CSV is None."""
        ref = self.result().predictions
        assert ref is not None
        body = self.data.get(ref)
        if ref.key.endswith(".csv"):
            return [
                {name: value or None for name, value in row.items()}
                for row in csv.DictReader(io.StringIO(body.decode(), newline=""))
            ]
        return parquet_rows(body)

    def claim(self, name: str) -> Claim:
        found = self.state.get(Claim, f"claim#{name}", "claim")
        assert found is not None
        return found


def parquet(sql: str) -> bytes:
    """A Parquet file of a query's rows."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made.parquet"
        duckdb.sql(f"COPY ({sql}) TO '{path}' (FORMAT parquet)")
        return path.read_bytes()


def parquet_rows(body: bytes) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "read.parquet"
        path.write_bytes(body)
        found = duckdb.sql(f"SELECT * FROM '{path}'")
        return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def asked(row: dict[str, Any]) -> dict[str, Any]:
    """What the prediction door says of one row: its prediction, or `error` as a file's answer words it."""
    status, answer, _ = call("POST", "/models/flats/predict", {"rows": [row]})
    if status == 200:
        found: dict[str, Any] = answer["predictions"][0]
        return found
    fields = answer.get("fields")
    return {
        "error": "; ".join(f"{item['column']}: {item['message']}" for item in fields) if fields else answer["error"]
    }

"""A model that is served, captured, labelled and released, all by the real code, with the tables in memory."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import release.alarm
import release.confirm
import release.propose
import release.restore
import release.rollback
import release.steer
import serve.infer
from interlock import keys
from interlock.aws.live import live_release
from interlock.aws.registry import Package, file_metadata
from interlock.contract import Column, ColumnType, Contract
from interlock.kind import Kind
from interlock.models import DeployedModel
from interlock.records import Input, LiveRelease, Probe, ServedModel
from interlock.spec import ModelSpec
from interlock.stats.drift.reference import Reference
from interlock.stats.performance.expected import Expected
from interlock.steps import StepVerdict
from release import tend
from release.confirm import confirm
from release.propose import Approval, check, propose
from serve import capture, labels
from serve.live import Live
from serve.loaded import Memory
from serve.operations import Service
from tests.unit.context import Context
from tests.unit.fakes import FakeAlerts, FakeBus, FakeLedger, FakeObjects, FakeState
from tests.unit.serve.world import Stored

CONTRACT = Contract(
    id="flats",
    version="1.0.0",
    columns=(
        Column(name="id", type=ColumnType.STRING, required=True),
        Column(name="size", type=ColumnType.NUMBER, required=True),
        Column(name="place", type=ColumnType.STRING, restricted=True),
        Column(name="sold", type=ColumnType.STRING, allowed=("no", "yes"), required=True),
    ),
    primary_key=("id",),
)
INPUTS = (
    Input(name="size", datatype="FP32", required=True),
    Input(name="place", datatype="BYTES", required=False, restricted=True, categories=("north", "south")),
)
HOUR = timedelta(hours=1)


def model(**release: Any) -> DeployedModel:
    """The deployed model; the keywords are its release section."""
    spec = ModelSpec.model_validate(
        {
            "id": "flats",
            "target": {"column": "sold", "kind": "binary", "positive": "yes"},
            "holdout": {"key": "k"},
            "gate": {
                "metrics": {"accuracy": {"tolerance": 0.05}},
                "fairness": [{"column": "place", "max_gap": 0.2, "min_positives": 30}],
            },
            "release": {"bake_minutes": 30, "min_calls": 60, **release},
        }
    )
    return DeployedModel(spec=spec, contract=CONTRACT)


def sigmoid(
    weight: float = 1.0, shift: float = 0.0, *, by_place: float = 0.0, work: int = 0, nan: bool = False
) -> bytes:
    """An ONNX file whose probability is sigmoid(weight * size + shift), plus `by_place` for the south.

    `work` multiplies large matrices so many times beforehand, for nothing; with `nan` it answers no number.
    """
    numbers = {"weight": weight, "shift": shift, "by_place": by_place, "one": 1.0, "zero": 0.0}
    initializers = [numpy_helper.from_array(np.float32([value]), name) for name, value in numbers.items()]
    initializers.append(numpy_helper.from_array(np.array(["south"], dtype=object), "south"))
    nodes = [
        helper.make_node("Mul", ["size", "weight"], ["scaled"]),
        helper.make_node("Equal", ["place", "south"], ["is_south"]),
        helper.make_node("Cast", ["is_south"], ["southern"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["southern", "by_place"], ["placed"]),
        helper.make_node("Add", ["scaled", "shift"], ["shifted"]),
        helper.make_node("Add", ["shifted", "placed"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["yes0"]),
    ]
    last = "yes0"
    if work:
        initializers.append(numpy_helper.from_array(np.full((400, 400), 1e-4, np.float32), "square"))
        initializers.append(numpy_helper.from_array(np.array([400, 400], dtype=np.int64), "wide"))
        nodes.append(helper.make_node("ReduceMax", ["yes0"], ["most"], keepdims=1))
        nodes.append(helper.make_node("Expand", ["most", "wide"], ["work0"]))
        nodes += [helper.make_node("MatMul", [f"work{turn}", "square"], [f"work{turn + 1}"]) for turn in range(work)]
        nodes += [
            helper.make_node("ReduceMax", [f"work{work}"], ["heat"], keepdims=1),
            helper.make_node("Mul", ["heat", "zero"], ["nothing"]),
            helper.make_node("Add", ["yes0", "nothing"], ["yes1"]),
        ]
        last = "yes1"
    if nan:
        nodes += [
            helper.make_node("Mul", [last, "zero"], ["none"]),
            helper.make_node("Div", ["none", "zero"], ["nan"]),
        ]
        last = "nan"
    nodes += [
        helper.make_node("Sub", ["one", last], ["no"]),
        helper.make_node("Concat", ["no", last], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "flats",
        [
            helper.make_tensor_value_info("size", TensorProto.FLOAT, [None, 1]),
            helper.make_tensor_value_info("place", TensorProto.STRING, [None, 1]),
        ],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 2])],
        initializers,
    )
    made: onnx.ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    written: bytes = made.SerializeToString()
    return written


@cache
def reference(file: bytes, threshold: float) -> bytes:
    """What the training of a version keeps: calibrated on a holdout in which sigmoid(size) is the truth."""
    random = np.random.default_rng(11)
    size = random.normal(size=4000).astype(np.float32)
    found = Reference(numbers={}, categories={})
    try:
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    except Exception:  # noqa: BLE001 - a file that is no model was never evaluated
        return found.to_json().encode()
    place = np.array(["north"] * len(size), dtype=object)
    (said,) = session.run(["probabilities"], {"size": size[:, None], "place": place[:, None]})
    if np.isfinite(said).all():
        y = (random.random(len(size)) < 1 / (1 + np.exp(-size))).astype(int)
        expected = Expected.of(Kind.BINARY, y, said.astype(np.float64), threshold, {}, {})
        found = found.model_copy(update={"expected": expected})
    return found.to_json().encode()


@dataclass
class World:
    """One model's tables, buckets and listeners, one serving instance, and a person who looks on."""

    model: DeployedModel
    capsys: pytest.CaptureFixture[str]
    data: FakeObjects = field(default_factory=FakeObjects)
    artefacts: FakeObjects = field(default_factory=lambda: FakeObjects("artefacts"))
    state: FakeState = field(default_factory=FakeState)
    ledger: FakeLedger = field(default_factory=FakeLedger)
    bus: FakeBus = field(default_factory=FakeBus)
    alerts: FakeAlerts = field(default_factory=FakeAlerts)
    asked: int = 0
    later: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        self.serving = Live(Stored(self.state, self.artefacts), Memory(10**9), lambda: None)
        self.random = np.random.default_rng(7)

    @property
    def doors(self) -> tend.Doors:
        return tend.Doors(self.data, self.artefacts, self.state, self.ledger, self.bus, self.alerts, "tend")

    @property
    def live(self) -> LiveRelease:
        found = live_release(self.state, "flats")
        assert found is not None
        return found

    @property
    def champion(self) -> int | None:
        return self.live.champion.version if self.live.champion else None

    @property
    def verdict(self) -> StepVerdict:
        found = self.state.get(StepVerdict, "model#flats", "bake")
        assert found is not None
        return found

    def check(self, name: str) -> Any:
        return next(item for item in self.verdict.checks if item.id == name)

    def register(self, version: int, file: bytes, threshold: float = 0.5) -> Package:
        """A version in the registry, as the gate leaves it."""
        run = f"r{version}"

        def put(name: str, body: bytes) -> Any:
            return self.artefacts.put(keys.artefact("flats", run, name), body)

        stored = put("model.onnx", file)
        served = ServedModel(
            model="flats", version=version, run=run, kind=self.model.spec.target.kind, inputs=INPUTS,
            classes=self.model.classes, threshold=threshold if self.model.classes else None, onnx=stored,
            contract_version="1",
        )  # fmt: skip
        probe = Probe(rows={"size": (1.0,), "place": ("north",)}, scores=(0.5,), labels=self.model.classes[-1:])
        put("probe.json", probe.to_json().encode())
        files = {
            "served": put("served.json", served.to_json().encode()),
            "reference": put("reference.json", self.learned(file, threshold)),
        }
        metadata = {"model": "flats", "run": run, "manifest": f"m{version}"}
        for name, ref in files.items():
            metadata |= file_metadata(name, ref)
        return Package(arn=f"arn:package/{version}", version=version, approval="Approved", metadata=metadata)

    def learned(self, file: bytes, threshold: float) -> bytes:
        """What the training of a version keeps."""
        return reference(file, threshold)

    def propose(self, package: Package, execution: str = "", told: datetime | None = None) -> int | None:
        check(package, self.artefacts)
        approval = Approval("a test", told or self.now(), execution or f"run-{package.version}")
        return propose(package, self.model.spec.release, approval, self.state, self.ledger)

    def release(self, version: int, file: bytes, threshold: float = 0.5) -> LiveRelease:
        """Through the workflow, the probe taken for passed."""
        revision = self.propose(self.register(version, file, threshold))
        assert revision is not None
        return confirm("flats", version, revision, "confirm", self.state, self.ledger, self.bus)

    def call(self, count: int, **columns: Any) -> list[dict[str, Any]]:
        """So many calls of one row each, by the serving handler; what it logs is captured."""
        self.serving._releases.clear()
        answers = []
        for _ in range(count):
            self.asked += 1
            row = {"size": float(self.random.normal()), "place": str(self.random.choice(["north", "south"])), **columns}
            answers.append(self.ask(row, f"request-{self.asked}"))
        self.capture()
        return answers

    def ask(self, row: dict[str, Any], request_id: str) -> dict[str, Any]:
        body = {
            "inputs": [
                {"name": "size", "datatype": "FP32", "shape": [1], "data": [row["size"]]},
                {"name": "place", "datatype": "BYTES", "shape": [1], "data": [row["place"]]},
            ]
        }
        event = {
            "requestContext": {"http": {"method": "POST"}},
            "rawPath": "/v2/models/flats/infer",
            "headers": {"content-type": "application/json"},
            "body": json.dumps(body),
        }
        answer = serve.infer.handler(event, Context("serve-infer", request_id))
        assert answer["statusCode"] == 200, answer["body"]
        found = json.loads(answer["body"])
        outputs = {item["name"]: item["data"][0] for item in found["outputs"]}
        return {"version": int(found["model_version"]), "row": row, "id": request_id, **outputs}

    def capture(self) -> None:
        """What the log's subscription brings."""
        lines = [self._timed(line) for line in self.capsys.readouterr().out.splitlines()]
        capture.keep([{"id": f"{self.asked}-{place}", "message": line} for place, line in enumerate(lines)], self.data)

    def _timed(self, line: str) -> str:
        """The line as it would be by the world's clock."""
        found = json.loads(line)
        if "time" in found:
            found["time"] = (datetime.fromisoformat(found["time"]) + self.later).isoformat()
        return json.dumps(found, separators=(",", ":"))

    def now(self) -> datetime:
        """The world's clock: this machine's, put forward by what the clock's calls were apart."""
        return datetime.now(UTC) + self.later

    def label(self, answers: list[dict[str, Any]], truth: Any) -> None:
        """Post the true answers."""
        given = [{"request_id": item["id"], "label": truth(item)} for item in answers]
        labels.take(json.dumps({"labels": given}).encode(), self.model, self.data, datetime.now(UTC))

    def tend(self, after: timedelta = HOUR) -> str:
        """The clock's call, so much later."""
        self.later += after
        return tend.tend(self.doors, self.model, self.now())

    def ledger_is_true(self) -> None:
        """Every revision that was written is in the ledger, once, with who served from then on."""
        written = {item.revision: item for item in tend.revisions(self.state, "flats")}
        told = [entry.decision for entry in self.ledger.entries("flats")]
        assert sorted(item.evidence["revision"] for item in told) == sorted(written)
        for item in told:
            record = written[item.evidence["revision"]]
            assert item.evidence["champion"] == (record.champion.version if record.champion else None)
            assert item.action == record.action


def make(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], **plan: Any) -> World:
    """A world in which version 1 serves."""
    return started(monkeypatch, World(model(**plan), capsys), sigmoid())


def started(monkeypatch: pytest.MonkeyPatch, world: World, first: bytes) -> World:
    """The world with its first version live. Time that another process took is not the model's."""
    monkeypatch.setattr(time, "perf_counter", time.thread_time)
    tend._TOLD.clear()

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return world.now()

    for module in (release.confirm, release.propose, release.rollback, release.steer, release.restore, release.alarm):
        monkeypatch.setattr(module, "datetime", Clock)
    monkeypatch.setattr(serve.infer, "service", lambda: Service(world.serving, ("flats",)))
    monkeypatch.setattr(capture, "deployed", lambda _model: world.model)
    world.release(1, first)
    return world

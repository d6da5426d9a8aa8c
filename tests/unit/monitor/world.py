"""A small model with traffic: rows go through the real capture code into the bucket that the monitor reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from interlock import keys
from interlock.contract import Column, ColumnType, Contract
from interlock.kind import Kind
from interlock.models import DeployedModel
from interlock.records import Candidate, Dataset, EndedJob, LiveRelease, ObjectRef, ServedModel, TrainingManifest
from interlock.signature import signature
from interlock.spec import ModelSpec
from interlock.stats.drift.reference import Reference, category_reference, number_reference
from interlock.windows import Outcome, WindowResult
from monitor import decide, drift
from serve import capture
from serve.captures import lines
from serve.protocol.request import Request
from serve.protocol.response import Answer
from serve.stored import served_model
from tests.unit.context import Context
from tests.unit.fakes import FakeAlerts, FakeBus, FakeLedger, FakeObjects, FakeState

AT = datetime(2026, 3, 2, 6, tzinfo=UTC)
RUN = "20260301-120000-abcdef"
HOUR = timedelta(hours=1)
SEEN = "a" * 16
Row = dict[str, Any]

CONTRACT = Contract(
    id="loans",
    version="1.0.0",
    columns=(
        Column(name="id", type=ColumnType.STRING, required=True),
        Column(name="age", type=ColumnType.INTEGER, required=True),
        Column(name="amount", type=ColumnType.NUMBER),
        Column(name="job", type=ColumnType.STRING),
        Column(name="member", type=ColumnType.BOOLEAN),
        Column(name="origin", type=ColumnType.STRING, restricted=True),
        Column(name="income", type=ColumnType.NUMBER, restricted=True),
        Column(name="vetted", type=ColumnType.BOOLEAN, restricted=True),
        Column(name="repaid", type=ColumnType.STRING, allowed=("no", "yes"), required=True),
    ),
    primary_key=("id",),
)


def model(
    *,
    segments: Sequence[str] = (),
    drift: Mapping[str, Any] | None = None,
    tell: Mapping[str, Any] | None = None,
    performance: Mapping[str, Any] | None = None,
    window: Mapping[str, Any] | None = None,
    fairness: Sequence[Mapping[str, Any]] = (),
    **retrain: Any,
) -> DeployedModel:
    """The deployed model; the other keywords are its brakes."""
    spec = ModelSpec.model_validate(
        {
            "id": "loans",
            "target": {"column": "repaid", "kind": "binary", "positive": "yes"},
            "holdout": {"key": "k"},
            "gate": {"metrics": {"accuracy": {"min": 0.5}}, "fairness": tuple(fairness)},
            "monitoring": {
                "window": dict(window or {"hours": 24}),
                "segments": tuple(segments),
                "drift": {"min_rows": 200, **(drift or {})},
                "tell": dict(tell or {}),
                "performance": dict(performance or {}),
                "retrain": retrain,
            },
        }
    )
    return DeployedModel(spec=spec, contract=CONTRACT)


def people(count: int, seed: int, **fixed: Any) -> list[Row]:
    """Rows of one population; a keyword replaces a column by a value, or by what a function makes of the row."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        row: Row = {
            "age": int(random.normal(40, 12)),
            "amount": float(random.exponential(1000)) if random.random() > 0.02 else None,
            "job": str(random.choice(["clerk", "nurse", "smith", "baker"], p=[0.5, 0.3, 0.15, 0.05])),
            "member": bool(random.random() < 0.3),
            "origin": str(random.choice(["norway", "sweden", "estonia"], p=[0.6, 0.3, 0.1])),
            "income": float(random.normal(3000, 500)),
            "vetted": bool(random.random() < 0.8),
        }
        found.append({**row, **{name: value(row) if callable(value) else value for name, value in fixed.items()}})
    return found


def score(row: Row) -> float:
    """What the model says about a person."""
    return float(1 / (1 + np.exp(-(row["age"] - 40) / 12)))


def reference(rows: Sequence[Row]) -> Reference:
    """The training data's profile, column by column as the freeze step makes it."""
    numbers, categories = {}, {}
    for column in model().features:
        values = [row[column.name] for row in rows]
        if column.numeric:
            numbers[column.name] = number_reference(
                np.array([np.nan if value is None else value for value in values], dtype=np.float64),
                detailed=not column.restricted,
            )
        else:
            words = [str(value).lower() if isinstance(value, bool) else value for value in values if value is not None]
            counted = [(word, words.count(word)) for word in sorted(set(words))]
            categories[column.name] = category_reference(counted, len(values) - len(words))
    scores = number_reference(np.array([score(row) for row in rows]))
    return Reference(numbers=numbers, categories=categories, score=scores)


@dataclass
class World:
    """One model's bucket, tables and listeners."""

    reference: Reference
    data: FakeObjects = field(default_factory=FakeObjects)
    artefacts: FakeObjects = field(default_factory=lambda: FakeObjects("artefacts"))
    state: FakeState = field(default_factory=FakeState)
    ledger: FakeLedger = field(default_factory=FakeLedger)
    bus: FakeBus = field(default_factory=FakeBus)
    alerts: FakeAlerts = field(default_factory=FakeAlerts)

    def release(self, version: int = 1, run: str = RUN, trained_on: Sequence[str] = (SEEN,)) -> LiveRelease:
        """Have a version serve; its manifest names the datasets it was trained on."""
        stored = self.artefacts.put(keys.artefact("loans", run, "reference.json"), self.reference.to_json().encode())
        manifest = TrainingManifest(
            id=f"manifest-{version}",
            model="loans",
            run=run,
            datasets=tuple(trained_on),
            sources=(),
            settings=stored,
            train=stored,
            holdout_features=stored,
            holdout=stored,
            reference=stored,
            train_rows=1,
            holdout_rows=1,
            contract_version="1.0.0",
            contract_sha256="c",
            spec_sha256="s",
        )
        self.data.put(keys.training("loans", run, "manifest.json"), manifest.to_json().encode())
        live = LiveRelease(
            model="loans",
            revision=version,
            champion=Candidate(
                version=version,
                run=run,
                served=stored,
                package_arn="arn",
                reference=stored,
                manifest_id=manifest.id,
            ),
            state="live",
            changed_at=AT,
            changed_by="test",
            reason="test",
        )
        self.state.put("model#loans", "live", live)
        return live

    def answer(self, rows: Sequence[Row], at: datetime = AT - HOUR, version: int = 1, request: str = "r") -> None:
        """Serve these rows in one request: its capture lines go through the log into the bucket."""
        self.deliver([(f"{request}-{place}", line) for place, line in enumerate(captured(rows, at, version, request))])

    def deliver(self, log: Sequence[tuple[str, str]]) -> None:
        """What the log's subscription brings."""
        capture.keep([{"id": name, "message": line} for name, line in log], self.data)

    def admit(self, dataset: str, at: datetime = AT - HOUR) -> None:
        """Have ingest admit a dataset."""
        ref = ObjectRef(bucket="data", key="k", version="v", sha256="0", size=1)
        record = Dataset(
            id=dataset,
            model="loans",
            claim="c",
            source=ref,
            train=ref,
            holdout=ref,
            profile=ref,
            report=ref,
            rows=10,
            train_rows=8,
            holdout_rows=2,
            bad_rows=0,
            contract_version="1.0.0",
            contract_sha256="c",
            admitted_at=at,
        )
        self.state.put("model#loans", f"dataset#{at:%Y-%m-%dT%H:%M:%S.%f}#{dataset}", record)

    def train(self, seconds: int, at: datetime) -> None:
        """Have a training job end."""
        job = EndedJob(
            model="loans",
            run=f"{at:%Y%m%d-%H%M%S}",
            job="j",
            status="Completed",
            instance="ml.m5.large",
            billable_seconds=seconds,
            ended_at=at,
        )
        self.state.put("model#loans", f"job#{job.run}", job)

    def check(self, at: datetime = AT) -> dict[str, Any]:
        """The first step of the workflow."""
        event = {"model": "loans", "at": at.isoformat().replace("+00:00", "Z"), "execution": "arn"}
        answer: dict[str, Any] = drift.handler(event, Context("monitor"))
        return answer

    def decide(self, checked: Mapping[str, Any]) -> dict[str, Any]:
        """The second step."""
        event = {"model": "loans", "window": checked["window"], "result": checked["result"]}
        answer: dict[str, Any] = decide.handler(event, Context("monitor"))
        return answer

    def result(self, checked: Mapping[str, Any]) -> WindowResult:
        """The document of a checked window."""
        return WindowResult.from_json(self.data.get(ObjectRef.model_validate(checked["result"])))

    def outcomes(self) -> list[Outcome]:
        """All that was decided."""
        return list(self.state.query(Outcome, "model#loans", "outcome#"))


def captured(rows: Sequence[Row], at: datetime, version: int, request: str) -> list[str]:
    """The lines that the serving function writes for a request."""
    inputs = tuple(
        item.model_copy(update={"edges": TRAINED.numbers[item.name].edges})
        if item.restricted and item.name in TRAINED.numbers
        else item.model_copy(update={"categories": TRAINED.categories[item.name].categories})
        if item.restricted
        else item
        for item in signature(model())
    )
    ref = ObjectRef(bucket="artefacts", key="k", version="v", sha256="0", size=1)
    served = ServedModel(
        model="loans", version=version, run=RUN, kind=Kind.BINARY, inputs=inputs, classes=("no", "yes"),
        threshold=0.5, onnx=ref, contract_version="1.0.0",
    )  # fmt: skip
    values = {item.name: [row[item.name] for row in rows] for item in inputs}
    scores = [score(row) for row in rows]
    labels = ["yes" if value >= 0.5 else "no" for value in scores]
    asked = Request(id=None, rows=len(rows), values=values, outputs=None, parameters={})
    found = lines(
        asked, Answer(labels, scores, None), served_model(served.to_json().encode()), version, request, at.isoformat()
    )
    return [line.decode() for line in found]


TRAINED = reference(people(4000, seed=1))


def make(monkeypatch: pytest.MonkeyPatch, deployed: DeployedModel) -> World:
    """A world whose handlers see it instead of AWS."""
    world = World(TRAINED)
    for name in ("STATE_TABLE", "LEDGER_TABLE", "BUS_NAME", "ALERTS_TOPIC", "ENVIRONMENT"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("DATA_BUCKET", "data")
    monkeypatch.setenv("ARTEFACTS_BUCKET", "artefacts")
    monkeypatch.setenv("TRAINING_PRICE_PER_HOUR", "3.6")
    buckets = {"data": world.data, "artefacts": world.artefacts}
    for module in (drift, decide):
        monkeypatch.setattr(module, "deployed", lambda _model: deployed)
        monkeypatch.setattr(module, "Objects", buckets.__getitem__)
        monkeypatch.setattr(module, "State", lambda _table: world.state)
    monkeypatch.setattr(capture, "deployed", lambda _model: deployed)
    monkeypatch.setattr(decide, "Ledger", lambda _table: world.ledger)
    monkeypatch.setattr(decide, "EventBus", lambda _name: world.bus)
    monkeypatch.setattr(decide, "AlertTopic", lambda _arn: world.alerts)
    return world

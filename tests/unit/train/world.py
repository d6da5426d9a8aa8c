"""A model of its own, its uploads, and a run of it as far as a test wants to go."""

import io
import json
import tarfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from interlock.contract import Column, ColumnType, Contract
from interlock.models import DeployedModel
from interlock.records import Dataset, ObjectRef, TrainingManifest
from interlock.spec import ModelSpec
from jobs.train import job
from tests.unit.fakes import FakeAlerts, FakeBus, FakeLedger, FakeObjects, FakeState
from tests.unit.jobs.channels import TYPES, rows
from tests.unit.train.fakes import FakeJobs, FakeRegistry, FakeTokens
from train.freeze import freeze
from train.launch import launch
from train.request import Deployment
from train.settlement import result

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
RUN = "20260301-120000-abcdef"
DEPLOYMENT = Deployment(
    environment="dev",
    role="arn:aws:iam::000000000000:role/interlock-job",
    image="000000000000.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-py312-cpu-py3",
    instance="ml.m5.large",
    code_uri="s3://assets/0123abcd.zip",
    wheelhouse_uri="s3://assets/4567cdef.zip",
    artefacts_bucket="artefacts",
)
COLUMNS = {"id": "integer", "age": "integer", "hours": "number", "member": "boolean", "job": "string", "y": "string"}
METRICS: dict[str, dict[str, Any]] = {
    "binary": {
        "roc_auc": {"min": 0.6, "tolerance": 0.01},
        "log_loss": {"max": 0.9, "tolerance": 0.02},
        "accuracy": {"min": 0.5},
        "brier": {"max": 0.25},
        "calibration_error": {"max": 0.3},
    },
    "multiclass": {"accuracy": {"min": 0.4, "tolerance": 0.01}},
    "regression": {"rmse": {"max": 5000, "tolerance": 10}},
}


def model(kind: str = "binary", **changes: Any) -> DeployedModel:
    classes = {"binary": ("no", "yes"), "multiclass": ("low", "middle", "high"), "regression": None}[kind]
    columns = tuple(
        Column(
            name=name,
            type=ColumnType("number" if name == "y" and classes is None else written),
            required=name == "id",
            restricted=name in {"member", "job"},
            allowed=classes if name == "y" else None,
        )
        for name, written in COLUMNS.items()
    )
    spec: dict[str, Any] = {
        "id": "people",
        "description": "Whether somebody\n does it.",
        "target": {"column": "y", "kind": kind, "positive": "yes" if kind == "binary" else None},
        "holdout": {"fraction": 0.3, "key": "k"},
        "training": {"estimator": "hist_gradient_boosting", "parameters": {"max_iter": 20}, "seed": 1},
        "threshold": {"strategy": "accuracy"},
        "gate": {
            "min_rows": 50,
            "metrics": METRICS[kind],
            "fairness": [{"column": "job", "max_gap": 0.9, "min_positives": 5}] if kind == "binary" else [],
            "serving": {"max_start_ms": 60000, "max_memory_mb": 3000},
        },
    }
    return DeployedModel(
        spec=ModelSpec.model_validate(spec | changes),
        contract=Contract(id="people", version="1.0.0", columns=columns, primary_key=("id",)),
    )


@dataclass
class World:
    """All of AWS that the stage sees."""

    data: Any = field(default_factory=lambda: FakeObjects("data"))
    artefacts: Any = field(default_factory=lambda: FakeObjects("artefacts"))
    state: Any = field(default_factory=FakeState)
    jobs: Any = field(default_factory=FakeJobs)
    tokens: Any = field(default_factory=FakeTokens)
    registry: Any = field(default_factory=FakeRegistry)
    ledger: Any = field(default_factory=FakeLedger)
    bus: Any = field(default_factory=FakeBus)
    alerts: Any = field(default_factory=FakeAlerts)

    def admit(self, deployed: DeployedModel, values: list[tuple[Any, ...]], number: int, **changes: Any) -> Dataset:
        """Put a dataset where ingest puts it; rows are (id, age, hours, member, job, y)."""
        refs = {}
        for name, chosen in (("train", values[::2]), ("holdout", values[1::2])):
            key = f"datasets/people/{number}/{name}.parquet"
            refs[name] = self.data.put(key, parquet(deployed, chosen))
        nothing = ObjectRef(bucket="data", key="x", version="0", sha256="0" * 64, size=0)
        dataset = Dataset(
            **{
                "id": refs["train"].sha256[:16],
                "model": "people",
                "claim": str(number),
                "source": nothing.model_copy(update={"sha256": refs["train"].sha256}),
                "profile": nothing,
                "report": nothing,
                "rows": len(values),
                "train_rows": 0,
                "holdout_rows": 0,
                "bad_rows": 0,
                "contract_version": "1.0.0",
                "contract_sha256": deployed.contract.digest(),
                "admitted_at": NOW + timedelta(minutes=number),
                **refs,
            }
            | changes
        )
        self.state.put("model#people", f"dataset#{dataset.admitted_at.isoformat()}#{dataset.id}", dataset)
        return dataset

    def freeze(self, deployed: DeployedModel, run: str = RUN, script: str | None = None) -> ObjectRef:
        return freeze(self.state, self.data, deployed, script, run, 512)

    def launch(self, deployed: DeployedModel, manifest: ObjectRef, token: str = "token-1") -> str:
        read = TrainingManifest.from_json(self.data.get(manifest))
        return launch(self.state, self.jobs, self.tokens, DEPLOYMENT, deployed, read, token, NOW)

    def work(self, name: str, folder: Path) -> dict[str, Any]:
        """Do what SageMaker does for a launched job, with the real job; answers what the workflow learns."""
        request = self.jobs.jobs[name]
        for channel in request["InputDataConfig"]:
            uri = channel["DataSource"]["S3DataSource"]["S3Uri"]
            prefix = uri.removeprefix("s3://data/")
            for key in self.data.keys(prefix) if uri != prefix else ():
                target = folder / "input/data" / channel["ChannelName"] / key.removeprefix(prefix)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(self.data.read(key))
        config = folder / "input/config"
        config.mkdir(parents=True)
        (config / "hyperparameters.json").write_text(json.dumps(request["HyperParameters"]))
        job.run(folder)
        ended = self.jobs.end(name, "Completed")
        prefix = (
            ended["ModelArtifacts"]["S3ModelArtifacts"].removeprefix("s3://artefacts/").removesuffix("model.tar.gz")
        )
        for archive, source in (("model.tar.gz", folder / "model"), ("output.tar.gz", folder / "output/data")):
            self.artefacts.put(prefix + archive, packed({path.name: path.read_bytes() for path in source.iterdir()}))
        return result(ended)


def people(kind: str = "binary", count: int = 400, seed: int = 1) -> list[tuple[Any, ...]]:
    return [(number, *row) for number, row in enumerate(rows(kind, count, seed))]


def parquet(deployed: DeployedModel, values: list[tuple[Any, ...]]) -> bytes:
    declared = ", ".join(f'"{column.name}" {TYPES[column.type.value]}' for column in deployed.contract.columns)
    with duckdb.connect() as con:
        con.execute(f"CREATE TABLE t ({declared})")
        con.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(deployed.contract.columns))})", values)
        path = Path("/tmp") / f"interlock-test-{id(values)}.parquet"
        con.execute(f"COPY t TO '{path}' (FORMAT parquet)")
    body = path.read_bytes()
    path.unlink()
    return body


def packed(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, body in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(body)
            archive.addfile(info, io.BytesIO(body))
    return buffer.getvalue()

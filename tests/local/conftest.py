"""A local cloud of the tests' own, deployed once by the real CDK CLI, with two models: census and a generated one.

Everything below goes through public doors: S3, HTTPS, the workflows, the command's own functions.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli import executions, main, uploads
from cli.executions import Run
from cli.target import Target
from localcloud import supervisor
from localcloud.deploy import deploy_local

from .issuer import AUDIENCE, Issuer

HOME = supervisor.HOME / "test"
CENSUS, RENT = "census-income", "flat-rents"
# The same data under a script that fails, one that never ends, and a gate that nothing passes.
FAILING, ENDLESS, REFUSED = "failing-script", "endless-script", "hard-gate"
# More than all tests ask together: counted, and refused to nobody who is not meant to be.
CALLS_A_DAY = 100_000
ROOT = supervisor.ROOT
Command = Callable[..., tuple[int, str]]


@pytest.fixture(scope="session")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuer]:
    """Whose tokens the deployed cloud takes."""
    found = Issuer(tmp_path_factory.mktemp("issuer"))
    yield found
    found.close()


@pytest.fixture(scope="session")
def target(issuer: Issuer) -> Iterator[Target]:
    """The deployed cloud. `INTERLOCK_TEST_KEEP=1` leaves it running for a look afterwards."""
    supervisor.down(HOME)
    shutil.rmtree(HOME, ignore_errors=True)
    models = HOME / "models"
    shutil.copytree(ROOT / "models" / CENSUS, models / CENSUS)
    write_rents(models / RENT)
    write_rents(models / FAILING, script="def pipeline(settings):\n    raise ValueError('the oven is cold')\n")
    write_rents(models / ENDLESS, script="import time\n\ndef pipeline(settings):\n    time.sleep(600)\n", minutes=1)
    write_rents(models / REFUSED, rmse=1.0)
    with pytest.MonkeyPatch.context() as trusting:
        trusting.setenv("SSL_CERT_FILE", str(issuer.certificate))
        cloud = supervisor.up(HOME, lambda _line: None)
    settings = {"jwt_issuer": issuer.url, "jwt_audience": AUDIENCE, "calls_a_day": str(CALLS_A_DAY)}
    deploy_local(cloud, {"environment": "test", "models": str(models), **settings}, lambda _line: None)
    yield Target("test", cloud, None)
    if not os.environ.get("INTERLOCK_TEST_KEEP"):
        supervisor.down(HOME)


@pytest.fixture(scope="session")
def champions(target: Target) -> dict[str, Run]:
    """Both models trained, gated and released from a first upload; answers their training runs."""
    before = datetime.now(UTC)
    with gzip.open(ROOT / f"models/{CENSUS}/data/part-1.csv.gz", "rb") as file:
        census = HOME / "census.csv"
        census.write_bytes(b"".join(file.readlines()[:6001]))
    rents = HOME / "rents.csv"
    rents.write_text(rent_rows(1500, seed=1))
    for model, path in ((CENSUS, census), (RENT, rents)):
        ended(target, uploads.run_of(target, uploads.send(target, model, path)), "Admitted")
    runs = {}
    for model in (CENSUS, RENT):
        run = executions.wait_for(target, "train", before, lambda run, model=model: of(run, model) and started(run))
        runs[model] = ended(target, run, "Done")
        release = executions.wait_for(
            target, "release", before, lambda run, model=model: f"-{model}/" in str(run.input) and probed(run)
        )
        ended(target, release, "Promoted")
    return runs


@pytest.fixture
def interlock(target: Target, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `interlock …` on the tests' cloud; answers exit code and output."""
    monkeypatch.setattr("cli.target.LocalCloud.load", lambda: target.local)
    # What --json and an error turn is turned back.
    monkeypatch.setattr("cli.view.console.stderr", False)

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["interlock", "--env", "test", *words])
        with pytest.raises(SystemExit) as ended:
            main.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out if "--json" in words else said.out + said.err

    return run


def answer(interlock: Command, *words: str) -> Any:
    code, out = interlock("--json", *words)
    assert code == 0, out
    return json.loads(out)


@contextmanager
def denied(target: Target, function: str) -> Iterator[None]:
    """Take every permission away from a function's role for a while."""
    lambdas, iam = target.client("lambda"), target.client("iam")
    found = lambdas.get_function_configuration(FunctionName=f"interlock-test-{function}")
    role = found["Role"].rsplit("/", 1)[-1]
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
    iam.put_role_policy(RoleName=role, PolicyName="nothing", PolicyDocument=json.dumps(policy))
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="nothing")


def train(target: Target, model: str) -> Run:
    """Start a training by hand."""
    detail = {"schema_version": 1, "model": model, "reason": f"test {time.time_ns()}", "requested_by": "a test"}
    document = {"source": "interlock", "detail-type": "TrainingRequested", "detail": detail}
    return executions.start(target, "train", document)


def ended(target: Target, run: Run, state: str | None = None, seconds: float = 400) -> Run:
    """Wait for a run's end and hold it against the state it should end in."""
    for _ in executions.follow(target, run, seconds):
        pass
    if state is not None:
        assert run.last == state, f"{run.workflow} ended in {run.last}: {run.error} {run.message}"
    return run


def upload(target: Target, model: str, body: bytes, name: str = "data.csv") -> tuple[uploads.Sent, Run]:
    """Put bytes under incoming/ and wait for ingest's end."""
    path = HOME / "upload"
    path.write_bytes(body)
    sent = uploads.send(target, model, path, name)
    return sent, ended(target, uploads.run_of(target, sent))


def of(run: Run, model: str) -> bool:
    """Whether the run is about this model."""
    return bool(run.input.get("detail", {}).get("model") == model)


def started(run: Run) -> bool:
    """Whether the training was begun, not found unnecessary."""
    return any(step.name == "Freeze" for step in run.steps)


def probed(run: Run) -> bool:
    """Whether the release changed something, not found it done."""
    return any(step.name == "Probe" for step in run.steps)


def rent_rows(count: int, seed: int, header: bool = True) -> str:
    """A made-up regression: what a flat's size, place and age make of its rent."""
    dice = random.Random(seed)
    lines = ["flat_id;Größe (m²);stadtteil;built;balcony;rent"] if header else []
    for number in range(count):
        size, place = dice.uniform(20, 150), dice.choice(["Nord", "Süd", "Ost", "West"])
        built, balcony = dice.randint(1900, 2020), dice.random() < 0.4
        rent = 200 + 11 * size + 150 * (place == "Süd") + 0.8 * (built - 1900) + 60 * balcony + dice.gauss(0, 25)
        shown = "" if dice.random() < 0.05 else place
        lines.append(f"F{seed}-{number};{size:.1f};{shown};{built};{str(balcony).lower()};{rent:.2f}")
    return "\n".join(lines) + "\n"


def write_rents(
    folder: Path, *, script: str | None = None, minutes: int = 2, rmse: float = 80.0, on: str = "first_dataset"
) -> None:
    """A model of the made-up flats."""
    folder.mkdir(parents=True)
    contract = {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": folder.name,
        "version": "0.3.0",
        "status": "draft",
        "schema": [
            {
                "name": "flats",
                "customProperties": [
                    {"property": "maxBadRowShare", "value": 0.1},
                    {"property": "csvDecimal", "value": "."},
                ],
                "quality": [{"metric": "rowCount", "mustBeGreaterOrEqualTo": 10}],
                "properties": [
                    {"name": "flat_id", "logicalType": "string", "primaryKey": True, "required": True},
                    {"name": "Größe (m²)", "logicalType": "number", "required": True,
                     "logicalTypeOptions": {"exclusiveMinimum": 0, "maximum": 1000}},
                    {"name": "stadtteil", "logicalType": "string"},
                    {"name": "built", "logicalType": "integer", "logicalTypeOptions": {"minimum": 1500}},
                    {"name": "balcony", "logicalType": "boolean", "required": True},
                    {"name": "rent", "logicalType": "number", "required": True,
                     "logicalTypeOptions": {"minimum": 0}},
                ],
            }
        ],
    }  # fmt: skip
    spec = {
        "schema_version": 1,
        "id": folder.name,
        "target": {"column": "rent", "kind": "regression"},
        "holdout": {"fraction": 0.25, "key": "rents"},
        "training": {"estimator": "gradient_boosting", "parameters": {"n_estimators": 60}, "on": on,
                     "max_minutes": minutes, "script": "train.py" if script else None},
        "gate": {"min_rows": 100, "metrics": {"rmse": {"max": rmse, "tolerance": 10}, "r2": {"min": 0.9}}},
        # A first version has nobody to be compared with; the ones after it bake at half of the calls.
        "release": {"mode": "canary", "steps": [0.5], "bake_minutes": 0, "min_calls": 30},
        "monitoring": {"drift": {"min_rows": 50}, "retrain": {"cooldown_hours": 0, "max_per_day": 5}},
    }  # fmt: skip
    if script:
        (folder / "train.py").write_text(script, "utf-8")
    (folder / "contract.yaml").write_text(yaml.safe_dump(contract, allow_unicode=True), "utf-8")
    (folder / "model.yaml").write_text(yaml.safe_dump(spec), "utf-8")

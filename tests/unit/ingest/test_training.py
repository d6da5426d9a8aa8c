"""A batch beside the data that the model was trained on: told and written down, and refused only by the contract."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from ingest.judgement import Judgement
from interlock import keys
from interlock.contract import Limit, Metric, Operator, QualityRule, Severity
from interlock.events import DatasetAdmitted, DatasetDrifted
from interlock.odcs import read_contract
from interlock.records import Candidate, EndedJob, LiveRelease, ObjectRef, TrainingManifest
from tests.unit.ingest.made import INTEGER, NUMBER, column, model
from tests.unit.ingest.world import World

COLUMNS = (column("age", INTEGER), column("job"), column("pay", NUMBER, restricted=True))
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch, model(*COLUMNS))


def people(count: int, seed: int, age: float = 40, jobs: str = "abc") -> bytes:
    random = np.random.default_rng(seed)
    lines = [
        f"{int(random.normal(age, 10))},{random.choice(list(jobs))},{random.normal(3000, 100):.2f},{random.random()}"
        for _ in range(count)
    ]
    return ("age,job,pay,y\n" + "\n".join(lines) + "\n").encode()


def ingested(world: World, body: bytes, name: str) -> Judgement:
    upload = world.upload(body, f"incoming/small/{name}.csv")
    subject = world.step("claim", **upload, execution=name)
    answer = world.step("validate", **upload, **subject)
    verdict = "admit" if answer["verdict"] == "admit" else "reject"
    world.step(verdict, **subject, execution=name, result=answer["result"])
    return Judgement.from_json(world.objects.get(ObjectRef.model_validate(answer["result"])))


def trained(world: World, run: str, *, version: int | None = 1) -> None:
    """A training on all that was admitted so far, and its release."""
    ref = ObjectRef(bucket="b", key="k", version="v", sha256="0", size=1)
    manifest = TrainingManifest(
        id="m", model="small", run=run, datasets=tuple(item.id for item in world.datasets), sources=(), settings=ref,
        train=ref, holdout_features=ref, holdout=ref, reference=ref, train_rows=1, holdout_rows=1,
        contract_version="1", contract_sha256="c", spec_sha256="s",
    )  # fmt: skip
    world.objects.put(keys.training("small", run, "manifest.json"), manifest.to_json().encode())
    ended = EndedJob(
        model="small", run=run, job="j", status="Completed", instance="i", billable_seconds=1, ended_at=NOW
    )
    world.state.put("model#small", f"job#{run}", ended)
    if version is not None:
        champion = Candidate(version=version, run=run, served=ref, package_arn="a", reference=ref, manifest_id="m")
        live = LiveRelease(
            model="small", revision=version, champion=champion, state="live", changed_at=NOW, changed_by="t", reason="t"
        )
        world.state.put("model#small", "live", live)


def test_before_the_first_training_there_is_nothing_to_stand_beside(world: World) -> None:
    assert ingested(world, people(500, 1), "first").training is None


def test_the_same_people_are_stable(world: World) -> None:
    ingested(world, people(3000, 1), "first")
    trained(world, "20260301-000000-aaaaaa")
    found = ingested(world, people(800, 2), "second")
    assert found.training is not None
    assert (found.training.version, found.training.rows, found.training.drift.state) == (1, 3000, "stable")
    assert {item.column for item in found.training.drift.columns} == {"age", "job", "pay", "y"}
    assert [type(event) for event in world.bus.published] == [DatasetAdmitted, DatasetAdmitted]
    evidence = world.ledger.chains["small"][-1].decision.evidence
    assert (evidence["drift"], evidence["drifted"]) == ("stable", [])


def test_a_drifted_batch_is_admitted_and_told_everywhere(world: World) -> None:
    ingested(world, people(1500, 1), "first")
    ingested(world, people(1500, 3), "more")
    trained(world, "20260301-000000-aaaaaa")
    found = ingested(world, people(800, 2, age=55, jobs="abcz"), "older")
    assert found.verdict == "admit"
    assert found.training is not None
    assert found.training.rows == 3000
    assert set(found.training.drift.drifted) == {"age", "job"}
    drifted = next(event for event in world.bus.published if isinstance(event, DatasetDrifted))
    assert (set(drifted.columns), drifted.run) == ({"age", "job"}, "20260301-000000-aaaaaa")
    evidence = world.ledger.chains["small"][-1].decision.evidence
    assert (evidence["drift"], evidence["beside_run"]) == ("drift", "20260301-000000-aaaaaa")
    html = world.objects.get(found.files["report"]).decode()
    assert "Beside what version 1 was trained on (3,000 rows)" in html
    assert "2 of 4 columns drifted" in html
    assert "Every row keeps the contract; there are warnings" in html
    assert "never seen in training" in html


def test_too_few_rows_say_nothing(world: World) -> None:
    ingested(world, people(1500, 1), "first")
    trained(world, "20260301-000000-aaaaaa")
    found = ingested(world, people(100, 2, age=80), "few")
    assert found.training is not None
    assert found.training.drift.state == "too_few"
    assert not any(isinstance(event, DatasetDrifted) for event in world.bus.published)


def test_the_champion_counts_and_where_none_serves_the_last_training(world: World) -> None:
    ingested(world, people(1500, 1), "first")
    trained(world, "20260301-000000-aaaaaa", version=None)
    old = ingested(world, people(800, 2, age=55), "older")
    assert old.training is not None
    assert (old.training.version, old.training.drift.state) == (None, "drift")
    assert "beside_run" in world.ledger.chains["small"][-1].decision.evidence
    trained(world, "20260302-000000-bbbbbb")
    again = ingested(world, people(800, 3, age=55), "again")
    assert again.training is not None
    # Both are in the champion's training by now: the older ones are a third of it.
    assert (again.training.version, again.training.rows) == (1, 2300)


def test_the_same_bytes_again_are_told_once(world: World) -> None:
    ingested(world, people(1500, 1), "first")
    trained(world, "20260301-000000-aaaaaa")
    for name in ("older", "again"):
        ingested(world, people(800, 2, age=55), name)
    assert sum(isinstance(event, DatasetDrifted) for event in world.bus.published) == 1


def test_a_lost_manifest_stops_no_upload(world: World) -> None:
    ingested(world, people(1500, 1), "first")
    trained(world, "20260301-000000-aaaaaa")
    world.objects.delete(keys.training("small", "20260301-000000-aaaaaa", "manifest.json"))
    assert ingested(world, people(500, 2, age=55), "older").training is None


@pytest.mark.parametrize(("severity", "verdict"), [(Severity.ERROR, "reject"), (Severity.WARNING, "admit")])
def test_the_contract_may_refuse_a_drifted_batch(
    monkeypatch: pytest.MonkeyPatch, severity: Severity, verdict: str
) -> None:
    limit = Limit(operator=Operator.MUST_BE, value=(0,))
    rule = QualityRule(id="drift", metric=Metric.DRIFTED_COLUMNS, limits=(limit,), severity=severity)
    world = World(monkeypatch, model(*COLUMNS, quality=(rule,)))
    first = ingested(world, people(1500, 1), "first")
    assert (first.outcomes[0].status, first.verdict) == ("too_few", "admit")
    trained(world, "20260301-000000-aaaaaa")
    assert ingested(world, people(800, 4), "same").outcomes[0].status == "pass"
    found = ingested(world, people(800, 2, age=55), "older")
    assert found.verdict == verdict
    assert found.outcomes[0].found == "1 of 4 columns have drifted from the training data: age"
    assert found.outcomes[0].limit == "exactly 0"
    assert any(isinstance(event, DatasetDrifted) for event in world.bus.published) is (verdict == "admit")


def test_a_set_of_files_is_judged_as_one(world: World) -> None:
    ingested(world, people(1500, 1), "first")
    trained(world, "20260301-000000-aaaaaa")
    world.run(world.upload_set({"a.csv": people(400, 5, age=55), "b.csv": people(400, 6, age=55)}))
    (drifted,) = [event for event in world.bus.published if isinstance(event, DatasetDrifted)]
    assert drifted.columns == ("age",)


def test_the_rule_as_the_standard_writes_it() -> None:
    def document(**rule: Any) -> dict[str, Any]:
        inside = {"type": "custom", "engine": "interlock", "severity": "error", **rule}
        properties = [{"name": "n", "logicalType": "integer"}, {"name": "y", "logicalType": "number"}]
        schema = {"name": "t", "properties": properties, "quality": [inside]}
        return {"apiVersion": "v3.0.2", "id": "c", "version": "1", "schema": [schema]}

    written = document(unit="percent", implementation={"metric": "driftedColumns", "mustBeLessThan": 20})
    (rule,) = read_contract(written).quality
    assert (rule.metric, rule.unit, rule.by_row) == (Metric.DRIFTED_COLUMNS, "percent", False)

"""Leases, notes, tokens: whatever comes early, late, twice or never."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from interlock.errors import LeaseHeld, NothingNew, TrainingFailed
from interlock.events import TrainingRequested
from interlock.keys import job_name
from interlock.records import (
    Candidate,
    EndedJob,
    Lease,
    LiveRelease,
    ObjectRef,
    OpenToken,
    PendingTraining,
    TrainingManifest,
)
from tests.unit.train.world import DEPLOYMENT, NOW, RUN, World, model, parquet, people
from train.acquire import LEASE, PENDING, acquire
from train.conclude import conclude
from train.reconcile import request_waiting, settle_all
from train.request import training_request
from train.settlement import TOKENS, settle

ADMITTED = {"dataset": "d1", "claim": "c", "rows": 3}
REQUESTED = {"reason": "somebody asked", "requested_by": "me"}
JOB = job_name("dev", "people", RUN)


def ask(world: World, event: str, detail: dict[str, Any], execution: str = "e1", on: str = "first_dataset") -> Any:
    deployed = model(training={"on": on})
    now = datetime.now(UTC)
    return acquire(world.state, world.registry, deployed, event, detail, execution, now, now)


def launched(world: World, token: str = "token-1") -> str:
    deployed = model()
    world.admit(deployed, people(count=60), 1)
    return world.launch(deployed, world.freeze(deployed), token)


def test_the_first_dataset_trains_and_later_ones_wait_for_a_reason() -> None:
    world = World()
    assert ask(world, "DatasetAdmitted", ADMITTED, on="request").go is False
    first = ask(world, "DatasetAdmitted", ADMITTED)
    assert first.go
    assert re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{6}", first.run)
    world.state.delete("model#people", LEASE)
    world.registry.create("people", "r", "", "s3://x", {})
    later = ask(world, "DatasetAdmitted", ADMITTED)
    assert not later.go
    assert "there is a version already" in later.reason
    assert world.state.get(Lease, "model#people", LEASE) is None
    assert ask(world, "DatasetAdmitted", ADMITTED, on="every_dataset").go
    assert ask(world, "RetrainRequested", REQUESTED | {"window": "w"}).go


def test_one_training_a_model_and_the_next_request_waits_for_its_end() -> None:
    world = World()
    assert ask(world, "TrainingRequested", REQUESTED).go
    # The same execution again: the first answer got lost on its way.
    assert ask(world, "TrainingRequested", REQUESTED).go
    # A file for a model whose training is running.
    with pytest.raises(LeaseHeld, match="waits for its end"):
        ask(world, "DatasetAdmitted", ADMITTED, "e2", on="every_dataset")
    note = world.state.get(PendingTraining, "model#people", PENDING)
    assert note is not None
    assert "d1 was admitted" in note.reason
    event = {"model": "people", "run": RUN, "execution": "e1", "outcome": "registered"}
    assert conclude(world.state, world.ledger, world.bus, world.alerts, event, "me")
    assert world.bus.published == [
        TrainingRequested(model="people", reason=note.reason, requested_by="DatasetAdmitted")
    ]
    assert not world.alerts.sent
    assert ask(world, "TrainingRequested", {"reason": note.reason, "requested_by": "x"}, "e3").go
    assert world.state.get(PendingTraining, "model#people", PENDING) is None


@pytest.mark.parametrize(
    ("event", "detail", "other"),
    [
        ("DatasetAdmitted", ADMITTED, ADMITTED | {"dataset": "d2"}),
        ("RetrainRequested", {"reason": "drift", "window": "w1"}, {"reason": "drift", "window": "w2"}),
    ],
)
def test_an_event_that_comes_twice_trains_once(event: str, detail: dict[str, Any], other: dict[str, Any]) -> None:
    world = World()
    first = ask(world, event, detail)
    again = ask(world, event, detail, "e2")
    assert (again.go, again.reason) == (False, f"{first.reason}; run {first.run} is at it")
    assert world.state.get(PendingTraining, "model#people", PENDING) is None
    with pytest.raises(LeaseHeld, match="waits for its end"):
        ask(world, event, other, "e3")


def test_a_lease_whose_owner_died_ends_by_itself() -> None:
    world = World()
    assert ask(world, "TrainingRequested", REQUESTED).go
    with pytest.raises(LeaseHeld):
        ask(world, "TrainingRequested", REQUESTED, "e2")
    assert request_waiting(world.state, world.bus, ["people"], datetime.now(UTC)) == 0
    later = datetime.now(UTC) + timedelta(hours=4)
    world.state.clock = later.timestamp
    assert request_waiting(world.state, world.bus, ["people", "nobody"], later) == 1
    assert ask(world, "TrainingRequested", REQUESTED, "e3").go


def test_a_lease_that_somebody_else_took_over_is_not_given_back() -> None:
    world = World()
    ask(world, "TrainingRequested", REQUESTED, "e1")
    event = {"model": "people", "run": RUN, "execution": "e0", "outcome": "failed", "error": "States.Timeout"}
    conclude(world.state, world.ledger, world.bus, world.alerts, event, "me")
    held = world.state.get(Lease, "model#people", LEASE)
    assert held is not None
    assert held.execution == "e1"


@pytest.mark.parametrize(
    ("outcome", "error", "told"),
    [
        ("failed", "TrainingTimedOut", "Raise training.max_minutes"),
        ("failed", "Lambda.Unknown", "interlock logs"),
        ("nothing_new", "NothingNew", "Upload newer labelled data"),
    ],
)
def test_what_went_wrong_is_told_with_its_remedy(outcome: str, error: str, told: str) -> None:
    world = World()
    cause = '{"errorMessage": "the cause itself", "errorType": "X"}'
    event = {"model": "people", "run": RUN, "execution": "e", "outcome": outcome, "error": error, "cause": cause}
    for _ in range(2):
        conclude(world.state, world.ledger, world.bus, world.alerts, event, "me")
    assert len(world.ledger.actions("people")) == 1
    subject, text = world.alerts.sent[0]
    assert subject.startswith("people: ")
    assert "the cause itself" in text
    assert told in text


def test_the_request_is_one_that_sagemaker_takes() -> None:
    world = World()
    deployed = model(training={"script": "train.py", "max_minutes": 7, "seed": 5})
    world.admit(deployed, people(count=60), 1)
    manifest = TrainingManifest.from_json(world.data.get(world.freeze(deployed, script="def pipeline(s): ...")))
    world.launch(deployed, world.freeze(deployed, script="x = 1"))
    request = world.jobs.jobs[JOB]
    request = {name: value for name, value in request.items() if name != "TrainingJobStatus"}
    assert request == training_request(
        DEPLOYMENT,
        deployed,
        manifest,
        JOB,
        f"s3://data/training/people/{RUN}/channels/",
        "s3://artefacts/jobs/people/",
    ) | {"HyperParameters": request["HyperParameters"]}
    shape = (
        botocore.session.get_session().get_service_model("sagemaker").operation_model("CreateTrainingJob").input_shape
    )
    report = ParamValidator().validate(request, shape)
    assert not report.has_errors(), report.generate_report()
    assert not list(violations(request, shape))
    # The matcher itself can fail.
    assert list(violations(request | {"TrainingJobName": "under_score"}, shape))
    assert request["EnableNetworkIsolation"]
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 420}
    assert all(isinstance(value, str) for value in request["HyperParameters"].values())
    prefixes = {c["ChannelName"]: c["DataSource"]["S3DataSource"]["S3Uri"] for c in request["InputDataConfig"]}
    assert prefixes["train"] == f"s3://data/training/people/{RUN}/channels/train/"
    assert list(world.data.keys(f"training/people/{RUN}/channels/settings/")) == [
        f"training/people/{RUN}/channels/settings/{name}" for name in ("job.json", "train.py")
    ]


def violations(value: Any, shape: Any, path: str = "") -> Any:
    """Lengths and patterns of botocore's model, which its own validator does not look at."""
    if shape.type_name == "structure":
        for name, item in value.items():
            yield from violations(item, shape.members[name], f"{path}.{name}")
    elif shape.type_name == "list":
        for item in value:
            yield from violations(item, shape.member, f"{path}[]")
    elif shape.type_name == "map":
        for name, item in value.items():
            yield from violations(name, shape.key, f"{path} key")
            yield from violations(item, shape.value, f"{path}.{name}")
    elif shape.type_name == "string":
        pattern = shape.metadata.get("pattern", ".*").replace(r"\p{L}", "a-zA-Z").replace(r"\p{Z}", " ")
        pattern = pattern.replace(r"\p{N}", "0-9").replace(r"\p{Alnum}", "a-zA-Z0-9")
        if not re.fullmatch(pattern, value) or len(value) > shape.metadata.get("max", 10**6):
            yield path
        if shape.enum and value not in shape.enum:
            yield path


def test_a_completed_job_wakes_the_workflow_once() -> None:
    world = World()
    name = launched(world)
    assert not settle(world.state, world.tokens, world.jobs.jobs[name])
    ended = world.jobs.end(name, "Completed")
    # The event comes twice, and the reconciler looks too.
    assert settle(world.state, world.tokens, ended)
    assert settle(world.state, world.tokens, ended)
    assert settle_all(world.state, world.jobs, world.tokens, NOW) == 0
    kind, answer = world.tokens.answers["token-1"]
    assert kind == "success"
    assert answer["output"] == f"s3://artefacts/jobs/people/{name}/output/output.tar.gz"
    assert world.tokens.late == 0
    (cost,) = world.state.query(EndedJob, "model#people", "job#202603")
    assert (cost.billable_seconds, cost.status) == (34, "Completed")


def test_an_event_before_the_launch_returns() -> None:
    world = World()
    deployed = model()
    world.admit(deployed, people(count=60), 1)
    create = world.jobs.create

    def ends_at_once(request: dict[str, Any]) -> bool:
        create(request)
        # The token must be there already.
        return settle(world.state, world.tokens, world.jobs.end(request["TrainingJobName"], "Completed"))

    world.jobs.create = ends_at_once
    world.launch(deployed, world.freeze(deployed))
    assert world.tokens.answers["token-1"][0] == "success"
    assert not list(world.state.query(OpenToken, TOKENS))


def test_a_launch_that_is_tried_again_waits_for_the_same_job() -> None:
    world = World()
    name = launched(world, "token-1")
    deployed = model()
    manifest = world.freeze(deployed)
    world.launch(deployed, manifest, "token-2")
    settle(world.state, world.tokens, world.jobs.end(name, "Completed"))
    assert set(world.tokens.answers) == {"token-2"}
    # Tried again when the job is over: told at once.
    world.launch(deployed, manifest, "token-3")
    assert world.tokens.answers["token-3"][0] == "success"
    assert len(world.jobs.jobs) == 1


@pytest.mark.parametrize(
    ("status", "secondary", "error", "told"),
    [
        ("Failed", "Failed", "TrainingFailed", "AlgorithmError: people: train.py (line 2) raised"),
        ("Stopped", "MaxRuntimeExceeded", "TrainingTimedOut", "after 1800 seconds"),
        ("Stopped", "Stopped", "TrainingStopped", "stopped by somebody"),
    ],
)
def test_a_job_without_a_model_fails_with_its_own_reason(status: str, secondary: str, error: str, told: str) -> None:
    world = World()
    name = launched(world)
    reason = {"FailureReason": "AlgorithmError: people: train.py (line 2) raised"} if status == "Failed" else {}
    settle(world.state, world.tokens, world.jobs.end(name, status, secondary, **reason))
    found, cause = world.tokens.answers["token-1"]
    assert found == error
    assert told in cause


def test_a_lost_event_is_found_by_the_clock() -> None:
    world = World()
    name = launched(world)
    assert settle_all(world.state, world.jobs, world.tokens, NOW) == 0
    world.jobs.end(name, "Failed", FailureReason="x")
    assert settle_all(world.state, world.jobs, world.tokens, NOW) == 1
    assert world.tokens.answers["token-1"] == ("TrainingFailed", "x")


def test_a_crash_between_token_and_job_is_found_by_the_clock() -> None:
    world = World()
    name = launched(world)
    del world.jobs.jobs[name]
    assert settle_all(world.state, world.jobs, world.tokens, NOW + timedelta(minutes=9)) == 0
    assert settle_all(world.state, world.jobs, world.tokens, NOW + timedelta(minutes=11)) == 1
    assert "never launched" in world.tokens.answers["token-1"][1]


def test_a_refused_job_leaves_no_token() -> None:
    world = World()
    world.jobs.refuses = "no quota"
    with pytest.raises(TrainingFailed, match="no quota"):
        launched(world)
    assert not list(world.state.query(OpenToken, TOKENS))


def test_a_workflow_that_waits_no_longer_is_no_error() -> None:
    world = World()
    name = launched(world)
    world.tokens.answers["token-1"] = ("success", {})
    assert settle(world.state, world.tokens, world.jobs.end(name, "Completed"))
    assert world.tokens.late == 1
    assert not list(world.state.query(OpenToken, TOKENS))


def frozen(world: World, ref: ObjectRef, name: str) -> list[tuple[Any, ...]]:
    import tempfile

    import duckdb

    manifest = TrainingManifest.from_json(world.data.get(ref))
    with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
        file.write(world.data.get(getattr(manifest, name)))
        file.flush()
        return duckdb.execute(f"FROM read_parquet('{file.name}')").fetchall()


def test_the_newest_row_of_a_key_counts_and_the_holdout_stays() -> None:
    world = World()
    deployed = model()
    world.admit(deployed, [(number, 20, 1.0, True, "old", "no") for number in range(200)], 1)
    first = world.freeze(deployed)
    held = {row[0] for row in frozen(world, first, "holdout")}
    assert 30 < len(held) < 90
    world.admit(deployed, [(number, 30, 2.0, None, "new", "yes") for number in range(100)], 2)
    second = world.freeze(deployed)
    rows = {row[0]: row for row in frozen(world, second, "holdout")}
    assert set(rows) == held
    assert all(row[4] == ("new" if number < 100 else "old") for number, row in rows.items())
    train = frozen(world, second, "train")
    assert len(train) + len(rows) == 200
    # Only features and the target; the holdout's features come without it.
    assert len(train[0]) == 5
    assert len(frozen(world, second, "holdout_features")[0]) == 4
    assert sum(row[3] == "new" for row in train) == 100 - sum(number < 100 for number in held)
    again = TrainingManifest.from_json(world.data.get(world.freeze(deployed)))
    read = TrainingManifest.from_json(world.data.get(second))
    assert (again.id, again.train.sha256, again.holdout.sha256) == (read.id, read.train.sha256, read.holdout.sha256)
    assert read.datasets[0] != read.datasets[1]


def test_rows_without_a_target_are_left_out_and_a_doubled_upload_counts_once() -> None:
    world = World()
    deployed = model()
    values = [(number, 20, 1.0, True, "a", None if number % 2 else "no") for number in range(100)]
    world.admit(deployed, values, 1)
    world.admit(deployed, values, 2)
    manifest = TrainingManifest.from_json(world.data.get(world.freeze(deployed)))
    assert len(manifest.datasets) == 1
    assert manifest.train_rows + manifest.holdout_rows == 50


@pytest.mark.parametrize("place", ["champion", "challenger"])
def test_nothing_new_is_recognised_and_other_settings_are_new(place: str) -> None:
    world = World()
    deployed = model()
    world.admit(deployed, people(count=60), 1)
    manifest = TrainingManifest.from_json(world.data.get(world.freeze(deployed)))
    ref = manifest.train
    older = Candidate(version=3, run="q", served=ref, package_arn="a", reference=ref, manifest_id="another")
    newer = Candidate(version=4, run="r", served=ref, package_arn="a", reference=ref, manifest_id=manifest.id)
    live = LiveRelease(
        model="people", revision=1, champion=older, state="live", changed_at=NOW, changed_by="x", reason="y"
    )
    world.state.put("model#people", "live", live.model_copy(update={place: newer}))
    with pytest.raises(NothingNew, match="version 4 was trained on exactly these 1 datasets"):
        world.freeze(deployed)
    world.freeze(deployed, script="changed = True")
    world.freeze(model(training={"seed": 2}))


def test_datasets_of_another_contract_are_skipped_or_refused() -> None:
    world = World()
    deployed = model()
    narrow = deployed.model_copy(
        update={"contract": deployed.contract.model_copy(update={"columns": deployed.contract.columns[1:]})}
    )
    old = world.data.put("old.parquet", parquet(narrow, [(20, 1.0, True, "a", "no")]))
    other = {"train": old, "holdout": old, "contract_sha256": "0" * 64, "id": "old"}
    world.admit(deployed, people(count=2), 1, **other)
    with pytest.raises(TrainingFailed, match="none of the 1 admitted datasets"):
        world.freeze(deployed)
    world.admit(deployed, people(count=60), 2, contract_sha256="1" * 64)
    manifest = TrainingManifest.from_json(world.data.get(world.freeze(deployed)))
    assert manifest.skipped == ("old",)
    assert len(manifest.datasets) == 1

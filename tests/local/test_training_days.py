"""Trainings on bad days: scripts that fail or never end, lost and doubled events, data that arrives meanwhile."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from cli import evidence, executions, uploads
from cli.executions import Run
from cli.target import Target

from .conftest import ENDLESS, FAILING, HOME, REFUSED, RENT, denied, ended, of, rent_rows, started, train, upload

SEEDS = iter(range(1000, 2000))


def newer(target: Target, model: str = RENT) -> None:
    """Data that has not been trained on, or the training would be recognised as pointless."""
    seed = next(SEEDS)
    assert upload(target, model, rent_rows(400, seed).encode(), f"{seed}.csv")[1].last == "Admitted"


def events(target: Target, how: str) -> None:
    """Have the next final event of the rents' jobs go wrong; other models' jobs may end at any time."""
    assert target.local is not None
    body = json.dumps({"events": how, "jobs": RENT}).encode()
    urllib.request.urlopen(f"{target.local.sagemaker}/_interlock/faults", data=body).close()


@contextmanager
def clock_stopped(target: Target) -> Iterator[None]:
    """No reconciler comes by itself."""
    scheduler = target.client("scheduler")
    (found,) = [item for item in scheduler.list_schedules()["Schedules"] if "train-reconcile" in item["Target"]["Arn"]]
    schedule = scheduler.get_schedule(Name=found["Name"], GroupName=found["GroupName"])
    wanted = ("Name", "GroupName", "ScheduleExpression", "FlexibleTimeWindow", "Target")
    kept = {name: schedule[name] for name in wanted}
    scheduler.update_schedule(**kept, State="DISABLED")
    try:
        yield
    finally:
        scheduler.update_schedule(**kept, State="ENABLED")


def reconcile(target: Target) -> None:
    answer = target.client("lambda").invoke(FunctionName="interlock-test-train-reconcile", Payload=b"{}")
    assert "FunctionError" not in answer


def wait_for_job(target: Target, run: Run) -> None:
    """The run's training job is over, whoever knows it."""
    sagemaker, deadline = target.client("sagemaker"), time.monotonic() + 180
    while time.monotonic() < deadline:
        jobs = sagemaker.list_training_jobs(
            NameContains=f"test-{RENT}", SortBy="CreationTime", SortOrder="Descending", MaxResults=1
        )["TrainingJobSummaries"]
        if jobs and jobs[0]["CreationTime"] > run.started and jobs[0]["TrainingJobStatus"] == "Completed":
            return
        time.sleep(0.5)
    pytest.fail("the job has not ended")


@pytest.fixture(scope="module")
def failures(target: Target) -> dict[str, Run]:
    """The first uploads of three models that cannot be trained, all at once; the endless one takes a minute."""
    before = datetime.now(UTC)
    path = HOME / "rents-for-all.csv"
    path.write_text(rent_rows(400, seed=3))
    runs = {}
    for model in (ENDLESS, FAILING, REFUSED):
        ended(target, uploads.run_of(target, uploads.send(target, model, path)), "Admitted")
    for model in (ENDLESS, FAILING, REFUSED):
        runs[model] = executions.wait_for(
            target, "train", before, lambda run, model=model: of(run, model) and started(run)
        )
    return runs


def test_a_script_that_fails_is_told_with_its_own_words(target: Target, failures: dict[str, Run]) -> None:
    run = ended(target, failures[FAILING], "Failed")
    assert run.error == "TrainingFailed"
    assert "the oven is cold" in (run.message or "")
    decisions = [entry.decision for entry in evidence.ledger(target, FAILING)]
    assert any("the oven is cold" in json.dumps(decision.evidence) for decision in decisions)
    assert evidence.live(target, FAILING) is None
    # The lease came back: the next try is not turned away.
    wait_until_idle(target, FAILING)
    again = ended(target, train(target, FAILING), "Failed")
    assert again.error == "TrainingFailed", again.message


def test_a_gate_that_says_no_keeps_the_model_out(target: Target, failures: dict[str, Run]) -> None:
    run = ended(target, failures[REFUSED], "Done")
    assert any(step.name == "Reject" for step in run.steps)
    verdict = evidence.document(target, evidence.newest(target, REFUSED, "train"))
    failed = [check["id"] for check in verdict["checks"] if check["status"] == "fail"]
    assert failed == ["metric:rmse"]
    assert evidence.live(target, REFUSED) is None
    assert any(entry.decision.action == "model rejected" for entry in evidence.ledger(target, REFUSED))


def test_the_same_data_is_not_trained_on_twice(target: Target, champions: dict[str, Run]) -> None:
    newer(target)
    ended(target, train(target, RENT), "Done")
    wait_until_quiet(target)
    again = ended(target, train(target, RENT), "Done")
    assert any(step.error == "NothingNew" for step in again.steps)


def test_a_lost_event_is_found_by_the_reconciler(target: Target, champions: dict[str, Run]) -> None:
    newer(target)
    with clock_stopped(target):
        events(target, "none")
        run = train(target, RENT)
        wait_for_job(target, run)
        time.sleep(1)
        assert executions.read(target, run).last == "Launch"
        reconcile(target)
        ended(target, run, "Done")


@pytest.mark.parametrize("how", ["twice", "before_answer"])
def test_an_event_that_comes_twice_or_early_registers_once(target: Target, champions: dict[str, Run], how: str) -> None:
    newer(target)
    before = len(versions(target))
    events(target, how)
    ended(target, train(target, RENT), "Done")
    assert len(versions(target)) == before + 1


def test_what_arrives_during_a_training_is_taken_by_the_next(target: Target, champions: dict[str, Run]) -> None:
    newer(target)
    with clock_stopped(target):
        # Nobody tells of the job's end, so the training lasts until the test has seen what it wants to see.
        events(target, "none")
        first = train(target, RENT)
        wait_for_job(target, first)
        newer(target)
        second = ended(target, train(target, RENT), "Waiting")
        assert any(step.error == "LeaseHeld" for step in second.steps)
        reconcile(target)
        ended(target, first, "Done")
    third = executions.wait_for(
        target, "train", second.started, lambda run: run.name != second.name and of(run, RENT) and started(run)
    )
    ended(target, third, "Done")


def test_an_endless_script_is_stopped(target: Target, failures: dict[str, Run]) -> None:
    run = ended(target, failures[ENDLESS], "Failed")
    assert run.error == "TrainingTimedOut"


def test_a_release_that_cannot_be_probed_is_put_back(target: Target, champions: dict[str, Run]) -> None:
    wait_until_quiet(target)
    before = evidence.live(target, RENT)
    assert before is not None
    assert before.champion is not None
    newer(target)
    with denied(target, "release-probe"):
        run = train(target, RENT)
        ended(target, run, "Done")
        release = executions.wait_for(
            target, "release", run.started, lambda found: any(step.name == "Restore" for step in found.steps)
        )
        ended(target, release, "Failed")
    after = evidence.live(target, RENT)
    assert after is not None
    assert after.champion == before.champion
    assert after.revision > before.revision
    assert any(entry.decision.action == "model rolled back" for entry in evidence.ledger(target, RENT))


def test_a_check_before_the_first_release_is_no_failure(target: Target, failures: dict[str, Run]) -> None:
    run = ended(target, executions.start(target, "monitor", {"model": REFUSED}), "NothingServes")
    assert any(step.error == "NotServing" for step in run.steps)


def test_a_run_that_cannot_be_concluded_fails_and_keeps_its_lease(target: Target, failures: dict[str, Run]) -> None:
    """Last of its model: the lease ends by itself only after the longest training that model.yaml allows."""
    with denied(target, "train-conclude"):
        run = ended(target, train(target, FAILING))
    assert run.status == "FAILED"
    assert run.steps[-1].name == "Conclude"
    assert ended(target, train(target, FAILING)).last == "Waiting"


def versions(target: Target) -> list[object]:
    found: list[object] = target.client("sagemaker").list_model_packages(
        ModelPackageGroupName=f"interlock-test-{RENT}", MaxResults=100
    )["ModelPackageSummaryList"]
    return found


def wait_until_quiet(target: Target) -> None:
    """No workflow is under way any more; a canary may still bake, for want of callers."""
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        wait_until_idle(target, RENT)
        live = evidence.live(target, RENT)
        if live is not None and live.state != "probing":
            return
        time.sleep(0.5)
    pytest.fail("a release still goes on")


def wait_until_idle(target: Target, model: str) -> None:
    """No training or release of the model is under way any more, nor one that a doubled event began."""
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        if not [
            run
            for flow in ("train", "release")
            for run in executions.recent(target, flow)
            if run.status == "RUNNING" and model in json.dumps(executions.read(target, run).input)
        ]:
            return
        time.sleep(0.5)
    pytest.fail(f"trainings or releases of {model} still go on")

"""Each function's permissions taken away in turn: its own stage fails, clearly, and nothing else does."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest

from cli import executions, inference, releases
from cli.executions import Run
from cli.target import Target
from tests.cloudformation import Waiting

from .conftest import CENSUS, REFUSED, RENT, denied, ended, of, rent_rows, started, train, upload
from .test_bad_requests import ROW
from .test_training_days import newer, wait_until_quiet


def denied_step(run: Run, step: str) -> None:
    """The run stopped at that step, with AWS's own word for it."""
    failed = [item for item in run.steps if item.error]
    assert [item.name for item in failed][:1] == [step], [(item.name, item.error) for item in run.steps]
    assert failed[0].error in {"ClientError", "AccessDenied", "AccessDeniedException"}, failed[0].error


@pytest.mark.parametrize(("function", "step"), [("claim", "Claim"), ("validate", "Validate"), ("admit", "Admit")])
def test_ingest_without_permissions(target: Target, function: str, step: str) -> None:
    with denied(target, f"ingest-{function}"):
        _, run = upload(target, RENT, rent_rows(30, seed=50).encode(), f"denied-{function}.csv")
    assert run.status == "FAILED"
    denied_step(run, step)


def test_ingest_reject_without_permissions(target: Target) -> None:
    with denied(target, "ingest-reject"):
        _, run = upload(target, RENT, b"", "denied-reject.csv")
    denied_step(run, "Reject")


def test_ingest_fail_without_permissions(target: Target) -> None:
    with denied(target, "ingest-fail"), denied(target, "ingest-validate"):
        _, run = upload(target, RENT, rent_rows(30, seed=51).encode(), "denied-fail.csv")
    assert run.status == "FAILED"
    assert run.steps[-1].name == "GiveBack"


@pytest.mark.parametrize(
    ("function", "step"),
    [
        ("acquire", "Acquire"),
        ("freeze", "Freeze"),
        ("launch", "Launch"),
        ("evaluate", "Evaluate"),
        ("gate", "Gate"),
        ("register", "Register"),
    ],
)
def test_train_without_permissions(target: Target, champions: dict[str, Run], function: str, step: str) -> None:
    wait_until_quiet(target)
    newer(target)
    with denied(target, f"train-{function}"):
        run = ended(target, train(target, RENT))
    assert run.status == "FAILED"
    denied_step(run, step)


def test_train_reject_without_permissions(target: Target) -> None:
    before = datetime.now(UTC)
    with denied(target, "train-reject"):
        # Nothing of this model serves, so its data trains by itself.
        newer(target, REFUSED)
        run = executions.wait_for(target, "train", before, lambda found: of(found, REFUSED) and started(found))
        ended(target, run)
    denied_step(run, "Reject")


@pytest.mark.parametrize("function", ["resume", "reconcile"])
def test_the_wakers_without_permissions(target: Target, function: str) -> None:
    event = {"detail": {"TrainingJobName": "test-nothing", "TrainingJobStatus": "Completed"}}
    with denied(target, f"train-{function}"):
        answer = target.client("lambda").invoke(
            FunctionName=f"interlock-test-train-{function}", Payload=json.dumps(event).encode()
        )
        assert answer["FunctionError"]
        assert "not authorized" in json.loads(answer["Payload"].read())["errorMessage"]


@pytest.mark.parametrize(("function", "step"), [("propose", "Propose"), ("confirm", "Confirm")])
def test_release_without_permissions(target: Target, champions: dict[str, Run], function: str, step: str) -> None:
    wait_until_quiet(target)
    newer(target)
    with denied(target, f"release-{function}"):
        run = ended(target, train(target, RENT), "Done")
        release = executions.wait_for(
            target, "release", run.started, lambda found: any(item.name == step for item in found.steps)
        )
        ended(target, release, "Failed")
    denied_step(release, step)


def test_rollback_without_permissions(target: Target, champions: dict[str, Run]) -> None:
    with denied(target, "release-rollback"):
        answer = target.client("lambda").invoke(
            FunctionName=target.outputs["RollbackFunction"],
            Payload=json.dumps({"model": RENT, "actor": "a test", "reason": "denied"}).encode(),
        )
    assert "not authorized" in json.loads(answer["Payload"].read())["errorMessage"]


def test_release_restore_without_permissions(target: Target, champions: dict[str, Run]) -> None:
    """The worst case: an unprobed challenger that nobody put back. It answers nobody, and a person can roll back."""
    wait_until_quiet(target)
    newer(target)
    with denied(target, "release-probe"), denied(target, "release-restore"):
        run = ended(target, train(target, RENT), "Done")
        release = executions.wait_for(
            target, "release", run.started, lambda found: any(item.name == "Restore" for item in found.steps)
        )
        ended(target, release)
    assert release.status == "FAILED"
    assert [item.name for item in release.steps if item.error] == ["Probe", "Restore"]
    assert releases.rollback(target, RENT, "the release was not put back")["version"] >= 1


def test_inference_without_permissions_serves_the_last_release_and_counts_it(
    target: Target, champions: dict[str, Run]
) -> None:
    before = inference.predict(target, CENSUS, [ROW])[0]
    since = int(time.time() * 1000)
    with denied(target, "serve-infer"):
        time.sleep(5.5)
        assert inference.predict(target, CENSUS, [ROW])[0].revision == before.revision
    wait_for_line(target, "serve-infer", "LiveReleaseUnreadable", since)


def test_labels_without_permissions(target: Target, champions: dict[str, Run]) -> None:
    body = json.dumps({"labels": [{"request_id": "denied", "label": "<=50K"}]}).encode()
    with denied(target, "serve-labels"):
        assert target.call("POST", f"/models/{CENSUS}/labels", body)[0] >= 500
    assert target.call("POST", f"/models/{CENSUS}/labels", body)[0] == 202


def test_capture_without_permissions(target: Target, champions: dict[str, Run]) -> None:
    since = int(time.time() * 1000)
    with denied(target, "serve-capture"):
        inference.predict(target, CENSUS, [ROW])
        wait_for_line(target, "serve-capture", "AccessDenied", since)


@pytest.mark.parametrize(("function", "step"), [("drift", "Drift"), ("decide", "Decide")])
def test_monitor_without_permissions(target: Target, champions: dict[str, Run], function: str, step: str) -> None:
    with denied(target, f"monitor-{function}"):
        run = ended(target, executions.start(target, "monitor", {"model": CENSUS}))
    assert run.status == "FAILED"
    denied_step(run, step)


def wait_for_line(target: Target, function: str, word: str, since: int) -> None:
    """Until a function has logged it."""
    logs, deadline = target.client("logs"), time.monotonic() + 60
    while time.monotonic() < deadline:
        said = logs.get_paginator("filter_log_events").paginate(
            logGroupName=f"/aws/lambda/interlock-test-{function}", startTime=since
        )
        if any(word in event["message"] for page in said for event in page["events"]):
            return
        time.sleep(0.25)
    pytest.fail(f"{function} did not say {word}")


def test_the_guard_of_a_deployment_with_and_without_permissions(target: Target, champions: dict[str, Run]) -> None:
    """Asked as CloudFormation asks; the models are the champions' own, so that only a missing permission refuses."""
    cloudformation = Waiting()

    def ask() -> None:
        (stack,) = target.client("cloudformation").describe_stacks(StackName=target.stack)["Stacks"]
        event = {
            "RequestType": "Update", "ResponseURL": cloudformation.url, "RequestId": "1",
            "StackId": stack["StackId"], "LogicalResourceId": "Question",
            "ResourceProperties": {"Models": sorted(champions), "Digest": "new", "BreakChampion": "false"},
            "OldResourceProperties": {"Models": sorted(champions), "Digest": "old"},
        }  # fmt: skip
        target.client("lambda").invoke(FunctionName=f"{target.stack}-release-guard", Payload=json.dumps(event).encode())

    ask()
    with denied(target, "release-guard"):
        ask()
    cloudformation.stop()
    assert [item["Status"] for item in cloudformation.answers] == ["SUCCESS", "FAILED"], cloudformation.answers
    assert "AccessDenied" in cloudformation.answers[1]["Reason"]

"""The guard as CloudFormation asks it: over HTTP it gets one answer, whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import release.guard
from interlock import keys
from interlock.errors import DependencyUnavailable
from interlock.models import DeployedModel
from tests.cloudformation import Waiting
from tests.unit.context import Context
from tests.unit.release.world import World, make

STACK = "arn:aws:cloudformation:us-east-1:000000000000:stack/interlock-test/1"


CONTEXT = Context("release-guard")


@pytest.fixture
def cloudformation() -> Iterator[Waiting]:
    waiting = Waiting()
    yield waiting
    waiting.stop()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> World:
    """Version 1 serves, trained by the model as it is deployed now."""
    found = make(monkeypatch, capsys)
    found.data.put(keys.training("flats", "r1", "model.json"), found.model.to_json().encode())
    for name in ("STATE_TABLE", "DATA_BUCKET", "ENVIRONMENT"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("ARTEFACTS_BUCKET", "artefacts")
    buckets = {"test": found.data, "artefacts": found.artefacts}
    monkeypatch.setattr(release.guard, "Objects", buckets.__getitem__)
    monkeypatch.setattr(release.guard, "State", lambda _: found.state)
    monkeypatch.setattr(release.guard, "rolls_back", lambda _: False)
    deploy(monkeypatch, found.model)
    return found


def deploy(monkeypatch: pytest.MonkeyPatch, *models: DeployedModel) -> None:
    by_id = {model.id: model for model in models}
    monkeypatch.setattr(release.guard, "deployed_ids", lambda: tuple(by_id))
    monkeypatch.setattr(release.guard, "deployed", by_id.__getitem__)


def narrower(model: DeployedModel) -> DeployedModel:
    """The model without a column that version 1 asks its callers for."""
    columns = tuple(column for column in model.contract.columns if column.name != "size")
    return model.model_copy(
        update={
            "contract": model.contract.model_copy(update={"columns": columns}),
            "spec": model.spec.model_copy(update={"features": ("place",)}),
        }
    )


def ask(cloudformation: Waiting, kind: str = "Update", *, digest: str = "new", **properties: Any) -> dict[str, Any]:
    before = {} if kind == "Create" else {"OldResourceProperties": {"Models": ["flats"], "Digest": "old"}}
    event = {
        "RequestType": kind,
        "ResponseURL": cloudformation.url,
        "StackId": STACK,
        "RequestId": "request",
        "LogicalResourceId": "Question",
        "ResourceProperties": {"Models": ["flats"], "Digest": digest, "BreakChampion": "false", **properties},
        **before,
    }
    release.guard.handler(event, CONTEXT)
    assert len(cloudformation.answers) == 1
    answer = cloudformation.answers.pop()
    assert (answer["StackId"], answer["RequestId"], answer["LogicalResourceId"]) == (STACK, "request", "Question")
    # The same for every request: another one would have CloudFormation delete the "old" resource.
    assert answer["PhysicalResourceId"] == CONTEXT.function_name
    # The address was signed without one.
    assert not cloudformation.types.pop()
    return dict(answer)


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_what_breaks_the_serving_version_fails_the_deployment(
    kind: str, world: World, cloudformation: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(cloudformation, kind)["Status"] == "SUCCESS"
    deploy(monkeypatch, narrower(world.model))
    answer = ask(cloudformation, kind)
    assert answer["Status"] == "FAILED"
    assert "Refused: the deployment would break what serves" in answer["Reason"]
    assert "'size' is not in the contract any more: version 1 still asks its callers for it" in answer["Reason"]
    assert "-c break_champion=true" in answer["Reason"]


def test_a_model_that_serves_does_not_go_unnoticed(
    world: World, cloudformation: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(monkeypatch)
    answer = ask(cloudformation, Models=[])
    assert (answer["Status"], "version 1 is taken away" in answer["Reason"]) == ("FAILED", True)


def test_a_model_of_which_nothing_serves_is_free(
    world: World, cloudformation: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = world.model.model_copy(update={"spec": world.model.spec.model_copy(update={"id": "rents"})})
    deploy(monkeypatch, world.model, other)
    assert ask(cloudformation, Models=["flats", "rents"])["Status"] == "SUCCESS"


@pytest.mark.parametrize(
    ("kind", "given", "back"),
    [
        ("Update", {"BreakChampion": "true"}, False),
        ("Update", {"digest": "old"}, False),
        ("Update", {}, True),
        ("Delete", {}, False),
    ],
    ids=["a person said so", "the models are as they were", "the stack goes back", "the stack goes"],
)
def test_what_is_not_judged(
    kind: str,
    given: dict[str, str],
    back: bool,
    world: World,
    cloudformation: Waiting,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deploy(monkeypatch, narrower(world.model))
    monkeypatch.setattr(release.guard, "rolls_back", lambda stack: back and stack == STACK)
    assert ask(cloudformation, kind, **given)["Status"] == "SUCCESS"


def test_a_service_that_does_not_answer_fails_the_deployment_at_once(
    world: World, cloudformation: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: str) -> bool:
        raise DependencyUnavailable("looking at the stack: no answer")

    monkeypatch.setattr(release.guard, "rolls_back", away)
    answer = ask(cloudformation)
    assert (answer["Status"], answer["Reason"][:21]) == ("FAILED", "DependencyUnavailable")


def test_an_answer_that_cannot_be_given_is_an_error_of_the_function(world: World) -> None:
    gone = Waiting()
    gone.stop()
    with pytest.raises(DependencyUnavailable, match="answering CloudFormation"):
        ask(gone)

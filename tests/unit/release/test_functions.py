"""The stage's functions as Lambda calls them, and what model.yaml may say about releases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

import release.alarm
import release.probe
import release.propose
import release.rollback
import release.steer
import release.tend
from interlock.aws.registry import Package, Registry
from interlock.contract import Column, ColumnType
from interlock.errors import Conflict, InvalidRequest, ProbeFailed, Refused
from interlock.models import DeployedModel
from tests.unit.context import Context
from tests.unit.release.world import CONTRACT, World, make, model, sigmoid


class FakeRegistry(Registry):
    """One pending package, approved when somebody says so."""

    def __init__(self, package: Package) -> None:
        self.package = package
        self.comments: list[str] = []
        self.told: Callable[[], None] = lambda: None

    def describe(self, arn: str) -> Package:
        assert arn == self.package.arn
        return self.package

    def approve(self, package: Package, comment: str) -> None:
        self.comments.append(comment)
        self.package = Package(package.arn, package.version, "Approved", package.metadata)
        self.told()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> World:
    found = make(monkeypatch, capsys, mode="canary", steps=[0.5], min_calls=20)
    for name in (
        "STATE_TABLE",
        "LEDGER_TABLE",
        "BUS_NAME",
        "ALERTS_TOPIC",
        "ENVIRONMENT",
        "PACKAGE_GROUP_PREFIX",
        "API_URL",
    ):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("DATA_BUCKET", "data")
    monkeypatch.setenv("ARTEFACTS_BUCKET", "artefacts")
    buckets = {"data": found.data, "artefacts": found.artefacts}
    doors = {"Objects": buckets.__getitem__, "State": lambda _: found.state, "Ledger": lambda _: found.ledger,
             "EventBus": lambda _: found.bus, "AlertTopic": lambda _: found.alerts,
             "deployed": lambda _: found.model, "deployed_ids": lambda: ("flats",)}  # fmt: skip
    for module in (release.alarm, release.probe, release.propose, release.rollback, release.steer, release.tend):
        for name, door in doors.items():
            if hasattr(module, name):
                monkeypatch.setattr(module, name, door)
    return found


def call(module: Any, event: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = module.handler.__wrapped__.__wrapped__(event, Context("release"))
    return answer


def approval(world: World, package: Package, **change: Any) -> dict[str, Any]:
    detail = {
        "schema_version": 1, "model": "flats", "package_arn": package.arn, "champion": 1, "seen": package.digest,
        "approved_by": "arn:aws:iam::1:user/eve", "comment": "looks right", **change,
    }  # fmt: skip
    told = {"source": "interlock", "detail-type": "ModelApproved", "time": world.now().isoformat(), "detail": detail}
    return {"event": told, "execution": "run-1"}


def test_a_person_s_approval_is_kept_with_its_comment(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    done = world.register(2, sigmoid(1.01))
    registry = FakeRegistry(Package(done.arn, 2, "PendingManualApproval", done.metadata))
    monkeypatch.setattr(release.propose, "Registry", lambda _prefix: registry)
    for _ in range(2):
        answer = call(release.propose, approval(world, done))
        assert answer == {"go": True, "model": "flats", "version": 2, "revision": world.live.revision}
    assert registry.comments == ["arn:aws:iam::1:user/eve: looks right"]
    assert "looks right" in world.live.changed_by


def test_the_registry_s_own_event_does_not_take_the_person_s_place(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = world.register(2, sigmoid(1.01))
    registry = FakeRegistry(Package(done.arn, 2, "PendingManualApproval", done.metadata))
    monkeypatch.setattr(release.propose, "Registry", lambda _prefix: registry)
    detail = {"ModelPackageArn": done.arn, "ModelApprovalStatus": "Approved"}
    told = {"source": "aws.sagemaker", "detail-type": "x", "time": world.now().isoformat(), "detail": detail}
    others: list[dict[str, Any]] = []
    registry.told = lambda: others.append(call(release.propose, {"event": told, "execution": "run-2"}))
    assert call(release.propose, approval(world, done))["go"]
    assert [answer["go"] for answer in others] == [False]
    assert "looks right" in world.live.changed_by


def test_a_version_without_questions_does_not_hold_its_probe(world: World) -> None:
    revision = world.propose(world.register(2, sigmoid(1.01)))
    world.artefacts.delete("models/flats/r2/probe.json")
    with pytest.raises(ProbeFailed, match=r"models/flats/r2/probe\.json is missing"):
        call(release.probe, {"model": "flats", "version": 2, "revision": revision})


def test_what_nobody_approved_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    done = world.register(2, sigmoid(1.01))
    registry = FakeRegistry(Package(done.arn, 2, "PendingManualApproval", done.metadata))
    monkeypatch.setattr(release.propose, "Registry", lambda _prefix: registry)
    detail = {"ModelPackageArn": done.arn, "ModelApprovalStatus": "Approved"}
    told = {"source": "aws.sagemaker", "detail-type": "x", "time": world.now().isoformat(), "detail": detail}
    with pytest.raises(Refused, match="not Approved"):
        call(release.propose, {"event": told, "execution": "run-1"})
    with pytest.raises(Refused, match="changed since"):
        call(release.propose, approval(world, done, seen="0" * 16))
    registry.package = Package(done.arn, 2, "Rejected", done.metadata)
    with pytest.raises(Refused, match="rejected meanwhile"):
        call(release.propose, approval(world, done))
    assert registry.comments == []
    assert world.live.challenger is None


def test_a_person_steers(world: World) -> None:
    world.release(2, sigmoid(1.01))
    said = {"model": "flats", "actor": "eve", "reason": "why"}
    assert call(release.steer, {**said, "action": "pause"})["state"] == "paused"
    assert call(release.steer, {**said, "action": "resume"})["state"] == "baking"
    with pytest.raises(InvalidRequest):
        call(release.steer, {**said, "action": "dance"})
    assert call(release.steer, {**said, "action": "promote"})["state"] == "live"
    with pytest.raises(Conflict):
        call(release.steer, {**said, "action": "promote"})
    assert call(release.rollback, said) == {"version": 1, "revision": world.live.revision, "taken_back": 2}


def test_an_alarm_and_the_clock(world: World) -> None:
    world.release(2, sigmoid(1.01))
    assert call(release.tend, {})["flats"].startswith("baking")
    told = {"time": world.now().isoformat(), "detail": {"alarmName": "interlock-test-serve-errors"}}
    assert call(release.alarm, told) == {"taken_back": {"flats": 2}}
    assert call(release.alarm, told) == {"taken_back": {}}
    assert call(release.tend, {"model": "flats"}) == {"flats": "live"}
    assert "version 2 was taken back" in world.alerts.sent[-1][0]


@pytest.mark.parametrize(
    ("plan", "word"),
    [
        ({"steps": [0.5, 0.2]}, "rising"),
        ({"steps": [0.5, 1.0]}, "below 1"),
        ({"steps": []}, "rising"),
        ({"mode": "ab"}, "experiment is needed"),
        ({"experiment": {"metric": "accuracy", "min_effect": 0.1, "max_rows": 500}}, "for no other"),
        ({"mode": "ab", "experiment": {"metric": "roc_auc", "min_effect": 0.1, "max_rows": 500}}, "one of accuracy"),
        ({"key": "cookie:x"}, "key"),
        ({"key": "header:"}, "key"),
        ({"limits": {"max_slowdown": 0.5}}, "max_slowdown"),
    ],
)
def test_a_plan_that_cannot_be_is_named(plan: dict[str, Any], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        model(**plan)


def test_a_model_with_restricted_numbers_has_no_shadow() -> None:
    income = Column(name="income", type=ColumnType.NUMBER, restricted=True)
    contract = CONTRACT.model_copy(update={"columns": (*CONTRACT.columns, income)})
    spec = model(mode="canary").spec
    DeployedModel(spec=spec, contract=contract)
    with pytest.raises(ValidationError, match="of income, which are restricted"):
        DeployedModel(spec=model(mode="shadow").spec, contract=contract)

"""A changed contract or spec beside the version that serves: what is told, and what is refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from cli import cloud, main
from cli.contracts import deploying, stored
from interlock.contract import Column, ColumnType
from interlock.errors import DependencyUnavailable, Refused
from interlock.evolving import consequences, refuse
from interlock.folder import read_model
from interlock.kind import Kind
from interlock.models import DeployedModel
from interlock.records import ObjectRef, ServedModel
from interlock.signature import signature
from interlock.spec import Target

OLD = read_model(Path(__file__).parents[3] / "models/census-income")
SERVED = ServedModel(
    model=OLD.id,
    version=4,
    run="r",
    kind=Kind.BINARY,
    inputs=signature(OLD),
    classes=OLD.classes,
    threshold=0.5,
    onnx=ObjectRef(bucket="b", key="k", version="v", sha256="s", size=1),
    contract_version=OLD.contract.version,
)


def changed(
    *, without: str = "", more: tuple[Column, ...] = (), spec: dict[str, Any] | None = None, **columns: dict[str, Any]
) -> DeployedModel:
    """The model with columns taken out, added or changed, under the contract's next version."""
    kept = [
        column.model_copy(update=columns.get(column.name, {}))
        for column in OLD.contract.columns
        if column.name != without
    ]
    contract = OLD.contract.model_copy(update={"columns": (*kept, *more), "version": "1.1.0"})
    features = tuple(name for name in OLD.spec.features if name != without)
    return OLD.model_copy(
        update={"contract": contract, "spec": OLD.spec.model_copy(update={"features": features} | (spec or {}))}
    )


def told(new: DeployedModel) -> list[tuple[str, bool]]:
    return [(item.about, item.breaks) for item in consequences(OLD, new, SERVED)]


def test_the_same_again_means_nothing() -> None:
    assert consequences(OLD, OLD, SERVED) == []
    assert consequences(OLD, changed(age={"description": "years"}), SERVED) == []


@pytest.mark.parametrize(
    ("new", "about", "said"),
    [
        (changed(without="age"), "captures", "'age' is not in the contract any more: version 4 still asks"),
        (changed(spec={"features": OLD.spec.features[1:]}), "captures", "'age' is no feature any more"),
        (changed(age={"type": ColumnType.NUMBER}), "captures", "'age' becomes FP32: version 4 is fed INT64"),
        (changed(occupation={"restricted": True}), "captures", "'occupation' becomes restricted"),
        (changed(income={"allowed": ("<=50K", ">50K", "none")}), "labels", "the classes gain none: version 4 goes on"),
        (changed(income={"allowed": ("poor", ">50K")}), "labels", "lose <=50K and gain poor"),
        (
            changed(spec={"target": Target(column="income", kind=Kind.BINARY, positive="<=50K")}),
            "labels",
            "'<=50K' becomes the positive class",
        ),
        (
            changed(spec={"target": Target(column="sex", kind=Kind.BINARY, positive="Male")}),
            "labels",
            "the model is to predict 'sex'; version 4 predicts 'income'",
        ),
        (
            changed(spec={"target": Target(column="income", kind=Kind.MULTICLASS)}),
            "labels",
            "the model becomes multiclass; version 4 is binary",
        ),
    ],
)
def test_what_breaks_the_serving_version_is_refused(new: DeployedModel, about: str, said: str) -> None:
    found = [item for item in consequences(OLD, new, SERVED) if item.breaks]
    assert [item.about for item in found] == [about]
    assert said in found[0].says
    with pytest.raises(Refused) as refused:
        refuse({OLD.id: found})
    assert said in refused.value.message
    assert "--break-champion" in refused.value.next_step


@pytest.mark.parametrize(
    ("new", "about", "said"),
    [
        (changed(age={"required": False}), ["callers", "data"], "'age' may be missing from the next version on"),
        (changed(occupation={"required": True}), ["callers", "data"], "version 4 still takes a missing one"),
        (changed(age={"maximum": 100}), ["data"], "the rules of age change: datasets stay as they were judged"),
        (
            changed(more=(Column(name="region", type=ColumnType.STRING),)),
            ["next training"],
            "region is new: datasets that were admitted before lack them and are left out",
        ),
        (
            changed(
                more=(Column(name="region", type=ColumnType.STRING),),
                spec={"features": (*OLD.spec.features, "region")},
            ),
            ["callers", "next training"],
            "'region' is asked for from the next version on",
        ),
        (
            changed(spec={"holdout": OLD.spec.holdout.model_copy(update={"key": "other"})}),
            ["next training"],
            "the holdout changes",
        ),
        (changed(fnlwgt={"type": ColumnType.NUMBER}), ["next training"], "fnlwgt is of another type"),
    ],
)
def test_what_only_follows_is_told(new: DeployedModel, about: list[str], said: str) -> None:
    found = consequences(OLD, new, SERVED)
    assert [item.about for item in found] == about
    assert not any(item.breaks for item in found)
    assert any(said in item.says for item in found)
    refuse({OLD.id: found})


def test_a_contract_that_changes_has_to_be_called_otherwise() -> None:
    new = changed(age={"maximum": 100})
    same = new.model_copy(update={"contract": new.contract.model_copy(update={"version": "1.0.0"})})
    assert ("records", False) in told(same)
    assert ("records", False) not in told(new)


def test_a_version_that_keeps_bins_goes_on_doing_so() -> None:
    closed = {"age", *(item.name for item in SERVED.inputs if item.restricted)}
    inputs = tuple(item.model_copy(update={"restricted": item.name in closed}) for item in SERVED.inputs)
    (found,) = consequences(OLD, OLD, SERVED.model_copy(update={"inputs": inputs}))
    assert (found.about, found.breaks) == ("captures", False)


class Deployed:
    """A target with these models."""

    def __init__(self, *models: str) -> None:
        self.models = list(models)


def test_a_model_that_serves_and_has_no_folder_any_more_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "champion", lambda _, name: (OLD, SERVED) if name == OLD.id else None)
    target: Any = Deployed(OLD.id, "other")
    assert deploying.foreseen(target, [OLD]) == {}
    (gone,) = deploying.foreseen(target, [])[OLD.id]
    assert gone.breaks


def test_a_first_deployment_breaks_nothing() -> None:
    class Nothing:
        @property
        def models(self) -> list[str]:
            raise DependencyUnavailable("not deployed")

    target: Any = Nothing()
    assert deploying.foreseen(target, [OLD]) == {}


def test_the_models_that_would_be_deployed_are_held_against_the_cloud_that_is_meant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[str] = []
    monkeypatch.setattr("cli.cloud.supervisor.up", lambda progress: started.append("local"))
    monkeypatch.setattr("cli.cloud.Target.find", lambda environment, profile: Deployed(OLD.id))
    older = OLD.model_copy(update={"contract": OLD.contract.model_copy(update={"version": "0.9.0"})})
    wider = tuple(item.model_copy(update={"name": f"{item.name}_1"}) for item in SERVED.inputs[:1])
    served = SERVED.model_copy(update={"inputs": (*wider, *SERVED.inputs[1:])})
    monkeypatch.setattr(stored, "champion", lambda *_: (older, served))
    found = cloud.foreseen("dev", None)
    assert started == ["local"]
    assert [(item.about, item.breaks) for item in found[OLD.id]] == [("captures", True), ("callers", False)]
    started.clear()
    cloud.foreseen("dev", "somebody")
    assert not started


@pytest.mark.parametrize(("words", "deployed"), [([], False), (["--break-champion"], True)])
def test_the_command_tells_and_refuses_before_anything_is_deployed(
    words: list[str], deployed: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    happened = []
    # What --json turns is turned back.
    monkeypatch.setattr("cli.view.console.stderr", False)
    found = {OLD.id: consequences(OLD, changed(without="age"), SERVED)}
    monkeypatch.setattr(cloud, "foreseen", lambda *_: found)
    monkeypatch.setattr(
        cloud, "deploy", lambda *_, break_champion: happened.append(break_champion) or {"Models": OLD.id}
    )
    monkeypatch.setattr(sys, "argv", ["interlock", "deploy", *words])
    with pytest.raises(SystemExit) as ended:
        main.main()
    out = capsys.readouterr().out
    assert "breaks captures: 'age' is not in the contract any more" in out
    assert happened == [True] * deployed
    assert bool(ended.value.code) is not deployed
    monkeypatch.setattr(sys, "argv", ["interlock", "--json", "deploy", *words])
    with pytest.raises(SystemExit):
        main.main()
    json.loads(capsys.readouterr().out)

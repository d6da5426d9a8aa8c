"""How often may be asked: throttles by stage and route, and a quota a caller that is there only when it is set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, Validations
from cdk_nag import AwsSolutionsChecks

from infra.build import Artefacts
from infra.settings import DeploySettings
from infra.stack import InterlockStack
from interlock.errors import InvalidSettings
from tests.infra.conftest import models


@pytest.fixture(scope="module")
def limited(artefacts: Artefacts, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    outdir: Path = tmp_path_factory.mktemp("cdk.out")
    app = App(outdir=str(outdir))
    settings = DeploySettings(
        calls_a_day=500, throttle_rate=7, throttle_burst=8, throttle_labels_rate=1, prediction_cache_mb=50
    )
    InterlockStack(app, settings, artefacts, models())
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    app.synth()
    found: dict[str, Any] = json.loads((outdir / "interlock-dev.template.json").read_text())["Resources"]
    return found


def stage_of(resources: dict[str, Any]) -> dict[str, Any]:
    (found,) = (item for item in resources.values() if item["Type"] == "AWS::ApiGatewayV2::Stage")
    return dict(found)


def test_what_writes_and_what_describes_is_throttled_below_predictions(resources: dict[str, Any]) -> None:
    stage = stage_of(resources)
    routes = stage["Properties"]["RouteSettings"]
    (model,) = (item.id for item in models())
    assert stage["Properties"]["DefaultRouteSettings"] == {"ThrottlingRateLimit": 100, "ThrottlingBurstLimit": 200}
    assert routes[f"POST /models/{model}/labels"] == {"ThrottlingRateLimit": 20, "ThrottlingBurstLimit": 40}
    assert routes[f"GET /v2/models/{model}"] == {"ThrottlingRateLimit": 50, "ThrottlingBurstLimit": 100}
    assert not [route for route in routes if route.endswith(("/infer", "/predict", "/invocations"))]


def test_every_throttled_route_is_there_before_the_stage_that_names_it(resources: dict[str, Any]) -> None:
    stage = stage_of(resources)
    keys = {
        name: item["Properties"]["RouteKey"]
        for name, item in resources.items()
        if item["Type"] == "AWS::ApiGatewayV2::Route"
    }
    before = {keys[name] for name in stage["DependsOn"] if name in keys}
    assert set(stage["Properties"]["RouteSettings"]) <= before


def test_the_settings_reach_the_stage(limited: dict[str, Any]) -> None:
    stage = stage_of(limited)["Properties"]
    assert stage["DefaultRouteSettings"] == {"ThrottlingRateLimit": 7, "ThrottlingBurstLimit": 8}
    labels = [setting for route, setting in stage["RouteSettings"].items() if route.endswith("/labels")]
    assert labels == [{"ThrottlingRateLimit": 1, "ThrottlingBurstLimit": 40}]


def test_a_quota_is_a_table_that_only_the_answering_function_counts_in(
    limited: dict[str, Any], resources: dict[str, Any]
) -> None:
    tables = {name: item for name, item in limited.items() if item["Type"] == "AWS::DynamoDB::GlobalTable"}
    (name,) = (name for name, item in tables.items() if "TimeToLiveSpecification" in item["Properties"])
    assert not [item for item in resources.values() if "TimeToLiveSpecification" in item.get("Properties", {})]
    counting = [
        statement
        for item in limited.values()
        if item["Type"] == "AWS::IAM::Policy"
        for statement in item["Properties"]["PolicyDocument"]["Statement"]
        if name in json.dumps(statement["Resource"])
    ]
    assert [statement["Action"] for statement in counting] == ["dynamodb:UpdateItem"]
    told = [
        item["Properties"]["FunctionName"]
        for item in limited.values()
        if item["Type"] == "AWS::Lambda::Function"
        and "QUOTA_TABLE" in item["Properties"].get("Environment", {}).get("Variables", {})
    ]
    assert told == ["interlock-dev-serve-infer"]
    assert "QUOTA_TABLE" not in json.dumps(resources)


@pytest.mark.parametrize("wrong", [{"calls_a_day": 0}, {"throttle_labels_rate": 0}, {"throttle_read_burst": "many"}])
def test_a_limit_of_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidSettings):
        DeploySettings.read(wrong)


def test_more_models_than_a_stack_takes_are_refused_with_their_number(artefacts: Artefacts) -> None:
    (one,) = models()
    many = tuple(
        one.model_copy(update={"spec": one.spec.model_copy(update={"id": f"model-{number}"})}) for number in range(17)
    )
    InterlockStack(App(), DeploySettings(), artefacts, many[:16])
    with pytest.raises(
        InvalidSettings, match=r"17 models make 5\d\d resources, and CloudFormation takes 500"
    ) as refused:
        InterlockStack(App(), DeploySettings(), artefacts, many)
    assert "another environment" in refused.value.next_step


def test_the_prediction_cache_is_there_only_when_it_is_set_and_leaves_the_models_their_room(
    resources: dict[str, Any], limited: dict[str, Any]
) -> None:
    def memory(found: dict[str, Any]) -> dict[str, str]:
        (infer,) = (
            item["Properties"]["Environment"]["Variables"]
            for item in found.values()
            if item["Type"] == "AWS::Lambda::Function" and item["Properties"]["Handler"] == "serve.infer.handler"
        )
        return {name: infer[name] for name in ("MODEL_MEMORY_MB", "PREDICTION_CACHE_MB") if name in infer}

    assert memory(resources) == {"MODEL_MEMORY_MB": "824"}
    assert memory(limited) == {"MODEL_MEMORY_MB": "774", "PREDICTION_CACHE_MB": "50"}
    with pytest.raises(InvalidSettings, match="more than a quarter of serve_memory"):
        DeploySettings.read({"prediction_cache_mb": 257})

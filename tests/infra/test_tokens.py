"""Callers with tokens: a door of their own, only when an issuer is set, and never an open one."""

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

ISSUER, AUDIENCE = "https://login.example.com/tenant", "interlock"


@pytest.fixture(scope="module")
def with_tokens(artefacts: Artefacts, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    outdir: Path = tmp_path_factory.mktemp("cdk.out")
    app = App(outdir=str(outdir))
    InterlockStack(app, DeploySettings(jwt_issuer=ISSUER, jwt_audience=AUDIENCE), artefacts, models())
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    app.synth()
    found: dict[str, Any] = json.loads((outdir / "interlock-dev.template.json").read_text())["Resources"]
    return found


def test_every_route_is_there_once_for_signers_and_once_for_tokens(with_tokens: dict[str, Any]) -> None:
    by_type: dict[str, list[str]] = {}
    for item in with_tokens.values():
        if item["Type"] == "AWS::ApiGatewayV2::Route":
            by_type.setdefault(item["Properties"]["AuthorizationType"], []).append(item["Properties"]["RouteKey"])
    assert set(by_type) == {"AWS_IAM", "JWT"}
    assert sorted(by_type["AWS_IAM"]) == sorted(by_type["JWT"])
    (authorizer,) = (i["Properties"] for i in with_tokens.values() if i["Type"] == "AWS::ApiGatewayV2::Authorizer")
    assert authorizer["JwtConfiguration"] == {"Issuer": ISSUER, "Audience": [AUDIENCE]}
    stages = [item["Properties"] for item in with_tokens.values() if item["Type"] == "AWS::ApiGatewayV2::Stage"]
    assert len(stages) == 2
    assert all(
        stage["DefaultRouteSettings"] == {"ThrottlingRateLimit": 100, "ThrottlingBurstLimit": 200} for stage in stages
    )
    assert all(
        "CorsConfiguration" not in i["Properties"] for i in with_tokens.values() if i["Type"].endswith("V2::Api")
    )


def test_without_an_issuer_there_are_no_tokens(resources: dict[str, Any]) -> None:
    assert not [item for item in resources.values() if item["Type"] == "AWS::ApiGatewayV2::Authorizer"]


@pytest.mark.parametrize("given", [{"jwt_issuer": ISSUER}, {"jwt_audience": AUDIENCE}])
def test_an_issuer_without_an_audience_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(InvalidSettings, match="go together"):
        DeploySettings.read(given)

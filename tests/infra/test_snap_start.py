"""SnapStart as a setting: the API then asks the published version, which alone has a snapshot."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_cdk import App

from infra.build import Artefacts
from infra.settings import DeploySettings
from infra.stack import InterlockStack
from tests.infra.conftest import models


@pytest.fixture(scope="module")
def snapped(artefacts: Artefacts, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    outdir = tmp_path_factory.mktemp("cdk.out")
    app = App(outdir=str(outdir))
    InterlockStack(app, DeploySettings(snap_start=True), artefacts, models())
    app.synth()
    found: dict[str, Any] = json.loads((outdir / "interlock-dev.template.json").read_text())["Resources"]
    return found


def of(resources: dict[str, Any], kind: str) -> dict[str, Any]:
    return {name: item["Properties"] for name, item in resources.items() if item["Type"] == kind}


def test_the_api_asks_the_published_version(snapped: dict[str, Any]) -> None:
    snapping = [item for item in of(snapped, "AWS::Lambda::Function").values() if "SnapStart" in item]
    assert [item["FunctionName"] for item in snapping] == ["interlock-dev-serve-infer"]
    assert snapping[0]["SnapStart"] == {"ApplyOn": "PublishedVersions"}
    ((alias, properties),) = of(snapped, "AWS::Lambda::Alias").items()
    assert "Version" in json.dumps(properties["FunctionVersion"])
    asked = [item["IntegrationUri"] for item in of(snapped, "AWS::ApiGatewayV2::Integration").values()]
    assert {"Ref": alias} in asked


def test_without_the_setting_nothing_is_published(resources: dict[str, Any]) -> None:
    assert not of(resources, "AWS::Lambda::Alias")
    assert all("SnapStart" not in item for item in of(resources, "AWS::Lambda::Function").values())

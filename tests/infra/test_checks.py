"""cdk-nag and cfn-lint: no finding, and proof that both would find something."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from aws_cdk import App, Stack, Validations
from aws_cdk import aws_s3 as s3
from cdk_nag import AwsSolutionsChecks

from infra.build import ROOT


def test_cdk_nag_has_looked_and_found_nothing(assembly: Path) -> None:
    report = json.loads((assembly / "validation-report.json").read_text())
    looked = [item for item in report["pluginReports"] if item["pluginName"] == "AwsSolutions"]
    assert looked, "the pack has not run"
    assert [(item["conclusion"], item["violations"]) for item in looked] == [("success", [])]
    # Every acknowledgement is one on purpose: it carries the reason that its construct gave.
    for item in looked[0]["suppressedViolations"]:
        assert "AwsSolutions-" in json.dumps(item)


def test_cdk_nag_refuses_a_bad_stack(tmp_path: Path) -> None:
    app = App(outdir=str(tmp_path))
    s3.Bucket(Stack(app, "bad"), "Open")
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        app.synth()
    assert "AwsSolutions-S1" in (tmp_path / "validation-report.json").read_text()


def lint(template: Path) -> subprocess.CompletedProcess[str]:
    command = [
        str(Path(sys.executable).with_name("cfn-lint")),
        "--config-file",
        str(ROOT / ".cfnlintrc.yaml"),
        "-t",
        str(template),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def test_cfn_lint_passes(assembly: Path) -> None:
    done = lint(assembly / "interlock-dev.template.json")
    assert done.returncode == 0, done.stdout


def test_cfn_lint_refuses_a_bad_template(tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps({"Resources": {"X": {"Type": "AWS::S3::Bucket", "Properties": {"Nonsense": 1}}}}))
    assert lint(bad).returncode != 0

"""A newer command before an older deployment."""

import pytest

from cli import executions
from cli.target import Outputs, Target
from interlock.errors import DependencyUnavailable


def test_what_an_older_deployment_lacks_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    target = Target("test", None, "somebody")
    monkeypatch.setitem(vars(target), "outputs", Outputs({"IngestWorkflow": "arn:ingest"}))
    assert executions.machine(target, "ingest") == "arn:ingest"
    with pytest.raises(DependencyUnavailable, match="ScoreWorkflow: it was deployed by an older version") as raised:
        executions.machine(target, "score")
    assert "interlock deploy" in raised.value.next_step
    assert "TokenApiUrl" not in target.outputs

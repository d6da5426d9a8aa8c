"""The ingest workflow without a cloud: its handlers, called as the state machine calls them, over fakes."""

from __future__ import annotations

import importlib
import json
from typing import Any, cast

import pytest

from ingest import admit, claim, doubles, fail, merge, part, plan, reject, validate
from interlock.errors import UnknownModel
from interlock.models import DeployedModel
from interlock.records import Claim, Dataset
from interlock.settings import Settings
from tests.unit.context import Context
from tests.unit.fakes import FakeAlerts, FakeBus, FakeExecutions, FakeLedger, FakeObjects, FakeState

STAGE = {
    "claim": claim,
    "validate": validate,
    "admit": admit,
    "reject": reject,
    "fail": fail,
    "plan": plan,
    "part": part,
    "doubles": doubles,
    "merge": merge,
}


class World:
    """What is stored and told, and one method a step."""

    def __init__(self, patch: pytest.MonkeyPatch, model: DeployedModel) -> None:
        self.objects, self.ledger, self.bus, self.alerts = FakeObjects(), FakeLedger(), FakeBus(), FakeAlerts()
        self.state, self.executions, self.model = FakeState(), FakeExecutions(), model
        fakes = {
            "Objects": self.objects,
            "State": self.state,
            "Ledger": self.ledger,
            "EventBus": self.bus,
            "AlertTopic": self.alerts,
            "Executions": self.executions,
        }
        for module in STAGE.values():
            for name, fake in fakes.items():
                if hasattr(module, name):
                    patch.setattr(module, name, lambda *_, fake=fake: fake)
            if hasattr(module, "deployed"):
                patch.setattr(module, "deployed", self.deployed)
        for name in ("environment", "data_bucket", "state_table", "ledger_table", "bus_name", "alerts_topic"):
            patch.setenv(name.upper(), name)
        Settings.load.cache_clear()

    def deployed(self, name: str) -> DeployedModel:
        if name != self.model.id:
            raise UnknownModel(f"no model '{name}' is deployed")
        return self.model

    def step(self, name: str, **event: Any) -> dict[str, Any]:
        module = importlib.import_module(f"ingest.{name}")
        context = Context(f"ingest-{name}")
        return cast("dict[str, Any]", module.handler(event, context))

    def upload(self, body: bytes, key: str = "incoming/small/people.csv") -> dict[str, Any]:
        ref = self.objects.put(key, body)
        return {"bucket": self.objects.bucket, "key": key, "version": ref.version}

    def upload_set(self, files: dict[str, bytes], name: str = "set", **entry: str) -> dict[str, Any]:
        """Files under parts/ and, last, the manifest that names them."""
        refs = [self.objects.put(f"parts/small/{name}/{file}", body) for file, body in files.items()]
        entries = [{"url": ref.uri, "version": ref.version, **entry} for ref in refs]
        return self.upload(json.dumps({"entries": entries}).encode(), f"incoming/small/{name}.manifest.json")

    def files(self, subject: dict[str, Any], items: dict[str, str], label: str) -> dict[str, str]:
        """The distributed map: one call a file, in any order, the answers in S3."""
        listed = json.loads(self.objects.raw(items["key"], items["version"]))
        answers = [
            self.step("part", claim=subject["claim"], model=subject["model"], part=item) for item in reversed(listed)
        ]
        folder = f"sets/small/{subject['claim']}/answers/{label}"
        self.objects.put(f"{folder}/SUCCEEDED_0.json", json.dumps(answers).encode())
        results = {"FAILED": [], "PENDING": [], "SUCCEEDED": [{"Key": f"{folder}/SUCCEEDED_0.json"}] if answers else []}
        self.objects.put(f"{folder}/manifest.json", json.dumps({"ResultFiles": results}).encode())
        return {"Bucket": "data", "Key": f"{folder}/manifest.json"}

    def judge_set(self, upload: dict[str, Any], subject: dict[str, Any]) -> dict[str, Any]:
        """From the manifest to the verdict."""
        about = {name: subject[name] for name in ("claim", "model")}
        planned = self.step("plan", **upload, **about)
        results, again = self.files(about, planned["items"], "first"), {}
        repeated = self.step("doubles", **about, results=results)
        if repeated["files"]:
            again = self.files(about, repeated["items"], "again")
        return self.step("merge", **upload, **about, results=results, again=again)

    def run(self, upload: dict[str, Any], execution: str = "e1", *, until: str = "") -> dict[str, Any]:
        """The state machine's way through its steps; `until` names a step before which everything dies."""
        subject: dict[str, Any] = {"claim": None, "model": None}
        try:
            subject = self.step("claim", **upload, execution=execution)
            if until == "validate":
                return subject
            judge = (
                self.judge_set if subject["kind"] == "set" else lambda *_: self.step("validate", **upload, **subject)
            )
            judged = judge(upload, subject)
            if until == "conclude":
                return subject | judged
            return self.step(
                "admit" if judged["verdict"] == "admit" else "reject",
                claim=subject["claim"],
                model=subject["model"],
                execution=execution,
                result=judged["result"],
            )
        except Exception as error:
            if type(error).__name__ == "AlreadyClaimed":
                return {"already": True}
            subject.pop("kind", None)
            self.step("fail", **upload, **subject, execution=execution, error=type(error).__name__, cause=str(error))
            raise

    @property
    def datasets(self) -> list[Dataset]:
        return list(self.state.query(Dataset, "model#small", "dataset#"))

    def datasets_of(self, claim: str) -> Dataset:
        return next(dataset for dataset in self.datasets if dataset.claim == claim)

    def claim(self, name: str) -> Claim:
        found = self.state.get(Claim, f"claim#{name}", "claim")
        assert found is not None
        return found

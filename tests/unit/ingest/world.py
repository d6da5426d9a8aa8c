"""The ingest workflow without a cloud: its handlers, called as the state machine calls them, over fakes."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aws_lambda_powertools.utilities.typing import LambdaContext

from ingest import admit, claim, fail, reject, validate
from interlock.errors import UnknownModel
from interlock.models import DeployedModel
from interlock.records import Claim, Dataset
from interlock.settings import Settings
from tests.unit.fakes import FakeAlerts, FakeBus, FakeLedger, FakeObjects, FakeState

STAGE = {"claim": claim, "validate": validate, "admit": admit, "reject": reject, "fail": fail}


class World:
    """What is stored and told, and one method a step."""

    def __init__(self, patch: pytest.MonkeyPatch, model: DeployedModel) -> None:
        self.objects, self.ledger, self.bus, self.alerts = FakeObjects(), FakeLedger(), FakeBus(), FakeAlerts()
        self.state, self.model = FakeState(), model
        fakes = {
            "Objects": self.objects,
            "State": self.state,
            "Ledger": self.ledger,
            "EventBus": self.bus,
            "AlertTopic": self.alerts,
        }
        for module in STAGE.values():
            for name, fake in fakes.items():
                if hasattr(module, name):
                    patch.setattr(module, name, lambda _, fake=fake: fake)
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
        context = SimpleNamespace(
            function_name=f"interlock-test-ingest-{name}",
            memory_limit_in_mb=1024,
            invoked_function_arn="arn:aws:lambda:eu-central-1:123456789012:function:f",
            aws_request_id="r",
        )
        return cast("dict[str, Any]", module.handler(event, cast("LambdaContext", context)))

    def upload(self, body: bytes, key: str = "incoming/small/people.csv") -> dict[str, Any]:
        ref = self.objects.put(key, body)
        return {"bucket": self.objects.bucket, "key": key, "version": ref.version}

    def run(self, upload: dict[str, Any], execution: str = "e1", *, until: str = "") -> dict[str, Any]:
        """The state machine's way through its steps; `until` names a step before which everything dies."""
        subject: dict[str, Any] = {"claim": None, "model": None}
        try:
            subject = self.step("claim", **upload, execution=execution)
            if until == "validate":
                return subject
            judged = self.step("validate", **upload, **subject)
            if until == "conclude":
                return subject | judged
            return self.step(
                "admit" if judged["verdict"] == "admit" else "reject",
                **subject,
                execution=execution,
                result=judged["result"],
            )
        except Exception as error:
            if type(error).__name__ == "AlreadyClaimed":
                return {"already": True}
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

"""A console over tables and buckets in memory, asked by the events that the API sends."""

from __future__ import annotations

import base64
import gzip
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import console.show
from console.sources import Sources
from interlock.contract import Column, ColumnType, Contract
from interlock.kind import Kind
from interlock.ledger import Decision
from interlock.models import DeployedModel
from interlock.records import Candidate, CheckedWindow, LiveRelease, MetricPoint, ObjectRef
from interlock.spec import Gate, Holdout, Limit, ModelSpec, Target
from tests.unit.context import Context
from tests.unit.fakes import FakeLedger, FakeObjects, FakeState

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
REF = ObjectRef(
    bucket="artefacts", key="models/flats/20260301-100000-abcdef/served.json", version="v1", sha256="0" * 64, size=1
)


def flats(model: str = "flats", description: str = "What a flat rents for") -> DeployedModel:
    return DeployedModel(
        spec=ModelSpec(
            id=model,
            description=description,
            target=Target(column="rented", kind=Kind.BINARY, positive="yes"),
            holdout=Holdout(key="a-key"),
            gate=Gate(metrics={"roc_auc": Limit(min=0.5)}),
        ),
        contract=Contract(
            id=model,
            version="1",
            columns=(
                Column(name="size", type=ColumnType.NUMBER, required=True, minimum=0, maximum=1e6),
                Column(name="place", type=ColumnType.STRING, allowed=("north", "south")),
                Column(name="rented", type=ColumnType.STRING, required=True, allowed=("no", "yes")),
            ),
        ),
    )


def candidate(version: int, run: str = "20260301-100000-abcdef") -> Candidate:
    return Candidate(
        version=version, run=run, served=REF, package_arn=f"arn:{version}", reference=REF, manifest_id="m" * 64
    )


def live(model: str = "flats", version: int = 3, **more: Any) -> LiveRelease:
    found = {
        "revision": 7, "champion": candidate(version), "state": "live", "action": "version promoted",
        "version": version, "changed_at": NOW, "changed_by": "a test", "reason": "it held its probe",
    }  # fmt: skip
    return LiveRelease(model=model, **(found | more))


def window(model: str = "flats", hours: float = 0, **more: Any) -> CheckedWindow:
    end = NOW - timedelta(hours=hours)
    found = {
        "window": f"{end:%Y%m%dT%H%M%S}-v3", "start": end - timedelta(days=1), "end": end, "version": 3, "revision": 7,
        "rows": 1234, "state": "stable", "performance": "fine", "action": "none", "reason": "nothing drifted",
        "drifted": 0, "columns": {"size": 0.01}, "metric": "roc_auc", "holdout": 0.9,
        "estimated": MetricPoint(value=0.89, low=0.88, high=0.9),
    }  # fmt: skip
    return CheckedWindow(model=model, **(found | more))


@dataclass
class World:
    """Fill `state`, `ledger`, `data`, `artefacts`; `get` asks the handler."""

    models: dict[str, DeployedModel] = field(default_factory=lambda: {"flats": flats()})
    state: FakeState = field(default_factory=FakeState)
    ledger: FakeLedger = field(default_factory=FakeLedger)
    data: FakeObjects = field(default_factory=FakeObjects)
    artefacts: FakeObjects = field(default_factory=lambda: FakeObjects("artefacts"))

    def serve(self, monkeypatch: pytest.MonkeyPatch) -> World:
        sources = Sources(self.state, self.ledger, self.data, self.artefacts, self.models.__getitem__)
        monkeypatch.setattr(console.show, "sources", lambda: sources)
        monkeypatch.setattr(console.show, "deployed_ids", lambda: tuple(sorted(self.models)))
        return self

    def release(self, document: LiveRelease) -> None:
        self.state.put(f"model#{document.model}", "live", document)

    def check(self, document: CheckedWindow) -> None:
        self.state.put(f"model#{document.model}", f"window#{document.end:%Y%m%dT%H%M%S}", document)

    def decide(self, action: str, model: str = "flats", **more: Any) -> None:
        found = {"key": action, "stage": "train", "subject": "version 3", "actor": "a test"} | more
        self.ledger.append(Decision(model=model, action=action, **found))


def get(path: str, *, scope: str | None = None, packed: bool = False, **query: str) -> tuple[int, str, dict[str, str]]:
    """Status, text and headers; with a scope, as a caller with a token that holds it."""
    authorizer = {"iam": {}} if scope is None else {"jwt": {"claims": {"scope": scope}}}
    event = {
        "rawPath": path,
        "queryStringParameters": query or None,
        "headers": {"accept-encoding": "gzip, br"} if packed else {},
        "requestContext": {"http": {"method": "GET", "path": path}, "authorizer": authorizer},
    }
    answer = console.show.handler(event, Context("console-show"))
    body = answer["body"].encode()
    if answer.get("isBase64Encoded"):
        body = gzip.decompress(base64.b64decode(body))
    return answer["statusCode"], body.decode(), answer["headers"]


def expressions(found: Any) -> list[str]:
    """Every query of a dashboard, wherever it stands in it."""
    if isinstance(found, dict):
        own = [value for name, value in found.items() if name in {"expr", "query"} and isinstance(value, str)]
        return own + [query for value in found.values() for query in expressions(value)]
    return [query for value in found for query in expressions(value)] if isinstance(found, list) else []

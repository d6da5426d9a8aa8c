"""A training run: what it was made of, what the gate said, and what became of it."""

from __future__ import annotations

import json
from typing import Any, NamedTuple, TypeVar

from console import history
from console.door import Asked, NotFound, Reply
from console.history import Run
from console.render import html
from interlock import keys
from interlock.aws.objects import Objects
from interlock.errors import InvalidUpload
from interlock.ledger import Entry
from interlock.records import Check, Dataset, TrainingManifest, Verdict
from interlock.schema import Model

M = TypeVar("M", bound=Model)
_AGAINST, _METRIC = "champion:", "metric:"


class Beside(NamedTuple):
    """A metric on the held-out rows: this model's, and the difference to the champion's; None where it is not known."""

    title: str
    own: Check | None
    against: Check | None


def show(asked: Asked) -> Reply:
    """The run that the path names.

    Raises:
        NotFound: there has been no such run.
    """
    run, model, data = asked.parts["run"], asked.model, asked.sources.data
    told = history.read(asked.sources.state, asked.sources.ledger, model).entries
    ended = next((found for found in history.runs(told) if found.run == run), None)
    # A run that failed may have left nothing, and only a version has a lineage.
    failed = ended is not None and ended.end == "failed"
    manifest = None if failed else _stored(TrainingManifest, data, keys.training(model, run, "manifest.json"))
    verdict = None if failed else _stored(Verdict, data, keys.report(model, "train", run, "report.json"))
    registered = ended is not None and ended.end == "registered"
    if manifest is None and verdict is None and ended is None:
        raise NotFound(f"{model} has had no run {run}")
    return html(
        "run",
        model=model,
        run=run,
        manifest=manifest,
        datasets=_datasets(asked, manifest),
        verdict=verdict,
        beside=_beside(verdict),
        ended=ended,
        releases=_releases(told, ended),
        lineage=_document(asked.sources.artefacts, keys.artefact(model, run, "lineage.json")) if registered else None,
    )


def _stored(kind: type[M], objects: Objects, key: str) -> M | None:
    try:
        return kind.from_json(objects.raw(key))
    except InvalidUpload:
        return None


def _document(objects: Objects, key: str) -> dict[str, Any] | None:
    """A document that is not read as one of ours; None where there is none."""
    try:
        found: dict[str, Any] = json.loads(objects.raw(key))
    except InvalidUpload:
        return None
    return found


def _datasets(asked: Asked, manifest: TrainingManifest | None) -> list[Dataset | str]:
    """What the run was trained on; by its id alone where the dataset is known no longer."""
    if manifest is None:
        return []
    known = {found.id: found for found in asked.sources.state.query(Dataset, f"model#{asked.model}", "dataset#")}
    return [known.get(name, name) for name in manifest.datasets]


def _beside(verdict: Verdict | None) -> list[Beside]:
    """The gate's metrics, each with the difference to the champion on the same rows."""
    checks = {check.id: check for check in verdict.checks} if verdict else {}
    names = dict.fromkeys(
        name.removeprefix(prefix) for prefix in (_METRIC, _AGAINST) for name in checks if name.startswith(prefix)
    )
    pairs = ((name, checks.get(_METRIC + name), checks.get(_AGAINST + name)) for name in names)
    return [Beside(own.title if own else name.replace("_", " "), own, against) for name, own, against in pairs]


def _releases(entries: tuple[Entry, ...], run: Run | None) -> list[Entry]:
    """What was decided about the version that the run became, the newest first."""
    if run is None or not run.version:
        return []
    return [
        entry
        for entry in entries
        if entry.decision.stage == "release" and entry.decision.subject == f"version {run.version}"
    ]

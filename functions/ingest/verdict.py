"""Writes down what was found in an upload, be it one file or a set: profile, judgement, report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from aws_lambda_powertools.metrics import MetricUnit

from ingest.comparison import compare
from ingest.engine import Judged
from ingest.judgement import BesideTraining, Judgement, Outcome, Previous
from ingest.past import Batch, batches
from ingest.quality import Before, looks_back, settle
from ingest.report import html
from ingest.training import beside_training
from interlock import keys
from interlock.aws.datasets import Datasets
from interlock.aws.objects import Objects
from interlock.aws.state import State
from interlock.models import DeployedModel
from interlock.observability import metrics
from interlock.records import Dataset, Mode, ObjectRef, Origin

# Where the engine's files go, and what they are.
PLACES = {
    "train": keys.dataset,
    "holdout": keys.dataset,
    "bad_rows": keys.quarantine,
    "violations": keys.quarantine,
}
CONTENT = {
    ".parquet": "application/vnd.apache.parquet",
    ".csv": "text/csv; charset=utf-8",
    ".jsonl": "application/jsonl",
}
# What a rejected upload does not become.
GOOD = {"train", "holdout"}
_JSON = "application/json"


@dataclass(frozen=True)
class Subject:
    """What was judged: an object, when it was uploaded, and what that said of itself.

    `content_sha256` is the hash of all files of a set; of one file its own is enough.
    """

    model: DeployedModel
    claim: str
    source: ObjectRef
    uploaded_at: datetime
    mode: Mode
    origin: Origin | None = None
    content_sha256: str | None = None


@dataclass(frozen=True)
class Beside:
    """The last datasets before an upload, the newest first, how the rules about it as a whole came out, and drift."""

    before: list[Batch]
    outcomes: tuple[Outcome, ...]
    training: BesideTraining | None = None


def settled(
    data: Objects, state: State, subject: Subject, judged: Judged, good_rows: Sequence[Path], memory_mb: int
) -> Beside:
    """Hold the upload against the rules about it as a whole; what fails joins the problems of `judged`.

    Args:
        data: where the profiles of the last datasets lie.
        state: which datasets there are.
        subject: the upload; its model has the contract that it is judged by.
        judged: what the engine found.
        good_rows: Parquet files of its good rows.
        memory_mb: what a query may use.
    """
    contract, claim = subject.model.contract, subject.claim
    # At least one, for the report.
    count = max(1, looks_back(contract))
    before = batches(Datasets(state, subject.model.id), data, claim, subject.uploaded_at, count)
    known = [Before(batch.dataset.rows, batch.profile) for batch in before]
    profile = judged.profile
    training = beside_training(data, state, subject.model, profile) if profile and profile.rows else None
    drift = training.drift if training else None
    outcomes = settle(judged, contract, good_rows, known, subject.uploaded_at, drift=drift, memory_mb=memory_mb)
    return Beside(before, outcomes, training)


def write_down(
    data: Objects, subject: Subject, judged: Judged, beside: Beside, files: dict[str, ObjectRef]
) -> tuple[Judgement, ObjectRef]:
    """Write profile, report and judgement under the claim; answers the judgement and where it lies.

    Keys depend on the claim alone: a repeat after a crash overwrites what the first try left.
    """
    model, claim = subject.model, subject.claim

    def put(name: str, body: str, kind: str) -> ObjectRef:
        return data.put(keys.report(model.id, "ingest", claim, name), body.encode(), kind)

    if judged.profile is not None:
        files["profile"] = put("profile.json", judged.profile.to_json(), _JSON)
    judgement = _judgement(subject, judged, files, beside)
    files["report"] = put("report.html", html(judgement, model.contract), "text/html")
    judgement = judgement.model_copy(update={"files": files})
    return judgement, put("report.json", json.dumps(judgement.model_dump(mode="json"), indent=1), _JSON)


def counted(judgement: Judgement) -> None:
    """Count what was judged."""
    metrics.add_dimension(name="model", value=judgement.model)
    metrics.add_metric(name="RowsJudged", unit=MetricUnit.Count, value=judgement.rows)
    metrics.add_metric(name="BadRows", unit=MetricUnit.Count, value=judgement.bad_rows)
    if judgement.rows:
        share = 100 * judgement.bad_rows / judgement.rows
        metrics.add_metric(name="BadRowShare", unit=MetricUnit.Percent, value=share)


def _judgement(subject: Subject, judged: Judged, files: dict[str, ObjectRef], beside: Beside) -> Judgement:
    contract, before = subject.model.contract, beside.before
    earlier = before[0].profile if before else None
    return Judgement(
        model=subject.model.id,
        claim=subject.claim,
        source=subject.source,
        origin=subject.origin,
        kind=judged.kind,
        verdict="admit" if judged.admitted else "reject",
        problems=tuple(judged.problems),
        outcomes=beside.outcomes,
        findings=tuple(judged.findings),
        rows=judged.rows,
        bad_rows=judged.bad_rows,
        train_rows=judged.train_rows,
        holdout_rows=judged.holdout_rows,
        contract_version=contract.version,
        contract_sha256=contract.digest(),
        judged_at=datetime.now(UTC),
        training=beside.training,
        mode=subject.mode,
        uploaded_at=subject.uploaded_at,
        content_sha256=subject.content_sha256,
        previous=_previous(before[0].dataset) if before else None,
        columns=compare(contract, judged.profile, earlier) if judged.profile and judged.profile.rows else (),
        files=cast("Any", files),
    )


def _previous(dataset: Dataset) -> Previous:
    return Previous(
        dataset=dataset.id,
        claim=dataset.claim,
        file=dataset.source.key.rsplit("/", 1)[-1],
        rows=dataset.rows,
        admitted_at=dataset.admitted_at,
    )

"""Judges an upload against its contract and writes down everything that was found."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from ingest.arrival import mode_of, origin_of, rules_for
from ingest.comparison import compare
from ingest.engine import Judged, judge
from ingest.judgement import Judgement, Outcome, Previous
from ingest.past import Batch, batches
from ingest.quality import Before, looks_back, settle
from ingest.report import html
from interlock import keys
from interlock.aws.datasets import Datasets
from interlock.aws.objects import Arrival, Objects
from interlock.aws.state import State
from interlock.models import DeployedModel, deployed
from interlock.observability import logger, metrics, observed
from interlock.records import Dataset, Mode, ObjectRef, Origin
from interlock.settings import DataBucket, StateTable

_PLACES = {
    "train": keys.dataset,
    "holdout": keys.dataset,
    "bad_rows": keys.quarantine,
    "violations": keys.quarantine,
}
_CONTENT = {
    ".parquet": "application/vnd.apache.parquet",
    ".csv": "text/csv; charset=utf-8",
    ".jsonl": "application/jsonl",
}
# What a rejected upload does not become.
_GOOD = {"train", "holdout"}


class Settings(DataBucket, StateTable):
    """What this function uses."""


@observed
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """{claim, model, bucket, key, version} → {verdict, result}; a file nobody can read is a verdict too."""
    logger.append_keys(model=event["model"], claim=event["claim"])
    settings = Settings.load()
    data, state = Objects(settings.data_bucket), State(settings.state_table)
    model = deployed(event["model"])
    # The engine leaves room for the interpreter and for the text of the file.
    memory = max(256, int(context.memory_limit_in_mb) // 2)
    began = time.monotonic()
    judgement, result = validate(data, state, model, event["claim"], event["key"], event["version"], memory)
    metrics.add_dimension(name="model", value=model.id)
    metrics.add_metric(name="RowsJudged", unit=MetricUnit.Count, value=judgement.rows)
    metrics.add_metric(name="BadRows", unit=MetricUnit.Count, value=judgement.bad_rows)
    if judgement.rows:
        share = 100 * judgement.bad_rows / judgement.rows
        metrics.add_metric(name="BadRowShare", unit=MetricUnit.Percent, value=share)
    metrics.add_metric(name="ValidationTime", unit=MetricUnit.Seconds, value=time.monotonic() - began)
    return {"verdict": judgement.verdict, "result": result.model_dump(mode="json")}


def validate(
    data: Objects, state: State, model: DeployedModel, claim: str, key: str, version: str, memory_mb: int
) -> tuple[Judgement, ObjectRef]:
    """Judge one version of an object and write report, good rows, bad rows and profile under the claim.

    Keys depend on the claim alone: a repeat after a crash overwrites what the first try left.
    """
    scratch = Path(tempfile.mkdtemp(prefix="ingest-"))
    try:
        upload, arrival = keys.upload(data.bucket, key, version), data.arrival(key, version)
        mode, origin = mode_of(upload, arrival.metadata), origin_of(upload, arrival.metadata, state)
        source = data.download_version(key, version, scratch / "upload")
        (scratch / "work").mkdir()
        rules = rules_for(model, origin)
        judged = judge(scratch / "upload", rules, scratch / "work", memory_mb=memory_mb, threads=os.cpu_count() or 1)
        # At least one, for the report.
        before = batches(Datasets(state, model.id), data, claim, arrival.at, max(1, looks_back(rules.contract)))
        outcomes = settle(
            judged,
            rules.contract,
            [path for name, path in judged.files.items() if name in _GOOD],
            [Before(batch.dataset.rows, batch.profile) for batch in before],
            arrival.at,
            memory_mb=memory_mb,
        )
        files = {
            name: data.put_file(_PLACES[name](model.id, claim, path.name), path, _CONTENT[path.suffix])
            for name, path in judged.files.items()
            if judged.admitted or name not in _GOOD
        }
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if judged.profile is not None:
        body = judged.profile.to_json().encode()
        files["profile"] = data.put(keys.report(model.id, "ingest", claim, "profile.json"), body, "application/json")
    judgement = _judgement(model, claim, source, judged, outcomes, files, mode, origin, arrival, before)
    page = html(judgement, model.contract).encode()
    files["report"] = data.put(keys.report(model.id, "ingest", claim, "report.html"), page, "text/html")
    judgement = judgement.model_copy(update={"files": files})
    body = json.dumps(judgement.model_dump(mode="json"), indent=1).encode()
    return judgement, data.put(keys.report(model.id, "ingest", claim, "report.json"), body, "application/json")


def _judgement(
    model: DeployedModel,
    claim: str,
    source: ObjectRef,
    judged: Judged,
    outcomes: tuple[Outcome, ...],
    files: dict[str, ObjectRef],
    mode: Mode,
    origin: Origin | None,
    arrival: Arrival,
    before: list[Batch],
) -> Judgement:
    earlier = before[0].profile if before else None
    return Judgement(
        model=model.id,
        claim=claim,
        source=source,
        origin=origin,
        kind=judged.kind,
        verdict="admit" if judged.admitted else "reject",
        problems=tuple(judged.problems),
        outcomes=outcomes,
        findings=tuple(judged.findings),
        rows=judged.rows,
        bad_rows=judged.bad_rows,
        train_rows=judged.train_rows,
        holdout_rows=judged.holdout_rows,
        contract_version=model.contract.version,
        contract_sha256=model.contract.digest(),
        judged_at=datetime.now(UTC),
        mode=mode,
        uploaded_at=arrival.at,
        previous=_previous(before[0].dataset) if before else None,
        columns=compare(model.contract, judged.profile, earlier) if judged.profile and judged.profile.rows else (),
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

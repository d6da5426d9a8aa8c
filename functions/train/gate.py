"""Judges a run by its evaluation, and writes the verdict for machines and for people."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import numpy as np
from aws_lambda_powertools.utilities.typing import LambdaContext

from interlock import keys
from interlock.aws.objects import Objects
from interlock.models import DeployedModel
from interlock.observability import logger, observed
from interlock.records import ObjectRef, TrainingManifest, Verdict
from interlock.report import page
from interlock.settings import ArtefactsBucket, DataBucket
from train.documents import Evaluation
from train.judgement import Scores, judge


class Settings(DataBucket, ArtefactsBucket):
    """What this function uses."""


@observed
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """{model, run, manifest, evaluation} → {verdict, passed}."""
    settings = Settings.load()
    logger.append_keys(model=event["model"], run=event["run"])
    verdict, ref = decide(
        Objects(settings.data_bucket),
        Objects(settings.artefacts_bucket),
        ObjectRef.model_validate(event["manifest"]),
        ObjectRef.model_validate(event["evaluation"]),
        datetime.now(UTC),
    )
    logger.info("judged", passed=verdict.passed, checks={check.id: check.status.value for check in verdict.checks})
    return {"verdict": ref.model_dump(mode="json"), "passed": verdict.passed}


def decide(
    data: Objects, artefacts: Objects, manifest_ref: ObjectRef, evaluation_ref: ObjectRef, now: datetime
) -> tuple[Verdict, ObjectRef]:
    """Write verdict.json and report.html under the run's reports; answers the verdict and where it lies."""
    manifest = TrainingManifest.from_json(data.get(manifest_ref))
    model = DeployedModel.from_json(data.get(manifest.settings))
    evaluation = Evaluation.from_json(artefacts.get(evaluation_ref))
    verdict = judge(model, evaluation, read_scores(artefacts.get(evaluation.scores)), now)
    report = page("gate", model=model, manifest=manifest, evaluation=evaluation, verdict=verdict)
    data.put(keys.report(model.id, "train", verdict.run, "report.html"), report.encode(), "text/html")
    key = keys.report(model.id, "train", verdict.run, "report.json")
    return verdict, data.put(key, verdict.to_json().encode(), "application/json")


def read_scores(body: bytes) -> Scores:
    """Read what `train.scoring.write_scores` wrote."""
    with np.load(io.BytesIO(body)) as stored:
        return Scores(
            y=stored["y"],
            challenger=stored["challenger"],
            champion=stored.get("champion"),
            groups={name.removeprefix("group:"): stored[name] for name in stored if name.startswith("group:")},
        )

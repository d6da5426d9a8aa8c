"""Judges an upload against its contract and writes down everything that was found."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from ingest.arrival import mode_of, origin_of, rules_for
from ingest.engine import judge
from ingest.judgement import Judgement
from ingest.verdict import CONTENT, GOOD, PLACES, Subject, counted, settled, write_down
from interlock import keys
from interlock.aws.objects import Objects
from interlock.aws.state import State
from interlock.models import DeployedModel, deployed
from interlock.observability import logger, metrics, observed
from interlock.records import ObjectRef
from interlock.settings import DataBucket, StateTable


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
    counted(judgement)
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
        rules = rules_for(model, origin, data)
        with data.reader(key, version) as reader:
            judged = judge(reader, rules, scratch, memory_mb=memory_mb, threads=os.cpu_count() or 1)
            source = reader.ref()
        good = [path for name, path in judged.files.items() if name in GOOD]
        subject = Subject(rules, claim, source, arrival.at, mode, origin)
        beside = settled(data, state, subject, judged, good, memory_mb)
        files = {
            name: data.put_file(PLACES[name](model.id, claim, path.name), path, CONTENT[path.suffix])
            for name, path in judged.files.items()
            if judged.admitted or name not in GOOD
        }
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return write_down(data, replace(subject, model=model), judged, beside, files)

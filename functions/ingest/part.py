"""Judges one file of a set."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from ingest import rules
from ingest.engine import judge
from ingest.findings import Problem
from ingest.sets import JudgedPart, Part, Repeated
from ingest.verdict import CONTENT, PLACES
from interlock import keys
from interlock.aws.objects import Objects
from interlock.models import DeployedModel, deployed
from interlock.observability import logger, observed
from interlock.settings import DataBucket


@observed
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """{claim, model, part} → {index, document}."""
    part = Part.model_validate(event["part"])
    logger.append_keys(model=event["model"], claim=event["claim"], part=part.index)
    # The engine leaves room for the interpreter and for the text of the file.
    memory = max(256, int(context.memory_limit_in_mb) // 2)
    data = Objects(DataBucket.load().data_bucket)
    document = judge_part(data, deployed(event["model"]), event["claim"], part, memory)
    again = "again-" if part.repeated else ""
    key = keys.work(event["model"], event["claim"], keys.part(part.index, f"{again}judged.json"))
    ref = data.put(key, document.to_json().encode(), "application/json")
    return {"index": part.index, "document": ref.model_dump(mode="json")}


def judge_part(data: Objects, model: DeployedModel, claim: str, part: Part, memory_mb: int) -> JudgedPart:
    """Judge one file by what its rows must be; what the set as a whole must be is judged when all are.

    Keys depend on the claim and the place in the set: a repeat after a crash overwrites what the first try left.
    """
    scratch = Path(tempfile.mkdtemp(prefix="ingest-"))
    try:
        repeated = Repeated.from_json(data.get(part.repeated)).rows if part.repeated else None
        with data.reader(part.key, part.version) as reader:
            found = judge(
                *(reader, of_one_file(model), scratch),
                memory_mb=memory_mb,
                threads=os.cpu_count() or 1,
                keys=repeated is None,
                doubled=repeated,
            )
            source = reader.ref()
        files = {
            name: data.put_file(
                PLACES[name](model.id, claim, keys.part(part.index, path.name)), path, CONTENT[path.suffix]
            )
            for name, path in found.files.items()
        }
        written = {
            rule: data.put_file(keys.work(model.id, claim, keys.part(part.index, f"keys-{number}")), path)
            for number, (rule, path) in enumerate(found.keys.items())
        }
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    problems = list(found.problems)
    if part.sha256 not in {None, source.sha256}:
        rule = rules.CHECKSUM
        problems.append(
            Problem(
                rule=rule.id,
                found=f"its sha256 is {source.sha256}, the manifest says {part.sha256}",
                condition=rule.condition,
                remedy=rule.remedy,
            )
        )
    return JudgedPart(
        part=part,
        source=source,
        kind=found.kind,
        rows=found.rows,
        bad_rows=found.bad_rows,
        train_rows=found.train_rows,
        holdout_rows=found.holdout_rows,
        problems=tuple(problems),
        findings=tuple(found.findings),
        counts=found.counts,
        profile=found.profile,
        files=files,
        keys=written,
    )


def of_one_file(model: DeployedModel) -> DeployedModel:
    """The model with a contract that says nothing about how many rows are there or are bad."""
    whole = {"min_rows": 0, "max_rows": None, "max_bad_row_share": 1.0}
    return model.model_copy(update={"contract": model.contract.model_copy(update=whole)})

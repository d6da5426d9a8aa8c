"""Judges a set as a whole, when all its files are: one verdict, one report, one dataset made of parts."""

from __future__ import annotations

import csv
import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from ingest import rules
from ingest.arrival import mode_of
from ingest.engine import Judged, whole
from ingest.findings import Example, Finding, Problem
from ingest.judgement import Judgement
from ingest.sets import JudgedPart, judged
from ingest.verdict import CONTENT, GOOD, Beside, Subject, counted, settled, write_down
from interlock import keys
from interlock.aws.objects import Objects
from interlock.aws.state import State
from interlock.cells import harmless
from interlock.models import DeployedModel, deployed
from interlock.observability import logger, observed
from interlock.records import FileList, ObjectRef
from interlock.settings import DataBucket, StateTable
from interlock.stats.profile import Profile

_EXAMPLES = 5
# What one file need not be as long as the set is.
_OF_THE_WHOLE = {rules.ROW_COUNT.id, rules.BAD_ROW_SHARE.id}


class Settings(DataBucket, StateTable):
    """What this function uses."""


@observed
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """{claim, model, key, version, results, again} → {verdict, result}; `again` is empty if none was judged twice."""
    logger.append_keys(model=event["model"], claim=event["claim"])
    settings = Settings.load()
    data, state, model = Objects(settings.data_bucket), State(settings.state_table), deployed(event["model"])
    found = judged(data, [event["results"], event["again"]])
    memory = max(256, int(context.memory_limit_in_mb) // 2)
    judgement, result = merge(data, state, model, event["claim"], event["key"], event["version"], found, memory)
    counted(judgement)
    return {"verdict": judgement.verdict, "result": result.model_dump(mode="json")}


def merge(
    data: Objects,
    state: State,
    model: DeployedModel,
    claim: str,
    key: str,
    version: str,
    found: Sequence[JudgedPart],
    memory_mb: int,
) -> tuple[Judgement, ObjectRef]:
    """Add up what was found in the files, in their order, and judge the sum."""
    arrival = data.arrival(key, version)
    mode = mode_of(keys.upload(data.bucket, key, version), arrival.metadata)
    profiles = [part.profile for part in found if part.profile is not None]
    every = Judged(
        kind=", ".join(sorted({part.kind for part in found})),
        rows=sum(part.rows for part in found),
        bad_rows=sum(part.bad_rows for part in found),
        train_rows=sum(part.train_rows for part in found),
        holdout_rows=sum(part.holdout_rows for part in found),
        findings=findings(found),
        counts={rule: sum(part.counts.get(rule, 0) for part in found) for part in found for rule in part.counts},
        profile=reduce(Profile.merged, profiles) if profiles else None,
    )
    every.problems = [*_of_files(found), *_same_bytes(found)]
    good = {
        name: FileList(files=tuple(part.files[name] for part in found if name in part.files)) for name in sorted(GOOD)
    }
    scratch = Path(tempfile.mkdtemp(prefix="ingest-"))
    try:
        source = data.download_version(key, version, scratch / "manifest")
        content = hashlib.sha256("\n".join(part.source.sha256 for part in found).encode()).hexdigest()
        subject = Subject(model, claim, source, arrival.at, mode, content_sha256=content)
        files = _evidence(data, model.id, claim, found, scratch)
        beside = Beside([], ())
        if not every.problems:
            every.problems = whole(every, model)
            # The rows themselves are looked at by rules that are queries, when nothing else rejects the set.
            asked = every.admitted and any(rule.query for rule in model.contract.quality)
            rows = data.get_files(
                [ref for listed in good.values() for ref in listed.files] if asked else [], scratch / "rows"
            )
            beside = settled(data, state, subject, every, rows, memory_mb)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if every.admitted:
        for name, listed in good.items():
            place = keys.dataset(model.id, claim, f"{name}.json")
            files[name] = data.put(place, listed.to_json().encode(), "application/json")
    else:
        every.train_rows = every.holdout_rows = 0
    return write_down(data, subject, every, beside, files)


def findings(found: Sequence[JudgedPart]) -> list[Finding]:
    """The violations of all files by rule and column, with the first examples of the first files."""
    merged: dict[tuple[str | None, ...], Finding] = {}
    for part in found:
        for finding in part.findings:
            examples = tuple(example.model_copy(update={"file": part.part.name}) for example in finding.examples)
            kind = (finding.rule, finding.column, finding.quality, finding.severity)
            before = merged.get(kind)
            count = finding.count + (before.count if before else 0)
            shown: tuple[Example, ...] = ((*before.examples, *examples) if before else examples)[:_EXAMPLES]
            merged[kind] = finding.model_copy(update={"count": count, "examples": shown})
    return list(merged.values())


def _of_files(found: Iterable[JudgedPart]) -> list[Problem]:
    """What is wrong with single files; any of it rejects the set."""
    return [
        problem.model_copy(update={"found": f"{part.part.name}: {problem.found}"})
        for part in found
        for problem in part.problems
        if problem.rule not in _OF_THE_WHOLE
    ]


def _same_bytes(found: Iterable[JudgedPart]) -> list[Problem]:
    """Files that are the same bytes under two names: their rows would count twice."""
    first: dict[str, str] = {}
    rule, problems = rules.SAME_FILE, []
    for part in found:
        name = first.setdefault(part.source.sha256, part.part.name)
        if name != part.part.name:
            told = f"{part.part.name} is the same bytes as {name}"
            problems.append(Problem(rule=rule.id, found=told, condition=rule.condition, remedy=rule.remedy))
    return problems


def _evidence(
    data: Objects, model: str, claim: str, found: Sequence[JudgedPart], scratch: Path
) -> dict[str, ObjectRef]:
    """The list of all violations, with the file of each, and the list of the files of bad rows."""
    files = {}
    if listing := [part for part in found if "violations" in part.files]:
        path = scratch / "violations.csv"
        with path.open("w", encoding="utf-8", newline="") as target:
            writer = csv.writer(target)
            for number, part in enumerate(listing):
                one = data.get_file(part.files["violations"], scratch / "one")
                with one.open(encoding="utf-8", newline="") as lines:
                    rows = csv.reader(lines)
                    header = next(rows)
                    if number == 0:
                        writer.writerow(["file", *header])
                    writer.writerows([harmless(part.part.name), *row] for row in rows)
        files["violations"] = data.put_file(keys.quarantine(model, claim, path.name), path, CONTENT[path.suffix])
    if bad := [part.files["bad_rows"] for part in found if "bad_rows" in part.files]:
        body = FileList(files=tuple(bad)).to_json().encode()
        files["bad_rows"] = data.put(keys.quarantine(model, claim, "bad-rows.json"), body, "application/json")
    return files

"""Tries a contract on a file here: the very engine that judges uploads, and the difference between two contracts."""

from __future__ import annotations

import csv
import os
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ingest.engine import Judged, judge
from ingest.judgement import Judgement
from ingest.quality import settle
from interlock.contract import Contract, Severity
from interlock.kind import Kind
from interlock.models import DeployedModel
from interlock.records import ObjectRef
from interlock.spec import Gate, Holdout, Limit, ModelSpec, Target

_MEMORY_MB = 2048


def alone(contract: Contract) -> DeployedModel:
    """A model around a contract that has none yet, so that the engine can judge by it; nothing is made of it."""
    spec = ModelSpec(
        id="contract",
        target=Target(column="interlock_none", kind=Kind.REGRESSION),
        holdout=Holdout(key="contract"),
        gate=Gate(metrics={"r2": Limit(min=0)}),
    )
    # Not checked against each other, for there is nothing to predict.
    return DeployedModel.model_construct(spec=spec, contract=contract)


def judgement(model: DeployedModel, file: Path) -> Judgement:
    """What ingest would say about the file. Rules beside earlier datasets have nothing to compare with here."""
    with tempfile.TemporaryDirectory(prefix="interlock-") as scratch:
        found = judge(file, model, Path(scratch), memory_mb=_MEMORY_MB, threads=os.cpu_count() or 1)
        return _judgement(model, file, found)


@dataclass(frozen=True)
class Change:
    """What a file is under a new contract beside an old one. Rows are numbered in the file, from 1.

    `newly_bad` and `newly_good` count the rows by what is wrong with them: `column: rule`.
    """

    file: str
    before: str
    after: str
    rows: int
    newly_bad: Mapping[str, int] = field(default_factory=dict)
    newly_good: Mapping[str, int] = field(default_factory=dict)
    bad_rows: tuple[int, ...] = ()
    good_rows: tuple[int, ...] = ()
    problems: tuple[str, ...] = ()


def change(old: DeployedModel, new: DeployedModel, file: Path, name: str) -> Change:
    """Judge a file by both contracts and say what differs; `name` is what the file is called."""
    (before, bad_before), (after, bad_after) = _rows(old, file), _rows(new, file)
    newly_bad = {row: why for row, why in bad_after.items() if row not in bad_before}
    newly_good = {row: why for row, why in bad_before.items() if row not in bad_after}
    known = {problem.found for problem in before.problems}
    return Change(
        file=name,
        before="admitted" if before.verdict == "admit" else "rejected",
        after="admitted" if after.verdict == "admit" else "rejected",
        rows=after.rows,
        newly_bad=_counted(newly_bad),
        newly_good=_counted(newly_good),
        bad_rows=tuple(sorted(newly_bad)),
        good_rows=tuple(sorted(newly_good)),
        problems=tuple(problem.found for problem in after.problems if problem.found not in known),
    )


def _counted(rows: Mapping[int, tuple[str, ...]]) -> dict[str, int]:
    return dict(Counter(reason for reasons in rows.values() for reason in reasons).most_common())


def _rows(model: DeployedModel, file: Path) -> tuple[Judgement, dict[int, tuple[str, ...]]]:
    """The judgement, and the bad rows with their reasons."""
    with tempfile.TemporaryDirectory(prefix="interlock-") as scratch:
        found = judge(file, model, Path(scratch), memory_mb=_MEMORY_MB, threads=os.cpu_count() or 1)
        bad: dict[int, tuple[str, ...]] = {}
        if "violations" in found.files:
            with found.files["violations"].open(encoding="utf-8", newline="") as listed:
                for line in csv.DictReader(listed):
                    if line["severity"] == Severity.ERROR:
                        row = int(line["row"])
                        name = f"{line['column']}: " if line["column"] else ""
                        bad[row] = (*bad.get(row, ()), f"{name}{line['rule']}")
        return _judgement(model, file, found), bad


def _judgement(model: DeployedModel, file: Path, found: Judged) -> Judgement:
    now = datetime.now(UTC)
    size = file.stat().st_size
    source = ObjectRef(bucket="", key=file.name, version="", sha256="", size=size)
    good = [path for name, path in found.files.items() if name in {"train", "holdout"}]
    outcomes = settle(found, model.contract, good, [], now)
    return Judgement(
        model=model.id,
        claim="",
        source=source,
        kind=found.kind,
        verdict="admit" if found.admitted else "reject",
        problems=tuple(found.problems),
        outcomes=outcomes,
        findings=tuple(found.findings),
        rows=found.rows,
        bad_rows=found.bad_rows,
        train_rows=found.train_rows,
        holdout_rows=found.holdout_rows,
        contract_version=model.contract.version,
        contract_sha256=model.contract.digest(),
        judged_at=now,
        uploaded_at=now,
    )

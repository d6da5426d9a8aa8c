"""Contracts and models for tests of ingest."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from ingest.engine import Judged, judge
from ingest.judgement import Judgement
from interlock.contract import Column, ColumnType, Contract
from interlock.models import DeployedModel
from interlock.records import ObjectRef
from interlock.spec import ModelSpec

REF = ObjectRef(bucket="b", key="incoming/small/people.csv", version="v1", sha256="0" * 64, size=1)
NOW = datetime(2026, 3, 1, tzinfo=UTC)
STRING, INTEGER, NUMBER = ColumnType.STRING, ColumnType.INTEGER, ColumnType.NUMBER


def column(name: str, kind: ColumnType = STRING, **rules: Any) -> Column:
    return Column(name=name, type=kind, **rules)


def model(*columns: Column, **contract: Any) -> DeployedModel:
    """A model that predicts `y` (a number, added when it is not there) from the columns."""
    if all(item.name != "y" for item in columns):
        columns = (*columns, column("y", NUMBER))
    spec = {
        "id": "small",
        "target": {"column": "y", "kind": "regression"},
        "holdout": {"fraction": 0.25, "key": "k"},
        "gate": {"metrics": {"r2": {"min": 0}}},
    }
    made = Contract(id="small", version="1", columns=columns, **({"max_bad_row_share": 1.0} | contract))
    return DeployedModel(spec=ModelSpec.model_validate(spec), contract=made)


def judged(body: bytes, by: DeployedModel, folder: Path, name: str = "upload", threads: int = 2) -> Judged:
    """What the engine says about these bytes; its files lie in `folder`/work."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(body)
    work = folder / f"{name}-work"
    work.mkdir()
    return judge(folder / name, by, work, memory_mb=512, threads=threads)


def found(answer: Judged) -> dict[tuple[str, str | None], list[int]]:
    """(rule, column) → rows of the examples."""
    return {(item.rule, item.column): [example.row for example in item.examples] for item in answer.findings}


def problems(answer: Judged) -> list[str]:
    return [problem.rule for problem in answer.problems]


def rows(path: Path) -> list[tuple[Any, ...]]:
    with duckdb.connect() as con:
        return con.execute(f"FROM read_parquet('{path}')").fetchall()


def judgement(**changed: Any) -> Judgement:
    """A good upload's, changed in these fields."""
    known: dict[str, Any] = {
        "model": "small",
        "claim": "0123456789abcdef",
        "source": REF,
        "kind": "CSV",
        "verdict": "admit",
        "problems": (),
        "findings": (),
        "rows": 1200,
        "bad_rows": 0,
        "train_rows": 900,
        "holdout_rows": 300,
        "contract_version": "1",
        "contract_sha256": "0" * 64,
        "judged_at": NOW,
    }
    return Judgement(**known | changed)

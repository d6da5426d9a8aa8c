"""Joins a model's datasets into what one run trains on, and what it is judged on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np

from interlock.contract import ColumnType
from interlock.holdout import held_out
from interlock.models import DeployedModel
from interlock.sql import quoted, text
from interlock.stats.drift.reference import Reference, category_reference, number_reference

# What ingest writes for a contract's type.
_TYPES = {
    ColumnType.STRING: "VARCHAR",
    ColumnType.INTEGER: "BIGINT",
    ColumnType.NUMBER: "DOUBLE",
    ColumnType.BOOLEAN: "BOOLEAN",
    ColumnType.DATE: "DATE",
    ColumnType.TIMESTAMP: "TIMESTAMP",
}
# Where a row came from; the prefix keeps these columns apart from the contract's.
_ORDER = "interlock_upload, interlock_part, interlock_line"
_NEWEST = "interlock_upload DESC, interlock_part DESC, interlock_line DESC"


@dataclass(frozen=True)
class Frozen:
    """Files of a run, and how many rows they have."""

    train: Path
    holdout_features: Path
    holdout: Path
    reference: Reference
    train_rows: int
    holdout_rows: int


def fits(model: DeployedModel, path: Path) -> bool:
    """Whether a dataset's file has every column of today's contract, with its type."""
    with duckdb.connect() as con:
        found = {
            name: kind
            for name, kind, *_ in con.execute(f"DESCRIBE SELECT * FROM read_parquet({text(str(path))})").fetchall()  # noqa: S608
        }
    return all(found.get(column.name) == _TYPES[column.type] for column in model.contract.columns)


def join(model: DeployedModel, datasets: Sequence[Sequence[Path]], folder: Path, memory_mb: int) -> Frozen:
    """Join datasets, oldest first, each given as its files to train on followed by those that are held out.

    Of rows with the same primary key the newest counts. Rows are split anew by today's holdout settings, so that no
    label that is held out now can come from a file that was split under other ones. Rows without a target are of no
    use and left out. The order is that of upload and file, always.
    """
    con = duckdb.connect(
        config={
            "memory_limit": f"{memory_mb}MB",
            "temp_directory": str(folder / "spill"),
            "preserve_insertion_order": True,
        }
    )
    contract, target = model.contract, quoted(model.target.name)
    names = ", ".join(quoted(name) for name in contract.names)
    parts = " UNION ALL ".join(
        f"SELECT {names}, {upload} AS interlock_upload, {part} AS interlock_part, file_row_number AS interlock_line"  # noqa: S608
        f" FROM read_parquet({text(str(path))}, file_row_number = true)"
        for upload, files in enumerate(datasets)
        for part, path in enumerate(files)
    )
    key = ", ".join(quoted(name) for name in contract.primary_key)
    newest = f" QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY {_NEWEST}) = 1" if key else ""
    con.execute(
        f"CREATE TABLE every AS SELECT *, {held_out(model)} AS interlock_held_out FROM ({parts})"  # noqa: S608
        f" WHERE {target} IS NOT NULL{newest}"
    )
    features = ", ".join(quoted(column.name) for column in model.features)

    def write(name: str, columns: str, condition: str) -> Path:
        path = folder / name
        con.execute(
            f"COPY (SELECT {columns} FROM every WHERE {condition} ORDER BY {_ORDER})"  # noqa: S608
            f" TO {text(str(path))} (FORMAT parquet, COMPRESSION zstd)"
        )
        return path

    frozen = Frozen(
        train=write("train.parquet", f"{features}, {target}", "NOT interlock_held_out"),
        holdout_features=write("holdout-features.parquet", features, "interlock_held_out"),
        holdout=write("holdout.parquet", names, "interlock_held_out"),
        reference=_reference(con, model),
        train_rows=_count(con, "NOT interlock_held_out"),
        holdout_rows=_count(con, "interlock_held_out"),
    )
    con.close()
    return frozen


def _reference(con: duckdb.DuckDBPyConnection, model: DeployedModel) -> Reference:
    """What the features of the training rows look like."""
    numbers, categories = {}, {}
    for column in model.features:
        name = quoted(column.name)
        if column.numeric:
            query = f"SELECT CAST({name} AS DOUBLE) AS v FROM every WHERE NOT interlock_held_out"  # noqa: S608
            found = con.execute(query).fetchnumpy()["v"]
            numbers[column.name] = number_reference(np.ma.filled(found.astype(np.float64), np.nan))
        else:
            counts = con.execute(
                f"SELECT CAST({name} AS VARCHAR), count(*) FROM every WHERE NOT interlock_held_out GROUP BY 1"  # noqa: S608
            ).fetchall()
            missing = sum(count for value, count in counts if value is None)
            categories[column.name] = category_reference(
                [(value, count) for value, count in counts if value is not None], missing
            )
    return Reference(numbers=numbers, categories=categories)


def _count(con: duckdb.DuckDBPyConnection, condition: str) -> int:
    answer = con.execute(f"SELECT count(*) FROM every WHERE {condition}").fetchone()  # noqa: S608
    return int(answer[0]) if answer else 0

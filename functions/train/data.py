"""Joins a model's datasets into what one run trains on, and what it is judged on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

from interlock.contract import STORED_TYPES, Column
from interlock.holdout import held_out
from interlock.models import DeployedModel
from interlock.sql import quoted, text
from interlock.stats.drift.reference import (
    MAX_SEGMENTS,
    CategoryReference,
    NumberReference,
    Reference,
    Segment,
    category_reference,
    normal_scores,
    number_reference,
)
from interlock.stats.drift.together import Together

# Enough for a correlation to be known to 0.003.
_TOGETHER_ROWS = 100_000
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
    return all(found.get(column.name) == STORED_TYPES[column.type] for column in model.contract.columns)


def join(model: DeployedModel, datasets: Sequence[Sequence[Path]], folder: Path, memory_mb: int) -> Frozen:
    """Join datasets, oldest first, each given as its files, whose paths sort as their rows shall.

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
        f"SELECT {names}, {upload} AS interlock_upload, interlock_part, file_row_number AS interlock_line"  # noqa: S608
        f" FROM read_parquet([{', '.join(text(str(path)) for path in files)}], file_row_number = true,"
        " filename = 'interlock_part')"
        for upload, files in enumerate(datasets)
    )
    key = ", ".join(quoted(name) for name in contract.primary_key)
    newest = f" QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY {_NEWEST}) = 1" if key else ""
    # Sorted once here: files, and the sums of a reference, are to be the same bytes whenever they are made.
    con.execute(
        f"CREATE TABLE every AS SELECT *, {held_out(model)} AS interlock_held_out FROM ({parts})"  # noqa: S608
        f" WHERE {target} IS NOT NULL{newest} ORDER BY {_ORDER}"
    )
    features = ", ".join(quoted(column.name) for column in model.features)

    def write(name: str, columns: str, condition: str) -> Path:
        path = folder / name
        con.execute(
            f"COPY (SELECT {columns} FROM every WHERE {condition})"  # noqa: S608
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
    """What the features of the training rows look like, each by itself, together, and in the model's segments."""
    numbers, categories = _columns(con, model, "NOT interlock_held_out", detailed=True)
    reference = Reference(numbers=numbers, categories=categories)
    open_columns = [column for column in model.features if not column.restricted]
    return reference.model_copy(
        update={
            "together": Together.of(normal_scores(reference, _rows(con, open_columns))),
            "segments": {name: _segments(con, model, reference, name) for name in model.spec.monitoring.segments},
        }
    )


def _columns(
    con: duckdb.DuckDBPyConnection, model: DeployedModel, condition: str, *, detailed: bool = False
) -> tuple[dict[str, NumberReference], dict[str, CategoryReference]]:
    numbers, categories = {}, {}
    for column in model.features:
        name = quoted(column.name)
        if column.numeric:
            found = con.execute(f"SELECT CAST({name} AS DOUBLE) AS v FROM every WHERE {condition}").fetchnumpy()["v"]  # noqa: S608
            numbers[column.name] = number_reference(
                np.ma.filled(found.astype(np.float64), np.nan), detailed=detailed and not column.restricted
            )
        else:
            counts = con.execute(
                f"SELECT CAST({name} AS VARCHAR), count(*) FROM every WHERE {condition} GROUP BY 1"  # noqa: S608
            ).fetchall()
            missing = sum(count for value, count in counts if value is None)
            categories[column.name] = category_reference(
                [(value, count) for value, count in counts if value is not None], missing
            )
    return numbers, categories


def _rows(con: duckdb.DuckDBPyConnection, columns: Sequence[Column]) -> dict[str, npt.NDArray[Any]]:
    """Training rows by column, at most about a hundred thousand evenly taken."""
    step = max(1, _count(con, "NOT interlock_held_out") // _TOGETHER_ROWS)
    chosen = ", ".join(
        f"CAST({quoted(column.name)} AS {'DOUBLE' if column.numeric else 'VARCHAR'}) AS c{place}"
        for place, column in enumerate(columns)
    )
    if not chosen:
        return {}
    found = con.execute(
        f"SELECT {chosen} FROM every WHERE NOT interlock_held_out AND rowid % {step} = 0"  # noqa: S608
    ).fetchnumpy()
    return {
        column.name: np.ma.filled(found[f"c{place}"].astype(np.float64), np.nan)
        if column.numeric
        else found[f"c{place}"]
        for place, column in enumerate(columns)
    }


def _segments(
    con: duckdb.DuckDBPyConnection, model: DeployedModel, reference: Reference, name: str
) -> tuple[Segment, ...]:
    """The most frequent values of a column that have rows enough to be judged by."""
    found, known = [], reference.categories[name]
    restricted = model.contract.column(name).restricted
    for place, (value, rows) in enumerate(zip(known.categories, known.counts, strict=True)):
        if rows < model.spec.monitoring.drift.min_rows or place >= MAX_SEGMENTS:
            break
        condition = f"NOT interlock_held_out AND CAST({quoted(name)} AS VARCHAR) = {text(value)}"
        numbers, categories = _columns(con, model, condition)
        categories.pop(name)
        # A restricted column is captured as the place of its category.
        shown = str(place) if restricted else value
        found.append(Segment(value=shown, rows=rows, numbers=numbers, categories=categories))
    return tuple(found)


def _count(con: duckdb.DuckDBPyConnection, condition: str) -> int:
    answer = con.execute(f"SELECT count(*) FROM every WHERE {condition}").fetchone()  # noqa: S608
    return int(answer[0]) if answer else 0

"""Counts a window of captured predictions by the reference's bins."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

from interlock import keys
from interlock.aws.objects import Objects
from interlock.contract import Column, ColumnType
from interlock.models import DeployedModel
from interlock.report import number
from interlock.sql import quoted, text
from interlock.stats.drift.reference import CategoryReference, NumberReference, Reference
from interlock.stats.drift.verdict import Counted

SCORE = "(score)"
_OTHER = "(other)"


def fetch(data: Objects, model: str, start: datetime, end: datetime, scratch: Path) -> list[Path]:
    """Bring the window's capture files here; a capture is filed under the day of its prediction."""
    found = []
    day = start.date()
    while day <= end.date():
        for place, key in enumerate(data.keys(keys.captures(model, day, ""))):
            found.append(data.download(key, scratch / f"{day}-{place}.parquet"))
        day += timedelta(days=1)
    return found


def count(
    files: Iterable[Path],
    model: DeployedModel,
    reference: Reference,
    version: int,
    start: datetime,
    end: datetime,
    scratch: Path,
    memory_mb: int = 1024,
) -> tuple[int, list[Counted]]:
    """Rows of the version's traffic in (start, end], and every column's counts; a prediction counts once.

    The engine takes `memory_mb` at most and spills into `scratch`, the only place where a function may write.
    """
    listed = ", ".join(text(str(path)) for path in files)
    if not listed:
        return 0, []
    con = duckdb.connect(
        config={
            "memory_limit": f"{memory_mb}MB",
            "temp_directory": str(scratch / "spill"),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )
    # A model's columns, and their types, may have changed since older captures of the window were written.
    con.execute(
        f"CREATE TABLE traffic AS SELECT DISTINCT ON (request_id, row) * FROM"  # noqa: S608 - paths are ours
        f" read_parquet([{listed}], union_by_name=true) WHERE version = ? AND time > ? AND time <= ?",
        [version, start.replace(tzinfo=None), end.replace(tzinfo=None)],
    )
    there = {name for name, *_ in con.execute("DESCRIBE traffic").fetchall()}
    rows = _rows(con)
    columns = [
        counted
        for column in model.features
        if f"in_{column.name}" in there and (counted := _column(con, column, reference)) is not None
    ]
    if reference.score is not None:
        columns.append(_number(SCORE, _values(con, "score"), reference.score))
    return rows, columns


def _column(con: duckdb.DuckDBPyConnection, column: Column, reference: Reference) -> Counted | None:
    name = f"in_{column.name}"
    # The values of a restricted column stay out of every report.
    if numbers := reference.numbers.get(column.name):
        if column.restricted:
            labels = [f"range {place}" for place in range(1, len(numbers.counts) + 1)]
            return _bins(con, column.name, name, numbers.counts, numbers.missing, labels)
        return _number(column.name, _values(con, name), numbers, whole=column.type is ColumnType.INTEGER)
    category = reference.categories.get(column.name)
    if category is None:
        return None
    if column.restricted:
        labels = [f"group {place}" for place in range(1, len(category.categories) + 1)]
        return _bins(con, column.name, name, (*category.counts, category.other), category.missing, [*labels, _OTHER])
    return _category(con, column.name, name, category)


def _number(
    column: str, values: npt.NDArray[np.float64], reference: NumberReference, *, whole: bool = False
) -> Counted:
    known = values[~np.isnan(values)]
    places = np.searchsorted(np.array(reference.edges), known, side="right")
    now = np.bincount(places, minlength=len(reference.counts))
    return Counted(
        column=column,
        bins=_ranges(reference, whole=whole),
        before=reference.counts,
        now=tuple(now.tolist()),
        missing_before=reference.missing,
        missing_now=int(len(values) - len(known)),
    )


def _bins(
    con: duckdb.DuckDBPyConnection,
    column: str,
    name: str,
    before: tuple[int, ...],
    missing: int,
    labels: list[str],
) -> Counted:
    counts = dict(
        con.execute(f"SELECT TRY_CAST({quoted(name)} AS INTEGER), count(*) FROM traffic GROUP BY 1").fetchall()  # noqa: S608
    )
    now = [int(counts.get(place, 0)) for place in range(len(before))]
    # The place after the last category: rare in training, or never seen there.
    new = now[-1] if labels[-1] == _OTHER and not before[-1] else 0
    return Counted(
        column=column,
        bins=tuple(labels),
        before=before,
        now=tuple(now),
        missing_before=missing,
        missing_now=int(counts.get(None, 0)),
        new=new,
        rest=labels[-1] == _OTHER,
    )


def _category(con: duckdb.DuckDBPyConnection, column: str, name: str, reference: CategoryReference) -> Counted:
    found: dict[Any, int] = dict(
        con.execute(f"SELECT CAST({quoted(name)} AS VARCHAR), count(*) FROM traffic GROUP BY 1").fetchall()  # noqa: S608
    )
    # The model is fed the empty text where a value is missing (interlock.inference).
    missing = int(found.pop(None, 0)) + (0 if "" in reference.categories else int(found.pop("", 0)))
    known = [int(found.pop(category, 0)) for category in reference.categories]
    rest = sum(found.values())
    return Counted(
        column=column,
        bins=(*reference.categories, _OTHER),
        before=(*reference.counts, reference.other),
        now=(*known, rest),
        missing_before=reference.missing,
        missing_now=missing,
        new=0 if reference.other else rest,
        rest=True,
    )


def _ranges(reference: NumberReference, *, whole: bool) -> tuple[str, ...]:
    """The bins in words; of whole numbers by their first and last value."""
    edges = reference.edges
    if not edges:
        return ("all values",)
    middle = [_range(low, high, whole=whole) for low, high in pairwise(edges)]
    return (f"below {number(edges[0])}", *middle, f"from {number(edges[-1])}")


def _range(low: float, high: float, *, whole: bool) -> str:
    # The bin of a constant ends just above it.
    last = max(low, high - 1) if whole else high
    return number(low) if number(low) == number(last) else f"{number(low)} to {number(last)}"


def _values(con: duckdb.DuckDBPyConnection, name: str) -> npt.NDArray[np.float64]:
    found = con.execute(f"SELECT TRY_CAST({quoted(name)} AS DOUBLE) AS value FROM traffic").fetchnumpy()["value"]  # noqa: S608
    return np.asarray(np.ma.filled(np.ma.asarray(found, dtype=np.float64), np.nan))


def _rows(con: duckdb.DuckDBPyConnection) -> int:
    return int(con.execute("SELECT count(*) FROM traffic").fetchall()[0][0])

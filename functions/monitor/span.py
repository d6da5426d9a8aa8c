"""Which predictions a check judges: those of a stretch of time, or the next so many that no check has judged yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from interlock.models import DeployedModel
from interlock.sql import text
from interlock.windows import Stretch

# By number, a prediction is taken only when the log has had this time to bring those before it.
SETTLED = timedelta(minutes=1)


@dataclass(frozen=True)
class Chosen:
    """A window: predictions in (start, end], `rows` in number; the rest as in `WindowResult`."""

    start: datetime
    end: datetime
    rows: int = 0
    late: int = 0
    more: bool = False


def first_day(model: DeployedModel, last: Stretch | None, at: datetime) -> datetime:
    """Since when captures are needed: of the last window too, whose late ones are counted."""
    since = at - model.spec.monitoring.window.reach
    return max(since, last.start) if last else since


def choose(
    con: duckdb.DuckDBPyConnection,
    files: Sequence[Path],
    model: DeployedModel,
    version: int,
    last: Stretch | None,
    at: datetime,
) -> Chosen:
    """The window that a check at a moment judges; the same captures give the same one.

    By number it ends with the request that makes it full; of a request, all rows are in one window. One that is not
    full goes up to now, to be shown and not to be judged.

    Args:
        con: the data engine.
        files: captures since `first_day`.
        model: its settings.
        version: whose predictions count.
        last: the last full window of that version.
        at: the moment.
    """
    window = model.spec.monitoring.window
    start = at - window.reach
    if window.predictions is None:
        return Chosen(start, at)
    start, end = max(start, last.end) if last else start, at - SETTLED
    if not files:
        return Chosen(start, at)
    full, rows, total = _counted(con, files, version, start, end, window.predictions)
    late = 0
    if last is not None:
        *_, there = _counted(con, files, version, last.start, last.end, window.predictions)
        # Captures expire: then fewer are there than were judged.
        late = max(0, there - last.rows)
    if full is None:
        return Chosen(start, at, total, late)
    return Chosen(start, full, rows, late, more=total - rows >= window.predictions)


def _counted(
    con: duckdb.DuckDBPyConnection, files: Sequence[Path], version: int, start: datetime, end: datetime, wanted: int
) -> tuple[datetime | None, int, int]:
    """When the wanted number of predictions in (start, end] is reached, how many they are then, and all in all."""
    listed = ", ".join(text(str(path)) for path in files)
    # Equal ids are one prediction that was captured twice.
    seen = "sum(count(DISTINCT hash(request_id, row))) OVER (ORDER BY time) AS seen"
    reached, rows, total = con.execute(
        f"WITH moments AS (SELECT time, {seen} FROM read_parquet([{listed}], union_by_name=true)"  # noqa: S608
        " WHERE version = ? AND time > ? AND time <= ? GROUP BY time)"
        " SELECT min(time) FILTER (seen >= ?), min(seen) FILTER (seen >= ?), max(seen) FROM moments",
        [version, start.replace(tzinfo=None), end.replace(tzinfo=None), wanted, wanted],
    ).fetchall()[0]
    return reached.replace(tzinfo=UTC) if reached else None, int(rows or 0), int(total or 0)

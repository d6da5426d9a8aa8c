"""One model: what serves, its history on one time axis, its columns, its performance, and what was decided."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from console import charts, history, timeline
from console.door import Asked, Reply
from console.history import History
from console.pages.overview import standing
from console.pages.window import checked
from console.render import html
from interlock.aws.datasets import Datasets
from interlock.records import CheckedWindow, Lease
from interlock.stats.drift.found import ColumnDrift

# What a person may ask to see: names and days.
SPANS: dict[str, int | None] = {"week": 7, "month": 30, "quarter": 91, "year": 365, "all": None}
# Where nobody asks; everything, of a model that is not as old, or in which nothing happened for as long.
_SPAN = "quarter"
_ROWS = 12


class ColumnOver(NamedTuple):
    """A column: as the last window had it, if that is known, and its index over all windows."""

    name: str
    last: ColumnDrift | None
    chart: charts.Chart


def show(asked: Asked) -> Reply:
    """The model that the path names. `?span=` is how far back it goes, `?rows=all` how much the tables hold."""
    state, model = asked.sources.state, asked.sources.deployed(asked.model)
    now = datetime.now(UTC)
    span = asked.query.get("span", _SPAN)
    since = _since(span, now)
    found = history.read(state, asked.sources.ledger, model.id, since)
    if "span" not in asked.query and (found.begins or not (found.windows or found.entries)):
        span, since = "all", None
        found = found if found.begins else history.read(state, asked.sources.ledger, model.id)
    on = timeline.axis(found, now, since)
    limit = model.spec.monitoring.drift.psi
    columns = _columns(asked, found, on, limit)
    return html(
        "model",
        standing=standing(asked.sources, model.id),
        training=state.get(Lease, f"model#{model.id}", "lease#train"),
        datasets=Datasets(state, model.id).in_training(model.contract.digest()),
        spans=SPANS,
        span=span if span in SPANS else "all",
        cut=found.cut,
        lanes=timeline.lanes(found, on),
        ticks=on.ticks(),
        performance=charts.performance(found.windows, on),
        columns=columns,
        restricted={column.name for column in model.features if column.restricted},
        figures=charts.figures(found.windows, [column.name for column in columns], limit, on),
        limit=limit,
        now=now,
        report_of=timeline.report_of,
        rows=None if asked.query.get("rows") == "all" else _ROWS,
        **_tables(found),
    )


def _since(span: str, now: datetime) -> datetime | None:
    days = SPANS.get(span)
    return now - timedelta(days=days) if days else None


def _columns(asked: Asked, found: History, on: timeline.Axis, limit: float) -> list[ColumnOver]:
    """The columns as the last window's report has them, the most drifted first."""
    newest = next((window for window in reversed(found.windows) if window.rows), None)
    if newest is None:
        return []
    result = checked(asked, newest)
    last = {column.column: column for column in result.drift.columns} if result else {}
    names = [*last, *(name for name in newest.columns if name not in last)]
    drawn = charts.indices(found.windows, names, limit, on)
    return [ColumnOver(name, last.get(name), chart) for name, chart in zip(names, drawn, strict=True)]


def _tables(found: History) -> dict[str, Any]:
    """The newest first."""
    windows: tuple[CheckedWindow, ...] = tuple(reversed(found.windows))
    stages = {
        stage: [entry for entry in found.entries if entry.decision.stage == stage] for stage in ("ingest", "release")
    }
    return {
        "windows": windows,
        "runs": history.runs(found.entries),
        "uploads": stages["ingest"],
        "releases": stages["release"],
    }

"""Which version answered a request: from the captures, with the revision under which it did."""

from __future__ import annotations

import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
from aws_lambda_powertools.utilities.typing import LambdaContext

from interlock import keys
from interlock.aws.objects import Objects
from interlock.aws.state import State
from interlock.errors import InvalidRequest
from interlock.models import deployed
from interlock.observability import observed
from interlock.settings import DataBucket, StateTable
from interlock.sql import text
from release.record import revision

_DAYS = 7


class Settings(DataBucket, StateTable):
    """What this function uses."""


@observed
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """{model, request_id, day?} → {request_id, version, revision, time, rows, role, share, since}."""
    settings = Settings.load()
    model = deployed(event["model"]).id
    newest = date.fromisoformat(event["day"]) if event.get("day") else datetime.now(UTC).date()
    return trace(
        Objects(settings.data_bucket),
        State(settings.state_table),
        model,
        event["request_id"],
        [newest] if event.get("day") else [newest - timedelta(days=back) for back in range(_DAYS)],
    )


def trace(data: Objects, state: State, model: str, request_id: str, days: list[date]) -> dict[str, Any]:
    """Look for the request day by day.

    Raises:
        InvalidRequest: no captured answer has this id.
    """
    for day in days:
        with tempfile.TemporaryDirectory(prefix="trace-") as scratch:
            found = _answer(data, model, request_id, day, Path(scratch))
        if found is None:
            continue
        version, number, at, rows = found
        record = revision(state, model, number)
        champion = record.champion.version if record and record.champion else None
        return {
            "request_id": request_id,
            "version": version,
            "revision": number,
            "time": at.replace(tzinfo=UTC).isoformat(),
            "rows": rows,
            "role": "champion" if version == champion else "challenger",
            "share": record.share if record else None,
            "since": record.changed_at.isoformat() if record else None,
        }
    raise InvalidRequest(
        f"no captured answer of '{model}' between {days[-1]} and {days[0]} has the request id {request_id}",
        remedy="Name its day (--day), and wait a minute after the call: captures come a little later.",
    )


def _answer(
    data: Objects, model: str, request_id: str, day: date, scratch: Path
) -> tuple[int, int, datetime, int] | None:
    files = [
        data.download(key, scratch / str(place)) for place, key in enumerate(data.keys(keys.captures(model, day, "")))
    ]
    if not files:
        return None
    listed = ", ".join(text(str(path)) for path in files)
    rows = (
        duckdb.connect()
        .execute(
            f"SELECT version, revision, min(time), count(DISTINCT row)"  # noqa: S608 - paths are ours
            f" FROM read_parquet([{listed}], union_by_name=true) WHERE request_id = ? GROUP BY ALL",
            [request_id],
        )
        .fetchall()
    )
    return rows[0] if rows else None

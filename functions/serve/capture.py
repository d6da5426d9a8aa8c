"""Keeps captured predictions: lines of the serving function's log in, Parquet by model and day out."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from interlock import keys
from interlock.aws.objects import Objects
from interlock.contract import ColumnType
from interlock.models import deployed
from interlock.observability import metrics, observed
from interlock.settings import DataBucket
from interlock.sql import quoted

_FIXED = {
    "time": "TIMESTAMP",
    "request_id": "VARCHAR",
    "row": "INTEGER",
    "version": "INTEGER",
    "revision": "INTEGER",
    "label": "VARCHAR",
    "score": "DOUBLE",
    "milliseconds": "DOUBLE",
    "unit": "VARCHAR",
}
_FAILED = {
    "time": "TIMESTAMP",
    "request_id": "VARCHAR",
    "version": "INTEGER",
    "revision": "INTEGER",
    "error": "VARCHAR",
}
_TYPES = {ColumnType.STRING: "VARCHAR", ColumnType.BOOLEAN: "BOOLEAN"}


@observed
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, int]:
    """A log subscription's event → how many predictions were kept."""
    document = json.loads(gzip.decompress(base64.b64decode(event["awslogs"]["data"])))
    kept = keep(document.get("logEvents", []), Objects(DataBucket.load().data_bucket))
    metrics.add_metric(name="PredictionsKept", unit=MetricUnit.Count, value=kept)
    return {"kept": kept}


def keep(log_events: list[dict[str, Any]], data: Objects) -> int:
    """Write the captured lines among these log events; the same events again overwrite their own files."""
    by_place: dict[tuple[str, date, bool], list[tuple[str, dict[str, Any]]]] = defaultdict(list)
    for item in log_events:
        if (line := _line(item["message"])) is not None:
            place = (line["model"], date.fromisoformat(line["time"][:10]), "error" in line)
            by_place[place].append((item["id"], line))
    kept = 0
    for (model, day, failed), lines in by_place.items():
        name = hashlib.sha256("".join(key for key, _ in lines).encode()).hexdigest()[:32] + ".parquet"
        with tempfile.TemporaryDirectory() as scratch:
            path = _parquet(_FAILED if failed else _columns(model), [line for _, line in lines], Path(scratch))
            key = keys.failures(model, day, name) if failed else keys.captures(model, day, name)
            data.put_file(key, path, "application/vnd.apache.parquet")
        kept += sum(len(line.get("scores", ())) for _, line in lines)
    return kept


def _line(message: str) -> dict[str, Any] | None:
    """A capture line; anything else that stands in the log is nobody's prediction."""
    try:
        found = json.loads(message)
    except ValueError:
        return None
    if not isinstance(found, dict) or (found.get("interlock"), found.get("schema_version")) != ("capture", 2):
        return None
    return found


def _rows(line: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A line's rows; a call that failed is one."""
    if "error" in line:
        yield line
        return
    whole = {name: line[name] for name in _FIXED if name in line}
    labels, inputs = line["labels"], line["inputs"]
    for place, score in enumerate(line["scores"]):
        yield {
            **whole,
            "row": line["first_row"] + place,
            "label": labels[place] if labels else None,
            "score": score,
            **{f"in_{name}": column[place] for name, column in inputs.items()},
        }


def _columns(model: str) -> dict[str, str]:
    columns = dict(_FIXED)
    for column in deployed(model).features:
        # A restricted value was captured as the number of its bin.
        columns[f"in_{column.name}"] = "INTEGER" if column.restricted else _TYPES.get(column.type, "DOUBLE")
    return columns


def _parquet(columns: dict[str, str], lines: list[dict[str, Any]], scratch: Path) -> Path:
    source, target = scratch / "lines.jsonl", scratch / "captures.parquet"
    with source.open("w", encoding="utf-8") as file:
        for line in lines:
            file.writelines(json.dumps(row) + "\n" for row in _rows(line))
    declared = ", ".join(f"{quoted(name)}: '{kind}'" for name, kind in columns.items())
    duckdb.connect().execute(
        f"COPY (SELECT * FROM read_json('{source}', format='newline_delimited', columns={{{declared}}}))"  # noqa: S608
        f" TO '{target}' (FORMAT parquet, COMPRESSION zstd)"
    )
    return target

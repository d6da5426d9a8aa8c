"""Sixteen callers at once: what each asks, what each is answered, and what is kept of it."""

from __future__ import annotations

import csv
import gzip
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb

from cli import inference
from cli.target import Target

from .conftest import CENSUS, ROOT

CALLERS = 16
_NUMBERS = ("age", "education_num", "capital_gain", "capital_loss", "hours_per_week")
_TEXTS = ("workclass", "marital_status", "occupation", "relationship", "native_country")
# Column by column, what a capture must hold of a call; `native_country` is restricted and kept as its bin.
_KEPT = (*_NUMBERS, *(name for name in _TEXTS if name != "native_country"))
_AT_ONCE = 500


@dataclass(frozen=True)
class Answered:
    """A call: who was asked about, what was answered, and how long it took."""

    row: dict[str, Any]
    request_id: str
    score: float
    seconds: float


def people(count: int) -> list[dict[str, Any]]:
    """Rows of the census, each with a number of its own, and texts that a log may take for the end of a line."""
    with gzip.open(ROOT / f"models/{CENSUS}/data/part-1.csv.gz", "rt", encoding="utf-8") as file:
        found = list(islice(csv.DictReader(file), count))
    return [
        {name: int(row[name]) for name in _NUMBERS}
        | {name: None if row[name] == "?" else row[name] for name in _TEXTS}
        | {"capital_loss": number, "occupation": f"caller {number}\u2028\x85"}
        for number, row in enumerate(found)
    ]


def ask(target: Target, rows: list[dict[str, Any]], callers: int = CALLERS) -> list[Answered]:
    """Ask for each row by itself, so many at once, and hold every answer against the one to all rows together."""
    whole = inference.request(target, CENSUS, rows)["inputs"]
    wanted = [
        item.score
        for start in range(0, len(rows), _AT_ONCE)
        for item in inference.predict(target, CENSUS, rows[start : start + _AT_ONCE])
    ]

    def one(number: int) -> Answered:
        inputs = [item | {"shape": [1, 1], "data": [item["data"][number]]} for item in whole]
        body = json.dumps({"id": f"call-{number}", "inputs": inputs}).encode()
        began = time.monotonic()
        status, said, headers = target.call("POST", f"/v2/models/{CENSUS}/infer", body)
        took = time.monotonic() - began
        assert status == 200, said
        answer = json.loads(said)
        assert answer["id"] == f"call-{number}"
        outputs = {item["name"]: item["data"] for item in answer["outputs"]}
        assert abs(outputs["probability"][0] - wanted[number]) < 1e-6, f"call {number} got another's answer"
        assert headers["x-request-id"] == answer["parameters"]["request_id"]
        return Answered(rows[number], answer["parameters"]["request_id"], outputs["probability"][0], took)

    with ThreadPoolExecutor(callers) as pool:
        return list(pool.map(one, range(len(rows))))


def kept(target: Target, answers: list[Answered], folder: Path, seconds: float = 120) -> list[tuple[Any, ...]]:
    """The captures of these calls, once all have arrived or the time is over: request id, score and inputs."""
    client, bucket = target.client("s3"), target.outputs["DataBucket"]
    folder.mkdir(parents=True, exist_ok=True)
    ids = {answer.request_id for answer in answers}
    found: list[tuple[Any, ...]] = []
    read: set[str] = set()
    columns = ", ".join(["request_id", "score", *(f"in_{name}" for name in _KEPT)])
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"captures/model={CENSUS}/"):
            for key in {item["Key"] for item in page.get("Contents", [])} - read:
                client.download_file(bucket, key, str(path := folder / "captures.parquet"))
                rows = duckdb.connect().execute(f"SELECT {columns} FROM read_parquet(?)", [str(path)]).fetchall()
                found += [row for row in rows if row[0] in ids]
                read.add(key)
        if ids <= {row[0] for row in found}:
            break
        time.sleep(0.3)
    return found


def sent(answers: list[Answered]) -> list[tuple[Any, ...]]:
    """What the captures of these calls should be."""
    return [(item.request_id, item.score, *(item.row[name] for name in _KEPT)) for item in answers]

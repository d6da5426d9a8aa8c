"""What is written down: datasets, verdicts, what serves, the ledger, the reports."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args

from cli.target import Target
from interlock.aws import claims
from interlock.aws.datasets import Datasets
from interlock.aws.live import live_release
from interlock.errors import InvalidRequest
from interlock.ledger import Entry
from interlock.records import Claim, Dataset, LiveRelease, Repeat
from localcloud.supervisor import HOME

Stage = Literal["ingest", "train", "release", "monitor"]
STAGES = get_args(Stage)


def live(target: Target, model: str) -> LiveRelease | None:
    """What serves now."""
    return live_release(target.state, model)


def claim(target: Target, name: str) -> Claim | None:
    """Who works on an upload, or what became of it."""
    return target.state.get(Claim, claims.pk(name), "claim")


def bake(target: Target, model: str) -> dict[str, Any] | None:
    """What the step of a release has shown so far."""
    found = _items(target, f"model#{model}", "bake")
    return json.loads(found[0]) if found else None


def datasets(target: Target, model: str) -> list[Dataset]:
    """The admitted datasets, in the order of their upload."""
    return Datasets(target.state, model).admitted()


def repeats(target: Target, model: str, claim: str = "") -> list[Repeat]:
    """Uploads of bytes that had been admitted before; of one claim, or all."""
    return list(target.state.query(Repeat, f"model#{model}", f"repeat#{claim}"))


def dataset_of(target: Target, model: str, claim: str) -> Dataset | None:
    """The dataset that an upload became, or had become before under another name."""
    again = {repeat.dataset for repeat in repeats(target, model, claim)}
    return next((item for item in datasets(target, model) if item.claim == claim or item.id in again), None)


def outcomes(target: Target, model: str) -> list[dict[str, Any]]:
    """What the checks of the traffic led to, oldest first."""
    return [json.loads(text) for text in _items(target, f"model#{model}", "outcome#")]


def captured(target: Target, since: datetime) -> int:
    """How many predictions were kept since then, by the function's own count."""
    pages = (
        target.client("logs")
        .get_paginator("filter_log_events")
        .paginate(
            logGroupName=f"/aws/lambda/{target.stack}-serve-capture",
            startTime=int(since.timestamp() * 1000),
            filterPattern="PredictionsKept",
        )
    )
    lines = (json.loads(event["message"]) for page in pages for event in page["events"])
    return sum(int(count) for line in lines for count in line["PredictionsKept"])


def ledger(target: Target, model: str) -> Iterator[Entry]:
    """The model's chain of decisions, from its start."""
    return target.ledger.entries(model)


@dataclass(frozen=True)
class Report:
    """A page about something that was judged."""

    model: str
    stage: str
    subject: str
    key: str
    written: Any


def reports(target: Target, model: str, stage: str | None = None) -> list[Report]:
    """The pages of a model, newest first."""
    found = []
    pages = target.client("s3").get_paginator("list_objects_v2")
    for part in [stage] if stage else STAGES:
        for page in pages.paginate(Bucket=target.outputs["DataBucket"], Prefix=f"reports/{model}/{part}/"):
            for item in page.get("Contents", []):
                if item["Key"].endswith(".html"):
                    subject = item["Key"].split("/")[3]
                    found.append(Report(model, part, subject, item["Key"], item["LastModified"]))
    return sorted(found, key=lambda report: report.written, reverse=True)


def document(target: Target, report: Report) -> dict[str, Any]:
    """The same report as JSON."""
    found: dict[str, Any] = json.loads(target.data.raw(report.key.removesuffix(".html") + ".json"))
    return found


def fetch(target: Target, report: Report) -> Path:
    """Bring a page here; answers where it lies."""
    name = f"{report.model}-{report.stage}-{report.subject}-{report.key.rsplit('/', 1)[-1]}"
    path = HOME / "reports" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    target.client("s3").download_file(target.outputs["DataBucket"], report.key, str(path))
    return path


def newest(target: Target, model: str, stage: str | None, subject: str | None = None) -> Report:
    """The newest page, or that of a claim, run or window.

    Raises:
        InvalidRequest: there is none.
    """
    found = [report for report in reports(target, model, stage) if subject in {None, report.subject}]
    if not found:
        about = f" of {subject}" if subject else " yet"
        raise InvalidRequest(
            f"there is no {f'{stage} ' if stage else ''}report of {model}{about}",
            remedy="`interlock history` names every claim, run and window." if subject else "Upload something first.",
        )
    return found[0]


def _items(target: Target, pk: str, prefix: str) -> list[str]:
    pages = (
        target.client("dynamodb")
        .get_paginator("query")
        .paginate(
            TableName=target.outputs["StateTable"],
            KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
            ExpressionAttributeValues={":pk": {"S": pk}, ":sk": {"S": prefix}},
            ConsistentRead=True,
        )
    )
    return [item["document"]["S"] for page in pages for item in page["Items"]]

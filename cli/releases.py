"""Releases as a person sees and steers them; what has to be changed is changed by the stage's own functions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cli import evidence, executions
from cli.executions import Run
from cli.target import Target
from interlock import errors
from interlock.aws.registry import Package
from interlock.errors import InvalidRequest
from interlock.events import SOURCE, ModelApproved
from interlock.ledger import Decision, verify
from interlock.records import LiveRelease


def rollback(target: Target, model: str, reason: str) -> dict[str, Any]:
    """Take the challenger back, or have the champion before serve again.

    Raises:
        Conflict: there is neither; whatever else the function refuses, under its own name.
    """
    live = evidence.live(target, model)
    newest = (live.challenger or live.champion) if live else None
    # A client asks again when an answer is late: the version says what is meant, whatever was done meanwhile.
    event = {"model": model, "version": newest.version if newest else None, "actor": target.caller(), "reason": reason}
    return _invoke(target, "RollbackFunction", event)


def steer(target: Target, model: str, action: str, reason: str) -> dict[str, Any]:
    """Pause, resume or promote what is under way.

    Raises:
        Conflict: it does not fit what the release is doing.
    """
    event = {"model": model, "action": action, "actor": target.caller(), "reason": reason}
    return _invoke(target, "SteerFunction", event)


def check(target: Target, model: str) -> str:
    """Judge now what the clock would judge within a minute; answers what was found."""
    return str(_invoke(target, "TendFunction", {"model": model})[model])


def which(target: Target, model: str, request_id: str, day: str | None) -> dict[str, Any]:
    """Which version answered a request, under which revision.

    Raises:
        InvalidRequest: no captured answer has this id.
    """
    event = {"model": model, "request_id": request_id, "day": day}
    return _invoke(target, "TraceFunction", event, remedy="Name the day of the call (UTC): --day 2026-03-02.")


@dataclass(frozen=True)
class Status:
    """A release as it is now; `bake` is the newest verdict of its step."""

    live: LiveRelease | None
    bake: dict[str, Any] | None
    waiting: list[Package]


def status(target: Target, model: str) -> Status:
    """What serves, what is on its way and what it has shown so far, which versions wait for an approval."""
    live = evidence.live(target, model)
    bake = evidence.bake(target, model) if live is not None and live.challenger is not None else None
    if bake is not None and live is not None and bake["release"] != live.split:
        bake = None
    return Status(live, bake, waiting(target, model))


def waiting(target: Target, model: str) -> list[Package]:
    """The registered versions that nobody has decided about, the newest first."""
    client, group = target.client("sagemaker"), f"{target.stack}-{model}"
    try:
        pages = client.get_paginator("list_model_packages").paginate(
            ModelPackageGroupName=group,
            ModelApprovalStatus="PendingManualApproval",
            SortBy="CreationTime",
            SortOrder="Descending",
        )
        arns = [item["ModelPackageArn"] for page in pages for item in page["ModelPackageSummaryList"]]
    except client.exceptions.ClientError as error:
        if "does not exist" in str(error):
            return []
        raise
    return [found for arn in arns if (found := package(target, arn)).complete]


def versions(target: Target, model: str) -> dict[int, str]:
    """The registered versions and their packages' ARNs."""
    client = target.client("sagemaker")
    pages = client.get_paginator("list_model_packages").paginate(ModelPackageGroupName=f"{target.stack}-{model}")
    return {
        item["ModelPackageVersion"]: item["ModelPackageArn"]
        for page in pages
        for item in page["ModelPackageSummaryList"]
    }


def package(target: Target, arn: str) -> Package:
    """A registered version."""
    found = target.client("sagemaker").describe_model_package(ModelPackageName=arn)
    return Package(
        arn=found["ModelPackageArn"],
        version=found["ModelPackageVersion"],
        approval=found["ModelApprovalStatus"],
        metadata=found.get("CustomerMetadataProperties", {}),
    )


def approve(target: Target, model: str, version: int | None, comment: str) -> Run:
    """Say yes to a version as it is now, and start its release.

    Raises:
        InvalidRequest: no such version waits.
    """
    there = waiting(target, model)
    found = next((item for item in there if version in {None, item.version}), None)
    if found is None:
        raise InvalidRequest(
            f"no version {f'{version} ' if version else ''}of '{model}' waits for an approval",
            remedy=f"Waiting are: {', '.join(str(item.version) for item in there) or 'none'}.",
        )
    live = evidence.live(target, model)
    event = ModelApproved(
        model=model,
        package_arn=found.arn,
        approved_by=target.caller(),
        comment=comment,
        seen=found.digest,
        champion=live.champion.version if live and live.champion else None,
    )
    document = {
        "source": SOURCE,
        "detail-type": event.name,
        "time": datetime.now(UTC).isoformat(),
        "detail": event.model_dump(mode="json"),
    }
    return executions.start(target, "release", document)


def decisions(target: Target, model: str) -> list[Decision]:
    """Every change of the live release, in the order of the revisions, from a ledger whose chain is intact.

    Raises:
        LedgerBroken: an entry is missing or altered.
    """
    entries = list(evidence.ledger(target, model))
    verify(entries)
    found = [item.decision for item in entries if "changed_at" in item.decision.evidence]
    return sorted(found, key=lambda item: int(item.evidence["revision"]))


def at(target: Target, model: str, moment: datetime) -> Decision:
    """The change that was in force at a moment: its evidence names the champion.

    Raises:
        InvalidRequest: nothing had been released then.
    """
    before = [
        item for item in decisions(target, model) if datetime.fromisoformat(item.evidence["changed_at"]) <= moment
    ]
    if not before:
        raise InvalidRequest(f"nothing of '{model}' had been released at {moment.isoformat()}")
    return before[-1]


def _invoke(target: Target, output: str, event: dict[str, Any], remedy: str | None = None) -> dict[str, Any]:
    answer = target.client("lambda").invoke(FunctionName=target.outputs[output], Payload=json.dumps(event).encode())
    document: dict[str, Any] = json.loads(answer["Payload"].read())
    if "errorType" in document:
        kind = getattr(errors, document["errorType"], errors.InterlockError)
        raise kind(document["errorMessage"], remedy=remedy)
    return document

"""What is kept of a person's being forgotten: the decision, marks on what still holds them, and when the rest ends."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from cli.forget.finding import Subject
from cli.forget.removing import Forgotten, Held
from cli.options import models_folder
from cli.target import Target
from interlock.aws.ledger import Ledger
from interlock.aws.state import State
from interlock.errors import InvalidRequest
from interlock.folder import read_contract_file
from interlock.ledger import Decision
from interlock.records import LineageMark, Pseudonyms

# DynamoDB's point-in-time recovery, where the table does not say otherwise.
_BACKUP_DAYS = 35


@dataclass(frozen=True)
class Ends:
    """The last days on which a copy may still be there; None where nothing says when it ends.

    `logs`: the lines that captures come from. `versions`: what a dataset's files were before they were written anew or
    removed. `backups`: the tables' recovery; they hold no row, but the records of what there was. `folders` has how
    many days the newest version of a file stays, for the folders in which it ends by itself; `after` how many more it
    stays when it has been replaced or removed.
    """

    logs: date | None
    versions: date | None
    backups: date | None
    folders: Mapping[str, int] = field(default_factory=dict)
    after: int = 0

    def of(self, held: Held) -> date | None:
        """The last day on which a file may still be there."""
        if not held.newest:
            return self.versions
        days = next((days for prefix, days in self.folders.items() if held.key.startswith(prefix)), None)
        return held.written.date() + timedelta(days=days + self.after) if days and self.after else None

    def to_json(self, held: Iterable[Held]) -> dict[str, Any]:
        """For machines; the files by their key."""
        named = {"logs": self.logs, "versions": self.versions, "backups": self.backups}
        files = {item.key: str(day) for item in held if (day := self.of(item))}
        return {**{name: str(day) for name, day in named.items() if day}, "files": files}


def subject(model: str, key: str, column: str | None) -> Subject:
    """Whose rows are meant, by a column or the one that the model's contract marks as the subject key.

    Raises:
        InvalidRequest: it marks none.
    """
    path = models_folder() / model / "contract.yaml"
    if column is not None and not path.exists():
        return Subject(column, key)
    contract = read_contract_file(path)
    if (column := column or contract.subject) is None:
        raise InvalidRequest(
            f"the contract of '{model}' does not say which column names a person",
            remedy="Mark it with customProperties `subjectKey: true`, or name it: --column.",
        )
    return Subject.of(contract, column, key)


def secret(state: State, model: str) -> bytes:
    """The model's key for hashing persons, made when it is first wanted."""
    place = f"model#{model}", "pseudonyms"
    state.put_new(*place, Pseudonyms(model=model, secret=secrets.token_hex(32)))
    found = state.get(Pseudonyms, *place)
    assert found is not None  # noqa: S101 - it was just written, or was there
    return bytes.fromhex(found.secret)


def begin(ledger: Ledger, model: str, person: str, actor: str, at: datetime) -> None:
    """Write down that it is going to happen: a command that dies half-way leaves a trace."""
    ledger.append(_decision(model, person, actor, at, "forgetting begun", {}))


def conclude(state: State, ledger: Ledger, found: Forgotten, actor: str, at: datetime) -> None:
    """Mark what still holds the person, then write down what was removed; the hash stands for them."""
    for kind, subjects in (("dataset", found.datasets), ("run", found.models)):
        for subject in subjects:
            mark = LineageMark.model_validate(
                {"model": found.model, "kind": kind, "subject": subject, "person": found.person, "at": at}
            )
            state.put(f"model#{found.model}", f"forgotten#{kind}#{subject}#{found.person}", mark)
    evidence = {
        "captures": found.captures,
        "labels": found.labels,
        "versions": found.versions,
        "left": found.left,
        "datasets": list(found.datasets),
        "runs": list(found.models),
        "files": len(found.held),
    }
    ledger.append(_decision(found.model, found.person, actor, at, "person forgotten", evidence))


def ends(target: Target, today: date) -> Ends:
    """When logs and backups end by themselves, as the account is set up."""

    def after(days: int) -> date | None:
        return today + timedelta(days=days) if days else None

    prefix = f"/aws/lambda/{target.stack}-serve"
    groups = target.client("logs").describe_log_groups(logGroupNamePrefix=prefix)["logGroups"]
    kept = [group.get("retentionInDays", 0) for group in groups]
    rules = _rules(target)
    older = max(
        (int(rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays", 0)) for rule in rules), default=0
    )
    folders = {
        rule.get("Filter", {}).get("Prefix") or rule.get("Prefix", ""): rule.get("Expiration", {}) for rule in rules
    }
    return Ends(
        logs=after(max(kept)) if kept and all(kept) else None,
        versions=after(older),
        backups=after(_backups(target)),
        folders={name: int(ends["Days"]) for name, ends in folders.items() if name and "Days" in ends},
        after=older,
    )


def _rules(target: Target) -> list[dict[str, Any]]:
    """By which the data bucket's objects end."""
    try:
        found: dict[str, Any] = target.client("s3").get_bucket_lifecycle_configuration(
            Bucket=target.outputs["DataBucket"]
        )
    except ClientError:
        return []
    return [rule for rule in found["Rules"] if rule["Status"] == "Enabled"]


def _backups(target: Target) -> int:
    client, longest = target.client("dynamodb"), 0
    for name in ("StateTable", "LedgerTable"):
        described = client.describe_continuous_backups(TableName=target.outputs[name])
        recovery = described["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
        if recovery.get("PointInTimeRecoveryStatus") == "ENABLED":
            longest = max(longest, int(recovery.get("RecoveryPeriodInDays", _BACKUP_DAYS)))
    return longest


def _decision(model: str, person: str, actor: str, at: datetime, action: str, evidence: dict[str, Any]) -> Decision:
    return Decision(
        model=model,
        key=f"{action}:{person}:{at.astimezone(UTC):%Y%m%dT%H%M%S%f}",
        stage="serve",
        action=action,
        subject=f"person {person}",
        actor=actor,
        evidence=evidence,
    )

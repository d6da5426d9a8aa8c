"""What lies in quarantine, and what was sent again of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from cli import evidence
from cli.quarantine.mending import joined, upload_of
from cli.target import Target
from cli.uploads import Sent
from ingest.judgement import Judgement
from interlock.errors import InvalidRequest
from interlock.keys import INCOMING, ORIGIN
from interlock.records import Claim, ClaimStatus, FileList

_ASK = "`interlock quarantine list MODEL` names the claims."


@dataclass(frozen=True)
class Held:
    """An upload with bad rows. `again` names the claims under which mended rows of it came back, and what they are."""

    judgement: Judgement
    at: datetime
    again: tuple[tuple[str, ClaimStatus], ...] = ()

    @property
    def file(self) -> str:
        """The upload's name."""
        return self.judgement.source.key.rsplit("/", 1)[-1]


def listed(target: Target, model: str, limit: int) -> list[Held]:
    """A model's uploads with bad rows, the newest first."""
    found: dict[str, datetime] = {}
    pages = target.client("s3").get_paginator("list_objects_v2")
    for page in pages.paginate(Bucket=target.outputs["DataBucket"], Prefix=f"quarantine/{model}/"):
        for item in page.get("Contents", []):
            claim = item["Key"].split("/")[2]
            found[claim] = max(item["LastModified"], found.get(claim, item["LastModified"]))
    newest = sorted(found, key=lambda claim: found[claim], reverse=True)[:limit]
    judged = [_judgement(target, model, claim) for claim in newest]
    again: dict[str, dict[str, ClaimStatus]] = {}
    for dataset in evidence.datasets(target, model):
        if dataset.origin:
            again.setdefault(dataset.origin.claim, {})[dataset.claim] = ClaimStatus.ADMITTED
    for item in judged:
        if item.origin and item.verdict == "reject":
            again.setdefault(item.origin.claim, {})[item.claim] = ClaimStatus.REJECTED
    return [Held(item, found[item.claim], tuple(again.get(item.claim, {}).items())) for item in judged if item.bad_rows]


def find(target: Target, claim: str) -> Judgement:
    """The judgement of an upload.

    Raises:
        InvalidRequest: there was no such upload, it has not been judged, or it had no bad rows.
    """
    known = evidence.claim(target, claim)
    if known is None:
        raise InvalidRequest(f"there is no upload with the claim '{claim}'", remedy=_ASK)
    if known.status in {ClaimStatus.CLAIMED, ClaimStatus.FAILED}:
        raise InvalidRequest(f"{known.key} has not been judged: it is {known.status}", remedy="`interlock status`.")
    found = _judgement(target, known.model, claim)
    if "bad_rows" not in found.files:
        raise InvalidRequest(f"no row of {known.key} is in quarantine", remedy=_ASK)
    return found


def body(target: Target, judgement: Judgement) -> bytes:
    """The bad rows, exactly as they were written; of an upload of many files those of all.

    Raises:
        ChecksumMismatch: they are others now.
        InvalidRequest: the files have different columns.
    """
    ref = judgement.files["bad_rows"]
    found = target.data.get(ref)
    if not ref.key.endswith(".json"):
        return found
    return joined([target.data.get(part) for part in FileList.from_json(found).files])


def send(target: Target, first: Judgement, file: Path, *, again: bool = False) -> tuple[Sent, bool]:
    """Upload mended rows, linked to the first upload; answers whether they were sent now or had been before.

    The key is made of the first claim and the bytes, and is written once: the same file sent twice, also by two people
    at once, is one upload. `again` writes it anew, for the day on which the contract has changed.

    Raises:
        InvalidRequest: the first upload was rejected as a whole and these are its bad rows alone.
    """
    mended, suffix, rows_alone = upload_of(file)
    if first.verdict == "reject" and rows_alone:
        raise InvalidRequest(
            f"{first.source.key} was rejected as a whole: of its good rows nothing was admitted either",
            remedy=f"Mend the whole file and send that: interlock quarantine retry {first.claim} FILE",
        )
    name = f"mended/{first.claim}/{hashlib.sha256(mended).hexdigest()[:16]}{suffix}"
    bucket, key, at = target.outputs["DataBucket"], f"{INCOMING}{first.model}/{name}", datetime.now(UTC)
    once: dict[str, Any] = {} if again else {"IfNoneMatch": "*"}
    client, sent_now = target.client("s3"), True
    try:
        client.put_object(Bucket=bucket, Key=key, Body=mended, Metadata={ORIGIN: first.claim}, **once)
    except ClientError as error:
        if error.response["Error"]["Code"] != "PreconditionFailed":
            raise
        sent_now = False
    head = client.head_object(Bucket=bucket, Key=key)
    return Sent(first.model, bucket, key, head["VersionId"], at if sent_now else head["LastModified"]), sent_now


def became(target: Target, sent: Sent) -> Claim | None:
    """What became of an upload so far; None before it is taken."""
    return evidence.claim(target, sent.claim)


def _judgement(target: Target, model: str, claim: str) -> Judgement:
    page = evidence.Report(model, "ingest", claim, f"reports/{model}/ingest/{claim}/report.html", None)
    return Judgement.model_validate(evidence.document(target, page))

"""The audit ledger: what was decided, by whom, on what evidence; each entry carries the hash of the one before."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

from interlock.errors import LedgerBroken
from interlock.schema import Model, canonical_json
from interlock.spec import ModelId

GENESIS = "0" * 64
Stage = Literal["ingest", "train", "release", "serve", "monitor"]


class Decision(Model):
    """Something that was decided. `key` names it once and for all: a step that runs twice writes it once.

    `actor` is the function's name or the ARN of the person; `subject` what it is about (a claim, run, version);
    `evidence` small values and S3 URIs, never data.
    """

    model: ModelId
    key: str
    stage: Stage
    action: str
    subject: str
    actor: str
    evidence: dict[str, Any] = {}


class Entry(Model):
    """A decision in the chain. `hash` = SHA-256 of the entry's canonical JSON without `hash`."""

    schema_version: Literal[1] = 1
    sequence: int
    at: datetime
    decision: Decision
    previous: str
    hash: str


def entry(decision: Decision, last: Entry | None, at: datetime) -> Entry:
    """The entry that continues the chain after `last` (None at the chain's start)."""
    sequence = last.sequence + 1 if last else 1
    previous = last.hash if last else GENESIS
    draft = Entry(sequence=sequence, at=at, decision=decision, previous=previous, hash="")
    return draft.model_copy(update={"hash": _hash(draft)})


def verify(entries: Iterable[Entry]) -> int:
    """Check one model's chain from its start, in order; answers how many entries it has.

    Raises:
        LedgerBroken: an entry is missing, altered or out of place; the message names it.
    """
    previous, count = GENESIS, 0
    for count, item in enumerate(entries, start=1):
        if item.sequence != count:
            raise LedgerBroken(f"{item.decision.model}: entry {count} is missing; found {item.sequence} in its place")
        if item.previous != previous:
            raise LedgerBroken(f"{item.decision.model}: entry {item.sequence} does not continue entry {count - 1}")
        if item.hash != _hash(item):
            raise LedgerBroken(f"{item.decision.model}: entry {item.sequence} has been altered")
        previous = item.hash
    return count


def _hash(item: Entry) -> str:
    body = item.model_dump(mode="json", exclude={"hash"})
    return hashlib.sha256(canonical_json(body).encode()).hexdigest()

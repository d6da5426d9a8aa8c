"""Claims: who works on a file that was put into the data bucket, so that of many events of it one is followed."""

from __future__ import annotations

from datetime import datetime, timedelta

from interlock.aws.executions import Executions
from interlock.aws.state import State
from interlock.errors import AlreadyClaimed
from interlock.keys import Arrived
from interlock.records import Claim, ClaimStatus, Origin

# Longer than a workflow may take; a claim whose owner has ended before is free at once.
_HELD = timedelta(hours=13)
_DONE = {ClaimStatus.ADMITTED, ClaimStatus.REJECTED, ClaimStatus.DUPLICATE, ClaimStatus.SCORED}
# Seconds since the epoch, in the year 9999.
_NEVER = 253_370_764_800


def take(state: State, executions: Executions, found: Arrived, execution: str, now: datetime) -> Claim:
    """Claim a file for an execution; the same execution gets its own claim again.

    The claim of one that was stopped, or died, on the way is taken over.

    Raises:
        AlreadyClaimed: it is being worked on, or is done.
    """
    claim = Claim(
        claim=found.claim,
        model=found.model,
        bucket=found.bucket,
        key=found.key,
        version=found.version,
        status=ClaimStatus.CLAIMED,
        execution=execution,
        at=now,
        expires_at=now + _HELD,
    )
    before = state.get(Claim, pk(found.claim), "claim")
    if before is not None and before.status in _DONE:
        raise AlreadyClaimed(f"{found.key} (version {found.version}) was {before.status} at {before.at:%Y-%m-%d %H:%M}")
    if before is not None and before.execution != execution and not executions.runs(before.execution):
        conclude(state, before.claim, ClaimStatus.FAILED, before.execution, now)
    expires = claim.expires_at.timestamp()
    if not state.acquire(pk(found.claim), "claim", claim, owner=execution, expires_at=expires):
        raise AlreadyClaimed(f"{found.key} (version {found.version}) is being worked on")
    return claim


def conclude(
    state: State, claim: str, status: ClaimStatus, execution: str, now: datetime, origin: Origin | None = None
) -> None:
    """Say what became of a claim. A failed one is free at once; an ended one never again."""
    before = state.get(Claim, pk(claim), "claim")
    if before is None or before.status in _DONE:
        return
    ended = before.model_copy(
        update={"status": status, "at": now, "execution": execution, "expires_at": now, "origin": origin}
    )
    # The condition of the next one's write sees to it, also when that one has read the claim before this.
    expires = _NEVER if status in _DONE else 0
    state.acquire(pk(claim), "claim", ended, owner=execution, expires_at=expires)


def pk(claim: str) -> str:
    """Where a claim lies in the state table."""
    return f"claim#{claim}"

"""Takes an upload once, whatever the number of events that tell of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from interlock.aws.state import State
from interlock.errors import AlreadyClaimed
from interlock.keys import Upload, upload
from interlock.models import deployed
from interlock.observability import logger, observed
from interlock.records import Claim, ClaimStatus, Origin
from interlock.settings import StateTable

# Longer than a validation may take; after that a claim whose owner died is free again.
_HELD = timedelta(minutes=20)
_DONE = {ClaimStatus.ADMITTED, ClaimStatus.REJECTED, ClaimStatus.DUPLICATE}
# Seconds since the epoch, in the year 9999.
_NEVER = 253_370_764_800


@observed
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, str]:
    """{bucket, key, version, execution} → {claim, model}.

    Raises:
        InvalidUpload: the key names no model.
        UnknownModel: the model is not deployed.
        AlreadyClaimed: another execution has the upload, or had it to its end.
    """
    found = upload(event["bucket"], event["key"], event["version"])
    logger.append_keys(model=found.model, claim=found.claim)
    deployed(found.model)
    taken = take(State(StateTable.load().state_table), found, event["execution"], datetime.now(UTC))
    return {"claim": taken.claim, "model": taken.model}


def take(state: State, found: Upload, execution: str, now: datetime) -> Claim:
    """Claim an upload for an execution; the same execution gets its own claim again.

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

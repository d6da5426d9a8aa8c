"""Takes a file to score once, and fixes the version that scores all of it: the champion of this moment."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from interlock.aws.claims import take
from interlock.aws.executions import Executions
from interlock.aws.live import live_release
from interlock.aws.objects import Objects
from interlock.aws.state import State
from interlock.errors import NotServing
from interlock.keys import asked
from interlock.models import deployed
from interlock.observability import logger, observed
from interlock.settings import DataBucket, StateTable
from serve.score.documents import Piece, Release

# One function scores that much in a minute or two, also of what grows when it is unpacked.
WHOLE_BYTES = 16 << 20


class Settings(DataBucket, StateTable):
    """What this function uses."""


@observed
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """{bucket, key, version, execution} → {claim, model, kind: whole or pieces, release, piece}.

    Raises:
        InvalidUpload: the key names no model, or the file is gone.
        UnknownModel: the model is not deployed.
        NotServing: no version of it serves.
        AlreadyClaimed: another execution has the file, or had it to its end.
    """
    settings = Settings.load()
    found = asked(event["bucket"], event["key"], event["version"])
    logger.append_keys(model=found.model, claim=found.claim)
    deployed(found.model)
    state = State(settings.state_table)
    take(state, Executions(), found, event["execution"], datetime.now(UTC))
    size = Objects(settings.data_bucket).arrival(found.key, found.version).size
    return {
        "claim": found.claim,
        "model": found.model,
        "kind": "whole" if size <= WHOLE_BYTES else "pieces",
        "release": champion(state, found.model).model_dump(mode="json"),
        "piece": Piece(index=0, key=found.key, version=found.version).model_dump(mode="json", exclude_none=True),
    }


def champion(state: State, model: str) -> Release:
    """What serves now.

    Raises:
        NotServing: nothing does.
    """
    live = live_release(state, model)
    if live is None or live.champion is None:
        raise NotServing(f"no version of '{model}' serves yet", remedy="Release one, then put the file there again.")
    return Release(version=live.champion.version, revision=live.revision, served=live.champion.served)

"""Takes the champion back because a person said so."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from interlock.aws.alerts import AlertTopic
from interlock.aws.bus import EventBus
from interlock.aws.ledger import Ledger
from interlock.aws.state import State
from interlock.models import deployed
from interlock.observability import logger, observed
from interlock.records import LiveRelease
from interlock.settings import Alerts, Bus, LedgerTable, StateTable
from release.record import change, read
from release.restore import tell
from release.transitions import rolled_back


class Settings(StateTable, LedgerTable, Bus, Alerts):
    """What this function uses."""


@observed
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """{model, actor, reason} → {version, revision}: what serves now."""
    settings = Settings.load()
    model = deployed(event["model"]).id
    logger.append_keys(model=model, actor=event["actor"])
    before, after = take_back(State(settings.state_table), model, event["actor"], event["reason"])
    tell(
        after,
        before,
        event["reason"],
        event["actor"],
        Ledger(settings.ledger_table),
        EventBus(settings.bus_name),
        AlertTopic(settings.alerts_topic),
    )
    return {"version": after.champion.version if after.champion else None, "revision": after.revision}


def take_back(state: State, model: str, actor: str, reason: str) -> tuple[int, LiveRelease]:
    """Serve the champion before; answers the version that was taken back and the new record.

    Raises:
        Conflict: there is nothing to go back to.
        RevisionChanged: a release came in between.
    """
    live = read(state, model)
    after = rolled_back(live, model, actor, reason, datetime.now(UTC))
    change(state, live, after)
    assert after.previous is not None  # noqa: S101 - the one that was taken back
    return after.previous.version, after

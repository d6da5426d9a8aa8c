"""Takes a version back because a person said so: the challenger where there is one, else the champion."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from interlock.aws.alerts import AlertTopic
from interlock.aws.bus import EventBus
from interlock.aws.ledger import Ledger
from interlock.aws.state import State
from interlock.errors import RevisionChanged
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
    """{model, actor, reason} → {version, revision, taken_back}: what serves now, and what does no longer."""
    settings = Settings.load()
    model = deployed(event["model"]).id
    logger.append_keys(model=model, actor=event["actor"])
    after = take_back(
        State(settings.state_table), Ledger(settings.ledger_table), model, event["actor"], event["reason"]
    )
    tell(after, EventBus(settings.bus_name), AlertTopic(settings.alerts_topic))
    champion = after.champion.version if after.champion else None
    return {"version": champion, "revision": after.revision, "taken_back": after.version}


def take_back(state: State, ledger: Ledger, model: str, actor: str, reason: str) -> LiveRelease:
    """Take the newest thing back. A release that changes the record at the same moment does not prevent it.

    Raises:
        Conflict: there is nothing to go back to.
        RevisionChanged: the record changed twice while this was tried.
    """
    try:
        return _take_back(state, ledger, model, actor, reason)
    except RevisionChanged:
        return _take_back(state, ledger, model, actor, reason)


def _take_back(state: State, ledger: Ledger, model: str, actor: str, reason: str) -> LiveRelease:
    live = read(state, model)
    after = rolled_back(live, model, actor, reason, datetime.now(UTC))
    change(state, ledger, live, after)
    return after

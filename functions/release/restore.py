"""Ends a release that did not hold its probe: the champion was never touched."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from interlock.aws.alerts import AlertTopic
from interlock.aws.bus import EventBus
from interlock.aws.ledger import Ledger
from interlock.aws.live import live_release
from interlock.aws.state import State
from interlock.errors import reason as message_of
from interlock.observability import logger, observed
from interlock.records import LiveRelease
from interlock.settings import Alerts, Bus, LedgerTable, StateTable
from release.record import change
from release.telling import tell
from release.transitions import FAILED_PROBE, withdrawn


class Settings(StateTable, LedgerTable, Bus, Alerts):
    """What this function uses."""


@observed
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """{model, version, revision, error, cause} → {restored}."""
    settings = Settings.load()
    logger.append_keys(model=event["model"], version=event["version"])
    state = State(settings.state_table)
    reason = f"{event['error']}: {message_of(event['cause'])}"
    after = put_back(
        state,
        Ledger(settings.ledger_table),
        event["model"],
        event["version"],
        reason,
        context.function_name,
    )
    if after is None:
        return {"restored": False}
    tell(state, EventBus(settings.bus_name), AlertTopic(settings.alerts_topic), after, datetime.now(UTC))
    return {"restored": True}


def put_back(state: State, ledger: Ledger, model: str, version: int, reason: str, by: str) -> LiveRelease | None:
    """Take the version back if it still is the one that is being probed."""
    live = live_release(state, model)
    if live is None or live.challenger is None or live.challenger.version != version or live.state != "probing":
        # Put back before, or somebody else released meanwhile: theirs stands. A repeat still has to tell.
        return live if live is not None and live.reason == reason else None
    after = withdrawn(live, FAILED_PROBE, by, reason, datetime.now(UTC))
    change(state, ledger, live, after)
    return after

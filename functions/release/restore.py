"""Ends a release that did not hold its probe: the champion was never touched."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from interlock.aws.alerts import AlertTopic
from interlock.aws.bus import EventBus
from interlock.aws.ledger import Ledger
from interlock.aws.state import State
from interlock.errors import reason as message_of
from interlock.events import ModelRolledBack
from interlock.observability import logger, observed
from interlock.records import LiveRelease
from interlock.settings import Alerts, Bus, LedgerTable, StateTable
from release.record import change, read
from release.transitions import FAILED_PROBE, withdrawn


class Settings(StateTable, LedgerTable, Bus, Alerts):
    """What this function uses."""


@observed
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """{model, version, revision, error, cause} → {restored}."""
    settings = Settings.load()
    logger.append_keys(model=event["model"], version=event["version"])
    reason = f"{event['error']}: {message_of(event['cause'])}"
    after = put_back(
        State(settings.state_table),
        Ledger(settings.ledger_table),
        event["model"],
        event["version"],
        reason,
        context.function_name,
    )
    if after is None:
        return {"restored": False}
    tell(after, EventBus(settings.bus_name), AlertTopic(settings.alerts_topic))
    return {"restored": True}


def put_back(state: State, ledger: Ledger, model: str, version: int, reason: str, by: str) -> LiveRelease | None:
    """Take the version back if it still is the one that is being probed."""
    live = read(state, model)
    if live is None or live.challenger is None or live.challenger.version != version or live.state != "probing":
        # Put back before, or somebody else released meanwhile: theirs stands. A repeat still has to tell.
        return live if live is not None and live.reason == reason else None
    after = withdrawn(live, FAILED_PROBE, by, reason, datetime.now(UTC))
    change(state, ledger, live, after)
    return after


def tell(after: LiveRelease, bus: EventBus, alerts: AlertTopic) -> None:
    """Say that a version was taken back, whoever did it."""
    model, version, reason = after.model, after.version or 0, after.reason
    serving = f"version {after.champion.version}" if after.champion else "nothing"
    bus.publish(ModelRolledBack(model=model, version=version, revision=after.revision, reason=reason[:500]))
    report = f"Report: {after.report}\n" if after.report else ""
    alerts.send(
        f"{model}: version {version} was taken back",
        f"Version {version} of {model} was taken back: {reason}\n"
        f"Serving now: {serving} (revision {after.revision}). Callers get it within 5 seconds.\n{report}"
        f"Look: interlock release status {model}; interlock logs serve",
    )

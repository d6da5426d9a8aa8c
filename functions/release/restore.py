"""Puts the old champion back when a release did not hold."""

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
from interlock.ledger import Decision
from interlock.observability import logger, observed
from interlock.records import LiveRelease
from interlock.settings import Alerts, Bus, LedgerTable, StateTable
from release.record import change, read
from release.transitions import restored


class Settings(StateTable, LedgerTable, Bus, Alerts):
    """What this function uses."""


@observed
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """{model, version, revision, error, cause} → {restored}."""
    settings = Settings.load()
    logger.append_keys(model=event["model"], version=event["version"])
    reason = f"{event['error']}: {message_of(event['cause'])}"
    state = State(settings.state_table)
    after = put_back(state, event["model"], event["version"], reason, context.function_name)
    if after is None:
        return {"restored": False}
    tell(
        after,
        event["version"],
        reason,
        context.function_name,
        Ledger(settings.ledger_table),
        EventBus(settings.bus_name),
        AlertTopic(settings.alerts_topic),
    )
    return {"restored": True}


def put_back(state: State, model: str, version: int, reason: str, by: str) -> LiveRelease | None:
    """Take the version back if it still is the champion that is being probed."""
    live = read(state, model)
    if live is None or live.champion is None or live.champion.version != version or live.state != "probing":
        # Put back before, or somebody else released meanwhile: theirs stands. A repeat still has to tell.
        return live if live is not None and live.reason == reason else None
    after = restored(live, by, reason, datetime.now(UTC))
    change(state, live, after)
    return after


def tell(
    after: LiveRelease, version: int, reason: str, by: str, ledger: Ledger, bus: EventBus, alerts: AlertTopic
) -> None:
    """Write a taken-back version down and say so; also after a person's rollback."""
    serving = f"version {after.champion.version}" if after.champion else "nothing"
    ledger.append(
        Decision(
            model=after.model,
            key=f"rolled-back:{version}:{after.revision}",
            stage="release",
            action="model rolled back",
            subject=f"version {version}",
            actor=by,
            evidence={"revision": after.revision, "reason": reason[:500], "serving": serving},
        )
    )
    bus.publish(ModelRolledBack(model=after.model, version=version, revision=after.revision, reason=reason[:500]))
    alerts.send(
        f"{after.model}: version {version} was taken back",
        f"Version {version} of {after.model} was taken back: {reason}\n"
        f"Serving now: {serving} (revision {after.revision}). Callers get it within 5 seconds.\n"
        f"Look: interlock history {after.model}; interlock logs serve",
    )

"""Ends a release well: the probed champion is live."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from interlock.aws.bus import EventBus
from interlock.aws.ledger import Ledger
from interlock.aws.state import State
from interlock.errors import RevisionChanged
from interlock.events import ModelPromoted
from interlock.ledger import Decision
from interlock.observability import logger, observed
from interlock.settings import Bus, LedgerTable, StateTable
from release.record import change, read
from release.transitions import confirmed


class Settings(StateTable, LedgerTable, Bus):
    """What this function uses."""


@observed
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """{model, version, revision} → {model, version, revision}."""
    settings = Settings.load()
    logger.append_keys(model=event["model"], version=event["version"])
    revision = confirm(
        event["model"],
        event["version"],
        event["revision"],
        context.function_name,
        State(settings.state_table),
        Ledger(settings.ledger_table),
        EventBus(settings.bus_name),
    )
    return {"model": event["model"], "version": event["version"], "revision": revision}


def confirm(model: str, version: int, revision: int, by: str, state: State, ledger: Ledger, bus: EventBus) -> int:
    """Make the probed revision live; a repeat finds it live and only tells again.

    Raises:
        RevisionChanged: another release came in between.
    """
    live = read(state, model)
    if live is None or live.champion is None or live.champion.version != version:
        raise RevisionChanged(f"'{model}' no longer serves version {version}")
    if live.state == "probing":
        if live.revision != revision:
            raise RevisionChanged(f"'{model}' is at revision {live.revision}, the probe was of {revision}")
        after = confirmed(live, by, datetime.now(UTC))
        change(state, live, after)
        live = after
    ledger.append(
        Decision(
            model=model,
            key=f"promoted:{version}:{revision}",
            stage="release",
            action="model promoted",
            subject=f"version {version}",
            actor=by,
            evidence={"revision": live.revision, "probed_revision": revision},
        )
    )
    bus.publish(ModelPromoted(model=model, version=version, revision=live.revision))
    return live.revision

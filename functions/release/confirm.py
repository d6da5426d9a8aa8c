"""After the probe: the first step of a release, or the whole of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from interlock.aws.bus import EventBus
from interlock.aws.ledger import Ledger
from interlock.aws.live import live_release
from interlock.aws.state import State
from interlock.errors import RevisionChanged
from interlock.observability import logger, observed
from interlock.records import LiveRelease
from interlock.settings import Bus, LedgerTable, StateTable
from release.record import change
from release.telling import tell
from release.transitions import BEGUN, PROMOTED, probed

# What a probed version's next revision is about when this was done before.
_FURTHER = {BEGUN, PROMOTED}


class Settings(StateTable, LedgerTable, Bus):
    """What this function uses."""


@observed
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """{model, version, revision} → {model, version, revision, live}; not live yet when a step bakes."""
    settings = Settings.load()
    logger.append_keys(model=event["model"], version=event["version"])
    after = confirm(
        event["model"],
        event["version"],
        event["revision"],
        context.function_name,
        State(settings.state_table),
        Ledger(settings.ledger_table),
        EventBus(settings.bus_name),
    )
    live = after.state == "live"
    return {"model": event["model"], "version": event["version"], "revision": after.revision, "live": live}


def confirm(
    model: str, version: int, revision: int, by: str, state: State, ledger: Ledger, bus: EventBus
) -> LiveRelease:
    """Take the probed version further; a repeat finds it done and only tells again.

    Raises:
        RevisionChanged: another release, or a rollback, came in between.
    """
    live = live_release(state, model)
    if live is not None and live.state == "probing" and live.revision == revision:
        after = probed(live, by, datetime.now(UTC))
        change(state, ledger, live, after)
        live = after
    elif live is None or (live.version, live.revision) != (version, revision + 1) or live.action not in _FURTHER:
        raise RevisionChanged(f"'{model}' is no longer at revision {revision}, which was probed")
    tell(state, bus, None, live, datetime.now(UTC))
    return live

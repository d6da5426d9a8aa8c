"""What a person decides about a release that bakes: hold it, let it go on, end it well."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from interlock.aws.bus import EventBus
from interlock.aws.ledger import Ledger
from interlock.aws.live import live_release
from interlock.aws.state import State
from interlock.errors import Conflict, InvalidRequest
from interlock.models import deployed
from interlock.observability import logger, observed
from interlock.records import LiveRelease
from interlock.settings import Bus, LedgerTable, StateTable
from release.record import change
from release.telling import tell
from release.transitions import paused, promoted, resumed


class Settings(StateTable, LedgerTable, Bus):
    """What this function uses."""


@observed
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """{model, action: pause | resume | promote, actor, reason} → {version, revision, state}."""
    settings = Settings.load()
    model = deployed(event["model"]).id
    logger.append_keys(model=model, actor=event["actor"], action=event["action"])
    after = steer(
        State(settings.state_table),
        Ledger(settings.ledger_table),
        EventBus(settings.bus_name),
        model,
        event["action"],
        event["actor"],
        event["reason"],
    )
    return {"version": after.version, "revision": after.revision, "state": after.state}


def steer(state: State, ledger: Ledger, bus: EventBus, model: str, action: str, actor: str, reason: str) -> LiveRelease:
    """Carry it out.

    Raises:
        Conflict: it does not fit what the release is doing.
        RevisionChanged: the record changed at the same moment.
        InvalidRequest: there is no such action.
    """
    live = live_release(state, model)
    if live is None or live.challenger is None:
        raise Conflict(f"no release of '{model}' is under way", remedy="`interlock release status` shows what is.")
    now = datetime.now(UTC)
    match action:
        case "pause":
            after = paused(live, actor, reason, now)
        case "resume":
            after = resumed(live, actor, reason, now)
        case "promote":
            if live.state == "probing":
                raise Conflict(f"version {live.version} of '{model}' is still being probed", remedy="Wait a minute.")
            after = promoted(live, actor, reason, now)
        case _:
            raise InvalidRequest(f"'{action}' is not pause, resume or promote")
    change(state, ledger, live, after)
    tell(state, bus, None, after, now)
    return after

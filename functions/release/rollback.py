"""Takes a version back because a person said so: the challenger where there is one, else the champion."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from interlock.aws.alerts import AlertTopic
from interlock.aws.bus import EventBus
from interlock.aws.ledger import Ledger
from interlock.aws.live import live_release
from interlock.aws.state import State
from interlock.errors import Conflict, RevisionChanged
from interlock.models import deployed
from interlock.observability import logger, observed
from interlock.records import LiveRelease
from interlock.settings import Alerts, Bus, LedgerTable, StateTable
from release.record import change, revisions
from release.telling import tell
from release.transitions import GONE, rolled_back

# So many revisions are looked back for a rollback that was done already.
_LOOKED_BACK = 20


class Settings(StateTable, LedgerTable, Bus, Alerts):
    """What this function uses."""


@observed
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """{model, version?, actor, reason} → {version, revision, taken_back}: what serves now, and what does no longer.

    `version` is the one to take back, so that the same call again finds it gone and does nothing; the newest without.
    """
    settings = Settings.load()
    model = deployed(event["model"]).id
    logger.append_keys(model=model, actor=event["actor"])
    state, wanted = State(settings.state_table), event.get("version")
    after = take_back(state, Ledger(settings.ledger_table), model, event["actor"], event["reason"], wanted)
    tell(state, EventBus(settings.bus_name), AlertTopic(settings.alerts_topic), after, datetime.now(UTC))
    champion = after.champion.version if after.champion else None
    return {"version": champion, "revision": after.revision, "taken_back": wanted or after.version}


def take_back(
    state: State, ledger: Ledger, model: str, actor: str, reason: str, version: int | None = None
) -> LiveRelease:
    """Take a version back, the newest without one; answers the record as it is then.

    A release that changes the record at the same moment does not prevent it.

    Raises:
        Conflict: there is nothing to go back to, or that version is not on its way and does not serve.
        RevisionChanged: the record changed twice while this was tried.
    """
    try:
        return _take_back(state, ledger, model, actor, reason, version)
    except RevisionChanged:
        return _take_back(state, ledger, model, actor, reason, version)


def _take_back(state: State, ledger: Ledger, model: str, actor: str, reason: str, version: int | None) -> LiveRelease:
    live = live_release(state, model)
    if live is not None and version is not None and version not in _there(live):
        if any(item.version == version and item.action in GONE for item in revisions(state, model, _LOOKED_BACK)):
            return live
        raise Conflict(
            f"version {version} of '{model}' is not on its way and does not serve",
            remedy="`interlock release status` shows what does.",
        )
    after = rolled_back(live, model, actor, reason, datetime.now(UTC), version)
    change(state, ledger, live, after)
    return after


def _there(live: LiveRelease) -> set[int]:
    return {item.version for item in (live.challenger, live.champion) if item}

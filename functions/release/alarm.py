"""Takes back what was just released when serving's alarm goes off."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from interlock.aws.alerts import AlertTopic
from interlock.aws.bus import EventBus
from interlock.aws.ledger import Ledger
from interlock.aws.live import live_release
from interlock.aws.state import State
from interlock.catalogue import deployed_ids
from interlock.observability import logger, observed
from interlock.records import LiveRelease
from interlock.settings import Alerts, Bus, LedgerTable, StateTable
from release.record import change
from release.telling import tell
from release.transitions import PROMOTED, rolled_back

# What went wrong longer after a promotion than this is not put down to it.
FRESH = timedelta(hours=1)


class Settings(StateTable, LedgerTable, Bus, Alerts):
    """What this function uses."""


@observed
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """CloudWatch's alarm event → {taken_back: {model: version}}.

    The alarm does not say which model: every release that is under way or fresh is taken back.
    """
    settings = Settings.load()
    name = event["detail"]["alarmName"]
    told = datetime.fromisoformat(event["time"])
    state, ledger = State(settings.state_table), Ledger(settings.ledger_table)
    taken = {}
    for model in deployed_ids():
        after = take_back(state, ledger, model, name, told)
        if after is not None:
            logger.warning("taken back", model=model, version=after.version, alarm=name)
            tell(state, EventBus(settings.bus_name), AlertTopic(settings.alerts_topic), after, datetime.now(UTC))
            taken[model] = after.version
    return {"taken_back": taken}


def take_back(state: State, ledger: Ledger, model: str, alarm: str, told: datetime) -> LiveRelease | None:
    """Take a release back that the alarm may be about; None when there is none.

    Raises:
        RevisionChanged: the record changed at the same moment; the event is delivered again.
    """
    live = live_release(state, model)
    if live is None or told <= live.changed_at:
        # The event is older than what is there now, and says nothing about it.
        return None
    fresh = live.action == PROMOTED and live.previous is not None and told - live.changed_at < FRESH
    if live.challenger is None and not fresh:
        return None
    after = rolled_back(live, model, f"alarm {alarm}", f"the alarm {alarm} went off", datetime.now(UTC))
    change(state, ledger, live, after)
    return after

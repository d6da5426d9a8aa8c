"""Who is told of a revision, once: made from the record itself, so that the clock can do it for whoever died."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from interlock.aws.alerts import AlertTopic
from interlock.aws.bus import EventBus
from interlock.aws.state import State
from interlock.events import ModelPromoted, ModelRolledBack
from interlock.records import LiveRelease
from interlock.schema import Model
from interlock.spec import ModelId
from release.transitions import FAILED_PROBE, NO_WINNER, PROMOTED, PUT_RIGHT, TAKEN_BACK

_ENDED = {TAKEN_BACK, FAILED_PROBE, NO_WINNER}


class Told(Model):
    """That everybody has been told of a revision."""

    schema_version: Literal[1] = 1
    model: ModelId
    revision: int
    at: datetime


def tell(state: State, bus: EventBus, alerts: AlertTopic | None, after: LiveRelease, now: datetime) -> None:
    """Tell of a revision unless it has been told of; a death in between tells twice rather than never.

    Only a promotion needs no person, and so no topic for alerts.
    """
    place = f"model#{after.model}", f"told#{after.revision:08}"
    if after.action not in _ENDED | {PROMOTED, PUT_RIGHT} or state.get(Told, *place) is not None:
        return
    version = after.version or 0
    if after.action == PROMOTED:
        bus.publish(ModelPromoted(model=after.model, version=version, revision=after.revision))
    if after.action in _ENDED:
        reason = after.reason[:500]
        bus.publish(ModelRolledBack(model=after.model, version=version, revision=after.revision, reason=reason))
    if after.action != PROMOTED and alerts is not None:
        alerts.send(*_message(after))
    state.put(*place, Told(model=after.model, revision=after.revision, at=now))


def _message(after: LiveRelease) -> tuple[str, str]:
    """Subject and text."""
    model, version = after.model, after.version
    if after.action == PUT_RIGHT:
        said = (
            f"{model}: {after.reason}. Revision {after.revision - 1} was written again as revision {after.revision}.\n"
            f"Find out who may write to the state table (CloudTrail).\nLook: interlock release history {model}"
        )
        return f"{model}: the live record was changed by hand", said
    serving = f"version {after.champion.version}" if after.champion else "nothing"
    report = f"Report: {after.report}\n" if after.report else ""
    said = (
        f"Version {version} of {model} was taken back: {after.reason}\n"
        f"Serving now: {serving} (revision {after.revision}). Callers get it within 5 seconds.\n{report}"
        f"Look: interlock release status {model}; interlock logs serve"
    )
    return f"{model}: version {version} was taken back", said

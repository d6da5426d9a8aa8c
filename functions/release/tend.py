"""Looks after the releases every minute: steps that have baked, workflows that died, records changed by hand."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import ValidationError

from interlock import keys
from interlock.aws.alerts import AlertTopic
from interlock.aws.bus import EventBus
from interlock.aws.ledger import Ledger
from interlock.aws.live import live_release
from interlock.aws.objects import Objects
from interlock.aws.state import State
from interlock.catalogue import deployed_ids
from interlock.errors import RevisionChanged
from interlock.models import DeployedModel, deployed
from interlock.observability import logger, observed
from interlock.records import LiveRelease
from interlock.report import page
from interlock.settings import Alerts, ArtefactsBucket, Bus, DataBucket, LedgerTable, StateTable
from interlock.steps import StepVerdict
from release.judgement import glance, judge
from release.record import change, decision, revisions
from release.tally import Tally, count
from release.telling import tell
from release.transitions import (
    FAILED_PROBE,
    NO_WINNER,
    TAKEN_BACK,
    advanced,
    promoted,
    put_right,
    withdrawn,
)
from release.window import gather

# A release's workflow ends within ten minutes; after that nobody probes any more.
ABANDONED = timedelta(minutes=15)
# So many revisions are looked back for one that the ledger does not know.
_LOOKED_BACK = 20
# Whoever made a revision has so long to tell of it; what is older than a day is no news.
_OWN_WORD, _NEWS = timedelta(minutes=1), timedelta(days=1)


class Settings(DataBucket, ArtefactsBucket, StateTable, LedgerTable, Bus, Alerts):
    """What this function uses."""


@dataclass(frozen=True)
class Doors:
    """What a release is looked after with; `by` is the function's name."""

    data: Objects
    artefacts: Objects
    state: State
    ledger: Ledger
    bus: EventBus
    alerts: AlertTopic
    by: str


@observed
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """{} from the schedule, or {model} from a person → {model: what was done}."""
    settings = Settings.load()
    doors = Doors(
        Objects(settings.data_bucket),
        Objects(settings.artefacts_bucket),
        State(settings.state_table),
        Ledger(settings.ledger_table),
        EventBus(settings.bus_name),
        AlertTopic(settings.alerts_topic),
        context.function_name,
    )
    found: dict[str, Any] = {}
    for name in [event["model"]] if "model" in event else deployed_ids():
        try:
            found[name] = tend(doors, deployed(name), datetime.now(UTC))
        except RevisionChanged as error:
            # Somebody was faster; the next minute looks at what they made of it.
            logger.info(error.message, model=name)
            found[name] = "changed meanwhile"
    return found


def tend(doors: Doors, model: DeployedModel, now: datetime) -> str:
    """Do for one model what is due; answers what that was."""
    newest = next(revisions(doors.state, model.id, 1), None)
    if newest is None:
        return "never released"
    live = _believed(doors, newest, now)
    if _TOLD.get(model.id) != live.revision:
        kept = list(revisions(doors.state, model.id, _LOOKED_BACK))
        for item in reversed(kept):
            doors.ledger.append(decision(item))
            if _OWN_WORD < now - item.changed_at < _NEWS:
                _tell(doors, item, now)
        if now - kept[0].changed_at > _OWN_WORD:
            _TOLD[model.id] = live.revision
    if live.state == "probing" and now - live.changed_at > ABANDONED:
        reason = "the release's workflow ended without a word; `interlock retry` releases it again"
        after = withdrawn(live, FAILED_PROBE, doors.by, reason, now)
        change(doors.state, doors.ledger, live, after)
        _tell(doors, after, now)
        return "abandoned"
    if live.state in {"baking", "paused"}:
        return _bake(doors, model, live, now)
    return live.state


# Up to which revision this process knows the ledger to be complete and everybody to be told, by model: asking every
# minute would cost more than all the rest.
_TOLD: dict[str, int] = {}


def _believed(doors: Doors, last: LiveRelease, now: datetime) -> LiveRelease:
    """The live record, put right when it is not the revision that was written last."""
    try:
        live = live_release(doors.state, last.model)
    except ValidationError:
        live = None
    if live == last:
        return last
    if live is not None and live.revision > last.revision:
        # Written between the two reads; its kept copy is there too.
        again = next(revisions(doors.state, last.model, 1))
        if again == live:
            return live
        last = again
    what = "is gone or unreadable" if live is None else f"is not revision {last.revision} as it was written"
    after = put_right(last, doors.by, f"the live record {what}: somebody changed it by hand", now)
    change(doors.state, doors.ledger, last, after, force=True)
    _tell(doors, after, now)
    return after


def _tell(doors: Doors, after: LiveRelease, now: datetime) -> None:
    tell(doors.state, doors.bus, doors.alerts, after, now)


def _bake(doors: Doors, model: DeployedModel, live: LiveRelease, now: datetime) -> str:
    scratch = Path(tempfile.mkdtemp(prefix="release-"))
    try:
        tally = count(doors.data, doors.state, live, now, scratch)
        verdict = glance(model, live, tally, now)
        known = doors.state.get(StepVerdict, *_place(live))
        if known is not None and known.revision == live.revision and _says_the_same(known, live, tally):
            verdict = known.model_copy(update={"at": now})
        elif verdict.outcome != "wait":
            window = gather(doors.data, doors.artefacts, model, live, now, scratch)
            verdict = judge(model, live, window, now)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    doors.state.put(*_place(live), verdict)
    if verdict.outcome == "wait" or (live.state == "paused" and verdict.outcome != "fail"):
        return f"{live.state}: {verdict.reason}"
    report = _report(doors.data, verdict)
    after = _after(live, verdict, doors.by, report, now)
    change(doors.state, doors.ledger, live, after)
    _tell(doors, after, now)
    return f"{verdict.outcome}: {verdict.reason}"


def _says_the_same(known: StepVerdict, live: LiveRelease, tally: Tally) -> bool:
    """Whether the last verdict still holds: nothing came that could change it."""
    undecided = known.outcome == "wait" and known.mode == "ab"
    return not tally.fresh and (undecided or (known.outcome == "pass" and live.state == "paused"))


def _place(live: LiveRelease) -> tuple[str, str]:
    """Where a step's newest verdict lies in the state table."""
    return f"model#{live.model}", "bake"


def _after(live: LiveRelease, verdict: StepVerdict, by: str, report: str, now: datetime) -> LiveRelease:
    match verdict.outcome:
        case "pass":
            return advanced(live, by, verdict.reason, report, now)
        case "win":
            return promoted(live, by, verdict.reason, now, report)
        case "no_winner":
            return withdrawn(live, NO_WINNER, by, verdict.reason, now, report)
        case _:
            return withdrawn(live, TAKEN_BACK, by, verdict.reason, now, report)


def _report(data: Objects, verdict: StepVerdict) -> str:
    """The page for people and the document for machines; answers the page's address."""

    def key(name: str) -> str:
        return keys.report(verdict.model, "release", verdict.subject, name)

    data.put(key("report.json"), json.dumps(verdict.model_dump(mode="json"), indent=1).encode(), "application/json")
    return data.put(key("report.html"), page("release", verdict=verdict).encode(), "text/html").uri

"""Ends a run however it went: gives the lease back, tells what a person must know, starts what waited."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from interlock import errors
from interlock.aws.alerts import AlertTopic
from interlock.aws.bus import EventBus
from interlock.aws.ledger import Ledger
from interlock.aws.state import State
from interlock.errors import InterlockError, reason
from interlock.events import TrainingRequested
from interlock.ledger import Decision
from interlock.observability import logger, observed
from interlock.records import PendingTraining
from interlock.settings import Alerts, Bus, LedgerTable, StateTable
from train.acquire import LEASE, PENDING, pk

_ACTIONS = {"failed": "training failed", "nothing_new": "nothing new to train on"}


class Settings(StateTable, LedgerTable, Bus, Alerts):
    """What this function uses."""


@observed
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """{model, run, execution, outcome, error?, cause?} → {outcome, requested}.

    Outcomes: registered, rejected, nothing_new, failed.
    """
    settings = Settings.load()
    logger.append_keys(model=event["model"], run=event["run"])
    requested = conclude(
        State(settings.state_table),
        Ledger(settings.ledger_table),
        EventBus(settings.bus_name),
        AlertTopic(settings.alerts_topic),
        event,
        context.function_name,
    )
    return {"outcome": event["outcome"], "requested": requested}


def conclude(
    state: State, ledger: Ledger, bus: EventBus, alerts: AlertTopic, event: dict[str, Any], actor: str
) -> bool:
    """End the run; answers whether a training that waited was asked for.

    The lease goes back before the note is read: whoever finds the lease taken writes its note and tries once more,
    so that one of the two always sees the other.
    """
    model, run, outcome = event["model"], event["run"], event["outcome"]
    if outcome in _ACTIONS:
        error, message = event.get("error") or "unknown", reason(event.get("cause"))
        ledger.append(
            Decision(
                model=model,
                key=f"{outcome}:{run}",
                stage="train",
                action=_ACTIONS[outcome],
                subject=run,
                actor=actor,
                evidence={"error": error, "message": message[:1000], "execution": event["execution"]},
            )
        )
        alerts.send(
            f"{model}: {_ACTIONS[outcome]}",
            f"Run {run} of {model}: {message}\n({error})\nWhat to do: {_remedy(error)}",
        )
    state.delete(pk(model), LEASE, owner=event["execution"])
    note = state.get(PendingTraining, pk(model), PENDING)
    if note is not None:
        # The note stays until a run has the lease: acquiring takes it away, and the reconciler asks again if need be.
        bus.publish(TrainingRequested(model=model, reason=note.reason, requested_by=note.requested_by))
    return note is not None


def _remedy(error: str) -> str:
    """What to do about an error, by its class's name; Step Functions' own (a time-out, a missing right) have none."""
    kind = getattr(errors, error, None)
    return kind.remedy if isinstance(kind, type) and issubclass(kind, InterlockError) else InterlockError.remedy

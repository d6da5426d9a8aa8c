"""Decides whether to train, and takes the one lease of the model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from interlock import keys
from interlock.aws.live import live_release
from interlock.aws.registry import Registry
from interlock.aws.state import State
from interlock.errors import LeaseHeld
from interlock.models import DeployedModel, deployed
from interlock.observability import logger, observed
from interlock.records import Lease, PendingTraining
from interlock.settings import StateTable
from interlock.spec import TrainOn

# Beyond the job's own limit: instances are sometimes scarce, and all other steps may run into their time-outs.
_MARGIN = timedelta(minutes=150)


class Settings(StateTable):
    """What this function uses."""

    package_group_prefix: str


@dataclass(frozen=True)
class Answer:
    """Whether to go on, with what run, and why."""

    go: bool
    model: str
    run: str
    reason: str


@observed
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """{event, detail, execution, started} → {go, model, run, reason}.

    Raises:
        LeaseHeld: another training of the model runs; a note is left for its end.
        UnknownModel: the model is not deployed.
    """
    settings = Settings.load()
    model = deployed(event["detail"]["model"])
    started = datetime.fromisoformat(event["started"]).astimezone(UTC)
    logger.append_keys(model=model.id, run=keys.run_id(started, event["execution"]))
    answer = acquire(
        State(settings.state_table),
        Registry(settings.package_group_prefix),
        model,
        event["event"],
        event["detail"],
        event["execution"],
        started,
        datetime.now(UTC),
    )
    return vars(answer)


def acquire(
    state: State,
    registry: Registry,
    model: DeployedModel,
    event: str,
    detail: dict[str, Any],
    execution: str,
    started: datetime,
    now: datetime,
) -> Answer:
    """Decide and take the lease. The execution that holds it already gets it again.

    Raises:
        LeaseHeld: another training runs.
    """
    run = keys.run_id(started, execution)
    go, reason = wanted(state, registry, model, event, detail)
    answer = Answer(go=go, model=model.id, run=run, reason=reason)
    if not go:
        return answer
    expires = now + timedelta(minutes=model.spec.training.max_minutes) + _MARGIN
    lease = Lease(model=model.id, execution=execution, run=run, reason=reason, expires_at=expires)

    def take() -> bool:
        return state.acquire(pk(model.id), LEASE, lease, owner=execution, expires_at=expires.timestamp())

    if not take():
        held = state.get(Lease, pk(model.id), LEASE)
        if event != "TrainingRequested" and held is not None and held.reason == reason:
            # The same event once more: what it asks for is being done. Only a person may ask again.
            return replace(answer, go=False, reason=f"{reason}; run {held.run} is at it")
        asked = detail.get("requested_by", event)
        state.put(pk(model.id), PENDING, PendingTraining(model=model.id, reason=reason, requested_by=asked, at=now))
        # The other one may have ended between the two lines above, before it could see the note.
        if not take():
            raise LeaseHeld(f"a training of {model.id} is running; {reason} waits for its end")
    state.delete(pk(model.id), PENDING)
    return answer


def wanted(
    state: State, registry: Registry, model: DeployedModel, event: str, detail: dict[str, Any]
) -> tuple[bool, str]:
    """Whether model.yaml wants a training for this event, and why in a few words."""
    if event == "RetrainRequested":
        return True, f"{detail['reason']} (window {detail['window']})"
    if event == "TrainingRequested":
        return True, str(detail["reason"])
    dataset = f"dataset {detail['dataset']} was admitted"
    match model.spec.training.on:
        case TrainOn.EVERY_DATASET:
            return True, dataset
        case TrainOn.REQUEST:
            return False, f"{dataset}; training.on is 'request'"
        case TrainOn.FIRST_DATASET:
            live = live_release(state, model.id)
            if (live is not None and live.champion is not None) or registry.has_versions(model.id):
                return False, f"{dataset}; training.on is 'first_dataset' and there is a version already"
            return True, f"{dataset}, the first"


def pk(model: str) -> str:
    """Where a model's documents lie in the state table."""
    return f"model#{model}"


LEASE = "lease#train"
PENDING = "pending#train"

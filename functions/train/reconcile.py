"""Finds what nobody told us: jobs that ended in silence, and trainings that wait for nobody."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from interlock.aws.bus import EventBus
from interlock.aws.jobs import Tokens, TrainingJobs
from interlock.aws.state import State
from interlock.catalogue import deployed_ids
from interlock.errors import TrainingFailed
from interlock.events import TrainingRequested
from interlock.observability import logger, observed
from interlock.records import Lease, OpenToken, PendingTraining
from interlock.settings import Bus, StateTable
from train.acquire import LEASE, PENDING, pk
from train.settlement import TOKENS, forget, settle

# A launch stores its token and creates the job within seconds; after this long there will be no job.
_LAUNCHED_BY = timedelta(minutes=10)


class Settings(StateTable, Bus):
    """What this function uses."""


@observed
def handler(_event: dict[str, Any], _context: LambdaContext) -> dict[str, int]:
    """{} → {settled, requested}: how many waits were ended and how many trainings asked for."""
    settings = Settings.load()
    state, now = State(settings.state_table), datetime.now(UTC)
    settled = settle_all(state, TrainingJobs(), Tokens(), now)
    requested = request_waiting(state, EventBus(settings.bus_name), deployed_ids(), now)
    if settled or requested:
        logger.info("found something", settled=settled, requested=requested)
    return {"settled": settled, "requested": requested}


def settle_all(state: State, jobs: TrainingJobs, tokens: Tokens, now: datetime) -> int:
    """Look at the job of every open token; answers how many waits are over."""
    settled = 0
    for waiting in list(state.query(OpenToken, TOKENS)):
        job = jobs.describe(waiting.job)
        if job is not None and settle(state, tokens, job):
            settled += 1
        elif waiting.expires_at < now or (job is None and waiting.opened_at + _LAUNCHED_BY < now):
            what = "was never launched" if job is None else "runs longer than anybody waits"
            tokens.fail(waiting.token, TrainingFailed.__name__, f"job {waiting.job} {what}")
            forget(state, waiting)
            settled += 1
    return settled


def request_waiting(state: State, bus: EventBus, models: Iterable[str], now: datetime) -> int:
    """Ask again for trainings that wait for a lease nobody holds; answers how many."""
    requested = 0
    for model in models:
        note = state.get(PendingTraining, pk(model), PENDING)
        lease = state.get(Lease, pk(model), LEASE)
        if note is not None and (lease is None or lease.expires_at < now):
            # The note stays until a run has the lease: acquiring takes it away.
            bus.publish(TrainingRequested(model=model, reason=note.reason, requested_by=note.requested_by))
            requested += 1
    return requested

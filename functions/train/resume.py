"""Wakes the workflow when its job has ended."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from interlock.aws.jobs import Tokens, TrainingJobs
from interlock.aws.state import State
from interlock.observability import logger, observed
from interlock.settings import StateTable
from train.settlement import settle


@observed
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """EventBridge's "SageMaker Training Job State Change" → {job, settled}.

    The job is described anew: an event may be old, and its times are written differently.
    """
    name = event["detail"]["TrainingJobName"]
    logger.append_keys(job=name)
    job = TrainingJobs().describe(name)
    settled = job is not None and settle(State(StateTable.load().state_table), Tokens(), job)
    return {"job": name, "settled": settled}

"""Ends a workflow's wait for its job. Called on every word about a job, and by the clock when no word came.

The word may come before the launch has returned, twice, late, or never. The token is stored before the job is
launched and forgotten after it was answered; whoever finds no token has nothing to do.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from interlock.aws.jobs import Tokens
from interlock.aws.state import State
from interlock.errors import TrainingFailed, TrainingStopped, TrainingTimedOut
from interlock.records import EndedJob, OpenToken
from train.acquire import pk

TOKENS = "tokens"
_ENDED = {"Completed", "Failed", "Stopped"}


def settle(state: State, tokens: Tokens, job: dict[str, Any]) -> bool:
    """Answer the token of a described job that has ended.

    Args:
        state: where the token lies.
        tokens: answers it.
        job: DescribeTrainingJob's answer.

    Returns:
        whether there is nothing left to do for this job: no, as long as it runs.
    """
    if job["TrainingJobStatus"] not in _ENDED:
        return False
    name = job["TrainingJobName"]
    waiting = state.get(OpenToken, TOKENS, name)
    if waiting is None:
        return True
    state.put(pk(waiting.model), f"job#{waiting.run}", _cost(waiting, job))
    if job["TrainingJobStatus"] == "Completed":
        tokens.succeed(waiting.token, result(job))
    else:
        error, cause = failure(job)
        tokens.fail(waiting.token, error, cause)
    forget(state, waiting)
    return True


def result(job: dict[str, Any]) -> dict[str, Any]:
    """What the workflow learns of a completed job."""
    artefacts: str = job["ModelArtifacts"]["S3ModelArtifacts"]
    channels = {channel["ChannelName"]: channel["DataSource"] for channel in job["InputDataConfig"]}
    return {
        "job": job["TrainingJobName"],
        "artifacts": artefacts,
        "output": artefacts.removesuffix("model.tar.gz") + "output.tar.gz",
        "image": job["AlgorithmSpecification"]["TrainingImage"],
        # Named by the hash of its content.
        "code": channels["code"]["S3DataSource"]["S3Uri"],
        "training_seconds": job.get("TrainingTimeInSeconds", 0),
        "billable_seconds": job.get("BillableTimeInSeconds", 0),
        "instance": job["ResourceConfig"]["InstanceType"],
    }


def failure(job: dict[str, Any]) -> tuple[str, str]:
    """Error name and cause of a job that ended without a model."""
    name = job["TrainingJobName"]
    if job["TrainingJobStatus"] == "Failed":
        return TrainingFailed.__name__, job.get("FailureReason") or f"job {name} failed without a reason"
    if job.get("SecondaryStatus") == "MaxRuntimeExceeded":
        limit = job["StoppingCondition"]["MaxRuntimeInSeconds"]
        return TrainingTimedOut.__name__, f"job {name} was stopped after {limit} seconds, training.max_minutes"
    return TrainingStopped.__name__, f"job {name} was stopped by somebody"


def forget(state: State, waiting: OpenToken) -> None:
    """Remove a token, unless a retry of the launch has stored a newer one under the same job."""
    if state.get(OpenToken, TOKENS, waiting.job) == waiting:
        state.delete(TOKENS, waiting.job)


def _cost(waiting: OpenToken, job: dict[str, Any]) -> EndedJob:
    ended = job.get("TrainingEndTime") or job.get("LastModifiedTime") or datetime.now(UTC)
    return EndedJob(
        model=waiting.model,
        run=waiting.run,
        job=waiting.job,
        status=job.get("SecondaryStatus") or job["TrainingJobStatus"],
        instance=job["ResourceConfig"]["InstanceType"],
        billable_seconds=job.get("BillableTimeInSeconds") or job.get("TrainingTimeInSeconds") or 0,
        ended_at=ended,
    )

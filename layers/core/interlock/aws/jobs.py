"""SageMaker training jobs, and the tokens by which a workflow waits for them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from interlock.aws.client import client, code, translated
from interlock.errors import TrainingFailed

# The workflow waits no longer: answered before, timed out, or gone.
_TOKEN_IS_OVER = {"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"}


class TrainingJobs:
    """Starts and describes jobs."""

    def __init__(self) -> None:
        self._sagemaker = client("sagemaker")

    def create(self, request: Mapping[str, Any]) -> bool:
        """Start a job; answers False when a job of that name exists, which is then this very run's.

        Raises:
            TrainingFailed: SageMaker refuses the request: a quota, a role, an input that is not there.
        """
        try:
            with translated(f"launching {request['TrainingJobName']}"):
                self._sagemaker.create_training_job(**request)
        except ClientError as error:
            if code(error) == "ResourceInUse":
                return False
            if code(error) == "ResourceLimitExceeded":
                raise TrainingFailed(
                    f"the account's quota does not allow the job: {_message(error)}",
                    remedy=f"Ask for the quota 'ml… for training job usage' of "
                    f"{request['ResourceConfig']['InstanceType']} in Service Quotas, or set another instance.",
                ) from error
            if code(error) == "ValidationException":
                raise TrainingFailed(f"SageMaker refuses the job: {_message(error)}") from error
            raise
        return True

    def describe(self, name: str) -> dict[str, Any] | None:
        """The job's description; None when there is no such job."""
        try:
            with translated(f"describing {name}"):
                answer: dict[str, Any] = self._sagemaker.describe_training_job(TrainingJobName=name)
        except ClientError as error:
            if code(error) in {"ValidationException", "ResourceNotFound"} and "not found" in _message(error).lower():
                return None
            raise
        return answer


class Tokens:
    """Answers the tokens of waiting workflows."""

    def __init__(self) -> None:
        self._states = client("stepfunctions")

    def succeed(self, token: str, answer: Mapping[str, Any]) -> bool:
        """Wake a workflow; answers False when it waits no longer."""
        return self._answered(self._states.send_task_success, taskToken=token, output=json.dumps(answer))

    def fail(self, token: str, error: str, cause: str) -> bool:
        """Wake a workflow with an error; answers False when it waits no longer."""
        return self._answered(self._states.send_task_failure, taskToken=token, error=error[:256], cause=cause[:32768])

    def _answered(self, send: Any, **arguments: str) -> bool:
        try:
            with translated("answering a workflow"):
                send(**arguments)
        except ClientError as error:
            if code(error) in _TOKEN_IS_OVER:
                return False
            raise
        return True


def _message(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Message", ""))

"""Step Functions' executions, as far as a function must know of another's."""

from __future__ import annotations

from botocore.exceptions import ClientError

from interlock.aws.client import client, code, translated


class Executions:
    """The executions of the workflows."""

    def __init__(self) -> None:
        self._stepfunctions = client("stepfunctions")

    def runs(self, arn: str) -> bool:
        """Whether an execution is still at work; one that is not known (any more) is not."""
        try:
            with translated(f"describing {arn}"):
                status: str = self._stepfunctions.describe_execution(executionArn=arn)["status"]
        except ClientError as error:
            if code(error) in {"ExecutionDoesNotExist", "InvalidArn"}:
                return False
            raise
        return status in {"RUNNING", "PENDING_REDRIVE"}

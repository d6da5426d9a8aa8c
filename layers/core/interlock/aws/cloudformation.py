"""CloudFormation: what a function that a stack asks during its deployment needs."""

from __future__ import annotations

import json

from aws_lambda_powertools.utilities.data_classes import CloudFormationCustomResourceEvent

from interlock.aws.client import client, translated
from interlock.connection import connection_to, request_target
from interlock.errors import DependencyUnavailable

_SECONDS = 10
# CloudFormation takes an answer of 4,096 bytes.
_LONGEST = 1_000


def rolls_back(stack: str) -> bool:
    """Whether a stack (its ARN) is on its way back to what it was."""
    with translated(f"looking at {stack}"):
        (found,) = client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    return "ROLLBACK" in found["StackStatus"]


def answer(event: CloudFormationCustomResourceEvent, identity: str, refused: str = "") -> None:
    """Put the answer where CloudFormation waits for it: go on, or the reason why not.

    Raises:
        DependencyUnavailable: it could not be put there; CloudFormation waits until the resource's own time-out.
    """
    body = {
        "Status": "FAILED" if refused else "SUCCESS",
        "Reason": refused[:_LONGEST],
        "PhysicalResourceId": identity,
        "StackId": event.stack_id,
        "RequestId": event.request_id,
        "LogicalResourceId": event.logical_resource_id,
    }
    connection = connection_to(event.response_url, _SECONDS)
    try:
        # The address is signed without a content type.
        connection.request("PUT", request_target(event.response_url), json.dumps(body), {"content-type": ""})
        status = connection.getresponse().status
    except OSError as error:
        raise DependencyUnavailable(f"answering CloudFormation: {error}") from error
    finally:
        connection.close()
    if status >= 300:
        raise DependencyUnavailable(f"answering CloudFormation: it said {status}")

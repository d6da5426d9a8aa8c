"""Keeps a deployment from breaking what serves: CloudFormation asks before it changes any other function."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.data_classes import CloudFormationCustomResourceEvent
from aws_lambda_powertools.utilities.typing import LambdaContext

from interlock import evolving
from interlock.aws.cloudformation import answer, rolls_back
from interlock.aws.live import champion
from interlock.aws.objects import Objects
from interlock.aws.state import State
from interlock.catalogue import deployed_ids
from interlock.errors import InterlockError
from interlock.models import deployed
from interlock.observability import logger, observed
from interlock.settings import ArtefactsBucket, DataBucket, StateTable


class Settings(DataBucket, ArtefactsBucket, StateTable):
    """What this function uses."""


@observed
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    """A custom resource's request; its properties are Models (ids), Digest (of their documents), BreakChampion."""
    request = CloudFormationCustomResourceEvent(event)
    try:
        if not _settled(request):
            settings = Settings.load()
            before = request.old_resource_properties.get("Models", [])
            names = sorted({*before, *request.resource_properties["Models"]})
            buckets = Objects(settings.data_bucket), Objects(settings.artefacts_bucket)
            judge(State(settings.state_table), *buckets, names)
    except Exception as error:  # noqa: BLE001 - whatever happened here, CloudFormation waits for an answer
        logger.exception("the deployment is refused")
        remedy = f" {error.next_step}" if isinstance(error, InterlockError) else ""
        answer(request, context.function_name, f"{type(error).__name__}: {error}{remedy}")
    else:
        answer(request, context.function_name)


def judge(state: State, data: Objects, artefacts: Objects, names: list[str]) -> None:
    """Hold the deployed models against the versions of these models that serve.

    Raises:
        Refused: one would answer wrongly, or could no longer be watched.
    """
    serving = {name: found for name in names if (found := champion(state, data, artefacts, name)) is not None}
    evolving.refuse(evolving.foreseen(serving, [deployed(name) for name in deployed_ids()]))


def _settled(request: CloudFormationCustomResourceEvent) -> bool:
    """Whether there is nothing to judge: the models are as they were, a person said so, or the stack goes back."""
    after = request.resource_properties
    return (
        request.request_type == "Delete"
        or after["Digest"] == request.old_resource_properties.get("Digest")
        or after["BreakChampion"] == "true"
        or rolls_back(request.stack_id)
    )

"""The Lambda door of the protocol: an HTTP API event in, an answer and capture lines out."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

from interlock.access import check
from interlock.aws.direct import Direct
from interlock.catalogue import deployed_ids
from interlock.errors import InterlockError, InvalidSettings
from serve.cache import Cache
from serve.door import Response, call_of, refusal, response_of
from serve.live import Live
from serve.loaded import Memory
from serve.operations import Service, perform
from serve.protocol.routes import route
from serve.quota import Quota, caller
from serve.telemetry import metrics, say, warning

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


def handler(event: dict[str, Any], context: LambdaContext) -> Response:
    """Answer one request; whatever goes wrong is answered in the protocol's error form."""
    request_id = context.aws_request_id
    try:
        call = call_of(event, request_id)
        asked = route(call.method, call.path)
        check(event, asked.model, asked.operation.scope)
        if asked.operation.scope == "infer" and (counted := quota()) is not None:
            counted.take(caller(event))
        reply = perform(asked, call, service())
    except Exception as error:  # noqa: BLE001 - the protocol's error form is owed to every caller
        message = error.message if isinstance(error, InterlockError) else str(error)
        say(warning(request_id, type(error).__name__, message))
        reply = refusal(error, request_id)
    return response_of(reply, request_id)


@cache
def service() -> Service:
    """What this function works with, by its environment.

    Raises:
        InvalidSettings: a variable is missing.
    """
    try:
        table, memory = os.environ["STATE_TABLE"], int(os.environ["MODEL_MEMORY_MB"])
    except KeyError as error:
        raise InvalidSettings(f"environment variable {error} of this function is missing") from None
    live = Live(
        Direct(table),
        Memory(memory * 1_000_000),
        unreadable=lambda: say(metrics({"LiveReleaseUnreadable": 1})),
        cache=Cache(int(held) * 1_000_000) if (held := os.environ.get("PREDICTION_CACHE_MB")) else None,
    )
    return Service(live, deployed_ids())


@cache
def quota() -> Quota | None:
    """What a caller may ask a day, where the deployment says so."""
    if (table := os.environ.get("QUOTA_TABLE")) is None:
        return None
    return Quota(Direct(table), table, int(os.environ["CALLS_A_DAY"]))

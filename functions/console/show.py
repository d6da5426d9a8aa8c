"""Shows what the other stages have written down: an HTTP API event in, a page out."""

from __future__ import annotations

from functools import cache
from typing import Any
from urllib.parse import unquote

from aws_lambda_powertools.utilities.typing import LambdaContext

from console.door import Reply, Response, response_of
from console.render import html
from console.routes import answer
from console.sources import Sources
from interlock.access import readable
from interlock.aws.ledger import Ledger
from interlock.aws.objects import Objects
from interlock.aws.state import State
from interlock.catalogue import deployed_ids
from interlock.errors import InterlockError
from interlock.models import deployed
from interlock.observability import logger
from interlock.settings import ArtefactsBucket, DataBucket, LedgerTable, StateTable


class Settings(DataBucket, ArtefactsBucket, StateTable, LedgerTable):
    """What this function uses."""


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> Response:
    """Answer one request; whatever goes wrong is a page too."""
    request_id = context.aws_request_id
    try:
        path, query = unquote(event["rawPath"]), event.get("queryStringParameters") or {}
        reply = answer(path, query, sources(), readable(event, deployed_ids()))
    except Exception as error:  # noqa: BLE001 - a person is owed a page
        reply = _refusal(error, request_id)
    headers = event.get("headers") or {}
    return response_of(reply, request_id, headers.get("accept-encoding", ""))


@cache
def sources() -> Sources:
    """What this function reads, by its environment.

    Raises:
        InvalidSettings: a variable is missing.
    """
    settings = Settings.load()
    return Sources(
        State(settings.state_table),
        Ledger(settings.ledger_table),
        Objects(settings.data_bucket),
        Objects(settings.artefacts_bucket),
        deployed,
    )


def _refusal(error: Exception, request_id: str) -> Reply:
    """What went wrong; an unexpected fault shows nothing of itself."""
    if not isinstance(error, InterlockError):
        logger.exception("the page failed")
        message, remedy = f"Ask for request {request_id} in the log.", "Run `interlock logs console`."
        return html("error", status=500, headline="The page failed", message=message, remedy=remedy)
    logger.warning(error.message, error=type(error).__name__)
    return html(
        "error", status=error.http_status, headline=error.headline, message=error.message, remedy=error.next_step
    )

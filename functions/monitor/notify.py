"""Hands every alert on to a chat's incoming webhook."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from aws_lambda_powertools.utilities.typing import LambdaContext

from interlock.connection import connection_to, request_target
from interlock.errors import DependencyUnavailable
from interlock.observability import observed
from interlock.settings import Settings as Base

_SECONDS = 10


class Settings(Base):
    """What this function uses."""

    alert_webhook: str


@observed
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, int]:
    """An SNS event → how many alerts were handed on.

    Raises:
        DependencyUnavailable: the chat does not take it; Lambda tries twice more, then the event is kept.
    """
    url = Settings.load().alert_webhook
    for record in event["Records"]:
        post(url, record["Sns"].get("Subject") or "Interlock", record["Sns"]["Message"])
    return {"sent": len(event["Records"])}


def post(url: str, subject: str, message: str) -> None:
    """Send one message as {"text"}, which the incoming webhooks of the usual chats take.

    Raises:
        DependencyUnavailable: nobody answers, or not with 2xx.
    """
    host, connection = urlsplit(url).hostname, connection_to(url, _SECONDS)
    try:
        body = json.dumps({"text": f"*{subject}*\n{message}"}).encode()
        connection.request("POST", request_target(url), body, {"content-type": "application/json"})
        status = connection.getresponse().status
    except OSError as error:
        # The address is a secret of the chat: it stays out of the log.
        raise DependencyUnavailable(f"the alert webhook at {host} does not answer: {error}") from None
    finally:
        connection.close()
    if not 200 <= status < 300:
        raise DependencyUnavailable(f"the alert webhook at {host} answered {status}")

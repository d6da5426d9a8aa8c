"""The emulator beside the service: who may do what, credentials of roles, clients."""

from __future__ import annotations

import base64
import json
import os
import urllib.request
from typing import Any

import boto3

from localcloud.sagemaker.protocol import ServiceError

ENDPOINT = os.environ.get("AWS_ENDPOINT_URL", "")
Condition = dict[str, Any]


def admin(service: str) -> Any:
    """A client with the service's own rights, which are all."""
    make: Any = boto3.Session().client
    return make(service, endpoint_url=ENDPOINT)


def authorize(
    method: str, path: str, headers: dict[str, str], body: bytes, checks: list[tuple[str, str, Condition]]
) -> tuple[str, str]:
    """Ask whether the caller may do all of this; answers account and region.

    Raises:
        ServiceError: the signature is wrong, or a policy does not allow it.
    """
    answer = _ask(
        "authorize",
        {
            "method": method,
            "path": path,
            "headers": headers,
            "body": base64.b64encode(body).decode(),
            "service": "sagemaker",
            "checks": checks,
        },
    )
    if not answer["allowed"]:
        raise ServiceError(answer["code"], answer["message"], 400 if answer["code"] == "AccessDeniedException" else 403)
    return answer["account"], answer["region"]


def as_role(role: str, name: str) -> boto3.Session:
    """A session of the job's role.

    Raises:
        ServiceError: the role does not exist or does not trust SageMaker.
    """
    answer = _ask("assume", {"role": role, "service": "sagemaker.amazonaws.com", "name": name})
    if not answer["allowed"]:
        raise ServiceError("ValidationException", f"Could not assume role {role}. {answer['message']}")
    return boto3.Session(answer["key"], answer["secret"], answer["token"])


def _ask(what: str, question: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{ENDPOINT}/_interlock/{what}",
        data=json.dumps(question).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: dict[str, Any] = json.loads(answer.read())
    return found

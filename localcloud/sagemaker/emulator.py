"""The emulator beside the service: who may do what, credentials of roles, clients."""

from __future__ import annotations

import base64
import json
import os
import urllib.request
from functools import cache
from typing import Any

import boto3
import botocore.session

from localcloud.sagemaker.protocol import ServiceError

ENDPOINT = os.environ.get("AWS_ENDPOINT_URL", "")
Condition = dict[str, Any]


@cache
def admin(service: str) -> Any:
    """A client with the service's own rights, which are all; one for all threads."""
    make: Any = boto3.Session().client
    return make(service, endpoint_url=ENDPOINT)


@cache
def _loader() -> Any:
    # Reading the services' descriptions is most of the work of making a client.
    return botocore.session.get_session().get_component("data_loader")


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
    core = botocore.session.Session()
    core.register_component("data_loader", _loader())
    return boto3.Session(answer["key"], answer["secret"], answer["token"], botocore_session=core)


def _ask(what: str, question: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(  # noqa: S310 - the emulator's own address
        f"{ENDPOINT}/_interlock/{what}",
        data=json.dumps(question).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        found: dict[str, Any] = json.loads(answer.read())
    return found

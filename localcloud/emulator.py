"""Runs the emulator, by the Python of the emulator's own environment (nothing of ours can be imported there).

Mends what it does otherwise than AWS (the functions below, and docs/parity.md), and adds two things. Functions run on
another Python, whose environment holds boto3 and nothing else, as Lambda's does. And two endpoints serve a service
beside the emulator: `POST /_interlock/authorize` says whether a request it was sent is signed rightly and allowed by
IAM; `POST /_interlock/assume` gives it a session of a role that trusts it.
"""

from __future__ import annotations

import base64
import contextvars
import hashlib
import json
import os
import re
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
# The last exception of a traceback: the first line after it that is not indented.
_RAISED = re.compile(r"^([A-Za-z_][\w.]*)(?::|$)", re.MULTILINE)
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def with_authorization(app: App) -> App:
    """The emulator's application with the additional endpoints."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            # The loopback address stands for TLS, which the buckets' policies demand.
            scope["headers"] = [*scope["headers"], (b"x-forwarded-proto", b"https")]
        endpoint = _ENDPOINTS.get(scope.get("path", "")) if scope["type"] == "http" else None
        if endpoint is None:
            await app(scope, receive, send)
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        verdict = json.dumps(endpoint(json.loads(body))).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": verdict})

    return answer


def authorize(request: dict[str, Any]) -> dict[str, Any]:
    """Judge a request by the emulator's own signature check and policies.

    Args:
        request: method, path, headers, body (base64) as they were sent; service; and `checks`: pairs of an IAM action
            and the ARN it is for, with the condition keys of each.
    """
    from ministack import app as emulator
    from ministack.core import iam_evaluator as iam
    from ministack.core.responses import get_account_id, set_request_account_id, set_request_region
    from ministack.core.router import extract_access_key_id, extract_region

    headers = {name.lower(): value for name, value in request["headers"].items()}
    key = extract_access_key_id(headers, {})
    set_request_account_id(emulator._request_account_scope(key))
    region = extract_region(headers, {})
    set_request_region(region)
    iam.pin_request_origin("127.0.0.1", False)
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    iam.pin_signed_request(request["method"], request["path"], {}, raw)
    iam.pin_signed_body(base64.b64decode(request["body"]))
    for action, resource, conditions in request["checks"]:
        denied = iam.enforce(key, action, request["service"], region, resource_arn=resource, service_context=conditions)
        if denied is None:
            continue
        if isinstance(denied, iam.AuthError):
            return {"allowed": False, "code": denied.code, "message": denied.message}
        return {
            "allowed": False,
            "code": "AccessDeniedException",
            "message": f"User: {denied.principal_arn} is not authorized to perform: {action} on resource: {resource}",
        }
    return {"allowed": True, "account": get_account_id(), "region": region}


def assume(request: dict[str, Any]) -> dict[str, Any]:
    """Credentials of a role for a service that the role's trust policy names.

    Args:
        request: role (ARN), service (its principal) and name (of the session).
    """
    from ministack.core.responses import set_request_account_id
    from ministack.services import iam, sts

    account, name = request["role"].split(":")[4], request["role"].rsplit("/", 1)[-1]
    set_request_account_id(account)
    role = iam._roles.get(name)
    trust = json.dumps((role or {}).get("AssumeRolePolicyDocument", ""))
    if request["service"] not in trust:
        return {"allowed": False, "message": f"{request['role']} does not exist or does not trust {request['service']}"}
    digest = hashlib.sha256(f"{request['role']}:{request['name']}".encode()).hexdigest()
    secret = hashlib.sha256(f"secret:{digest}".encode()).hexdigest()
    key, token = f"ASIA{digest[:16].upper()}", hashlib.sha256(f"token:{digest}".encode()).hexdigest()
    sts.register_session(
        key,
        {
            "Arn": f"arn:aws:sts::{account}:assumed-role/{name}/{request['name'][:64]}",
            "UserId": f"{name}:{request['name'][:64]}",
            "SecretAccessKey": secret,
            "SessionToken": token,
        },
    )
    return {"allowed": True, "key": key, "secret": secret, "token": token}


def name_versions_in_events() -> None:
    """Put the object's version into S3's events to EventBridge, as AWS does; the emulator leaves it out."""
    from ministack.services import eventbridge, s3

    version: contextvars.ContextVar[str | None] = contextvars.ContextVar("version", default=None)
    fire, dispatch = s3._fire_s3_event, eventbridge._dispatch_event

    def firing(*args: Any, version_id: str | None = None, **others: Any) -> None:
        version.set(version_id)
        fire(*args, version_id=version_id, **others)

    def dispatching(event: dict[str, Any], *args: Any, **others: Any) -> Any:
        if event.get("Source") == "aws.s3" and version.get():
            detail = json.loads(event["Detail"])
            detail["object"]["version-id"] = version.get()
            event = {**event, "Detail": json.dumps(detail)}
        return dispatch(event, *args, **others)

    s3._fire_s3_event, eventbridge._dispatch_event = firing, dispatching


def name_errors_by_class() -> None:
    """Answer a failed function with its exception's class and message, by which workflows retry and catch.

    The emulator's warm workers say `Runtime.HandlerError` for every exception; the class stands in their traceback.
    """
    from ministack.services import lambda_svc

    execute = lambda_svc._execute_function_warm

    def executing(*args: Any) -> Any:
        result = execute(*args)
        body = result.get("body")
        if result.get("error") and isinstance(body, dict) and body.get("errorType") == "Runtime.HandlerError":
            trace = str(result.get("log", "")).rpartition("Traceback (most recent call last):")[2]
            if raised := _RAISED.search(trace):
                body["errorType"] = raised.group(1).rpartition(".")[2]
        return result

    lambda_svc._execute_function_warm = executing


_ENDPOINTS = {"/_interlock/authorize": authorize, "/_interlock/assume": assume}


def main() -> None:
    """Start the emulator with what its environment says."""
    from ministack import app as emulator

    emulator.app = with_authorization(emulator.app)
    name_versions_in_events()
    name_errors_by_class()
    sys.executable = os.environ["INTERLOCK_FUNCTION_PYTHON"]
    sys.argv = ["ministack"]
    emulator.main()


if __name__ == "__main__":
    main()

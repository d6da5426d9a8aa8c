"""Runs the emulator, by the Python of the emulator's own environment (nothing of ours can be imported there).

Mends what it does otherwise than AWS (here and in the modules beside this one; docs/parity.md lists it), and adds two
things. Functions run on another Python, whose environment holds boto3 and nothing else, as Lambda's does. And endpoints
serve what stands beside the emulator: `POST /_interlock/authorize` says whether a request that a service was sent is
signed rightly and allowed by IAM; `POST /_interlock/assume` gives it a session of a role that trusts it;
`POST /_interlock/save` writes the whole state down.

What moves (tables, executions, logs) is written down every few seconds, so that little is lost when the machine goes
down; the emulator itself writes only when it is stopped in order.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import contextvars
import json
import logging
import os
import secrets
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from pathlib import Path
from typing import Any

# By its path, since nothing of ours is installed here.
sys.path.insert(0, str(Path(__file__).parents[1]))
from localcloud.functions import (
    give_credentials_in_turn,
    hand_on_logs_in_turn,
    keep_whole_logs,
    leave_no_log_of_deleted_functions,
    name_errors_by_class,
    unpack_layers_once,
)
from localcloud.mapruns import run_as_jsonata
from localcloud.ranges import read_ranges_of_versions
from localcloud.workflows import ask_the_workflow_s_role, denied, fail_tasks_whose_function_fails, keep_size_limits

# What changes between two deployments, by the names under which the emulator keeps it; each is small.
_MOVING = ("dynamodb", "stepfunctions", "sqs", "sns", "scheduler", "eventbridge", "cloudwatch", "cloudwatch_logs", "s3")
_SAVE_SECONDS = 10.0
_COPIES = 20
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def with_endpoints(app: App) -> App:
    """The emulator's application with the additional endpoints, and its state written down as time goes by."""
    saver: list[asyncio.Task[None]] = []
    used = asyncio.Event()

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            saver.append(asyncio.create_task(save_now_and_then(used)))
        if scope["type"] == "http":
            # The loopback address stands for TLS, which the buckets' policies demand.
            read = scope["headers"] if takes_tokens(scope) else filter(is_signature_or_other, scope["headers"])
            scope["headers"] = [*read, (b"x-forwarded-proto", b"https")]
        endpoint = _ENDPOINTS.get(scope.get("path", "")) if scope["type"] == "http" else None
        if endpoint is None:
            if not scope.get("path", "").startswith("/_ministack/"):
                used.set()
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


def is_signature_or_other(header: tuple[bytes, bytes]) -> bool:
    """False for an Authorization that is none of AWS's: the emulator takes `Bearer anything` for the account's root."""
    name, value = header
    return name.lower() != b"authorization" or value.startswith((b"AWS4-", b"AWS "))


def takes_tokens(scope: Scope) -> bool:
    """Whether a request is for a route of an API that callers with tokens are for."""
    from ministack import app as emulator

    host = next((value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"host"), "")
    asked = emulator._parse_execute_api_url(host, scope["path"])
    if asked is None:
        return False
    api, first, rest = asked
    stage, path = emulator._resolve_stage_and_path(api, first, rest)
    return bool(emulator._execute_api_authorization_type(api, stage, scope["method"], path) == "JWT")


async def save_now_and_then(used: asyncio.Event) -> None:
    """Write down what moves, for ever, when something was asked of the emulator since the last time."""
    while True:
        await asyncio.sleep(_SAVE_SECONDS)
        await used.wait()
        used.clear()
        save({"services": _MOVING})


def save(request: dict[str, Any]) -> dict[str, Any]:
    """Write state down: the named `services`, or all."""
    from ministack import app as emulator
    from ministack.core import persistence

    kept = emulator._build_persistence_save_dict()
    wanted = request.get("services") or kept
    persistence.save_all({name: partial(settled, kept[name]) for name in wanted if name in kept})
    return {}


def settled(state: Callable[[], Any]) -> Any:
    """A service's state; taken again when it grew or shrank while it was copied, which would leave it unsaved."""
    for _ in range(_COPIES):
        with contextlib.suppress(RuntimeError):
            return state()
    return state()


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

    sent = [(name.lower().encode(), value.encode()) for name, value in request["headers"].items()]
    raw = list(filter(is_signature_or_other, sent))
    headers = {name.decode(): value.decode() for name, value in raw}
    key = extract_access_key_id(headers, {})
    set_request_account_id(emulator._request_account_scope(key))
    region = extract_region(headers, {})
    set_request_region(region)
    iam.pin_request_origin("127.0.0.1", False)
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
    if role is None or not trusts(role["AssumeRolePolicyDocument"], request["service"], account):
        return {"allowed": False, "message": f"{request['role']} does not exist or does not trust {request['service']}"}
    key, secret, token = f"ASIA{secrets.token_hex(8).upper()}", secrets.token_hex(20), secrets.token_hex(64)
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


def trusts(document: str | dict[str, Any], service: str, account: str) -> bool:
    """Whether a role's trust policy lets a service assume it, by the emulator's evaluator.

    That takes any service for the account's root, so each statement is first looked at for naming this one.
    """
    from ministack.core import iam_evaluator as iam

    policy = json.loads(document) if isinstance(document, str) else document
    statements = policy.get("Statement", [])
    naming = [
        {**statement, "Principal": "*"}
        for statement in (statements if isinstance(statements, list) else [statements])
        if iam._service_principal_matches(statement.get("Principal"), service)
    ]
    context = iam.EvalContext(
        principal_arn=service,
        principal_type="Service",
        principal_account=account,
        action="sts:AssumeRole",
        resource_arn="*",
        region="",
        service_context={"aws:sourceaccount": account},
    )
    return bool(iam.evaluate_trust_policy({"Statement": naming}, service, context))


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


def answer_as_no_registry() -> None:
    """Leave `/v2` to the API: the emulator takes it, whatever the host, for that of a container registry."""
    from ministack import app as emulator

    emulator._is_ecr_registry_path = lambda _path: False


_ENDPOINTS = {"/_interlock/authorize": authorize, "/_interlock/assume": assume, "/_interlock/save": save}


def main() -> None:
    """Start the emulator with what its environment says."""
    from ministack import app as emulator

    logging.getLogger("persistence").setLevel(logging.WARNING)
    emulator.app = with_endpoints(emulator.app)
    name_versions_in_events()
    name_errors_by_class()
    unpack_layers_once()
    give_credentials_in_turn()
    leave_no_log_of_deleted_functions()
    keep_whole_logs()
    hand_on_logs_in_turn()
    keep_size_limits()
    ask_the_workflow_s_role()
    fail_tasks_whose_function_fails()
    answer_as_no_registry()
    run_as_jsonata(denied)
    read_ranges_of_versions()
    sys.executable = os.environ["INTERLOCK_FUNCTION_PYTHON"]
    sys.argv = ["ministack"]
    emulator.main()


if __name__ == "__main__":
    main()

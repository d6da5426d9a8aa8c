"""How the emulator runs workflows: by their role, within AWS's limits of size; for `localcloud/emulator.py` alone."""

from __future__ import annotations

import contextvars
import json
from typing import Any

# Lambda's payload of a synchronous call, either way; a state's input and result.
_LAMBDA_BYTES, _STATE_BYTES = 6_291_556, 262_144
_TOO_MUCH = "States.DataLimitExceeded"


def keep_size_limits() -> None:
    """Refuse the payloads of functions and workflow steps that are too large on AWS; the emulator lets all pass."""
    from ministack.services import lambda_svc, stepfunctions

    execute, invoke, matches = (
        lambda_svc._execute_function_warm,
        stepfunctions._invoke_resource,
        stepfunctions._error_matches,
    )

    def executing(function: dict[str, Any], event: Any, *others: Any) -> Any:
        if size(event) > _LAMBDA_BYTES:
            return failed(
                "RequestEntityTooLargeException",
                f"Request must be smaller than {_LAMBDA_BYTES} bytes for the InvokeFunction operation",
            )
        result = execute(function, event, *others)
        if not result.get("error") and size(result.get("body")) > _LAMBDA_BYTES:
            return failed(
                "Function.ResponseSizeTooLarge",
                f"Response payload size exceeded maximum allowed payload size ({_LAMBDA_BYTES} bytes).",
            )
        return result

    def invoking(resource: str, payload: Any) -> Any:
        bounded(resource, payload)
        answer = invoke(resource, payload)
        bounded(resource, answer)
        return answer

    def bounded(resource: str, value: Any) -> None:
        if size(value) > _STATE_BYTES:
            raise stepfunctions._ExecutionError(
                _TOO_MUCH,
                f"The state/task '{resource}' returned a result with a size exceeding the maximum number of bytes "
                "service limit.",
            )

    def matching(names: list[str], error: str) -> bool:
        return bool(matches(names, error)) and (error != _TOO_MUCH or error in names)

    def size(value: Any) -> int:
        return len(json.dumps(value, ensure_ascii=False).encode())

    def failed(kind: str, message: str) -> dict[str, Any]:
        return {"body": {"errorType": kind, "errorMessage": message}, "error": True, "log": message}

    lambda_svc._execute_function_warm = executing
    stepfunctions._invoke_resource, stepfunctions._error_matches = invoking, matching


def denied(machine: str, action: str, resource: str) -> str | None:
    """Why the role of a state machine may not do something, in AWS's words; None when it may."""
    from ministack.core import iam_evaluator as iam
    from ministack.services import stepfunctions

    # The states of a distributed map's item run under the map's own name within the machine.
    known = stepfunctions._state_machines.get(machine.partition("/")[0])
    if known is None:
        return None
    account, role = known["roleArn"].split(":")[4], known["roleArn"].rsplit("/", 1)[-1]
    who = iam.EvalContext(
        principal_arn=f"arn:aws:sts::{account}:assumed-role/{role}/states",
        principal_type="AssumedRole",
        principal_account=account,
        action=action,
        resource_arn=resource,
        region=machine.split(":")[3],
    )
    if iam.evaluate(who, iam._gather_role_policies(role, account)).decision == "Allow":
        return None
    return (
        f"User: {who.principal_arn} is not authorized to perform: {action} on resource: {resource} because no "
        f"identity-based policy allows the {action} action"
    )


def ask_the_workflow_s_role() -> None:
    """Let a workflow invoke what its role may invoke; the emulator lets it invoke everything."""
    from ministack.services import lambda_svc, stepfunctions

    machine: contextvars.ContextVar[str] = contextvars.ContextVar("machine", default="")
    take, call = stepfunctions._execute_task, stepfunctions._call_lambda

    def taking(definition: dict[str, Any], raw: Any, execution: dict[str, Any], context: Any) -> Any:
        machine.set(execution["stateMachineArn"])
        return take(definition, raw, execution, context)

    def calling(reference: Any, event: Any) -> Any:
        _, config, _ = lambda_svc._get_func_record_for_ref(reference)
        if config and (why := denied(machine.get(), "lambda:InvokeFunction", config["FunctionArn"])) is not None:
            raise stepfunctions._ExecutionError("Lambda.AWSLambdaException", why)
        return call(reference, event)

    stepfunctions._execute_task, stepfunctions._call_lambda = taking, calling


def fail_tasks_whose_function_fails() -> None:
    """End a task that waits for its token when the function that was given it fails; the emulator waits on."""
    from ministack.services import stepfunctions

    call = stepfunctions._call_lambda

    def calling(function: str, event: Any) -> Any:
        try:
            return call(function, event)
        except stepfunctions._ExecutionError as failed:
            given = json.dumps(event)
            for token, waiting in list(stepfunctions._task_tokens.items()):
                if token in given:
                    waiting["error"] = {"Error": failed.error, "Cause": failed.cause}
                    waiting["event"].set()
            raise

    stepfunctions._call_lambda = calling

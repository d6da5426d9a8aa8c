"""The construct that builds every workflow, and the few states that workflows are made of (JSONata)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aws_cdk import Aws, Duration, Stack, Tags
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.checks import acknowledge_wildcard
from infra.foundation import Foundation
from infra.function import StageFunction
from infra.logs import log_group

State = dict[str, Any]
# Somebody else's fault, worth another try: ours (interlock.errors) and Lambda's own.
_RETRIED = [
    "Throttled",
    "DependencyUnavailable",
    "Lambda.TooManyRequestsException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
]
_RETRY = [{"ErrorEquals": _RETRIED, "IntervalSeconds": 2, "MaxAttempts": 4, "BackoffRate": 2, "JitterStrategy": "FULL"}]


def jsonata(expression: str) -> str:
    """An expression as a state machine reads it."""
    return "{% " + expression + " %}"


def _workflow_name(foundation: Foundation, stage: str) -> str:
    """The name of a stage's state machine."""
    return f"interlock-{foundation.settings.environment}-{stage}"


def may_ask_for_owners(function: StageFunction, foundation: Foundation, stage: str) -> None:
    """Let a function ask whether the execution that holds a claim still works."""
    owners = f"arn:{Aws.PARTITION}:states:{Aws.REGION}:{Aws.ACCOUNT_ID}:execution:{_workflow_name(foundation, stage)}:*"
    function.may("ask whether an owner works", ["states:DescribeExecution"], [owners])
    function.accept(owners, "Executions of its own workflow; their names are made at run time.")


class Workflow(Construct):
    """A stage's state machine: JSONata, logged and traced whole, with a time-out, allowed to call its functions."""

    def __init__(
        self,
        scope: Construct,
        foundation: Foundation,
        stage: str,
        states: Mapping[str, State],
        *,
        functions: Iterable[StageFunction],
        timeout: Duration,
    ) -> None:
        super().__init__(scope, "Workflow")
        name = _workflow_name(foundation, stage)
        self._foundation = foundation
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("states.amazonaws.com"))
        role.add_to_policy(
            iam.PolicyStatement(
                sid="CallItsFunctions",
                actions=["lambda:InvokeFunction"],
                resources=[function.function.function_arn for function in functions],
            )
        )
        definition = {
            "Comment": f"Interlock: {stage}",
            "QueryLanguage": "JSONata",
            "StartAt": next(iter(states)),
            "TimeoutSeconds": int(timeout.to_seconds()),
            "States": dict(states),
        }
        self.machine = sfn.StateMachine(
            self,
            "Machine",
            state_machine_name=name,
            definition_body=sfn.DefinitionBody.from_string(Stack.of(self).to_json_string(definition)),
            role=role,
            tracing_enabled=True,
            logs=sfn.LogOptions(
                destination=log_group(self, f"/aws/vendedlogs/states/{name}", foundation.settings.log_retention_days),
                level=sfn.LogLevel.ALL,
                include_execution_data=True,
            ),
        )
        self._name, self._role = name, role
        acknowledge_wildcard(
            role,
            "*",
            "Log delivery of vended logs and X-Ray's segments cannot be limited to a resource.",
        )
        Tags.of(self).add("interlock:stage", stage)

    def runs_each(self, bucket: s3.Bucket, prefix: str) -> None:
        """May run its states for each item of an array under a prefix of a bucket, and write the answers there."""
        objects = bucket.arn_for_objects(f"{prefix}*")

        def arn(kind: str, end: str = "") -> str:
            # By its name: the machine itself waits for its role.
            return f"arn:{Aws.PARTITION}:states:{Aws.REGION}:{Aws.ACCOUNT_ID}:{kind}:{self._name}{end}"

        executions = [arn("execution", ":*"), arn("execution", "/*")]
        allowed = {
            "StartItems": (["states:StartExecution"], [arn("stateMachine")]),
            "FollowItems": (["states:DescribeExecution", "states:StopExecution"], executions),
            "ReadItemsAndWriteAnswers": (
                ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject", "s3:ListMultipartUploadParts",
                 "s3:AbortMultipartUpload"],
                [objects],
            ),
        }  # fmt: skip
        for sid, (actions, resources) in allowed.items():
            self._role.add_to_policy(iam.PolicyStatement(sid=sid, actions=actions, resources=resources))
        acknowledge_wildcard(self._role, objects, "Objects under one prefix; their names are made at run time.")
        for resource in executions:
            acknowledge_wildcard(self._role, resource, "Its own executions; their names are made at run time.")

    def starts_on(self, name: str, pattern: events.EventPattern, bus: events.IEventBus | None = None) -> None:
        """Start an execution for each event of the pattern; what cannot be delivered goes to the dead letters."""
        rule = events.Rule(self, name, event_pattern=pattern, event_bus=bus)
        rule.add_target(
            targets.SfnStateMachine(
                self.machine,
                dead_letter_queue=self._foundation.dead_letters,
                retry_attempts=185,
                max_event_age=Duration.hours(24),
            )
        )


def task(
    function: StageFunction,
    payload: Mapping[str, Any],
    *,
    next_state: str | None,
    assign: Mapping[str, str] | None = None,
    catch: Iterable[tuple[str | list[str], str]] = (),
    seconds: int = 900,
    wait_for_token: bool = False,
) -> State:
    """Call a function of the stage.

    Args:
        function: the function.
        payload: its event; values may be `jsonata(...)`.
        next_state: where to go on; None ends with the function's answer.
        assign: variables to set from the answer (`$states.result.Payload`, or `$states.result` of a token).
        catch: pairs of error name(s) and the state that takes over; `$error` and `$cause` are set for it.
        seconds: time-out of the step.
        wait_for_token: go on when somebody answers the token in the payload, not when the function returns.
    """
    resource = "lambda:invoke.waitForTaskToken" if wait_for_token else "lambda:invoke"
    state: State = {
        "Type": "Task",
        "Resource": f"arn:{Aws.PARTITION}:states:::{resource}",
        "Arguments": {"FunctionName": function.function.function_arn, "Payload": dict(payload)},
        "TimeoutSeconds": seconds,
        "Retry": _RETRY,
        **({"Next": next_state} if next_state else {"Output": jsonata("$states.result.Payload"), "End": True}),
    }
    if assign:
        state["Assign"] = dict(assign)
    if caught := _catchers(catch):
        state["Catch"] = caught
    return state


def each(
    items: Mapping[str, str],
    step: State,
    given: Mapping[str, Any],
    *,
    bucket: str,
    results: str,
    label: str,
    next_state: str,
    assign: Mapping[str, str],
    catch: Iterable[tuple[str | list[str], str]],
    at_once: int = 5,
) -> State:
    """Run a task for each item of a JSON array in S3, as executions of their own, and write their answers to S3.

    Any item that fails, after its own retries, fails the whole.

    Args:
        items: `Key` and `VersionId` of the array, which may be `jsonata(...)`.
        step: the task; it ends its item's execution.
        given: the task's input, by `$states.context.Map.Item.Value`; it sees no variable of this workflow.
        bucket: of the array and the answers.
        results: the prefix of the answers; `$states.result.ResultWriterDetails` names their manifest.
        label: of the executions' names: as the state is named.
        next_state: where to go on.
        assign: variables to set from `$states.result`.
        catch: as of a task.
        at_once: how many items are worked on at once; new accounts may run ten functions.
    """
    return {
        "Type": "Map",
        "Label": label,
        "MaxConcurrency": at_once,
        "ItemReader": {
            "Resource": f"arn:{Aws.PARTITION}:states:::s3:getObject",
            "ReaderConfig": {"InputType": "JSON"},
            "Arguments": {"Bucket": bucket, **items},
        },
        "ItemSelector": dict(given),
        "ItemProcessor": {
            # Express executions end after five minutes.
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": f"Each{label}",
            "States": {f"Each{label}": step},
        },
        "ResultWriter": {
            "Resource": f"arn:{Aws.PARTITION}:states:::s3:putObject",
            "WriterConfig": {"OutputType": "JSON", "Transformation": "COMPACT"},
            "Arguments": {"Bucket": bucket, "Prefix": results},
        },
        "Assign": dict(assign),
        "Catch": _catchers(catch),
        "Next": next_state,
    }


def _catchers(catch: Iterable[tuple[str | list[str], str]]) -> list[State]:
    return [
        {
            "ErrorEquals": [names] if isinstance(names, str) else names,
            "Assign": {"error": jsonata("$states.errorOutput.Error"), "cause": jsonata("$states.errorOutput.Cause")},
            "Next": target,
        }
        for names, target in catch
    ]


def begin(assign: Mapping[str, Any], next_state: str) -> State:
    """Name what the workflow starts with."""
    return {"Type": "Pass", "Assign": dict(assign), "Next": next_state}


def choose(condition: str, then: str, otherwise: str) -> State:
    """Go one of two ways."""
    return {"Type": "Choice", "Choices": [{"Condition": jsonata(condition), "Next": then}], "Default": otherwise}


def succeed() -> State:
    """The end of a workflow that did what it was for."""
    return {"Type": "Succeed"}


def fail() -> State:
    """The end of a workflow that a person must look at, with the caught error."""
    return {"Type": "Fail", "Error": jsonata("$error"), "Cause": jsonata("$cause")}

"""What happens by the clock: a function every so many minutes, a model's workflow by its own schedule."""

from __future__ import annotations

from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_scheduler_targets as targets
from constructs import Construct

from infra.checks import acknowledge_wildcard
from infra.function import StageFunction
from infra.workflow import Workflow


def call_every(scope: Construct, name: str, minutes: int, function: StageFunction) -> None:
    """Call a function at this rate."""
    clock = iam.Role(scope, "ClockRole", assumed_by=iam.ServicePrincipal("scheduler.amazonaws.com"))
    acknowledge_wildcard(clock, f"{function.function.function_arn}:*", "CDK grants a function with its versions.")
    scheduler.Schedule(
        scope,
        name,
        schedule=scheduler.ScheduleExpression.rate(Duration.minutes(minutes)),
        target=targets.LambdaInvoke(function.function, role=clock),
    )


def start_for(scope: Construct, model: str, expression: str, workflow: Workflow, given: dict[str, Any]) -> None:
    """Start a model's workflow by a schedule expression of model.yaml."""
    scheduler.Schedule(
        scope,
        f"Schedule-{model}",
        schedule=scheduler.ScheduleExpression.expression(expression),
        target=targets.StepFunctionsStartExecution(
            workflow.machine, input=scheduler.ScheduleTargetInput.from_object(given)
        ),
    )

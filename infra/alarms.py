"""What reaches a person: failed workflows, alarms (at most ten), and one dashboard with a row a stage."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from constructs import Construct

from infra.foundation import Foundation
from infra.serve import Serve
from infra.workflow import Workflow

_FIVE = Duration.minutes(5)


class Alarms(Construct):
    """Alarms and the dashboard; knows the stages by name only."""

    def __init__(self, scope: Construct, foundation: Foundation, serve: Serve, workflows: dict[str, Workflow]) -> None:
        super().__init__(scope, "Alarms")
        environment = foundation.settings.environment
        events.Rule(
            self,
            "FailedWorkflow",
            event_pattern=events.EventPattern(
                source=["aws.states"],
                detail_type=["Step Functions Execution Status Change"],
                detail={
                    "status": ["FAILED", "TIMED_OUT", "ABORTED"],
                    "stateMachineArn": [flow.machine.state_machine_arn for flow in workflows.values()],
                },
            ),
            targets=[
                targets.SnsTopic(
                    foundation.alerts,
                    dead_letter_queue=foundation.dead_letters,
                    message=_message(environment),
                )
            ],
        )
        watched = {
            "serve-errors": (serve.infer.function.metric_errors(period=_FIVE), 1, "The serving function failed"),
            "serve-stale": (
                _counted("LiveReleaseUnreadable", "serve"),
                1,
                "The live release could not be read; the last one serves on",
            ),
            "capture-lost": (_counted("LinesLost", "serve"), 1, "Answers went out whose captures could not be written"),
            "api-5xx": (serve.api.metric_server_error(period=_FIVE, statistic="Sum"), 5, "The API answers with errors"),
            "capture-errors": (serve.capture.metric_errors(period=_FIVE), 1, "Predictions are not being kept"),
            "drift": (
                _counted("Drift", "monitor"),
                1,
                "Traffic has drifted; the monitor's own message says where and what was done",
            ),
            "dead-letters": (
                foundation.dead_letters.metric_approximate_number_of_messages_visible(period=_FIVE),
                1,
                "An event could not be delivered for a day",
            ),
        }
        for name, (metric, threshold, description) in watched.items():
            alarm = cloudwatch.Alarm(
                self,
                name,
                alarm_name=f"interlock-{environment}-{name}",
                alarm_description=description,
                metric=metric,
                threshold=threshold,
                evaluation_periods=1,
                comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
                treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            )
            alarm.add_alarm_action(actions.SnsAction(foundation.alerts))

        dashboard = cloudwatch.Dashboard(self, "Dashboard", dashboard_name=f"interlock-{environment}")
        dashboard.add_widgets(
            *(
                cloudwatch.GraphWidget(
                    title=stage,
                    width=6,
                    left=[flow.machine.metric_succeeded(), flow.machine.metric_failed()],
                )
                for stage, flow in workflows.items()
            )
        )
        dashboard.add_widgets(
            cloudwatch.GraphWidget(
                title="serve: calls and errors",
                width=12,
                left=[serve.infer.function.metric_invocations(), serve.infer.function.metric_errors()],
            ),
            cloudwatch.GraphWidget(
                title="serve: duration",
                width=12,
                left=[serve.infer.function.metric_duration(statistic=s) for s in ("p50", "p99")],
            ),
        )


def _counted(name: str, stage: str) -> cloudwatch.Metric:
    """What a stage's functions count themselves."""
    return cloudwatch.Metric(
        namespace="Interlock", metric_name=name, dimensions_map={"service": stage}, statistic="Sum", period=_FIVE
    )


def _message(environment: str) -> events.RuleTargetInput:
    """What a person reads about a failed workflow."""
    field = events.EventField.from_path
    return events.RuleTargetInput.from_text(
        f"Interlock ({environment}): workflow {field('$.detail.stateMachineArn')} ended {field('$.detail.status')}: "
        f"{field('$.detail.error')} {field('$.detail.cause')}\n"
        f"Look: interlock watch {field('$.detail.name')}\n"
        f"Again: interlock retry {field('$.detail.name')}"
    )

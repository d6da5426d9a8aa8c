"""Release: an approved version in, a promoted one (or the old one alone) out."""

from __future__ import annotations

from aws_cdk import Aws, Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from constructs import Construct

from infra.foundation import Foundation
from infra.function import StageFunction
from infra.schedules import call_every
from infra.serve import Serve
from infra.workflow import Workflow, begin, choose, fail, jsonata, succeed, task
from interlock.models import DeployedModel

_CHANGE = {"model": jsonata("$model"), "version": jsonata("$version"), "revision": jsonata("$revision")}
# Those of serving that speak of what is served, and not of where it is read from.
_ALARMS = ("serve-errors", "api-5xx")


class Release(Construct):
    """propose → probe → confirm, or restore; then, every minute, whatever a step's calls have shown."""

    def __init__(
        self,
        scope: Construct,
        foundation: Foundation,
        models: tuple[DeployedModel, ...],
        serve: Serve,
        group_prefix: str,
    ) -> None:
        super().__init__(scope, "Release")
        packages = f"arn:{Aws.PARTITION}:sagemaker:{Aws.REGION}:{Aws.ACCOUNT_ID}:model-package/{group_prefix}-*"
        propose = (
            StageFunction(
                self,
                foundation,
                "release",
                "propose",
                "Puts an approved version beside the champion",
                environment={"PACKAGE_GROUP_PREFIX": group_prefix},
            )
            .reads_artefacts("models/")
            .keeps_state()
            .records_decisions()
            .may("see and approve", ["sagemaker:DescribeModelPackage", "sagemaker:UpdateModelPackage"], [packages])
            .accept(packages, "The environment's own packages; their names are made at run time.")
        )
        probe = (
            StageFunction(
                self,
                foundation,
                "release",
                "probe",
                "Asks the real endpoint",
                timeout=Duration.minutes(2),
                environment={"API_URL": serve.api.api_endpoint},
            )
            .sees_state()
            # Or S3 says of missing questions that they are forbidden.
            .reads_artefacts("models/", listing=True)
        )
        calls = [serve.route_arn("POST", f"/v2/models/{model.id}/versions/*/infer") for model in models]
        probe.may("call the endpoint", ["execute-api:Invoke"], calls)
        for call in calls:
            probe.accept(call, "A version's number is made at run time.")
        confirm = (
            StageFunction(self, foundation, "release", "confirm", "Takes a probed version further")
            .keeps_state()
            .records_decisions()
            .publishes()
        )
        restore, rollback, alarm = (
            StageFunction(self, foundation, "release", module, description)
            .keeps_state()
            .records_decisions()
            .publishes()
            .alerts()
            for module, description in (
                ("restore", "Ends a release that did not hold its probe"),
                ("rollback", "Takes a version back because a person said so"),
                ("alarm", "Takes back what was just released when serving alarms"),
            )
        )
        steer = (
            StageFunction(self, foundation, "release", "steer", "Pauses, resumes or ends a release for a person")
            .keeps_state()
            .records_decisions()
            .publishes()
        )
        self.trace = (
            StageFunction(
                self,
                foundation,
                "release",
                "trace",
                "Finds which version answered a request",
                layers=["tabular"],
                memory=1024,
                timeout=Duration.minutes(2),
                scratch_mb=2048,
            )
            .reads("captures/", listing=True)
            .sees_state()
            .function
        )
        self.rollback, self.steer = rollback.function, steer.function
        self.tend = self._clockwork(foundation)
        self._on_alarm(foundation, alarm)
        self.workflow = Workflow(
            self,
            foundation,
            "release",
            {
                "Start": begin({"told": jsonata("$states.input")}, "Propose"),
                "Propose": task(
                    propose,
                    {"event": jsonata("$told"), "execution": jsonata("$states.context.Execution.Id")},
                    assign={
                        "go": jsonata("$states.result.Payload.go"),
                        "model": jsonata("$states.result.Payload.model"),
                        "version": jsonata("$states.result.Payload.version"),
                        "revision": jsonata("$states.result.Payload.revision"),
                    },
                    catch=[("States.ALL", "Failed")],
                    next_state="Changed",
                ),
                "Changed": choose("$go", "Probe", "NothingToDo"),
                "Probe": task(probe, _CHANGE, catch=[("States.ALL", "Restore")], next_state="Confirm", seconds=180),
                "Confirm": task(
                    confirm,
                    _CHANGE,
                    assign={"live": jsonata("$states.result.Payload.live")},
                    catch=[("States.ALL", "Restore")],
                    next_state="Ended",
                ),
                "Ended": choose("$live", "Promoted", "Baking"),
                "Restore": task(
                    restore,
                    {**_CHANGE, "error": jsonata("$error"), "cause": jsonata("$cause")},
                    next_state="Failed",
                ),
                "Promoted": succeed(),
                "Baking": succeed(),
                "NothingToDo": succeed(),
                "Failed": fail(),
            },
            functions=[propose, probe, confirm, restore],
            timeout=Duration.minutes(10),
        )
        self.workflow.starts_on(
            "OnGate",
            events.EventPattern(
                source=["interlock"], detail_type=["ModelRegistered"], detail={"approval": ["automatic"]}
            ),
            foundation.bus,
        )
        self.workflow.starts_on(
            "OnPerson", events.EventPattern(source=["interlock"], detail_type=["ModelApproved"]), foundation.bus
        )
        self.workflow.starts_on(
            "OnApproval",
            events.EventPattern(
                source=["aws.sagemaker"],
                detail_type=["SageMaker Model Package State Change"],
                detail={
                    "ModelPackageGroupName": [{"prefix": f"{group_prefix}-"}],
                    "ModelApprovalStatus": ["Approved"],
                },
            ),
        )

    def _clockwork(self, foundation: Foundation) -> StageFunction:
        """Looks after the releases every minute: eight cents a month, and nothing waits in a workflow."""
        tend = (
            StageFunction(
                self,
                foundation,
                "release",
                "tend",
                "Judges baking releases, ends abandoned ones",
                layers=["numeric", "onnx", "tabular"],
                memory=1024,
                timeout=Duration.minutes(5),
                scratch_mb=2048,
            )
            .reads("captures/", "labels/", "releases/", listing=True)
            .writes("reports/", "releases/")
            .reads_artefacts("models/")
            .keeps_state()
            .records_decisions()
            .publishes()
            .alerts()
        )
        call_every(self, "EveryMinute", 1, tend)
        return tend

    def _on_alarm(self, foundation: Foundation, alarm: StageFunction) -> None:
        environment = foundation.settings.environment
        events.Rule(
            self,
            "OnAlarm",
            event_pattern=events.EventPattern(
                source=["aws.cloudwatch"],
                detail_type=["CloudWatch Alarm State Change"],
                detail={
                    "alarmName": [f"interlock-{environment}-{name}" for name in _ALARMS],
                    "state": {"value": ["ALARM"]},
                },
            ),
            targets=[targets.LambdaFunction(alarm.function, dead_letter_queue=foundation.dead_letters)],
        )

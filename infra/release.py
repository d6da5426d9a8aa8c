"""Release: an approved version in, a promoted one (or the old one back) out."""

from __future__ import annotations

from aws_cdk import Aws, Duration
from aws_cdk import aws_events as events
from constructs import Construct

from infra.foundation import Foundation
from infra.function import StageFunction
from infra.serve import Serve
from infra.workflow import Workflow, begin, choose, fail, jsonata, succeed, task
from interlock.models import DeployedModel

_CHANGE = {"model": jsonata("$model"), "version": jsonata("$version"), "revision": jsonata("$revision")}


class Release(Construct):
    """promote → probe → confirm, or restore."""

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
        promote = (
            StageFunction(
                self,
                foundation,
                "release",
                "promote",
                "Makes an approved version the champion",
                environment={"PACKAGE_GROUP_PREFIX": group_prefix},
            )
            .reads_artefacts("models/")
            .keeps_state()
            .records_decisions()
            .may("see versions", ["sagemaker:DescribeModelPackage"], [packages])
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
            .reads_artefacts("models/")
        )
        calls = [serve.route_arn("POST", f"/v2/models/{model.id}/infer") for model in models]
        probe.may("call the endpoint", ["execute-api:Invoke"], calls)
        confirm = (
            StageFunction(self, foundation, "release", "confirm", "Ends a release well")
            .keeps_state()
            .records_decisions()
            .publishes()
        )
        restore, rollback = (
            StageFunction(self, foundation, "release", module, description)
            .keeps_state()
            .records_decisions()
            .publishes()
            .alerts()
            for module, description in (
                ("restore", "Puts the old champion back"),
                ("rollback", "Takes the champion back because a person said so"),
            )
        )
        self.rollback = rollback.function
        self.workflow = Workflow(
            self,
            foundation,
            "release",
            {
                "Start": begin(
                    {
                        # Our own event and the registry's name the same things differently.
                        "package": jsonata(
                            "$exists($states.input.detail.package_arn) ? $states.input.detail.package_arn"
                            " : $states.input.detail.ModelPackageArn"
                        ),
                        "told": jsonata("$states.input.time"),
                        "approver": jsonata(
                            "$states.input.source = 'interlock' ? 'the gate' : 'the registry'",
                        ),
                    },
                    "Promote",
                ),
                "Promote": task(
                    promote,
                    {
                        "package_arn": jsonata("$package"),
                        "approved_by": jsonata("$approver"),
                        "told": jsonata("$told"),
                        "execution": jsonata("$states.context.Execution.Id"),
                    },
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
                "Confirm": task(confirm, _CHANGE, catch=[("States.ALL", "Restore")], next_state="Promoted"),
                "Restore": task(
                    restore,
                    {**_CHANGE, "error": jsonata("$error"), "cause": jsonata("$cause")},
                    next_state="Failed",
                ),
                "Promoted": succeed(),
                "NothingToDo": succeed(),
                "Failed": fail(),
            },
            functions=[promote, probe, confirm, restore],
            timeout=Duration.minutes(30),
        )
        self.workflow.starts_on(
            "OnGate",
            events.EventPattern(
                source=["interlock"], detail_type=["ModelRegistered"], detail={"approval": ["automatic"]}
            ),
            foundation.bus,
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

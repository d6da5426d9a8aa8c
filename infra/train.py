"""Train: datasets in, a registered model or a refusal out."""

from __future__ import annotations

from aws_cdk import Aws, Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from infra.checks import acknowledge_wildcard
from infra.foundation import Foundation
from infra.function import StageFunction
from infra.schedules import call_every, start_for
from infra.train_states import states
from infra.workflow import Workflow
from interlock.models import DeployedModel


class Train(Construct):
    """lease → freeze → launch (SageMaker) → evaluate → gate → register; the lease always comes back."""

    def __init__(self, scope: Construct, foundation: Foundation, models: tuple[DeployedModel, ...]) -> None:
        super().__init__(scope, "Train")
        settings = foundation.settings
        self.group_prefix = f"interlock-{settings.environment}"
        groups = {"PACKAGE_GROUP_PREFIX": self.group_prefix}
        code = assets.Asset(self, "Code", path=str(foundation.artefacts.job))
        wheelhouse = assets.Asset(self, "Wheelhouse", path=str(foundation.artefacts.wheelhouse))
        self.job_role = self._job_role(foundation, code, wheelhouse)
        jobs = f"arn:{Aws.PARTITION}:sagemaker:{Aws.REGION}:{Aws.ACCOUNT_ID}:training-job/{settings.environment}-*"
        packages = [
            f"arn:{Aws.PARTITION}:sagemaker:{Aws.REGION}:{Aws.ACCOUNT_ID}:{kind}/{self.group_prefix}-*"
            for kind in ("model-package-group", "model-package")
        ]
        ours = "The environment's own jobs and packages; their names are made at run time."

        # The call names a token and no resource; who has the token was given it to answer.
        answer = ["states:SendTaskSuccess", "states:SendTaskFailure"]
        acquire = (
            StageFunction(
                self, foundation, "train", "acquire", "Decides whether to train, takes the lease", environment=groups
            )
            .keeps_state()
            .may("see registered versions", ["sagemaker:ListModelPackages"], packages)
        )
        freeze = (
            StageFunction(
                self,
                foundation,
                "train",
                "freeze",
                "Freezes what a run is trained on",
                layers=["numeric", "tabular"],
                memory=3008,
                timeout=Duration.minutes(15),
                scratch_mb=10240,
            )
            .reads("datasets/")
            .writes("training/")
            .sees_state()
        )
        launch = (
            StageFunction(
                self,
                foundation,
                "train",
                "launch",
                "Launches the training job",
                environment={
                    "TRAINING_ROLE": self.job_role.role_arn,
                    "TRAINING_IMAGE": settings.image,
                    "TRAINING_INSTANCE": settings.training_instance,
                    "CODE_URI": code.s3_object_url,
                    "WHEELHOUSE_URI": wheelhouse.s3_object_url,
                    "ARTEFACTS_BUCKET": foundation.artefacts_bucket.bucket_name,
                },
            )
            .reads("training/")
            .keeps_state()
            .may(
                "launch jobs",
                ["sagemaker:CreateTrainingJob", "sagemaker:DescribeTrainingJob", "sagemaker:AddTags"],
                [jobs],
            )
            .may(
                "pass the role of the job",
                ["iam:PassRole"],
                [self.job_role.role_arn],
                {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
            )
            # A retry may find that its job has ended already.
            .may("answer the workflow", answer, ["*"])
        )
        resume, reconcile = (
            StageFunction(self, foundation, "train", module, description)
            .keeps_state()
            .may("see jobs", ["sagemaker:DescribeTrainingJob"], [jobs])
            .may("answer the workflow", answer, ["*"])
            for module, description in (
                ("resume", "Wakes the workflow when its job has ended"),
                ("reconcile", "Finds jobs whose end nobody told us"),
            )
        )
        reconcile.publishes()
        evaluate = (
            StageFunction(
                self,
                foundation,
                "train",
                "evaluate",
                "Scores the ONNX file on the holdout",
                layers=["numeric", "onnx", "tabular"],
                memory=3008,
                timeout=Duration.minutes(15),
                scratch_mb=10240,
                environment={"SERVE_MEMORY": str(settings.serve_memory)},
            )
            .reads("training/")
            .sees_state()
            .reads_artefacts("jobs/", "models/")
            .writes_artefacts("models/")
        )
        gate = (
            StageFunction(
                self,
                foundation,
                "train",
                "gate",
                "Judges a run",
                layers=["numeric"],
                memory=1769,
                timeout=Duration.minutes(10),
            )
            .reads("training/")
            .writes("reports/")
            .reads_artefacts("models/")
        )
        register = (
            StageFunction(
                self, foundation, "train", "register", "Gives a run a version in the registry", environment=groups
            )
            .reads("training/", "reports/")
            .reads_artefacts("models/")
            .writes_artefacts("models/")
            .records_decisions()
            .publishes()
            .may(
                "register versions",
                [
                    "sagemaker:CreateModelPackageGroup",
                    "sagemaker:CreateModelPackage",
                    "sagemaker:DescribeModelPackage",
                    "sagemaker:ListModelPackages",
                    "sagemaker:UpdateModelPackage",
                    "sagemaker:AddTags",
                ],
                packages,
            )
        )
        reject = (
            StageFunction(self, foundation, "train", "reject", "Tells that a run failed the gate")
            .reads("reports/")
            .records_decisions()
            .publishes()
            .alerts()
        )
        conclude = (
            StageFunction(self, foundation, "train", "conclude", "Gives the lease back and starts what waited")
            .keeps_state()
            .records_decisions()
            .publishes()
            .alerts()
        )
        for function in (acquire, register):
            for arn in packages:
                function.accept(arn, ours)
        for function in (launch, resume, reconcile):
            function.accept(jobs, ours)

        self.workflow = Workflow(
            self,
            foundation,
            "train",
            states(
                acquire=acquire,
                freeze=freeze,
                launch=launch,
                evaluate=evaluate,
                gate=gate,
                register=register,
                reject=reject,
                conclude=conclude,
                # The job ends itself before; this is for the day when nobody tells, not even the reconciler.
                launch_seconds=3600 + 60 * max(model.spec.training.max_minutes for model in models),
            ),
            functions=[acquire, freeze, launch, evaluate, gate, register, reject, conclude],
            timeout=Duration.days(2),
        )

        self.workflow.starts_on(
            "OnRequest",
            events.EventPattern(
                source=["interlock"], detail_type=["DatasetAdmitted", "RetrainRequested", "TrainingRequested"]
            ),
            foundation.bus,
        )
        events.Rule(
            self,
            "OnJobEnd",
            event_pattern=events.EventPattern(
                source=["aws.sagemaker"],
                detail_type=["SageMaker Training Job State Change"],
                detail={
                    "TrainingJobName": [{"prefix": f"{settings.environment}-"}],
                    "TrainingJobStatus": ["Completed", "Failed", "Stopped"],
                },
            ),
            targets=[targets.LambdaFunction(resume.function, dead_letter_queue=foundation.dead_letters)],
        )
        call_every(self, "EveryFiveMinutes", 5, reconcile)
        for model in models:
            if model.spec.training.schedule:
                asked = {"model": model.id, "reason": "schedule", "requested_by": "scheduler"}
                given = {"detail-type": "TrainingRequested", "detail": asked}
                start_for(self, model.id, model.spec.training.schedule, self.workflow, given)

    def _job_role(self, foundation: Foundation, *code: assets.Asset) -> iam.Role:
        """What the training container may: read its channels, write its output and its log."""
        role = iam.Role(self, "JobRole", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
        channels = foundation.data.arn_for_objects("training/*/channels/*")
        output = foundation.artefacts_bucket.arn_for_objects("jobs/*")
        logs = f"arn:{Aws.PARTITION}:logs:{Aws.REGION}:{Aws.ACCOUNT_ID}:log-group:/aws/sagemaker/TrainingJobs"
        for sid, actions, resources in (
            ("ReadChannels", ["s3:GetObject"], [channels]),
            ("ReadCode", ["s3:GetObject"], [asset.bucket.arn_for_objects(asset.s3_object_key) for asset in code]),
            ("ListChannels", ["s3:ListBucket"], [foundation.data.bucket_arn, code[0].bucket.bucket_arn]),
            ("WriteOutput", ["s3:PutObject", "s3:AbortMultipartUpload"], [output]),
            (
                "WriteLog",
                ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
                [logs, f"{logs}:*"],
            ),
        ):
            role.add_to_policy(iam.PolicyStatement(sid=sid, actions=actions, resources=resources))
        for resource in (channels, output, f"{logs}:*"):
            acknowledge_wildcard(
                role,
                resource,
                "Objects and log streams of the environment's own jobs, named at run time.",
            )
        return role

"""The guard of a deployment: asked by CloudFormation before it changes a function of any stage."""

from __future__ import annotations

import hashlib

from aws_cdk import Aws, CfnResource, CustomResource, Duration
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.foundation import Foundation
from infra.function import StageFunction
from interlock.models import DeployedModel


class Guard(Construct):
    """A deployment of models that would break what serves fails here, and CloudFormation takes it back."""

    def __init__(self, scope: Construct, foundation: Foundation, models: tuple[DeployedModel, ...]) -> None:
        super().__init__(scope, "Guard")
        settings = foundation.settings
        # By its name: by its reference the function and what is asked of it would wait for each other.
        stack = f"arn:{Aws.PARTITION}:cloudformation:{Aws.REGION}:{Aws.ACCOUNT_ID}:stack/{settings.stack_name}/*"
        guard = (
            StageFunction(self, foundation, "release", "guard", "Keeps a deployment from breaking what serves")
            .sees_state()
            # Or S3 says of what is missing that it is forbidden.
            .reads("training/", listing=True)
            .reads_artefacts("models/")
            .may("see its own stack", ["cloudformation:DescribeStacks"], [stack])
            .accept(stack, "The stack's own id is made when it is created.")
        )
        documents = hashlib.sha256("".join(model.to_json() for model in models).encode())
        self._question = CustomResource(
            self,
            "Question",
            resource_type="Custom::ChampionGuard",
            service_token=guard.function.function_arn,
            service_timeout=Duration.minutes(2),
            properties={
                "Models": [model.id for model in models],
                "Digest": documents.hexdigest(),
                "BreakChampion": str(settings.break_champion).lower(),
            },
        )

    def protect(self, *stages: Construct) -> None:
        """Have every function of these stages wait for the answer."""
        question = self._question.node.default_child
        assert isinstance(question, CfnResource)  # noqa: S101 - narrows the type
        for stage in stages:
            for node in stage.node.find_all():
                if isinstance(node, lambda_.CfnFunction):
                    node.add_resource_dependency(question)

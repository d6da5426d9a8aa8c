"""One stack an environment: the stages in the order of a model's life."""

from __future__ import annotations

from aws_cdk import CfnOutput, CfnResource, Stack, StackSynthesizer, Tags
from constructs import Construct

from infra.alarms import Alarms
from infra.build import Artefacts
from infra.console import Console
from infra.foundation import Foundation
from infra.guard import Guard
from infra.ingest import Ingest
from infra.monitor import Monitor
from infra.release import Release
from infra.score import Score
from infra.serve import Serve
from infra.settings import DeploySettings
from infra.train import Train
from interlock.errors import InvalidSettings
from interlock.models import DeployedModel

# CloudFormation's own limit, which no one raises.
_MOST_RESOURCES = 500


class InterlockStack(Stack):
    """Only composes; its outputs are what the command reads."""

    def __init__(
        self,
        scope: Construct,
        settings: DeploySettings,
        artefacts: Artefacts,
        models: tuple[DeployedModel, ...],
        synthesizer: StackSynthesizer | None = None,
    ) -> None:
        super().__init__(
            scope,
            settings.stack_name,
            synthesizer=synthesizer,
            termination_protection=settings.production,
            description="Interlock: machine-learning models without servers",
        )
        Tags.of(self).add("interlock:environment", settings.environment)
        foundation = Foundation(self, settings, artefacts)
        guard = Guard(self, foundation, models)
        ingest = Ingest(self, foundation)
        train = Train(self, foundation, models)
        serve = Serve(self, foundation, models)
        release = Release(self, foundation, models, serve, train.group_prefix)
        monitor = Monitor(self, foundation, models)
        score = Score(self, foundation)
        console = Console(
            self, foundation, models, tuple(api for api in (serve.api, serve.token_api) if api is not None)
        )
        guard.protect(ingest, train, serve, release, monitor, score, console)
        workflows = {
            "ingest": ingest.workflow,
            "train": train.workflow,
            "release": release.workflow,
            "monitor": monitor.workflow,
            "score": score.workflow,
        }
        Alarms(self, foundation, serve, workflows)
        outputs = {
            "DataBucket": foundation.data.bucket_name,
            "ArtefactsBucket": foundation.artefacts_bucket.bucket_name,
            "StateTable": foundation.state.table_name,
            "LedgerTable": foundation.ledger.table_name,
            "BusName": foundation.bus.event_bus_name,
            "AlertsTopic": foundation.alerts.topic_arn,
            "ApiUrl": serve.api.api_endpoint,
            **({"TokenApiUrl": serve.token_api.api_endpoint} if serve.token_api else {}),
            "RollbackFunction": release.rollback.function_name,
            "SteerFunction": release.steer.function_name,
            "TraceFunction": release.trace.function_name,
            "TendFunction": release.tend.function.function_name,
            "Models": ",".join(model.id for model in models),
            "Production": str(settings.production).lower(),
            **{f"{stage.capitalize()}Workflow": flow.machine.state_machine_arn for stage, flow in workflows.items()},
        }
        for name, value in outputs.items():
            CfnOutput(self, name, value=value)
        self._fits(len(models))

    def _fits(self, models: int) -> None:
        """Refuse what CloudFormation would refuse."""
        resources = sum(isinstance(node, CfnResource) for node in self.node.find_all())
        if resources > _MOST_RESOURCES:
            raise InvalidSettings(
                f"{models} models make {resources} resources, and CloudFormation takes {_MOST_RESOURCES} a stack",
                remedy="Deploy some of them as another environment, from another folder of models: "
                "-c environment=… -c models=…",
            )

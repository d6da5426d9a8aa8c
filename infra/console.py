"""Console: what was written down, shown to people and to Prometheus behind the API's own authorisation."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_apigatewayv2_integrations as integrations
from constructs import Construct

from infra.foundation import Foundation
from infra.function import StageFunction
from interlock.models import DeployedModel

# `functions/console/routes.py` answers them; a test holds the two lists together.
PATHS = ("/console", "/console/assets/{name}", "/console/openapi", "/metrics")
MODEL_PATHS = ("", "/runs/{run}", "/windows/{window}", "/reports/{stage}/{subject}/{name}")


class Console(Construct):
    """One function that reads, and its routes on every API that there is."""

    def __init__(
        self,
        scope: Construct,
        foundation: Foundation,
        models: tuple[DeployedModel, ...],
        apis: tuple[apigateway.HttpApi, ...],
    ) -> None:
        super().__init__(scope, "Console")
        show = (
            StageFunction(
                self,
                foundation,
                "console",
                "show",
                "Shows what was written down",
                layers=["numeric"],
                # A whole processor: a page is made in the time of one.
                memory=1769,
                timeout=Duration.seconds(29),
            )
            .sees_state()
            .sees_decisions()
            # Without the right to list, what is not there would be refused instead of missed.
            .reads("reports/", "training/*/manifest.json", listing=True)
            .reads_artefacts("models/", listing=True)
        )
        paths = [*PATHS, *(f"/console/models/{model.id}{path}" for model in models for path in MODEL_PATHS)]
        for number, api in enumerate(apis):
            integration = integrations.HttpLambdaIntegration(
                f"Show{number}", show.function, scope_permission_to_route=False
            )
            for path in paths:
                api.add_routes(path=path, methods=[apigateway.HttpMethod.GET], integration=integration)

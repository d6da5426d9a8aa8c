"""Serve: HTTPS in, an answer and a capture line out."""

from __future__ import annotations

import json

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_apigatewayv2_authorizers as authorizers
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_logs_destinations as destinations
from constructs import Construct

from infra.checks import acknowledge
from infra.foundation import Foundation
from infra.function import StageFunction
from infra.logs import log_group
from infra.settings import DeploySettings
from interlock.models import DeployedModel

_ACCESS_LOG = json.dumps(
    {
        name: f"$context.{name}"
        for name in ("requestId", "requestTime", "identity.userArn", "httpMethod", "path", "status", "responseLatency")
    }
)
# What Python, numpy and onnxruntime take of the function's memory before the first model.
_RUNTIME_MB = 200
_GET, _POST = apigateway.HttpMethod.GET, apigateway.HttpMethod.POST


class Serve(Construct):
    """One API, one function that answers, one that takes labels, one that keeps what was answered."""

    def __init__(self, scope: Construct, foundation: Foundation, models: tuple[DeployedModel, ...]) -> None:
        super().__init__(scope, "Serve")
        settings = foundation.settings
        self.infer = (
            StageFunction(
                self,
                foundation,
                "serve",
                "infer",
                "Answers predictions",
                layers=["numeric", "onnx"],
                memory=settings.serve_memory,
                timeout=Duration.seconds(29),
                environment=_memory(settings),
                snap_start=settings.snap_start,
            )
            .sees_state()
            .reads_artefacts("models/")
        )
        if settings.calls_a_day is not None:
            self._count_callers(settings.calls_a_day)
        labels = StageFunction(
            self, foundation, "serve", "labels", "Takes labels for answered predictions", timeout=Duration.seconds(29)
        ).writes("labels/")
        capture = StageFunction(
            self,
            foundation,
            "serve",
            "capture",
            "Keeps answered predictions as Parquet",
            layers=["tabular"],
            memory=1024,
            timeout=Duration.minutes(2),
        ).writes("captures/")
        self.capture = capture.function
        self.infer.log_group.add_subscription_filter(
            "Captures",
            destination=destinations.LambdaDestination(capture.function),
            # A phrase rather than a JSON expression: the emulator reads words only.
            filter_pattern=logs.FilterPattern.literal(r'"\"interlock\":\"capture\""'),
        )

        self._labelling = labels.function
        # Only published versions have a snapshot; nothing in it ages: releases and models are read after the restore,
        # credentials come from where the restored environment says, and dead connections are opened again.
        self._answering: lambda_.IFunction = (
            lambda_.Alias(self, "Live", alias_name="live", version=self.infer.function.current_version)
            if settings.snap_start
            else self.infer.function
        )
        self._access_log = log_group(
            self, f"/aws/apigateway/interlock-{settings.environment}", settings.log_retention_days
        )
        self.api = self._door("", "signed with SigV4", authorizers.HttpIamAuthorizer(), settings, models)
        # A route has one authorizer: callers with tokens get a door of their own, and the probe keeps signing.
        self.token_api = (
            self._door(
                "Token",
                "with a token of the issuer",
                authorizers.HttpJwtAuthorizer("Issuer", settings.jwt_issuer, jwt_audience=[settings.jwt_audience]),
                settings,
                models,
            )
            if settings.jwt_issuer and settings.jwt_audience
            else None
        )

    def _door(
        self,
        prefix: str,
        called: str,
        authorizer: apigateway.IHttpRouteAuthorizer,
        settings: DeploySettings,
        models: tuple[DeployedModel, ...],
    ) -> apigateway.HttpApi:
        """An API with a route for each thing that can be asked, so that a policy can name a model; CORS is off."""
        api = apigateway.HttpApi(
            self,
            f"{prefix}Api",
            api_name=f"interlock-{settings.environment}{'-' + prefix.lower() if prefix else ''}",
            description=f"Open Inference Protocol V2; {called}",
            default_authorizer=authorizer,
            create_default_stage=False,
        )
        stage = apigateway.HttpStage(
            self,
            f"{prefix}Stage",
            http_api=api,
            stage_name="$default",
            auto_deploy=True,
            throttle=apigateway.ThrottleSettings(
                rate_limit=settings.throttle_rate, burst_limit=settings.throttle_burst
            ),
        )
        plain = stage.node.default_child
        assert isinstance(plain, apigateway.CfnStage)  # noqa: S101 - narrows the type
        plain.access_log_settings = apigateway.CfnStage.AccessLogSettingsProperty(
            destination_arn=self._access_log.log_group_arn, format=_ACCESS_LOG
        )
        answering = integrations.HttpLambdaIntegration(
            f"{prefix}Infer", self._answering, scope_permission_to_route=False
        )
        labelling = integrations.HttpLambdaIntegration(
            f"{prefix}Labels", self._labelling, scope_permission_to_route=False
        )
        read = [f"/v2{path}" for path in ("", "/health/live", "/health/ready")] + ["/openapi.json"]
        asked, told = [], []
        for model in models:
            base, own = f"/v2/models/{model.id}", f"/models/{model.id}"
            for path in (base, base + "/versions/{version}"):
                read += [path, f"{path}/ready"]
                asked.append(f"{path}/infer")
            read.append(f"{own}/ping")
            asked += [f"{own}/predict", f"{own}/invocations"]
            told.append(f"{own}/labels")
        for path in asked:
            api.add_routes(path=path, methods=[_POST], integration=answering)
        limited = {}
        for paths, method, integration, rate, burst in (
            (read, _GET, answering, settings.throttle_read_rate, settings.throttle_read_burst),
            (told, _POST, labelling, settings.throttle_labels_rate, settings.throttle_labels_burst),
        ):
            for path in paths:
                routes = api.add_routes(path=path, methods=[method], integration=integration)
                limited[f"{method.value} {path}"] = {"ThrottlingRateLimit": rate, "ThrottlingBurstLimit": burst}
                # A stage that names a route is refused before the route is there.
                plain.node.add_dependency(*routes)
        plain.route_settings = limited
        return api

    def _count_callers(self, calls_a_day: int) -> None:
        """A table of calls by caller and day, which the answering function may count in and nothing else."""
        counts = dynamodb.TableV2(
            self,
            "Quota",
            partition_key=dynamodb.Attribute(name="caller", type=dynamodb.AttributeType.STRING),
            billing=dynamodb.Billing.on_demand(),
            time_to_live_attribute="expires",
            removal_policy=RemovalPolicy.DESTROY,
        )
        acknowledge(counts, "DDB3", "Yesterday's counts are worth nothing: they delete themselves.")
        self.infer.function.add_environment("QUOTA_TABLE", counts.table_name)
        self.infer.function.add_environment("CALLS_A_DAY", str(calls_a_day))
        self.infer.may("count calls", ["dynamodb:UpdateItem"], [counts.table_arn])

    def route_arn(self, method: str, path: str) -> str:
        """ARN that a policy names to allow one route."""
        return self.api.arn_for_execute_api(method, path, "$default")


def _memory(settings: DeploySettings) -> dict[str, str]:
    """What the function's memory is for, in MB; the cache is there only where it is set."""
    cache = settings.prediction_cache_mb
    models = settings.serve_memory - _RUNTIME_MB - (cache or 0)
    return {"MODEL_MEMORY_MB": str(models), **({"PREDICTION_CACHE_MB": str(cache)} if cache else {})}

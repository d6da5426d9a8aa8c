"""The construct that builds every function."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aws_cdk import Duration, Size, Tags
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra import process
from infra.build import ROOT, check_size
from infra.checks import acknowledge_wildcard
from infra.foundation import RUNTIME, Foundation
from infra.logs import log_group

_READ = ("s3:GetObject", "s3:GetObjectVersion")
_WRITE = ("s3:PutObject", "s3:AbortMultipartUpload")
_DELETE = ("s3:DeleteObject",)


class StageFunction(Construct):
    """One function of a stage: runtime, layers, a role of its own, logs with an end, tracing, metrics, tags.

    The methods named after what the function `reads`, `writes`, `keeps` … give it the variable that names the
    resource and the permission to use it, nothing more.
    """

    def __init__(
        self,
        scope: Construct,
        foundation: Foundation,
        stage: str,
        module: str,
        description: str,
        *,
        layers: Iterable[str] = (),
        memory: int = 512,
        timeout: Duration | None = None,
        scratch_mb: int = 512,
        environment: Mapping[str, str] | None = None,
        snap_start: bool = False,
    ) -> None:
        words = module.replace(".", "_").split("_")
        super().__init__(scope, "".join(word.capitalize() for word in words))
        self._foundation = foundation
        settings = foundation.settings
        name = f"interlock-{settings.environment}-{stage}-{'-'.join(words)}"
        used = ["core", "models", *layers]
        check_size(name, foundation.artefacts.unzipped(used, ROOT / "functions" / stage))

        self.log_group = log_group(self, f"/aws/lambda/{name}", settings.log_retention_days)
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        self.function = lambda_.Function(
            self,
            "Function",
            function_name=name,
            description=description,
            runtime=RUNTIME,
            architecture=lambda_.Architecture.X86_64,
            code=lambda_.Code.from_asset(
                str(ROOT / "functions"), exclude=["*", f"!{stage}", f"!{stage}/**", "**/__pycache__"]
            ),
            handler=f"{stage}.{module}.handler",
            layers=[foundation.layers[layer] for layer in used],
            memory_size=memory,
            timeout=timeout or Duration.seconds(60),
            ephemeral_storage_size=Size.mebibytes(scratch_mb),
            role=self.role,
            log_group=self.log_group,
            snap_start=lambda_.SnapStartConf.ON_PUBLISHED_VERSIONS if snap_start else None,
            logging_format=lambda_.LoggingFormat.JSON,
            tracing=lambda_.Tracing.ACTIVE,
            environment={
                "ENVIRONMENT": settings.environment,
                "POWERTOOLS_SERVICE_NAME": stage,
                "POWERTOOLS_METRICS_NAMESPACE": "Interlock",
                "POWERTOOLS_LOG_LEVEL": "INFO",
                **process.VARIABLES,
                **(environment or {}),
            },
        )
        self.may("write its own log", ["logs:CreateLogStream", "logs:PutLogEvents"], [self.log_group.log_group_arn])
        acknowledge_wildcard(
            self.role,
            "*",
            "X-Ray's PutTraceSegments and PutTelemetryRecords cannot be limited to a resource.",
        )
        acknowledge_wildcard(
            self.role,
            self.log_group.log_group_arn,
            "The streams of its own log group.",
        )
        Tags.of(self).add("interlock:stage", stage)

    def reads(self, *prefixes: str, listing: bool = False) -> StageFunction:
        """May read what lies under these prefixes of the data bucket, by version."""
        return self._bucket("DATA_BUCKET", self._foundation.data, _READ, prefixes, listing=listing)

    def writes(self, *prefixes: str) -> StageFunction:
        """May write under these prefixes of the data bucket."""
        return self._bucket("DATA_BUCKET", self._foundation.data, _WRITE, prefixes)

    def removes(self, *prefixes: str) -> StageFunction:
        """May delete the newest version of what lies under these prefixes of the data bucket; the versions stay."""
        return self._bucket("DATA_BUCKET", self._foundation.data, _DELETE, prefixes)

    def reads_artefacts(self, *prefixes: str, listing: bool = False) -> StageFunction:
        """May read what lies under these prefixes of the artefacts bucket, by version."""
        return self._bucket("ARTEFACTS_BUCKET", self._foundation.artefacts_bucket, _READ, prefixes, listing=listing)

    def writes_artefacts(self, *prefixes: str) -> StageFunction:
        """May write under these prefixes of the artefacts bucket."""
        return self._bucket("ARTEFACTS_BUCKET", self._foundation.artefacts_bucket, _WRITE, prefixes)

    def sees_state(self) -> StageFunction:
        """May read the state table."""
        table = self._foundation.state
        self.function.add_environment("STATE_TABLE", table.table_name)
        return self.may("read state", ["dynamodb:GetItem", "dynamodb:Query"], [table.table_arn])

    def keeps_state(self) -> StageFunction:
        """May read and change the state table."""
        table = self._foundation.state
        self.sees_state()
        return self.may("change state", ["dynamodb:PutItem", "dynamodb:DeleteItem"], [table.table_arn])

    def records_decisions(self) -> StageFunction:
        """May append to the ledger; nobody may change or delete an entry."""
        table = self._foundation.ledger
        self.function.add_environment("LEDGER_TABLE", table.table_name)
        return self.may("append to the ledger", ["dynamodb:PutItem", "dynamodb:Query"], [table.table_arn])

    def sees_decisions(self) -> StageFunction:
        """May read the ledger."""
        table = self._foundation.ledger
        self.function.add_environment("LEDGER_TABLE", table.table_name)
        return self.may("read the ledger", ["dynamodb:Query"], [table.table_arn])

    def publishes(self) -> StageFunction:
        """May put events on Interlock's bus."""
        bus = self._foundation.bus
        self.function.add_environment("BUS_NAME", bus.event_bus_name)
        return self.may("publish events", ["events:PutEvents"], [bus.event_bus_arn])

    def alerts(self) -> StageFunction:
        """May tell a person."""
        topic = self._foundation.alerts
        self.function.add_environment("ALERTS_TOPIC", topic.topic_arn)
        return self.may("alert", ["sns:Publish"], [topic.topic_arn])

    def may(
        self,
        purpose: str,
        actions: list[str],
        resources: list[str],
        conditions: Mapping[str, Mapping[str, str | list[str]]] | None = None,
    ) -> StageFunction:
        """Allow these actions on these resources; purpose becomes the statement's id."""
        self.role.add_to_policy(
            iam.PolicyStatement(
                sid="".join(word.capitalize() for word in purpose.replace("/", " ").split()),
                actions=actions,
                resources=resources,
                conditions=conditions,
            )
        )
        return self

    def accept(self, resource: str, reason: str) -> StageFunction:
        """Acknowledge a wildcard in a resource of this function's role."""
        acknowledge_wildcard(self.role, resource, reason)
        return self

    def _bucket(
        self,
        variable: str,
        bucket: s3.Bucket,
        actions: tuple[str, ...],
        prefixes: tuple[str, ...],
        *,
        listing: bool = False,
    ) -> StageFunction:
        self.function.add_environment(variable, bucket.bucket_name)
        verb = {_READ: "read", _WRITE: "write", _DELETE: "delete"}[actions]
        where = variable.split("_", maxsplit=1)[0].lower()
        resources = [bucket.arn_for_objects(f"{prefix}*") for prefix in prefixes]
        self.may(f"{verb} {where}", list(actions), resources)
        for resource in resources:
            self.accept(resource, "Objects under one prefix; their names are made at run time.")
        if listing:
            self.may(
                f"list {where}",
                ["s3:ListBucket"],
                [bucket.bucket_arn],
                {"StringLike": {"s3:prefix": [f"{prefix}*" for prefix in prefixes]}},
            )
        return self

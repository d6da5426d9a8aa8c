"""What every stage stands on: buckets, tables, the bus, the alerts topic, the dead-letter queue, the layers."""

from __future__ import annotations

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.build import Artefacts
from infra.checks import acknowledge
from infra.settings import DeploySettings

RUNTIME = lambda_.Runtime.PYTHON_3_14
# What the steps of a set of files, or of scoring one, hand on is of use as long as that may be tried again.
_WORK_DAYS = 14


class Foundation(Construct):
    """Shared by all stages; holds no logic of any."""

    def __init__(self, scope: Construct, settings: DeploySettings, artefacts: Artefacts) -> None:
        super().__init__(scope, "Foundation")
        self.settings = settings
        self.artefacts = artefacts
        self._removal = RemovalPolicy.RETAIN if settings.keeps_data else RemovalPolicy.DESTROY

        self.data = self._bucket(
            "Data",
            prefix_expiry={
                "captures/": settings.capture_retention_days,
                "sets/": _WORK_DAYS,
                "releases/": settings.capture_retention_days,
                "scoring/": _WORK_DAYS,
            },
        )
        self.artefacts_bucket = self._bucket("Artefacts", prefix_expiry={})
        self.state = self._table("State", sort_key=dynamodb.AttributeType.STRING)
        self.ledger = self._table("Ledger", sort_key=dynamodb.AttributeType.NUMBER)
        self.bus = events.EventBus(self, "Bus", event_bus_name=f"interlock-{settings.environment}")
        self.dead_letters = sqs.Queue(
            self,
            "DeadLetters",
            queue_name=f"interlock-{settings.environment}-dead-letters",
            enforce_ssl=True,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            retention_period=Duration.days(14),
        )
        acknowledge(self.dead_letters, "SQS3", "It is the dead-letter queue.")
        self.alerts = self._topic()
        self.layers = {
            name: lambda_.LayerVersion(
                self,
                f"{name.capitalize()}Layer",
                code=lambda_.Code.from_asset(str(path)),
                compatible_runtimes=[RUNTIME],
                description=f"Interlock: {name}",
            )
            for name, path in artefacts.layers.items()
        }

    def _bucket(self, name: str, prefix_expiry: dict[str, int]) -> s3.Bucket:
        bucket = s3.Bucket(
            self,
            name,
            versioned=True,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            removal_policy=self._removal,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="old-versions",
                    noncurrent_version_expiration=Duration.days(self.settings.noncurrent_retention_days),
                    abort_incomplete_multipart_upload_after=Duration.days(2),
                    expired_object_delete_marker=True,
                ),
                *(
                    s3.LifecycleRule(id=f"expire-{prefix.strip('/')}", prefix=prefix, expiration=Duration.days(days))
                    for prefix, days in prefix_expiry.items()
                ),
            ],
        )
        # The property of the plain resource: CDK's own switch would add a custom-resource function.
        resource = bucket.node.default_child
        assert isinstance(resource, s3.CfnBucket)  # noqa: S101 - narrows the type
        resource.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            event_bridge_configuration=s3.CfnBucket.EventBridgeConfigurationProperty(event_bridge_enabled=True)
        )
        acknowledge(
            bucket,
            "S1",
            "Every object is versioned and every decision is in the ledger; server access logs would need a third "
            "bucket that grows with each capture. CloudTrail data events are the deployer's choice.",
        )
        return bucket

    def _table(self, name: str, sort_key: dynamodb.AttributeType) -> dynamodb.TableV2:
        return dynamodb.TableV2(
            self,
            name,
            partition_key=dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name="sk", type=sort_key),
            billing=dynamodb.Billing.on_demand(),
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            deletion_protection=self.settings.keeps_data,
            removal_policy=self._removal,
        )

    def _topic(self) -> sns.Topic:
        topic = sns.Topic(self, "Alerts", topic_name=f"interlock-{self.settings.environment}-alerts", enforce_ssl=True)
        if self.settings.alert_email:
            topic.add_subscription(subscriptions.EmailSubscription(self.settings.alert_email))
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="ServicesOfThisAccountPublish",
                principals=[
                    iam.ServicePrincipal("events.amazonaws.com"),
                    iam.ServicePrincipal("cloudwatch.amazonaws.com"),
                ],
                actions=["sns:Publish"],
                resources=[topic.topic_arn],
            )
        )
        acknowledge(
            topic,
            "SNS2",
            "EventBridge and CloudWatch cannot publish to a topic under the AWS-managed key, and a customer-managed "
            "key costs a dollar a month; messages hold verdicts and S3 addresses, never data.",
        )
        return topic

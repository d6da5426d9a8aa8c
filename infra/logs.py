"""Log groups with an end."""

from __future__ import annotations

from aws_cdk import RemovalPolicy
from aws_cdk import aws_logs as logs
from constructs import Construct


def log_group(scope: Construct, name: str, retention_days: int) -> logs.LogGroup:
    """A log group that forgets after so many days and goes with the stack."""
    group = logs.LogGroup(scope, "Logs", log_group_name=name, removal_policy=RemovalPolicy.DESTROY)
    resource = group.node.default_child
    assert isinstance(resource, logs.CfnLogGroup)  # noqa: S101 - narrows the type
    resource.retention_in_days = retention_days
    return group

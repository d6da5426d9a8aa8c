"""Last of all: the environment is removed, with everything that CloudFormation does not know."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from cli import cloud
from cli.executions import Run
from cli.target import Target
from localcloud import supervisor


def left(target: Target) -> dict[str, list[str]]:
    """What bears the environment's name, by kind."""
    sagemaker, logs = target.client("sagemaker"), target.client("logs")

    def named(service: str, operation: str, member: str, name: str | None, **more: Any) -> list[str]:
        pages = target.client(service).get_paginator(operation).paginate(**more)
        found = [item[name] if name else item for page in pages for item in page[member]]
        return [item for item in found if "interlock-test" in item]

    jobs = logs.describe_log_streams(logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix="test-")
    groups = sagemaker.list_model_package_groups(NameContains="interlock-test")["ModelPackageGroupSummaryList"]
    return {
        "buckets": named("s3", "list_buckets", "Buckets", "Name"),
        "tables": named("dynamodb", "list_tables", "TableNames", None),
        "functions": named("lambda", "list_functions", "Functions", "FunctionName"),
        "workflows": named("stepfunctions", "list_state_machines", "stateMachines", "name"),
        "roles": named("iam", "list_roles", "Roles", "RoleName"),
        "logs": named("logs", "describe_log_groups", "logGroups", "logGroupName"),
        "logs of jobs": [item["logStreamName"] for item in jobs["logStreams"]],
        "packages": [item["ModelPackageGroupName"] for item in groups],
    }


def test_destroy_leaves_nothing_behind(target: Target, champions: dict[str, Run]) -> None:
    assert all(left(target).values())
    said = list(cloud.destroy(target))
    assert {kind: names for kind, names in left(target).items() if names} == {}
    with pytest.raises(ClientError, match="does not exist"):
        target.client("cloudformation").describe_stacks(StackName=target.stack)
    assert said[-1].startswith("What stays:")


def test_a_stopped_cloud_leaves_no_unpacked_functions_behind(target: Target, champions: dict[str, Run]) -> None:
    assert target.local is not None
    scratch = target.local.home / "scratch"
    assert any(scratch.iterdir())
    supervisor.down(target.local.home)
    assert not scratch.exists()

"""The registry: groups, versions that are numbered once, approval and what is told of it."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from .conftest import Inbox, until


@pytest.fixture
def group(sagemaker: Any) -> str:
    name = f"group-{uuid.uuid4().hex[:8]}"
    sagemaker.create_model_package_group(
        ModelPackageGroupName=name, ModelPackageGroupDescription="d", Tags=[{"Key": "model", "Value": "m"}]
    )
    return name


def package(sagemaker: Any, group: str, **more: Any) -> str:
    arn: str = sagemaker.create_model_package(ModelPackageGroupName=group, SourceUri="s3://bucket/model.onnx", **more)[
        "ModelPackageArn"
    ]
    return arn


def test_a_package_s_life(sagemaker: Any, group: str, inbox: Callable[..., Inbox]) -> None:
    queue = inbox(
        {
            "source": ["aws.sagemaker"],
            "detail-type": ["SageMaker Model Package State Change"],
            "detail": {"ModelPackageGroupName": [group]},
        }
    )
    metadata = {"served.uri": "s3://bucket/key", "sha256": "a" * 64}
    statistics = {"ContentType": "application/json", "S3Uri": "s3://bucket/evaluation.json"}
    arn = package(
        sagemaker,
        group,
        ModelPackageDescription="r1: first",
        CustomerMetadataProperties=metadata,
        ModelMetrics={"ModelQuality": {"Statistics": statistics}},
    )
    assert arn.endswith(f":model-package/{group}/1")
    found = sagemaker.describe_model_package(ModelPackageName=arn)
    assert found["ModelApprovalStatus"] == "PendingManualApproval"
    assert found["CustomerMetadataProperties"] == metadata
    assert found["ModelMetrics"]["ModelQuality"]["Statistics"] == statistics
    sagemaker.update_model_package(
        ModelPackageArn=arn,
        ModelApprovalStatus="Approved",
        ApprovalDescription="seen",
        CustomerMetadataProperties={"run": "7"},
        CustomerMetadataPropertiesToRemove=["sha256"],
    )
    changed = sagemaker.describe_model_package(ModelPackageName=arn)
    assert (changed["ModelApprovalStatus"], changed["ApprovalDescription"]) == ("Approved", "seen")
    assert changed["CustomerMetadataProperties"] == {"served.uri": "s3://bucket/key", "run": "7"}

    events: list[dict[str, Any]] = []
    until(lambda: events.extend(queue.events()) or events, lambda found: len(found) == 2)
    assert [event["detail"]["ModelApprovalStatus"] for event in events] == ["PendingManualApproval", "Approved"]
    last = events[-1]
    assert last["resources"] == [arn]
    assert last["detail"]["ModelPackageVersion"] == 1
    assert last["detail"]["CreationTime"] == f"{found['CreationTime']:%Y-%m-%dT%H:%M:%S}Z"
    # A change that does not touch the approval is no change of state.
    sagemaker.update_model_package(ModelPackageArn=arn, CustomerMetadataProperties={"b": "c"})
    assert queue.events() == []


def test_versions_are_numbered_once(sagemaker: Any, group: str) -> None:
    first, second = package(sagemaker, group), package(sagemaker, group)
    sagemaker.delete_model_package(ModelPackageName=second)
    third = package(sagemaker, group)
    assert [arn.rsplit("/", 1)[-1] for arn in (first, second, third)] == ["1", "2", "3"]
    with pytest.raises(ClientError, match="does not exist"):
        sagemaker.describe_model_package(ModelPackageName=second)


def test_one_token_one_package(sagemaker: Any, group: str) -> None:
    token = uuid.uuid4().hex
    assert package(sagemaker, group, ClientToken=token) == package(sagemaker, group, ClientToken=token)


def test_lists_are_paged_and_filtered(sagemaker: Any, group: str) -> None:
    arns = [package(sagemaker, group, ModelApprovalStatus=status) for status in ("Approved", "Rejected", "Approved")]

    def listed(**request: Any) -> list[str]:
        pages = sagemaker.get_paginator("list_model_packages").paginate(
            ModelPackageGroupName=group, PaginationConfig={"PageSize": 2}, **request
        )
        return [item["ModelPackageArn"] for page in pages for item in page["ModelPackageSummaryList"]]

    assert listed() == arns, "ascending is documented as the default"
    assert listed(SortOrder="Descending") == arns[::-1]
    assert listed(ModelApprovalStatus="Approved") == [arns[0], arns[2]]
    # Without a group, unversioned packages are meant unless one asks otherwise.
    assert sagemaker.list_model_packages()["ModelPackageSummaryList"] == []
    assert len(sagemaker.list_model_packages(ModelPackageType="Versioned")["ModelPackageSummaryList"]) >= 3
    groups = sagemaker.list_model_package_groups(NameContains=group)["ModelPackageGroupSummaryList"]
    assert [item["ModelPackageGroupName"] for item in groups] == [group]
    with pytest.raises(ClientError, match="NextToken"):
        sagemaker.list_model_packages(ModelPackageGroupName=group, NextToken="x")


def test_a_group_goes_when_it_is_empty(sagemaker: Any, group: str) -> None:
    described = sagemaker.describe_model_package_group(ModelPackageGroupName=group)
    assert sagemaker.list_tags(ResourceArn=described["ModelPackageGroupArn"])["Tags"] == [
        {"Key": "model", "Value": "m"}
    ]
    arn = package(sagemaker, described["ModelPackageGroupArn"])
    with pytest.raises(sagemaker.exceptions.ConflictException):
        sagemaker.delete_model_package_group(ModelPackageGroupName=group)
    sagemaker.delete_model_package(ModelPackageName=arn)
    sagemaker.delete_model_package_group(ModelPackageGroupName=group)
    with pytest.raises(ClientError, match="does not exist"):
        sagemaker.describe_model_package_group(ModelPackageGroupName=group)


def test_what_the_registry_refuses(sagemaker: Any, group: str) -> None:
    with pytest.raises(ClientError, match="already exists"):
        sagemaker.create_model_package_group(ModelPackageGroupName=group)
    with pytest.raises(ClientError, match="does not exist"):
        package(sagemaker, "nobodys")
    with pytest.raises(ClientError, match="SourceUri"):
        sagemaker.create_model_package(ModelPackageGroupName=group)
    with pytest.raises(ClientError, match="tags"):
        package(sagemaker, group, Tags=[{"Key": "a", "Value": "b"}])
    many = {str(number): "x" for number in range(50)}
    arn = package(sagemaker, group, CustomerMetadataProperties=many)
    with pytest.raises(ClientError, match="at most 50"):
        sagemaker.update_model_package(ModelPackageArn=arn, CustomerMetadataProperties={"50": "x"})
    with pytest.raises(ClientError, match="length less than or equal to 256"):
        package(sagemaker, group, CustomerMetadataProperties={"a": "x" * 257})
    with pytest.raises(ClientError, match=r"modelPackageGroupName.*regular expression"):
        sagemaker.create_model_package_group(ModelPackageGroupName="under_score")

"""Who calls is asked: the signature, the policy for the operation and its resource, PassRole."""

import json
import urllib.error
import urllib.request
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.supervisor import LocalCloud

from .conftest import Jobs, allow, user_of

ARN = "arn:aws:sagemaker:us-east-1:000000000000"
CREATE = allow(["sagemaker:CreateTrainingJob"], f"{ARN}:training-job/*")


def client_of(cloud: LocalCloud, *statements: dict[str, Any]) -> Any:
    return user_of(cloud, list(statements)).client("sagemaker", endpoint_url=cloud.sagemaker)


def pass_role(role: str, service: str = "sagemaker.amazonaws.com") -> dict[str, Any]:
    return allow(["iam:PassRole"], role, Condition={"StringEquals": {"iam:PassedToService": service}})


def test_a_launch_needs_the_operation_and_the_role(cloud: LocalCloud, jobs: Jobs) -> None:
    request = jobs.request("")
    for statements, missing in (
        ([pass_role(jobs.role)], "sagemaker:CreateTrainingJob"),
        ([CREATE], "iam:PassRole"),
        ([CREATE, pass_role(jobs.role, "lambda.amazonaws.com")], "iam:PassRole"),
        ([CREATE, pass_role("arn:aws:iam::000000000000:role/other")], "iam:PassRole"),
        ([allow(["sagemaker:CreateTrainingJob"], f"{ARN}:training-job/other-*"), pass_role(jobs.role)],
         f"sagemaker:CreateTrainingJob on resource: {ARN}:training-job/{request['TrainingJobName']}"),
    ):  # fmt: skip
        with pytest.raises(ClientError, match=f"AccessDeniedException.*user/.*not authorized to perform: {missing}"):
            client_of(cloud, *statements).create_training_job(**request)
    allowed = client_of(cloud, CREATE, pass_role(jobs.role))
    with pytest.raises(ClientError, match="sagemaker:AddTags"):
        allowed.create_training_job(**request, Tags=[{"Key": "a", "Value": "b"}])
    allowed.create_training_job(**request)
    with pytest.raises(ClientError, match="sagemaker:DescribeTrainingJob"):
        allowed.describe_training_job(TrainingJobName=request["TrainingJobName"])


def test_the_registry_asks_too(cloud: LocalCloud) -> None:
    group = allow(["sagemaker:*"], [f"{ARN}:model-package-group/mine-*", f"{ARN}:model-package/mine-*"])
    client = client_of(cloud, group)
    client.create_model_package_group(ModelPackageGroupName="mine-a")
    arn = client.create_model_package(ModelPackageGroupName="mine-a", SourceUri="s3://bucket/key")["ModelPackageArn"]
    client.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    assert client.list_model_packages(ModelPackageGroupName="mine-a")["ModelPackageSummaryList"]
    for call in (
        lambda: client.create_model_package_group(ModelPackageGroupName="yours-a"),
        lambda: client.list_model_packages(ModelPackageGroupName="yours-a"),
        lambda: client.update_model_package(
            ModelPackageArn=arn.replace("mine", "yours"), ModelApprovalStatus="Approved"
        ),
        client.list_training_jobs,
        client.list_model_package_groups,
    ):
        with pytest.raises(ClientError, match="AccessDeniedException"):
            call()


def test_who_signs_wrongly_is_turned_away(cloud: LocalCloud) -> None:
    def client(key: str, secret: str) -> Any:
        session = cloud.session()
        return session.client(
            "sagemaker", endpoint_url=cloud.sagemaker, aws_access_key_id=key, aws_secret_access_key=secret
        )

    key = user_of(cloud, [allow(["sagemaker:*"])]).get_credentials()
    client(key.access_key, key.secret_key).list_training_jobs()
    with pytest.raises(ClientError, match="signature"):
        client(key.access_key, "wrong").list_training_jobs()
    with pytest.raises(ClientError, match="security token"):
        client("AKIA0000000000000000", "x").list_training_jobs()


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ({}, "{}", 403, "MissingAuthenticationToken"),
        ({"authorization": "Bearer nonsense"}, "{}", 403, "MissingAuthenticationToken"),
        ({"authorization": "AWS4-HMAC-SHA256 x"}, "{}", 403, ""),
        ({"x-amz-target": "SageMaker.Nothing"}, "{}", 400, "UnknownOperationException"),
        ({}, "not json", 400, "SerializationException"),
        ({}, "[1]", 400, "SerializationException"),
    ],
)
def test_requests_by_hand(cloud: LocalCloud, headers: dict[str, str], body: str, status: int, code: str) -> None:
    request = urllib.request.Request(
        cloud.sagemaker,
        data=body.encode(),
        headers={"x-amz-target": "SageMaker.ListTrainingJobs", "content-type": "application/x-amz-json-1.1", **headers},
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    assert refused.value.code == status
    assert code in json.loads(refused.value.read())["__type"]


def test_the_emulator_takes_no_bearer_for_root(cloud: LocalCloud) -> None:
    headers = {"x-amz-target": "DynamoDB_20120810.ListTables", "authorization": "Bearer anything"}
    with pytest.raises(urllib.error.HTTPError, match=r"40[03]"):
        urllib.request.urlopen(urllib.request.Request(cloud.endpoint, data=b"{}", headers=headers))

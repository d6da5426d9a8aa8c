"""What the emulator lets pass and AWS refuses is refused: too large payloads, steps without permission."""

import io
import json
import zipfile
from typing import Any

import httpx
import pytest

from localcloud.supervisor import LocalCloud

from .conftest import allow, make_role, until

CODE = "def handler(event, context):\n    return 'x' * event.get('size', 1) if isinstance(event, dict) else 'x'\n"


def trust(service: str) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


@pytest.fixture(scope="module")
def function(cloud: LocalCloud) -> str:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("code.py", CODE)
    made = cloud.client("lambda").create_function(
        FunctionName="sized",
        Runtime="python3.13",
        Role=make_role(cloud, [], trust("lambda.amazonaws.com")),
        Handler="code.handler",
        Code={"ZipFile": packed.getvalue()},
        Timeout=30,
    )
    return str(made["FunctionArn"])


def run(cloud: LocalCloud, function: str, statements: list[dict[str, Any]], size: int, *, catch: bool) -> Any:
    """A workflow of one step, ended."""
    step: dict[str, Any] = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": function, "Payload": {"size": size}},
        "End": True,
    }
    if catch:
        step["Catch"] = [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]
    states = cloud.client("stepfunctions")
    role = make_role(cloud, statements, trust("states.amazonaws.com"))
    machine = states.create_state_machine(
        name=role.rsplit("/", 1)[-1],
        roleArn=role,
        definition=json.dumps(
            {"QueryLanguage": "JSONata", "StartAt": "Step", "States": {"Step": step, "Caught": {"Type": "Succeed"}}}
        ),
    )["stateMachineArn"]
    execution = states.start_execution(stateMachineArn=machine, input="{}")["executionArn"]
    return until(lambda: states.describe_execution(executionArn=execution), lambda found: found["status"] != "RUNNING")


def test_a_result_of_a_step_has_a_limit_that_nothing_catches(cloud: LocalCloud, function: str) -> None:
    allowed = [allow(["lambda:InvokeFunction"], function)]
    assert run(cloud, function, allowed, 200_000, catch=False)["status"] == "SUCCEEDED"
    too_large = run(cloud, function, allowed, 300_000, catch=True)
    assert (too_large["status"], too_large["error"]) == ("FAILED", "States.DataLimitExceeded")


def test_a_workflow_may_invoke_what_its_role_may(cloud: LocalCloud, function: str) -> None:
    for statements in ([], [allow(["lambda:InvokeFunction"], function.replace("sized", "other"))]):
        denied = run(cloud, function, statements, 1, catch=False)
        assert denied["status"] == "FAILED"
        assert "not authorized to perform: lambda:InvokeFunction" in denied["cause"]
    assert run(cloud, function, [], 1, catch=True)["status"] == "SUCCEEDED"


def test_lambda_s_payload_has_a_limit(cloud: LocalCloud, function: str) -> None:
    client = cloud.client("lambda")
    answer = client.invoke(FunctionName=function, Payload=json.dumps({"size": 6_291_000}))
    assert "FunctionError" not in answer
    too_large = client.invoke(FunctionName=function, Payload=json.dumps({"size": 6_300_000}))
    assert too_large["FunctionError"] == "Unhandled"
    assert json.loads(too_large["Payload"].read())["errorType"] == "Function.ResponseSizeTooLarge"
    sent = client.invoke(FunctionName=function, Payload=json.dumps({"text": "x" * 6_300_000}))
    assert json.loads(sent["Payload"].read())["errorType"] == "RequestEntityTooLargeException"


def test_a_range_of_a_version_is_that_range(cloud: LocalCloud) -> None:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="ranges")
    s3.put_bucket_versioning(Bucket="ranges", VersioningConfiguration={"Status": "Enabled"})
    first, second = (s3.put_object(Bucket="ranges", Key="k", Body=body)["VersionId"] for body in (b"0123456", b"x"))

    def read(version: str, asked: str) -> tuple[int, str, bytes]:
        found = s3.get_object(Bucket="ranges", Key="k", VersionId=version, Range=asked)
        return found["ResponseMetadata"]["HTTPStatusCode"], found["ContentRange"], found["Body"].read()

    assert read(first, "bytes=2-4") == (206, "bytes 2-4/7", b"234")
    assert read(first, "bytes=5-99") == (206, "bytes 5-6/7", b"56")
    assert read(second, "bytes=0-0") == (206, "bytes 0-0/1", b"x")
    with pytest.raises(s3.exceptions.ClientError, match="InvalidRange"):
        read(second, "bytes=3-4")


def test_v2_is_the_api_s_and_no_registry_s(cloud: LocalCloud) -> None:
    gateway = cloud.client("apigatewayv2")
    api = gateway.create_api(Name="protocol", ProtocolType="HTTP")["ApiId"]
    made = gateway.create_integration(
        ApiId=api, IntegrationType="HTTP_PROXY", IntegrationMethod="GET", IntegrationUri=cloud.endpoint,
        PayloadFormatVersion="1.0",
    )  # fmt: skip
    target = f"integrations/{made['IntegrationId']}"
    gateway.create_route(ApiId=api, RouteKey="GET /v2", AuthorizationType="AWS_IAM", Target=target)
    gateway.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)
    host = f"{api}.execute-api.localhost:{cloud.endpoint.rsplit(':', 1)[1]}"
    answer = httpx.get(f"{cloud.endpoint}/v2", headers={"host": host}, trust_env=False)
    assert answer.status_code == 403, "the route wants a signature"
    assert "docker-distribution-api-version" not in answer.headers

"""State changes are told as documented: once, and when told so twice, never or before the launch has returned."""

import io
import json
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from localcloud.supervisor import LocalCloud

from .conftest import Inbox, Jobs, allow, make_role, until

JOB = "SageMaker Training Job State Change"
FINAL = {"source": ["aws.sagemaker"], "detail-type": [JOB], "detail": {"TrainingJobStatus": ["Completed", "Failed"]}}


@pytest.fixture
def faults(cloud: LocalCloud) -> Iterator[Callable[..., None]]:
    def order(events: str, count: int = 1) -> None:
        body = json.dumps({"events": events, "count": count}).encode()
        urllib.request.urlopen(f"{cloud.sagemaker}/_interlock/faults", data=body).close()

    yield order
    order("normal")


def of(inbox: Inbox, name: str, count: int) -> list[dict[str, Any]]:
    """The job's events, when as many have come as should; then whether more come is seen by the next asking."""
    found: list[dict[str, Any]] = []

    def ask() -> list[dict[str, Any]]:
        found.extend(event for event in inbox.events() if event["detail"]["TrainingJobName"] == name)
        return found

    return until(ask, lambda events: len(events) >= count)


def test_each_state_is_told(jobs: Jobs, inbox: Callable[..., Inbox]) -> None:
    queue = inbox({"source": [{"prefix": "aws."}], "detail-type": [JOB]})
    described = jobs.run("", HyperParameters={"StopTime": "3"}, Tags=[{"Key": "run", "Value": "7"}])
    events = of(queue, described["TrainingJobName"], 4)
    assert [event["detail"]["SecondaryStatus"] for event in events] == [
        "Downloading",
        "Training",
        "Uploading",
        "Completed",
    ]
    last = events[-1]
    arn = described["TrainingJobArn"]
    assert (last["source"], last["account"], last["region"]) == ("aws.sagemaker", "000000000000", "us-east-1")
    assert last["resources"] == [arn]
    detail = last["detail"]
    assert detail["TrainingJobStatus"] == "Completed"
    assert detail["Tags"] == {"run": "7"}
    assert detail["HyperParameters"] == {"StopTime": "3"}
    assert detail["ModelArtifacts"] == described["ModelArtifacts"]
    # Whole milliseconds, unlike in the API.
    assert detail["TrainingEndTime"] == round(described["TrainingEndTime"].timestamp() * 1000)
    assert isinstance(detail["SecondaryStatusTransitions"][0]["StartTime"], int)


def test_a_failure_is_told_with_its_reason(jobs: Jobs, inbox: Callable[..., Inbox]) -> None:
    queue = inbox(FINAL)
    name = jobs.run("exit(4)")["TrainingJobName"]
    assert of(queue, name, 1)[0]["detail"]["FailureReason"] == "AlgorithmError: , exit code: 4"


def test_twice_never_and_then_once(jobs: Jobs, inbox: Callable[..., Inbox], faults: Callable[..., None]) -> None:
    queue = inbox(FINAL)
    faults("twice")
    first = jobs.run("")["TrainingJobName"]
    assert len({event["id"] for event in of(queue, first, 2)}) == 1
    faults("none")
    lost = jobs.run("")["TrainingJobName"]
    last = jobs.run("")["TrainingJobName"]
    names = [event["detail"]["TrainingJobName"] for event in until(queue.events, bool)]
    assert names == [last], f"{lost} was to be lost"


def test_before_the_launch_returns(jobs: Jobs, inbox: Callable[..., Inbox], faults: Callable[..., None]) -> None:
    queue = inbox(FINAL)
    faults("before_answer")
    name = jobs.launch("")
    assert [event["detail"]["TrainingJobName"] for event in queue.events()] == [name]


def test_a_fault_that_does_not_exist(faults: Callable[..., None]) -> None:
    with pytest.raises(urllib.error.HTTPError, match="400"):
        faults("sometimes")


def test_inputs_are_shaped(jobs: Jobs, inbox: Callable[..., Inbox]) -> None:
    queue = inbox(
        FINAL,
        InputTransformer={
            "InputPathsMap": {"name": "$.detail.TrainingJobName", "state": "$.detail"},
            "InputTemplate": '{"detail": {"TrainingJobName": "<name>"}, "all": <state>}',
        },
    )
    name = jobs.run("")["TrainingJobName"]
    assert of(queue, name, 1)[0]["all"]["TrainingJobName"] == name


FUNCTION = """
import json, os, sys

class NoSuchThing(Exception): ...

def handler(event, context):
    import boto3
    if event.get("fail"):
        raise NoSuchThing("it is not there")
    if "detail" in event:
        name = event["detail"]["TrainingJobName"]
        found = boto3.client("sagemaker").describe_training_job(TrainingJobName=name)
        boto3.client("s3").put_object(
            Bucket=os.environ["BUCKET"], Key="told/" + name, Body=found["TrainingJobStatus"].encode()
        )
    there = {}
    for module in ("ministack", "hypercorn", "pydantic", "numpy", "interlock", "localcloud"):
        try:
            __import__(module)
            there[module] = True
        except ImportError:
            there[module] = False
    return {"python": sys.executable, "path": sys.path, "modules": there,
            "who": boto3.client("sts").get_caller_identity()["Arn"]}
"""


@pytest.fixture(scope="module")
def function(cloud: LocalCloud, bucket: str) -> str:
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = make_role(
        cloud,
        [
            allow(["sagemaker:DescribeTrainingJob"], "arn:aws:sagemaker:us-east-1:000000000000:training-job/*"),
            allow(["s3:PutObject"], f"arn:aws:s3:::{bucket}/told/*"),
        ],
        {"Version": "2012-10-17", "Statement": [trust]},
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("code.py", FUNCTION)
    made = cloud.client("lambda").create_function(
        FunctionName="resume",
        Runtime="python3.13",
        Role=role,
        Handler="code.handler",
        Code={"ZipFile": packed.getvalue()},
        Timeout=30,
        Environment={"Variables": {"BUCKET": bucket}},
    )
    return str(made["FunctionArn"])


def invoke(cloud: LocalCloud, name: str, event: dict[str, Any]) -> Any:
    return json.loads(cloud.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))["Payload"].read())


def test_a_function_sees_boto3_its_code_and_nothing_else(cloud: LocalCloud, function: str) -> None:
    seen = invoke(cloud, function, {})
    assert "/envs/lambda-runtime/" in seen["python"]
    assert not any(seen["modules"].values()), seen["modules"]
    assert not [entry for entry in seen["path"] if "/envs/emulator/" in entry]
    assert ":assumed-role/role-" in seen["who"]


def test_a_function_fails_with_its_error_s_name(cloud: LocalCloud, function: str) -> None:
    error = invoke(cloud, function, {"fail": True})
    assert (error["errorType"], error["errorMessage"]) == ("NoSuchThing", "it is not there")


def test_a_function_hears_of_a_job_and_asks_about_it(cloud: LocalCloud, jobs: Jobs, function: str) -> None:
    events = cloud.client("events")
    events.put_rule(Name="resume", EventPattern=json.dumps(FINAL))
    events.put_targets(Rule="resume", Targets=[{"Id": "resume", "Arn": function}])
    try:
        name = jobs.run("")["TrainingJobName"]
        s3 = cloud.client("s3")
        until(lambda: s3.list_objects_v2(Bucket=jobs.bucket, Prefix=f"told/{name}").get("KeyCount"), bool)
        assert s3.get_object(Bucket=jobs.bucket, Key=f"told/{name}")["Body"].read() == b"Completed"
    finally:
        events.remove_targets(Rule="resume", Ids=["resume"])
        events.delete_rule(Name="resume")

"""A local cloud of the tests' own, and what most of them need in it."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.validate import ParamValidator

from localcloud.supervisor import LocalCloud, down, up

ENDED = {"Completed", "Failed", "Stopped"}
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INTERLOCK_STOP_GRACE", "2")
        running = up(tmp_path_factory.mktemp("cloud"), progress=lambda _: None)
    yield running
    down(running.home)


@pytest.fixture(scope="session")
def sagemaker(cloud: LocalCloud) -> Any:
    return checked(cloud.client("sagemaker"))


def checked(client: Any) -> Any:
    """A client whose answers are checked against the service's model: members, types, required ones."""

    def validate(http_response: Any, parsed: dict[str, Any], model: Any, **_: Any) -> None:
        if http_response.status_code == 200 and model.output_shape is not None:
            report = ParamValidator().validate(json.loads(http_response.content), model.output_shape)
            assert not report.has_errors(), f"{model.name}: {report.generate_report()}"

    client.meta.events.register("after-call.sagemaker", validate)
    return client


@pytest.fixture(scope="session")
def bucket(cloud: LocalCloud) -> str:
    name = "training-bucket"
    cloud.client("s3").create_bucket(Bucket=name)
    return name


def make_role(cloud: LocalCloud, statements: list[dict[str, Any]], trust: dict[str, Any] = TRUST) -> str:
    """A role with one policy; answers its ARN."""
    iam, name = cloud.client("iam"), f"role-{uuid.uuid4().hex[:8]}"
    arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    if statements:
        policy = {"Version": "2012-10-17", "Statement": statements}
        iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=json.dumps(policy))
    return arn


def allow(actions: list[str], resources: list[str] | str = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resources, **more}


@pytest.fixture(scope="session")
def job_role(cloud: LocalCloud, bucket: str) -> str:
    objects = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    return make_role(
        cloud,
        [
            allow(["s3:GetObject", "s3:ListBucket", "s3:PutObject"], objects),
            allow(["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]),
        ],
    )


def user_of(cloud: LocalCloud, statements: list[dict[str, Any]]) -> boto3.Session:
    """A session of a new user who may do only this."""
    iam, name = cloud.client("iam"), f"user-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=name)
    policy = {"Version": "2012-10-17", "Statement": statements}
    iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name="us-east-1")


@dataclass(frozen=True)
class Jobs:
    """Launches scripts as training jobs."""

    cloud: LocalCloud
    sagemaker: Any
    bucket: str
    role: str

    def request(self, script: str, **changes: Any) -> dict[str, Any]:
        name = f"job-{uuid.uuid4().hex[:10]}"
        s3 = self.cloud.client("s3")
        s3.put_object(Bucket=self.bucket, Key=f"{name}/code/job.py", Body=script.encode())
        return {
            "TrainingJobName": name,
            "RoleArn": self.role,
            "AlgorithmSpecification": {
                "TrainingImage": "000000000000.dkr.ecr.us-east-1.amazonaws.com/image:1",
                "TrainingInputMode": "File",
                "ContainerEntrypoint": ["python3", "/opt/ml/input/data/code/job.py"],
            },
            "InputDataConfig": [channel("code", f"s3://{self.bucket}/{name}/code/")],
            "OutputDataConfig": {"S3OutputPath": f"s3://{self.bucket}/out"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
            "EnableNetworkIsolation": True,
            **changes,
        }

    def launch(self, script: str, **changes: Any) -> str:
        request = self.request(script, **changes)
        self.sagemaker.create_training_job(**request)
        return str(request["TrainingJobName"])

    def ended(self, name: str) -> dict[str, Any]:
        return until(lambda: self.sagemaker.describe_training_job(TrainingJobName=name), is_ended)

    def run(self, script: str, **changes: Any) -> dict[str, Any]:
        return self.ended(self.launch(script, **changes))

    def training(self, script: str) -> str:
        """A job that has got to its script."""
        name = self.launch(script)
        until(
            lambda: self.sagemaker.describe_training_job(TrainingJobName=name),
            lambda job: job["SecondaryStatus"] == "Training",
        )
        return name

    def said(self, name: str) -> list[str]:
        """What a job has said, as soon as it has said something."""
        logs, group = self.cloud.client("logs"), "/aws/sagemaker/TrainingJobs"

        def lines() -> list[str]:
            streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/")["logStreams"]
            return [
                event["message"].strip()
                for stream in streams
                for event in logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"])["events"]
            ]

        found: list[str] = until(lines, bool)
        return found


def is_ended(job: dict[str, Any]) -> bool:
    return job["TrainingJobStatus"] in ENDED


def channel(name: str, uri: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


def until(ask: Callable[[], Any], good: Callable[[Any], Any], seconds: float = 60.0) -> Any:
    """Ask until the answer is good."""
    deadline = time.monotonic() + seconds
    while not good(answer := ask()):
        assert time.monotonic() < deadline, f"still {answer}"
        time.sleep(0.05)
    return answer


@pytest.fixture(scope="session")
def jobs(cloud: LocalCloud, sagemaker: Any, bucket: str, job_role: str) -> Jobs:
    return Jobs(cloud, sagemaker, bucket, job_role)


@dataclass(frozen=True)
class Inbox:
    """A queue that a rule of the default bus fills."""

    cloud: LocalCloud
    url: str

    def events(self) -> list[dict[str, Any]]:
        found = []
        sqs = self.cloud.client("sqs")
        while messages := sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                found.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return found


@pytest.fixture
def inbox(cloud: LocalCloud) -> Iterator[Callable[..., Inbox]]:
    """Makes a rule with a queue for a pattern."""
    events, sqs = cloud.client("events"), cloud.client("sqs")
    names = []

    def make(pattern: dict[str, Any], **target: Any) -> Inbox:
        name = f"inbox-{uuid.uuid4().hex[:8]}"
        names.append(name)
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = f"arn:aws:sqs:us-east-1:000000000000:{name}"
        events.put_rule(Name=name, EventPattern=json.dumps(pattern))
        events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn, **target}])
        return Inbox(cloud, url)

    yield make
    for name in names:
        events.remove_targets(Rule=name, Ids=["queue"])
        events.delete_rule(Name=name)

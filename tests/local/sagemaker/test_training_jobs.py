"""A training job keeps the container's contract, ends as AWS's do, and does only what its role may."""

import io
import json
import tarfile
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.supervisor import LocalCloud

from .conftest import Jobs, allow, channel, make_role

LOOK = """
import json, os, pathlib, sys
base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
configs = {p.stem: json.loads(p.read_text()) for p in (base / "input/config").iterdir()}
data = base / "input/data"
seen = {
    "configs": configs,
    "files": sorted(str(p.relative_to(data)) for p in data.rglob("*") if p.is_file()),
    "environment": dict(os.environ),
    "arguments": sys.argv[1:],
    "python": sys.executable,
    "base": str(base),
    "cwd": os.getcwd(),
}
(base / "output/data/seen.json").write_text(json.dumps(seen))
(base / "model/model.txt").write_text("the model")
print("auc=0.5;", flush=True)
print("auc=0.75;", file=sys.stderr)
"""


def files(cloud: LocalCloud, uri: str) -> dict[str, bytes]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    body = cloud.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        return {m.name: archive.extractfile(m).read() for m in archive.getmembers()}  # type: ignore[union-attr]


def test_a_job_finds_and_leaves_what_a_container_does(cloud: LocalCloud, jobs: Jobs) -> None:
    s3 = cloud.client("s3")
    for key in ("d/train/a.csv", "d/train/deep/b+c é.csv", "d/trainers/no.csv", "d/one.txt"):
        s3.put_object(Bucket=jobs.bucket, Key=key, Body=b"x")
    request = jobs.request(LOOK)
    request["InputDataConfig"] += [
        channel("train", f"s3://{jobs.bucket}/d/train/"),
        channel("one", f"s3://{jobs.bucket}/d/one.txt"),
    ]
    request["AlgorithmSpecification"] |= {
        "ContainerArguments": ["--out", "/opt/ml/model", "/opt/mlx"],
        "MetricDefinitions": [{"Name": "auc", "Regex": r"auc=([0-9.]+);"}, {"Name": "none", "Regex": "no=(.)"}],
    }
    request |= {"HyperParameters": {"depth": "3"}, "Environment": {"PLACE": "/opt/ml/input", "SEED": "7"}}
    jobs.sagemaker.create_training_job(**request)
    job = jobs.ended(request["TrainingJobName"])

    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Completed", "Completed")
    assert "FailureReason" not in job
    path = [item["Status"] for item in job["SecondaryStatusTransitions"]]
    assert path == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert all(item["EndTime"] >= item["StartTime"] for item in job["SecondaryStatusTransitions"])
    assert job["CreationTime"] <= job["TrainingStartTime"] <= job["TrainingEndTime"] <= job["LastModifiedTime"]
    assert job["BillableTimeInSeconds"] == job["TrainingTimeInSeconds"] >= 1
    assert [(m["MetricName"], m["Value"]) for m in job["FinalMetricDataList"]] == [("auc", 0.75)]
    for member in ("HyperParameters", "AlgorithmSpecification", "InputDataConfig", "ResourceConfig", "Environment"):
        assert job[member] == request[member]

    model = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert model == f"s3://{jobs.bucket}/out/{request['TrainingJobName']}/output/model.tar.gz"
    assert files(cloud, model) == {"model.txt": b"the model"}
    seen = json.loads(files(cloud, model.replace("model.tar", "output.tar"))["seen.json"])
    assert seen["files"] == ["code/job.py", "one/one.txt", "train/a.csv", "train/deep/b+c é.csv"]
    assert seen["configs"]["hyperparameters"] == {"depth": "3"}
    assert seen["configs"]["inputdataconfig"]["train"]["TrainingInputMode"] == "File"
    assert seen["configs"]["resourceconfig"]["hosts"] == ["algo-1"]
    assert seen["arguments"] == ["--out", f"{seen['base']}/model", "/opt/mlx"]
    assert "/envs/job/" in seen["python"]
    environment = seen["environment"]
    assert environment["PLACE"] == f"{seen['base']}/input"
    assert environment["TRAINING_JOB_NAME"] == request["TrainingJobName"]
    assert environment["TRAINING_JOB_ARN"] == job["TrainingJobArn"]
    # Isolated: neither credentials nor a way out, and nothing of this machine's environment.
    assert not [name for name in environment if name.startswith("AWS_") and name != "AWS_REGION"]
    assert not [name for name in environment if name.startswith(("INTERLOCK", "PYTHON", "VIRTUAL"))]


def test_the_log_is_where_sagemaker_writes_it(cloud: LocalCloud, jobs: Jobs) -> None:
    name = jobs.run("print('first'); print(); print('last')")["TrainingJobName"]
    logs = cloud.client("logs")
    streams = logs.describe_log_streams(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{name}/algo-1-"
    )["logStreams"]
    assert len(streams) == 1
    events = logs.get_log_events(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamName=streams[0]["logStreamName"], startFromHead=True
    )["events"]
    assert [event["message"].strip() for event in events] == ["first", "", "last"]


def test_a_line_is_seen_while_the_job_is_silent(jobs: Jobs) -> None:
    name = jobs.training("import time; print('working', flush=True); time.sleep(300)")
    assert jobs.said(name) == ["working"]
    jobs.sagemaker.stop_training_job(TrainingJobName=name)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("import os; open(os.environ['SAGEMAKER_BASE_DIR'] + '/output/failure', 'w').write('no rows'); exit(3)",
         "AlgorithmError: no rows, exit code: 3"),
        ("exit(1)", "AlgorithmError: , exit code: 1"),
        ("import os; os.kill(os.getpid(), 9)", "AlgorithmError: , exit code: 137"),
        ("import os; open(os.environ['SAGEMAKER_BASE_DIR'] + '/output/failure', 'w').write('x' * 5000); exit(1)",
         "AlgorithmError: " + "x" * 1008),
    ],
)  # fmt: skip
def test_a_script_that_fails(jobs: Jobs, script: str, reason: str) -> None:
    job = jobs.run(script)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Failed", "Failed")
    assert job["FailureReason"] == reason


def test_a_command_that_does_not_exist(jobs: Jobs) -> None:
    request = jobs.request("")
    request["AlgorithmSpecification"]["ContainerEntrypoint"] = ["train"]
    jobs.sagemaker.create_training_job(**request)
    assert jobs.ended(request["TrainingJobName"])["FailureReason"] == "AlgorithmError: , exit code: 127"


def test_nothing_under_a_channel(jobs: Jobs) -> None:
    request = jobs.request("", InputDataConfig=[channel("code", f"s3://{jobs.bucket}/nothing/here/")])
    jobs.sagemaker.create_training_job(**request)
    assert jobs.ended(request["TrainingJobName"])["FailureReason"].startswith(
        "ClientError: Data download failed:No S3 objects found under S3 URL"
    )


def test_a_stopped_job_may_tidy_up(cloud: LocalCloud, jobs: Jobs) -> None:
    name = jobs.training(
        "import os, pathlib, signal, sys, time\n"
        "model = pathlib.Path(os.environ['SAGEMAKER_BASE_DIR'], 'model/saved')\n"
        "signal.signal(signal.SIGTERM, lambda *_: (model.write_text('half'), sys.exit(0)))\n"
        "print('ready', flush=True)\n"
        "time.sleep(300)\n"
    )
    jobs.said(name)
    jobs.sagemaker.stop_training_job(TrainingJobName=name)
    assert jobs.sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"] in {"Stopping", "Stopped"}
    job = jobs.ended(name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert files(cloud, job["ModelArtifacts"]["S3ModelArtifacts"])["saved"] == b"half"
    with pytest.raises(ClientError, match="rejected because the training job is in status Stopped"):
        jobs.sagemaker.stop_training_job(TrainingJobName=name)


def test_a_job_that_will_not_stop_is_killed_with_its_children(jobs: Jobs) -> None:
    name = jobs.training(
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)'])\n"
        "print('ready', flush=True)\n"
        "time.sleep(300)\n"
    )
    jobs.said(name)
    jobs.sagemaker.stop_training_job(TrainingJobName=name)
    assert jobs.ended(name)["SecondaryStatus"] == "Stopped"


def test_a_child_that_outlives_its_job_does_not_hold_it_up(jobs: Jobs) -> None:
    script = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])"
    assert jobs.run(script)["TrainingJobStatus"] == "Completed"


def test_a_job_that_takes_too_long(jobs: Jobs) -> None:
    job = jobs.run("import time; time.sleep(300)", StoppingCondition={"MaxRuntimeInSeconds": 1})
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


def test_a_name_is_used_once(jobs: Jobs) -> None:
    request = jobs.request("")
    jobs.sagemaker.create_training_job(**request)
    with pytest.raises(jobs.sagemaker.exceptions.ResourceInUse, match="must be unique"):
        jobs.sagemaker.create_training_job(**request)
    jobs.ended(request["TrainingJobName"])
    with pytest.raises(jobs.sagemaker.exceptions.ResourceInUse):
        jobs.sagemaker.create_training_job(**request)


def test_unknown_jobs(jobs: Jobs) -> None:
    for call in (jobs.sagemaker.describe_training_job, jobs.sagemaker.stop_training_job):
        with pytest.raises(ClientError, match=r"ValidationException.*Requested resource not found"):
            call(TrainingJobName="nobody")


def test_what_a_laptop_cannot_do_is_said_at_once(jobs: Jobs) -> None:
    request = jobs.request("")
    request["ResourceConfig"]["InstanceCount"] = 2
    del request["AlgorithmSpecification"]["ContainerEntrypoint"]
    request["InputDataConfig"][0]["CompressionType"] = "Gzip"
    with pytest.raises(ClientError, match=r"ContainerEntrypoint.*one instance.*uncompressed: code"):
        jobs.sagemaker.create_training_job(**request)


def test_tags_and_lists(jobs: Jobs) -> None:
    names = [jobs.launch("", Tags=[{"Key": "run", "Value": "7"}]) for _ in range(3)]
    arns = [jobs.ended(name)["TrainingJobArn"] for name in names]
    sagemaker = jobs.sagemaker
    pages = sagemaker.get_paginator("list_training_jobs").paginate(
        NameContains="job-", StatusEquals="Completed", SortOrder="Descending", PaginationConfig={"PageSize": 2}
    )
    listed = [item["TrainingJobName"] for page in pages for item in page["TrainingJobSummaries"]]
    assert [name for name in listed if name in names] == names[::-1]
    sagemaker.add_tags(ResourceArn=arns[0], Tags=[{"Key": "run", "Value": "8"}, {"Key": "b", "Value": ""}])
    sagemaker.delete_tags(ResourceArn=arns[1], TagKeys=["run"])
    tags = [sagemaker.list_tags(ResourceArn=arn)["Tags"] for arn in arns]
    assert tags == [
        [{"Key": "run", "Value": "8"}, {"Key": "b", "Value": ""}],
        [],
        [{"Key": "run", "Value": "7"}],
    ]


WITHOUT: list[tuple[list[str], str, str]] = [
    (["s3:ListBucket", "s3:PutObject"], "Failed", "ClientError: Data download failed:"),
    (["s3:GetObject", "s3:PutObject"], "Failed", "ClientError: Data download failed:"),
    (["s3:GetObject", "s3:ListBucket"], "Failed", "ClientError: Artifact upload failed:"),
    # Nobody may write the log: the job goes on without one.
    (["s3:GetObject", "s3:ListBucket", "s3:PutObject"], "Completed", ""),
]


@pytest.mark.parametrize(("actions", "status", "reason"), WITHOUT)
def test_the_job_may_do_what_its_role_may(
    cloud: LocalCloud, jobs: Jobs, actions: list[str], status: str, reason: str
) -> None:
    job = jobs.run("", RoleArn=make_role(cloud, [allow(actions)]))
    assert job["TrainingJobStatus"] == status
    assert job.get("FailureReason", "").startswith(reason)
    if reason:
        assert "403" in job["FailureReason"] or "AccessDenied" in job["FailureReason"]


def test_the_role_must_trust_sagemaker(cloud: LocalCloud, jobs: Jobs) -> None:
    def trust(**statement: Any) -> dict[str, Any]:
        return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", **statement}]}

    service = {"Service": "sagemaker.amazonaws.com"}
    for document in (
        trust(Principal={"Service": "lambda.amazonaws.com"}),
        trust(Principal=service, Condition={"StringEquals": {"aws:SourceAccount": "999999999999"}}),
        {**trust(Principal=service), "Statement": [{"Effect": "Deny", "Action": "sts:*", "Principal": service}]},
    ):
        with pytest.raises(ClientError, match="Could not assume role"):
            jobs.launch("", RoleArn=make_role(cloud, [], document))
    own = trust(Principal=service, Condition={"StringEquals": {"aws:SourceAccount": "000000000000"}})
    assert jobs.launch("", RoleArn=make_role(cloud, [], own))


def test_isolation_is_asked_for(jobs: Jobs) -> None:
    ask = (
        "import os, urllib.request\n"
        "print(sorted(n for n in os.environ if 'AWS' in n))\n"
        "urllib.request.urlopen('http://example.com/')\n"
    )
    assert jobs.run(ask)["TrainingJobStatus"] == "Failed"
    sts = "import os; assert os.environ['AWS_ACCESS_KEY_ID'].startswith('ASIA'); assert os.environ['AWS_SESSION_TOKEN']"
    assert jobs.run(sts, EnableNetworkIsolation=False)["TrainingJobStatus"] == "Completed"

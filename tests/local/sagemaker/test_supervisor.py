"""Both processes outlive the command, stop in good order, and keep what they hold, also when they are killed."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from interlock.errors import DependencyUnavailable
from localcloud import supervisor
from localcloud.processes import Process
from localcloud.supervisor import LocalCloud, down, status, up

from .conftest import ENDED, Jobs, make_role, until


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    down(tmp_path)


def start(home: Path) -> LocalCloud:
    return up(home, progress=lambda _: None)


def record(home: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((home / "local.json").read_text())
    return found


def kill(home: Path, name: str) -> None:
    child = record(home)["processes"][name]
    os.killpg(child["pid"], signal.SIGKILL)
    until(lambda: Process(**child).alive(), lambda alive: not alive)


def table_items(cloud: LocalCloud) -> list[str]:
    items = cloud.client("dynamodb").scan(TableName="things")["Items"]
    return sorted(item["pk"]["S"] for item in items)


def put(cloud: LocalCloud, key: str) -> None:
    cloud.client("dynamodb").put_item(TableName="things", Item={"pk": {"S": key}})


def test_what_is_kept_between_up_and_up(home: Path) -> None:
    first = start(home)
    s3, dynamodb = first.client("s3"), first.client("dynamodb")
    s3.create_bucket(Bucket="data-bucket")
    s3.put_bucket_versioning(Bucket="data-bucket", VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_notification_configuration(
        Bucket="data-bucket", NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    versions = [
        s3.put_object(Bucket="data-bucket", Key="k é+", Body=body)["VersionId"] for body in (b"one", b"two", b"three")
    ]
    dynamodb.create_table(
        TableName="things",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    put(first, "a")
    role = make_role(first, [])
    first.client("events").put_rule(Name="rule", EventPattern='{"source": ["x"]}')
    jobs = Jobs(first, first.client("sagemaker"), "data-bucket", role)
    first.client("iam").put_role_policy(
        RoleName=role.rsplit("/", 1)[-1],
        PolicyName="all",
        PolicyDocument='{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}',
    )
    running = jobs.training("import time; print('here', flush=True); time.sleep(300)")

    assert down(home) == ["emulator", "sagemaker"]
    assert LocalCloud.load(home) is None
    assert not (home / "state/sagemaker/containers" / running).exists()
    again = start(home)
    assert (again.endpoint, again.sagemaker) == (first.endpoint, first.sagemaker), "ports are kept"
    s3 = again.client("s3")
    found = [s3.get_object(Bucket="data-bucket", Key="k é+", VersionId=version)["Body"].read() for version in versions]
    assert found == [b"one", b"two", b"three"]
    assert "EventBridgeConfiguration" in s3.get_bucket_notification_configuration(Bucket="data-bucket")
    assert table_items(again) == ["a"]
    assert again.client("events").describe_rule(Name="rule")["State"] == "ENABLED"
    job = until(
        lambda: again.client("sagemaker").describe_training_job(TrainingJobName=running),
        lambda job: job["TrainingJobStatus"] in ENDED,
    )
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("InternalServerError")

    # Killed, the emulator has what it had at its last saving.
    put(again, "b")
    again.save()
    put(again, "lost")
    kill(home, "emulator")
    assert status(home) == {"emulator": False, "sagemaker": True}
    assert LocalCloud.load(home) is None
    after = start(home)
    assert table_items(after) == ["a", "b"]


def test_a_job_of_a_killed_service_ends(home: Path) -> None:
    cloud = start(home)
    cloud.client("s3").create_bucket(Bucket="bucket")
    allowed = [{"Effect": "Allow", "Action": "*", "Resource": "*"}]
    jobs = Jobs(cloud, cloud.client("sagemaker"), "bucket", make_role(cloud, allowed))
    name = jobs.training("import time; time.sleep(300)")
    mark = home / "state/sagemaker/containers" / name / "process.json"
    process = Process(**json.loads(until(lambda: mark.exists() and mark.read_text(), bool)))
    kill(home, "sagemaker")
    assert process.alive()
    again = start(home)
    until(process.alive, lambda alive: not alive)
    job = jobs.ended(name)
    assert (job["TrainingJobStatus"], again.sagemaker) == ("Failed", cloud.sagemaker)


def test_two_at_once_are_one(home: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: start(home), range(2))
    assert first == second


def test_a_taken_port_is_left_alone(home: Path) -> None:
    cloud = start(home)
    port = record(home)["port"]
    down(home)
    said: list[str] = []
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        moved = up(home, progress=said.append)
    assert moved.endpoint != cloud.endpoint
    assert any("deploy" in line for line in said), said


def test_a_recycled_id_is_not_killed(home: Path) -> None:
    start(home)
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    known = record(home)
    real = known["processes"]["emulator"]
    known["processes"]["emulator"] = {**real, "pid": stranger.pid}
    (home / "local.json").write_text(json.dumps(known))
    try:
        assert down(home) == ["sagemaker"]
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
        Process(**real).end(5)


def test_one_that_does_not_start_says_why(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "_python", lambda _: Path(sys.executable))
    with pytest.raises(
        DependencyUnavailable, match=r"(?s)emulator did not start.*No module named 'ministack'"
    ) as failed:
        start(home)
    assert "emulator.log" in failed.value.next_step
    assert not any(status(home).values())


def test_ctrl_c_while_it_starts_leaves_nothing_running(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(supervisor, "_wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            start(home)
    assert not any(status(home).values())
    assert LocalCloud.load(home) is None
    assert start(home).client("s3").list_buckets()["Buckets"] == []


def test_nothing_of_the_user_s_cloud_is_looked_at(
    cloud: LocalCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config"
    config.write_text("[profile work]\nregion = eu-west-1\nendpoint_url = http://127.0.0.1:9\n")
    for name, value in {
        "AWS_PROFILE": "work",
        "AWS_CONFIG_FILE": str(config),
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
        "AWS_SESSION_TOKEN": "real",
        "AWS_USE_FIPS_ENDPOINT": "true",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        "AWS_CA_BUNDLE": "/nowhere",
    }.items():
        monkeypatch.setenv(name, value)
    for service, call in (("s3", "list_buckets"), ("sagemaker", "list_training_jobs"), ("sts", "get_caller_identity")):
        client = cloud.client(service)
        assert client.meta.region_name == "us-east-1"
        getattr(client, call)()
    monkeypatch.setenv("AWS_PROFILE", "there-is-none")
    assert cloud.client("sts").get_caller_identity()["Account"] == "000000000000"
    cloud.save()
    child = cloud.environment()
    assert child["AWS_ENDPOINT_URL"] == child["AWS_ENDPOINT_URL_S3"] == cloud.endpoint
    assert child["AWS_ENDPOINT_URL_SAGEMAKER"] == cloud.sagemaker
    assert (child["AWS_CONFIG_FILE"], child["AWS_SHARED_CREDENTIALS_FILE"]) == (os.devnull, os.devnull)
    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN", "HTTP_PROXY", "http_proxy", "AWS_CA_BUNDLE"} & child.keys()


def test_going_down_needs_no_force(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start(home)
    signals: list[int] = []
    kill_group = os.killpg
    monkeypatch.setattr(os, "killpg", lambda pid, how: (signals.append(how), kill_group(pid, how)))
    down(home)
    assert signals == [signal.SIGTERM, signal.SIGTERM]
    assert down(home) == []


def test_an_answer_that_nobody_reads_does_not_cost_the_state(home: Path) -> None:
    cloud = start(home)
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="data-bucket")
    s3.put_object(Bucket="data-bucket", Key="large", Body=b"x" * 30_000_000)
    answer = s3.get_object(Bucket="data-bucket", Key="large")
    make_role(cloud, [])
    down(home)
    answer["Body"].close()
    assert len(start(home).client("iam").list_roles()["Roles"]) == 1

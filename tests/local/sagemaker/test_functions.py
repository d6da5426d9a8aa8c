"""How functions run: layers that are there once, logs to their last line, subscribers that are told in turn."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from localcloud import supervisor
from localcloud.supervisor import LocalCloud

from .conftest import allow, make_role, until

# What it is told goes into its log, sooner and later; the answer says where the layer and the process are.
CODE = """
import os, sys, threading, time
import layered

def handler(event, context):
    for text in event.get("say", ()):
        print(text)
    sys.stdout.write(event.get("rest", ""))
    time.sleep(event.get("seconds", 0))
    if event.get("fail"):
        raise ValueError("as it was told")
    return {"layer": os.path.realpath(layered.__file__), "process": os.getpid()}
"""
# Fails when it is first asked, then takes its time until it may go on; what it took in the end lies in its log.
SUBSCRIBER = """
import base64, gzip, json, os, time

def handler(event, context):
    document = json.loads(gzip.decompress(base64.b64decode(event["awslogs"]["data"])))
    asked, go_on = os.environ["ASKED"], os.environ["GO_ON"]
    if not os.path.exists(asked):
        open(asked, "w").close()
        raise ValueError("not yet")
    while not os.path.exists(go_on):
        time.sleep(0.05)
    print("took", json.dumps([item["message"] for item in document["logEvents"]]))
"""

# Eight cold starts at a time, many times, with the interpreter changing threads as often as it can.
STARTS = """
import sys, threading
from ministack.services import sts
from localcloud.functions import give_credentials_in_turn

give_credentials_in_turn()
sys.setswitchinterval(1e-6)
failed = []

def start(number):
    try:
        for turn in range(300):
            sts.register_session(f"{number}-{turn}", {})
    except RuntimeError as error:
        failed.append(error)

threads = [threading.Thread(target=start, args=(number,)) for number in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(sts._sessions), failed)
"""


def packed(name: str, text: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, text)
    return out.getvalue()


def make(cloud: LocalCloud, name: str, code: str, layers: list[str], **environment: str) -> str:
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    made = cloud.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=make_role(cloud, [allow(["logs:*"])], {"Version": "2012-10-17", "Statement": [trust]}),
        Handler="code.handler",
        Code={"ZipFile": packed("code.py", code)},
        Layers=layers,
        Environment={"Variables": environment},
        Timeout=60,
    )
    return str(made["FunctionArn"])


@pytest.fixture(scope="module")
def talker(cloud: LocalCloud) -> str:
    layer = cloud.client("lambda").publish_layer_version(
        LayerName="layered", Content={"ZipFile": packed("python/layered.py", "VERSION = 1\n")}
    )
    make(cloud, "talker", CODE, [layer["LayerVersionArn"]])
    return "talker"


def call(cloud: LocalCloud, function: str, **event: Any) -> Any:
    answer = cloud.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event).encode(), LogType="Tail")
    return json.loads(answer["Payload"].read()), base64.b64decode(answer.get("LogResult", "")).decode()


def logged(cloud: LocalCloud, function: str) -> list[str]:
    pages = cloud.client("logs").get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{function}")
    return [event["message"] for page in pages for event in page["events"]]


def test_workers_side_by_side_read_one_layer(cloud: LocalCloud, talker: str) -> None:
    with ThreadPoolExecutor(4) as callers:
        answers = [said for said, _ in callers.map(lambda _: call(cloud, talker, seconds=1), range(4))]
    assert len({answer["process"] for answer in answers}) == 4
    assert len({answer["layer"] for answer in answers}) == 1


def test_functions_that_start_at_once_get_their_credentials() -> None:
    python = supervisor.HOME / "envs/emulator/bin/python"
    said = subprocess.run([python, "-c", STARTS], cwd=supervisor.ROOT, capture_output=True, text=True, check=True)
    assert said.stdout == "2400 []\n"


def test_a_function_that_is_deleted_while_it_runs_leaves_no_log(cloud: LocalCloud) -> None:
    make(cloud, "short-lived", "import time\n\ndef handler(event, context):\n    time.sleep(event)\n", [])
    lambdas, logs = cloud.client("lambda"), cloud.client("logs")
    assert lambdas.invoke(FunctionName="short-lived", Payload=b"0")["StatusCode"] == 200
    with ThreadPoolExecutor(1) as callers:
        running = callers.submit(lambdas.invoke, FunctionName="short-lived", Payload=b"2")
        time.sleep(1)
        lambdas.delete_function(FunctionName="short-lived")
        logs.delete_log_group(logGroupName="/aws/lambda/short-lived")
        running.exception()
    assert logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/short-lived")["logGroups"] == []


def test_a_layer_published_anew_is_another(cloud: LocalCloud, talker: str) -> None:
    before, _ = call(cloud, talker)
    lambdas = cloud.client("lambda")
    layer = lambdas.publish_layer_version(
        LayerName="layered", Content={"ZipFile": packed("python/layered.py", "VERSION = 2\n")}
    )
    lambdas.update_function_configuration(FunctionName=talker, Layers=[layer["LayerVersionArn"]])
    after, _ = call(cloud, talker)
    assert before["layer"] != after["layer"]


@pytest.mark.parametrize("rest", ["", "without an end"])
def test_every_line_of_a_call_is_in_its_log_and_no_other_s(cloud: LocalCloud, talker: str, rest: str) -> None:
    lines = [f"line {number} \u2028 \x85 of {rest or 'many'}" for number in range(300)]
    for _ in range(3):
        call(cloud, talker, say=lines, rest=rest)
        _, tail = call(cloud, talker)
        assert "line" not in tail
    found = logged(cloud, talker)
    assert [found.count(line) for line in lines] == [3] * len(lines)
    assert found.count("without an end") == (3 if rest else 0)
    assert not [line for line in found if "end of call" in line]


def test_a_failed_call_s_lines_are_there_too(cloud: LocalCloud, talker: str) -> None:
    answer, _ = call(cloud, talker, say=["before it failed"], fail=True)
    assert (answer["errorType"], answer["errorMessage"]) == ("ValueError", "as it was told")
    assert "before it failed" in logged(cloud, talker)


def test_a_subscriber_is_told_all_of_it_in_turn_and_again_when_it_failed(
    cloud: LocalCloud, talker: str, tmp_path: Path
) -> None:
    asked, go_on = tmp_path / "asked", tmp_path / "go on"
    arn = make(cloud, "subscriber", SUBSCRIBER, [], ASKED=str(asked), GO_ON=str(go_on))
    cloud.client("logs").put_subscription_filter(
        logGroupName=f"/aws/lambda/{talker}", filterName="told", filterPattern="told", destinationArn=arn
    )
    call(cloud, talker, say=["told 0"])
    assert until(asked.exists, bool)
    with ThreadPoolExecutor(8) as callers:
        list(callers.map(lambda number: call(cloud, talker, say=[f"told {number}", "silent"]), range(1, 25)))
    go_on.touch()
    first, rest = until(
        lambda: [json.loads(line[5:]) for line in logged(cloud, "subscriber") if line.startswith("took ")],
        lambda found: sum(map(len, found)) >= 25,
    )
    assert first == ["told 0"]
    # What came while it was busy is one message.
    assert sorted(rest) == sorted(f"told {number}" for number in range(1, 25))

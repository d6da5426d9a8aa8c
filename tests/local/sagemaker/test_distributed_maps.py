"""Distributed maps of JSONata workflows run as on AWS: items from S3, answers to S3, by the workflow's own role."""

import json
from typing import Any

from localcloud.supervisor import LocalCloud

from .conftest import allow, make_role, until
from .test_emulator import trust

SETS = "arn:aws:s3:::{}/sets/*"


def expression(text: str) -> str:
    return "{% " + text + " %}"


def definition(bucket: str, version: str) -> dict[str, Any]:
    each = {
        "Type": "Pass",
        "Output": {
            "index": expression("$states.input.item.index"),
            "given": expression("$states.input.name"),
            "sees": expression("$exists($name)"),
        },
        "End": True,
    }
    every = {
        "Type": "Map",
        "Label": "Every",
        "MaxConcurrency": 3,
        "ItemReader": {
            "Resource": "arn:aws:states:::s3:getObject",
            "ReaderConfig": {"InputType": "JSON"},
            "Arguments": {"Bucket": bucket, "Key": expression("'sets/' & $name & '.json'"), "VersionId": version},
        },
        "ItemSelector": {"name": expression("$name"), "item": expression("$states.context.Map.Item.Value")},
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "Each",
            "States": {"Each": each},
        },
        "ResultWriter": {
            "Resource": "arn:aws:states:::s3:putObject",
            "WriterConfig": {"OutputType": "JSON", "Transformation": "COMPACT"},
            "Arguments": {"Bucket": bucket, "Prefix": "sets/answers"},
        },
        "Assign": {"answers": expression("$states.result.ResultWriterDetails")},
        "Next": "Told",
    }
    told = {"Type": "Pass", "Output": expression("$answers"), "End": True}
    begun = {"Type": "Pass", "Assign": {"name": "items"}, "Next": "Every"}
    return {"QueryLanguage": "JSONata", "StartAt": "Begun", "States": {"Begun": begun, "Every": every, "Told": told}}


def run(cloud: LocalCloud, bucket: str, name: str, actions: dict[str, list[str]]) -> Any:
    """The workflow under a role with these rights on itself ("machine") and on sets/, ended."""
    items = json.dumps([{"index": number} for number in range(7)]).encode()
    version = cloud.client("s3").put_object(Bucket=bucket, Key="sets/items.json", Body=items).get("VersionId", "null")
    states = cloud.client("stepfunctions")
    where = {"machine": f"arn:aws:states:us-east-1:000000000000:stateMachine:{name}", "sets": SETS.format(bucket)}
    statements = [allow(allowed, where[on]) for on, allowed in actions.items()]
    machine = states.create_state_machine(
        name=name,
        roleArn=make_role(cloud, statements, trust("states.amazonaws.com")),
        definition=json.dumps(definition(bucket, version)),
    )["stateMachineArn"]
    execution = states.start_execution(stateMachineArn=machine, input="{}")["executionArn"]
    return until(lambda: states.describe_execution(executionArn=execution), lambda found: found["status"] != "RUNNING")


def test_items_come_from_s3_and_answers_go_there(cloud: LocalCloud, bucket: str) -> None:
    rights = {"machine": ["states:StartExecution"], "sets": ["s3:GetObject", "s3:PutObject"]}
    ended = run(cloud, bucket, "mapped", rights)
    assert ended["status"] == "SUCCEEDED", ended

    def read(key: str) -> Any:
        return json.loads(cloud.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())

    manifest = read(json.loads(ended["output"])["Key"])
    (file,) = manifest["ResultFiles"]["SUCCEEDED"]
    # The states of an item see what they are given, and no variable of the states around them.
    assert read(file["Key"]) == [{"index": number, "given": "items", "sees": False} for number in range(7)]
    states = cloud.client("stepfunctions")
    (mapped,) = states.list_map_runs(executionArn=ended["executionArn"])["mapRuns"]
    assert "/Every:" in mapped["mapRunArn"]
    assert states.describe_map_run(mapRunArn=mapped["mapRunArn"])["itemCounts"]["succeeded"] == 7


def test_a_map_may_do_what_the_workflow_s_role_may(cloud: LocalCloud, bucket: str) -> None:
    for name, rights, error in (
        ("may-not-start", {"sets": ["s3:GetObject", "s3:PutObject"]}, "States.Runtime"),
        ("may-not-read", {"machine": ["states:StartExecution"], "sets": ["s3:PutObject"]}, "States.ItemReaderFailed"),
        (
            "may-not-write",
            {"machine": ["states:StartExecution"], "sets": ["s3:GetObject"]},
            "States.ResultWriterFailed",
        ),
    ):
        ended = run(cloud, bucket, name, rights)
        assert (ended["status"], ended["error"]) == ("FAILED", error)
        assert "not authorized" in ended["cause"]

"""Distributed maps of JSONata workflows, which the emulator reads as JSONPath; for `localcloud/emulator.py` alone.

Added to its own way of running one: the reader's arguments and the items' selection as JSONata, results written to S3
with a manifest, what the workflow's role may do, and states of the items that see no variable of the states around
them. All as AWS has it.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

State = dict[str, Any]
# Why the role of a state machine may not do something; None when it may.
Denied = Callable[[str, str, str], str | None]


def run_as_jsonata(denied: Denied) -> None:
    """Take over the distributed maps of the emulator's JSONata workflows."""
    from ministack.services import stepfunctions

    run = stepfunctions._run_distributed_map

    def running(
        state: State, raw: Any, effective: Any, iterator: State, execution: State, context: State
    ) -> tuple[Any, str | None]:
        if stepfunctions._state_query_language(state, context) != "JSONata":
            answered: tuple[Any, str | None] = run(state, raw, effective, iterator, execution, context)
            return answered
        machine = execution["stateMachineArn"]
        permit(denied, machine, "states:StartExecution", machine)
        inputs = [select(state, raw, context, *item) for item in enumerate(read(state, raw, context, machine, denied))]
        # What is left is the same in both languages.
        plain = {name: state[name] for name in state if name not in {"ItemReader", "ItemSelector", "ResultWriter"}}
        results, following = run(plain, inputs, inputs, iterator, execution, {**context, "variables": {}})
        result = results
        if "ResultWriter" in state:
            mine = [run for run in stepfunctions._map_runs.values() if run["executionArn"] == execution["executionArn"]]
            writer = stepfunctions._apply_jsonata_template(state["ResultWriter"]["Arguments"], raw, context)
            result = write(results, mine[-1]["mapRunArn"], writer, machine, denied)
        output = stepfunctions._apply_jsonata_output(state, raw, context, result=result, default=result)
        stepfunctions._apply_state_assign(state, raw, context, result=result)
        return output, following

    stepfunctions._run_distributed_map = running


def read(state: State, raw: Any, context: State, machine: str, denied: Denied) -> list[Any]:
    """The items of the reader's object."""
    from ministack.services import stepfunctions

    reader = state["ItemReader"]
    where = stepfunctions._apply_jsonata_template(reader["Arguments"], raw, context)
    permit(denied, machine, "s3:GetObject", f"arn:aws:s3:::{where['Bucket']}/{where['Key']}")
    items = stepfunctions._read_map_items({**reader, "Arguments": where}, raw, context)
    return items if isinstance(items, list) else [items]


def select(state: State, raw: Any, context: State, index: int, item: Any) -> Any:
    """What one item's states are given."""
    from ministack.services import stepfunctions

    if "ItemSelector" not in state:
        return item
    about = {**context, "Map": {"Item": {"Index": index, "Value": item}}}
    return stepfunctions._apply_jsonata_template(state["ItemSelector"], raw, about)


def write(results: list[Any], run: str, where: State, machine: str, denied: Denied) -> State:
    """Write the results (as they are: `COMPACT`) and the manifest that names their file; answers where it lies."""
    from ministack.services import s3

    folder = f"{where['Prefix'].strip('/')}/{uuid.uuid4()}"
    body = json.dumps(results).encode()
    succeeded = [{"Key": f"{folder}/SUCCEEDED_0.json", "Size": len(body)}] if results else []
    manifest = {
        "DestinationBucket": where["Bucket"],
        "MapRunArn": run,
        "ResultFiles": {"FAILED": [], "PENDING": [], "SUCCEEDED": succeeded},
    }
    files = {**{file["Key"]: body for file in succeeded}, f"{folder}/manifest.json": json.dumps(manifest).encode()}
    for key, content in files.items():
        permit(denied, machine, "s3:PutObject", f"arn:aws:s3:::{where['Bucket']}/{key}")
        s3._put_object(where["Bucket"], key, content, {"content-type": "application/json"})
    return {"MapRunArn": run, "ResultWriterDetails": {"Bucket": where["Bucket"], "Key": f"{folder}/manifest.json"}}


def permit(denied: Denied, machine: str, action: str, resource: str) -> None:
    """Fail as AWS does when the workflow's role may not do this."""
    from ministack.services import stepfunctions

    if (why := denied(machine, action, resource)) is not None:
        error = {
            "s3:GetObject": "States.ItemReaderFailed",
            "s3:PutObject": "States.ResultWriterFailed",
        }.get(action, "States.Runtime")
        raise stepfunctions._ExecutionError(error, why)

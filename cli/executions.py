"""Runs of the workflows: found, followed state by state, started again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cli.target import Target
from interlock.errors import DependencyUnavailable, InvalidRequest, reason

WORKFLOWS = ("ingest", "train", "release", "monitor", "score")
_PAUSE = 0.5
_ENTERED = "StateEntered"
_EXITED = "StateExited"
# Steps that are done for each file of a set, or piece of a file.
_OF_ITEMS = {"Files", "FilesAgain", "Pieces"}


@dataclass
class Step:
    """A state that was entered."""

    name: str
    started: datetime
    ended: datetime | None = None
    error: str | None = None
    # Of a step that is done for each of many items: how many are done, of how many.
    items: tuple[int, int] | None = None

    @property
    def seconds(self) -> float:
        """How long it took, or takes."""
        return ((self.ended or datetime.now(UTC)) - self.started).total_seconds()


@dataclass
class Run:
    """An execution of a workflow."""

    workflow: str
    name: str
    arn: str
    status: str
    started: datetime
    ended: datetime | None
    steps: list[Step] = field(default_factory=list)
    error: str | None = None
    message: str | None = None
    input: dict[str, Any] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """How long it took, or takes."""
        return ((self.ended or datetime.now(UTC)) - self.started).total_seconds()

    @property
    def last(self) -> str:
        """The state it ended in."""
        return self.steps[-1].name if self.steps else ""


def machine(target: Target, workflow: str) -> str:
    """ARN of a stage's state machine."""
    return target.outputs[f"{workflow.capitalize()}Workflow"]


def recent(target: Target, workflow: str, limit: int = 20) -> list[Run]:
    """The newest executions of a workflow, newest first, without their states."""
    answer = target.client("stepfunctions").list_executions(stateMachineArn=machine(target, workflow), maxResults=limit)
    found = [
        Run(workflow, item["name"], item["executionArn"], item["status"], item["startDate"], item.get("stopDate"))
        for item in answer["executions"]
    ]
    return sorted(found, key=lambda run: run.started, reverse=True)


def read(target: Target, run: Run) -> Run:
    """The execution with its input and states as of now."""
    client = target.client("stepfunctions")
    described = client.describe_execution(executionArn=run.arn)
    run.status, run.ended = described["status"], described.get("stopDate")
    run.input = json.loads(described.get("input") or "{}")
    if described["status"] != "RUNNING":
        run.error = described.get("error")
        run.message = reason(described["cause"]) if described.get("cause") else None
    steps: list[Step] = []
    for page in client.get_paginator("get_execution_history").paginate(executionArn=run.arn):
        for event in page["events"]:
            kind = event["type"]
            if kind.endswith(_ENTERED):
                steps.append(Step(event["stateEnteredEventDetails"]["name"], event["timestamp"]))
            elif kind.endswith(_EXITED) and steps:
                steps[-1].ended = event["timestamp"]
            elif "TaskFailed" in kind and steps:
                steps[-1].error = event.get("taskFailedEventDetails", {}).get("error")
    run.steps = steps
    if any(step.name in _OF_ITEMS for step in steps):
        _count_items(client, run)
    return run


def _count_items(client: Any, run: Run) -> None:
    for item in client.list_map_runs(executionArn=run.arn)["mapRuns"]:
        counts = client.describe_map_run(mapRunArn=item["mapRunArn"])["itemCounts"]
        for step in run.steps:
            # …:mapRun:<state machine>/<label>:<id>, and the label is the step's name.
            if f"/{step.name}:" in item["mapRunArn"]:
                step.items = counts["succeeded"] + counts["failed"], counts["total"]


def find(target: Target, name: str | None) -> Run:
    """The execution whose name begins so, or the newest of all.

    Raises:
        InvalidRequest: there is none.
    """
    every = [run for workflow in WORKFLOWS for run in recent(target, workflow)]
    every.sort(key=lambda run: run.started, reverse=True)
    for run in every:
        if name is None or run.name.startswith(name) or run.workflow == name:
            return read(target, run)
    raise InvalidRequest(f"no run '{name}' was found", remedy="`interlock status` lists the newest runs.")


def wait_for(
    target: Target, workflow: str, after: datetime, matches: Callable[[Run], bool] | None = None, seconds: float = 120
) -> Run:
    """The first execution that started after a moment and matches.

    Raises:
        DependencyUnavailable: none came in time.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for run in reversed(recent(target, workflow)):
            if run.started >= after and (matches is None or matches(read(target, run))):
                return run
        time.sleep(_PAUSE)
    raise DependencyUnavailable(
        f"no {workflow} workflow started within {seconds:.0f} s", remedy=f"Read `interlock logs {workflow}`."
    )


def follow(target: Target, run: Run, seconds: float = 3600) -> Iterator[Run]:
    """The execution again and again until it has ended.

    Raises:
        DependencyUnavailable: it did not end in time; says in which state it is.
    """
    deadline = time.monotonic() + seconds
    while True:
        yield read(target, run)
        if run.status != "RUNNING":
            return
        if time.monotonic() > deadline:
            raise DependencyUnavailable(f"{run.workflow} {run.name} is still in state {run.last} after {seconds:.0f} s")
        time.sleep(_PAUSE)


def again(target: Target, run: Run) -> Run:
    """Start a failed execution again with the same input.

    Raises:
        InvalidRequest: it has not failed.
    """
    if run.status not in {"FAILED", "TIMED_OUT", "ABORTED"}:
        raise InvalidRequest(f"{run.workflow} {run.name} is {run.status}", remedy="Only a failed run is started again.")
    return start(target, run.workflow, run.input)


def start(target: Target, workflow: str, document: dict[str, Any]) -> Run:
    """Start a workflow."""
    answer = target.client("stepfunctions").start_execution(
        stateMachineArn=machine(target, workflow), input=json.dumps(document)
    )
    arn = answer["executionArn"]
    return Run(workflow, arn.rsplit(":", 1)[-1], arn, "RUNNING", answer["startDate"], None)

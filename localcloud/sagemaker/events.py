"""State-change events, brought to the rules of the default bus that match.

PutEvents refuses a source that starts with `aws.`, here as on AWS; so the rules are read and their targets called
through the public API.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from localcloud.sagemaker.emulator import admin
from localcloud.sagemaker.protocol import ServiceError

logger = logging.getLogger(__name__)

_TIMES = {"none": 0, "twice": 2}
_PLACEHOLDER = re.compile(r"<([\w.-]+)>")


class Events:
    """Delivers one after the other, and can be told to deliver badly, as EventBridge may."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[tuple[str, str]] = []
        self._early = 0
        self._courier = ThreadPoolExecutor(1, thread_name_prefix="events")

    def misbehave(self, how: str, count: int, jobs: str = "") -> None:
        """Treat what comes next badly.

        Args:
            how: `none` (lost) or `twice` for the next `count` final events; `before_answer` for the next `count`
                CreateTrainingJob calls, which then answer after the job has ended and its event is delivered;
                `normal` forgets all orders.
            count: how often.
            jobs: part of the names of those whose final events are meant; others' are told as always.

        Raises:
            ServiceError: there is no such fault.
        """
        with self._lock:
            if how == "normal":
                self._faults, self._early = [], 0
            elif how == "before_answer":
                self._early = count
            elif how in _TIMES:
                self._faults = [(how, jobs)] * count
            else:
                raise ServiceError("ValidationException", f"no fault {how!r}: none, twice, before_answer, normal")

    def come_early(self) -> bool:
        """Whether this launch's events must come before its answer."""
        with self._lock:
            self._early -= (early := self._early > 0)
        return early

    def send(self, detail_type: str, arn: str, detail: dict[str, Any], region: str, *, final: bool) -> None:
        """Bring an event, soon, to everybody who waits for it; who cannot be reached is logged and left."""
        times = 1
        if final:
            with self._lock:
                meant = next((fault for fault in self._faults if fault[1] in arn), None)
                if meant is not None:
                    self._faults.remove(meant)
                    times = _TIMES[meant[0]]
        event = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": detail_type,
            "source": "aws.sagemaker",
            "account": arn.split(":")[4],
            "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": region,
            "resources": [arn],
            "detail": detail,
        }
        for _ in range(times):
            self._courier.submit(_deliver, event)

    def flush(self) -> None:
        """Wait until everything sent so far is delivered."""
        self._courier.submit(lambda: None).result()

    def close(self) -> None:
        """Deliver what waits and take nothing more."""
        self._courier.shutdown()


def _deliver(event: dict[str, Any]) -> None:
    try:
        for target in _targets(event):
            try:
                _call(target, _input(target, event))
            except Exception:
                logger.exception("target %s did not take %s", target["Arn"], event["detail-type"])
    except Exception:
        logger.exception("%s was not delivered", event["detail-type"])


def _targets(event: dict[str, Any]) -> Iterator[dict[str, Any]]:
    events = admin("events")
    text = json.dumps(event)
    for page in events.get_paginator("list_rules").paginate():
        for rule in page["Rules"]:
            pattern = rule.get("EventPattern")
            if rule["State"] == "DISABLED" or not pattern:
                continue
            if events.test_event_pattern(EventPattern=pattern, Event=text)["Result"]:
                yield from events.list_targets_by_rule(Rule=rule["Name"])["Targets"]


def _input(target: dict[str, Any], event: dict[str, Any]) -> str:
    """What the target gets: the event, a part of it, a constant, or a template filled from it."""
    if "Input" in target:
        return str(target["Input"])
    if "InputPath" in target:
        return json.dumps(_at(event, target["InputPath"]))
    if transformer := target.get("InputTransformer"):
        values = {name: _at(event, path) for name, path in transformer.get("InputPathsMap", {}).items()}
        return _filled(transformer["InputTemplate"], values)
    return json.dumps(event)


def _filled(template: str, values: dict[str, Any]) -> str:
    """A placeholder inside quotes is filled with plain text, one outside with JSON, as EventBridge does."""

    def value(match: re.Match[str]) -> str:
        if match.group(1) not in values:
            return match.group(0)
        filled, quoted = values[match.group(1)], template[: match.start()].count('"') % 2
        if quoted:
            return json.dumps(filled if isinstance(filled, str) else json.dumps(filled))[1:-1]
        return json.dumps(filled)

    return _PLACEHOLDER.sub(value, template)


def _at(event: dict[str, Any], path: str) -> Any:
    """What a path like $.detail.ModelPackageArn points to."""
    found: Any = event
    for step in path.removeprefix("$").strip(".").split("."):
        if step:
            found = found.get(step) if isinstance(found, dict) else None
    return found


def _call(target: dict[str, Any], text: str) -> None:
    arn = target["Arn"]
    service = arn.split(":")[2]
    if service == "lambda":
        admin("lambda").invoke(FunctionName=arn, InvocationType="Event", Payload=text.encode())
    elif service == "states":
        admin("stepfunctions").start_execution(stateMachineArn=arn, input=text)
    elif service == "sqs":
        queue = admin("sqs").get_queue_url(QueueName=arn.rsplit(":", 1)[-1])["QueueUrl"]
        more = {"MessageGroupId": target["SqsParameters"]["MessageGroupId"]} if "SqsParameters" in target else {}
        admin("sqs").send_message(QueueUrl=queue, MessageBody=text, **more)
    elif service == "sns":
        admin("sns").publish(TopicArn=arn, Message=text)
    else:
        logger.warning("targets of %s are not called", service)

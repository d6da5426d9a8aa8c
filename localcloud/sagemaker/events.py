"""State-change events, brought to the rules of the default bus that match.

PutEvents refuses a source that starts with `aws.`, here as on AWS; so the rules are read and their targets called
through the public API.
"""

from __future__ import annotations

import json
import logging
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from localcloud.sagemaker.emulator import admin

logger = logging.getLogger(__name__)


class Events:
    """Delivers, and can be told to deliver badly: once less or once more, as EventBridge may."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[str] = []

    def misbehave(self, how: str, count: int) -> None:
        """Treat the next `count` final events so: `none` (lost), `twice`, or `normal` to forget faults."""
        with self._lock:
            self._faults = [] if how == "normal" else [how] * count

    def send(self, detail_type: str, arn: str, detail: dict[str, Any], region: str, *, final: bool) -> None:
        """Bring an event to everybody who waits for it; who cannot be reached is logged and left."""
        times = 1
        if final:
            with self._lock:
                fault = self._faults.pop(0) if self._faults else ""
            times = {"none": 0, "twice": 2}.get(fault, 1)
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
            for target in _targets(event):
                try:
                    _call(target, event)
                except Exception:
                    logger.exception("target %s did not take %s", target["Arn"], detail_type)


def _targets(event: dict[str, Any]) -> Iterator[dict[str, Any]]:
    events = admin("events")
    text = json.dumps(event)
    for page in events.get_paginator("list_rules").paginate():
        for rule in page["Rules"]:
            pattern = rule.get("EventPattern")
            if rule["State"] != "ENABLED" or not pattern or "aws.sagemaker" not in pattern:
                continue
            if events.test_event_pattern(EventPattern=pattern, Event=text)["Result"]:
                yield from events.list_targets_by_rule(Rule=rule["Name"])["Targets"]


def _call(target: dict[str, Any], event: dict[str, Any]) -> None:
    arn, text = target["Arn"], target.get("Input") or json.dumps(event)
    service = arn.split(":")[2]
    if service == "lambda":
        admin("lambda").invoke(FunctionName=arn, InvocationType="Event", Payload=text.encode())
    elif service == "states":
        admin("stepfunctions").start_execution(stateMachineArn=arn, input=text)
    elif service == "sqs":
        queue = admin("sqs").get_queue_url(QueueName=arn.rsplit(":", 1)[-1])["QueueUrl"]
        admin("sqs").send_message(QueueUrl=queue, MessageBody=text)
    elif service == "sns":
        admin("sns").publish(TopicArn=arn, Message=text)
    else:
        logger.warning("targets of %s are not called", service)

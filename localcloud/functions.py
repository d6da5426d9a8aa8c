"""How the emulator runs functions and hands on what they log; for `localcloud/emulator.py` alone.

Sixteen callers at once are sixteen workers, each of which it started by unpacking every layer anew, and each answered
call was a thread that started the log's subscriber. A laptop does not get through that within a call's time-out.
"""

from __future__ import annotations

import base64
import contextvars
import gzip
import itertools
import json
import logging
import os
import queue
import re
import tempfile
import threading
import time
import zipfile
from collections import deque
from pathlib import Path
from typing import Any

# The last exception of a traceback: the first line after it that is not indented.
_RAISED = re.compile(r"^([A-Za-z_][\w.]*)(?::|$)", re.MULTILINE)
_CALL = "            result = handler_fn(event, context)\n"
# What a worker writes to its log when a call has ended; no function of ours writes such a line.
_MARK = "interlock: end of call"
_MARKED = f"            try:\n    {_CALL}            finally:\n                sys.stderr.write('\\n{_MARK}\\n')\n"
# A child of the function that still holds the log open keeps its caller no longer than this.
_LOG_SECONDS = 5.0
# A message to a subscriber; how often a failed one is tried, and after how long.
_MESSAGE_BYTES, _TRIES, _AGAIN_SECONDS = 1_000_000, 3, 1.0


class Log(str):
    """What a call logged; a line ends where the function ended it, as in CloudWatch, not at Unicode's other ends."""

    __slots__ = ()

    def splitlines(self, keepends: bool = False) -> list[str]:
        """Its lines."""
        return [line + "\n" * keepends for line in self.split("\n")] if self else []


def name_errors_by_class() -> None:
    """Answer a failed function with its exception's class and message, by which workflows retry and catch.

    The emulator's warm workers say `Runtime.HandlerError` for every exception; the class stands in their traceback.
    """
    from ministack.services import lambda_svc

    execute = lambda_svc._execute_function_warm

    def executing(*args: Any) -> Any:
        result = execute(*args)
        body = result.get("body")
        if result.get("error") and isinstance(body, dict) and body.get("errorType") == "Runtime.HandlerError":
            trace = str(result.get("log", "")).rpartition("Traceback (most recent call last):")[2]
            if raised := _RAISED.search(trace):
                body["errorType"] = raised.group(1).rpartition(".")[2]
        return result

    lambda_svc._execute_function_warm = executing


def unpack_layers_once() -> None:
    """Let the workers of all functions read a layer in one place; the emulator unpacks it for each of them."""
    from ministack.core import lambda_runtime
    from ministack.services import lambda_svc

    spawn = lambda_runtime.Worker._spawn
    # With the very bytes: a layer that was published anew under the same name is another.
    unpacked: dict[str, tuple[bytes, Path]] = {}
    lock, numbers = threading.Lock(), itertools.count()

    def folder(reference: Any) -> Path | None:
        arn = reference if isinstance(reference, str) else reference.get("Arn", "")
        packed = lambda_svc._resolve_layer_zip(reference)
        if not packed:
            return None
        with lock:
            known = unpacked.get(arn)
            if known is None or known[0] is not packed:
                path = Path(tempfile.mkdtemp(prefix=f"layer-{next(numbers)}-"))
                archive = path / "layer.zip"
                archive.write_bytes(packed)
                with zipfile.ZipFile(archive) as layer:
                    layer.extractall(path / "opt")
                archive.unlink()
                known = unpacked[arn] = packed, path / "opt"
            return known[1]

    def spawning(worker: Any) -> None:
        config = worker.config
        folders = [found for reference in config.get("Layers") or [] if (found := folder(reference))]
        variables = {
            **(config.get("Environment") or {}).get("Variables", {}),
            "_LAMBDA_LAYERS_DIRS": os.pathsep.join(map(str, folders)),
        }
        worker.config = {**config, "Layers": [], "Environment": {"Variables": variables}}
        try:
            spawn(worker)
        finally:
            worker.config = config

    lambda_runtime.Worker._spawn = spawning


def give_credentials_in_turn() -> None:
    """Let functions that start at the same time get their credentials one after another.

    Who gets some throws old ones away; the emulator lets another add its own meanwhile, and then the call fails.
    """
    from ministack.services import sts

    register, lock = sts.register_session, threading.Lock()

    def registering(key: str, session: dict[str, Any]) -> None:
        with lock:
            register(key, session)

    sts.register_session = registering


def leave_no_log_of_deleted_functions() -> None:
    """Drop what a call logged whose function was deleted meanwhile; the emulator makes its log group anew.

    On AWS the function's role would have to allow that, and no function of ours has such a role.
    """
    from ministack.services import lambda_svc

    emit = lambda_svc._emit_lambda_logs

    def emitting(function: dict[str, Any], *args: Any, **more: Any) -> None:
        if (function.get("config") or function).get("FunctionName") in lambda_svc._functions:
            emit(function, *args, **more)

    lambda_svc._emit_lambda_logs = emitting


def keep_whole_logs() -> None:
    """Take what a call logged to its last line; the emulator waits 50 ms for it, and what comes later is lost."""
    from ministack.core import lambda_runtime

    script = lambda_runtime._PYTHON_WORKER_SCRIPT
    if script.count(_CALL) != 1:
        raise RuntimeError("the emulator's worker is not the one that this was written for")
    lambda_runtime._PYTHON_WORKER_SCRIPT = script.replace(_CALL, _MARKED)

    def reading(worker: Any) -> None:
        for line in worker._proc.stderr:
            worker._stderr_queue.put(line.removesuffix("\n"))

    def draining(worker: Any) -> Log:
        lines: list[str] = []
        deadline = time.monotonic() + _LOG_SECONDS
        while time.monotonic() < deadline:
            try:
                lines.append(worker._stderr_queue.get(timeout=0.1))
            except queue.Empty:
                if not worker._stderr_thread.is_alive():
                    break
                continue
            if lines[-1] == _MARK:
                # The mark begins a line of its own, whether or not the function ended its last one.
                return Log("\n".join(lines[:-1] if lines[-2:-1] != [""] else lines[:-2]))
        return Log("\n".join(lines))

    lambda_runtime.Worker._read_stderr = reading
    lambda_runtime.Worker._drain_stderr_bounded = draining


def hand_on_logs_in_turn() -> None:
    """Send a subscriber one message after another, each with what came meanwhile, and again when it failed.

    The emulator starts a thread, and so perhaps another worker, for each call that logged something, once.
    """
    from ministack.services import cloudwatch_logs

    waiting: dict[tuple[str, str], deque[tuple[str, dict[str, Any]]]] = {}
    lock = threading.Lock()

    def handing(group: str, stream: str, events: list[dict[str, Any]]) -> None:
        filters = (cloudwatch_logs._log_groups.get(group) or {}).get("subscriptionFilters") or {}
        for name, found in filters.items():
            function = found.get("destinationArn", "").rpartition(":function:")[2].split(":")[0]
            # A function that is told of its own log would never come to an end.
            if not function or group == f"/aws/lambda/{function}":
                continue
            pattern = found.get("filterPattern", "")
            meant = [e for e in events if cloudwatch_logs._subscription_pattern_matches(pattern, e["message"])]
            with lock:
                begin = bool(meant) and (group, name) not in waiting
                if meant:
                    waiting.setdefault((group, name), deque()).extend((stream, event) for event in meant)
            if begin:
                # The subscriber is looked up in the account and region of whoever logged.
                context = contextvars.copy_context()
                threading.Thread(target=context.run, args=(send, group, name, function), daemon=True).start()

    def send(group: str, name: str, function: str) -> None:
        key = group, name
        while True:
            with lock:
                if not waiting[key]:
                    del waiting[key]
                    return
                taken = [waiting[key].popleft()]
                size = len(taken[0][1]["message"])
                while waiting[key] and (size := size + len(waiting[key][0][1]["message"])) < _MESSAGE_BYTES:
                    taken.append(waiting[key].popleft())
            try:
                tell(group, name, function, taken)
            except Exception:
                # What comes after it is still to be sent.
                logging.getLogger(__name__).exception("a message to %s is lost", function)

    cloudwatch_logs._fanout_to_subscription_filters = handing


def tell(group: str, name: str, function: str, taken: list[tuple[str, dict[str, Any]]]) -> None:
    """One message of CloudWatch Logs to its subscriber."""
    from ministack.core.responses import get_account_id, new_uuid
    from ministack.services import lambda_svc

    document = {
        "messageType": "DATA_MESSAGE",
        "owner": get_account_id(),
        "logGroup": group,
        "logStream": taken[0][0],
        "subscriptionFilters": [name],
        "logEvents": [
            {"id": new_uuid().replace("-", ""), "timestamp": event["timestamp"], "message": event["message"]}
            for _, event in taken
        ],
    }
    packed = {"awslogs": {"data": base64.b64encode(gzip.compress(json.dumps(document).encode())).decode()}}
    for turn in range(_TRIES):
        time.sleep(_AGAIN_SECONDS * turn)
        record = lambda_svc._functions.get(function)
        if record and not lambda_svc._execute_function_with_config_scope(record, packed).get("error"):
            return
    logging.getLogger(__name__).warning("%s failed %d times: %d events are lost", function, _TRIES, len(taken))

"""The service's process: HTTP in, an operation's answer out."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import sys
import threading
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from localcloud.sagemaker.emulator import Condition, authorize
from localcloud.sagemaker.events import Events
from localcloud.sagemaker.protocol import ServiceError, operation, read, validate
from localcloud.sagemaker.registry import Registry
from localcloud.sagemaker.store import Record
from localcloud.sagemaker.tags import Tags
from localcloud.sagemaker.training import Training

logger = logging.getLogger("sagemaker")

# The region in a signature's scope: Credential=<key>/<day>/<region>/sagemaker/aws4_request
_SCOPE = re.compile(r"Credential=[^/]+/\d{8}/([a-z0-9-]+)/sagemaker/aws4_request")
Check = tuple[str, str, Condition]


class Service:
    """All operations, with what each needs to be allowed."""

    def __init__(self, state: Path) -> None:
        self.events = Events()
        self.tags = Tags(state)
        self.training = Training(state, self.events, self.tags)
        self.registry = Registry(state, self.events)

    def checks(self, name: str, request: Record, arn: str) -> list[Check]:
        """The permissions that AWS asks of the caller of this operation; `arn` is the service's prefix."""
        job = request.get("TrainingJobName", "*")
        group = str(request.get("ModelPackageGroupName", "*")).rsplit("/", 1)[-1]
        package = str(
            request.get("ModelPackageArn") or request.get("ModelPackageName") or f"{arn}:model-package/{group}/*"
        )
        resources: dict[str, str] = {
            "TrainingJob": f"{arn}:training-job/{job}",
            "ModelPackageGroup": f"{arn}:model-package-group/{group}",
            "ModelPackage": package,
        }
        kind = next((kind for kind in resources if kind in name), "")
        resource = resources.get(kind) or str(request.get("ResourceArn", "*"))
        if name == "ListModelPackages":
            resource = resources["ModelPackageGroup"]
        elif name in {"ListTrainingJobs", "ListModelPackageGroups"}:
            resource = "*"
        wanted: list[Check] = [(f"sagemaker:{name}", resource, {})]
        if name == "CreateTrainingJob":
            wanted.append(("iam:PassRole", request["RoleArn"], {"iam:passedtoservice": "sagemaker.amazonaws.com"}))
        if name.startswith("Create") and request.get("Tags"):
            wanted.append(("sagemaker:AddTags", resource, {}))
        return wanted

    def answer(self, name: str, request: Record, account: str, region: str) -> Record:
        """Carry an operation out.

        Raises:
            ServiceError: as the API would answer.
        """
        training, registry, tags = self.training, self.registry, self.tags
        operations: dict[str, Callable[[], Record]] = {
            "CreateTrainingJob": lambda: training.create(request, account, region),
            "DescribeTrainingJob": lambda: training.describe(request["TrainingJobName"]),
            "ListTrainingJobs": lambda: training.list(request),
            "StopTrainingJob": lambda: training.stop(request["TrainingJobName"]),
            "CreateModelPackageGroup": lambda: self._create_group(request, account, region),
            "DescribeModelPackageGroup": lambda: registry.describe_group(request["ModelPackageGroupName"]),
            "ListModelPackageGroups": lambda: registry.list_groups(request),
            "DeleteModelPackageGroup": lambda: self._delete_group(request["ModelPackageGroupName"]),
            "CreateModelPackage": lambda: registry.create_package(request, account, region),
            "DescribeModelPackage": lambda: registry.describe_package(request["ModelPackageName"]),
            "ListModelPackages": lambda: registry.list_packages(request),
            "UpdateModelPackage": lambda: registry.update_package(request),
            "DeleteModelPackage": lambda: registry.delete_package(request["ModelPackageName"]),
            "AddTags": lambda: tags.add(request["ResourceArn"], request["Tags"]),
            "ListTags": lambda: tags.listed(request["ResourceArn"]),
            "DeleteTags": lambda: tags.delete(request["ResourceArn"], request["TagKeys"]),
        }
        if name not in operations:
            raise ServiceError("UnknownOperationException", f"{name} is not emulated")
        return operations[name]()

    def _create_group(self, request: Record, account: str, region: str) -> Record:
        created = self.registry.create_group(request, account, region)
        self.tags.add(created["ModelPackageGroupArn"], request.get("Tags", []))
        return created

    def _delete_group(self, name: str) -> Record:
        arn = self.registry.describe_group(name)["ModelPackageGroupArn"]
        self.registry.delete_group(name)
        self.tags.forget(arn)
        return {}

    def close(self) -> None:
        """End what runs and deliver what waits."""
        self.training.close()
        self.events.close()


class Door(BaseHTTPRequestHandler):
    """HTTP, in the service's JSON 1.1 protocol; `/_interlock/…` is for the supervisor and for tests."""

    protocol_version = "HTTP/1.1"
    service: Service

    def do_GET(self) -> None:
        """Health."""
        self._send(200 if self.path == "/_interlock/health" else 404, {})

    def do_POST(self) -> None:
        """An operation, or an order to misbehave."""
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        try:
            if self.path == "/_interlock/faults":
                order = read(body)
                self.service.events.misbehave(
                    str(order.get("events")), int(order.get("count", 1)), str(order.get("jobs", ""))
                )
                self._send(200, {})
                return
            self._send(200, self._operate(body))
        except ServiceError as error:
            self._send(error.status, {"__type": error.code, "Message": error.message, "message": error.message})
        except Exception as error:
            logger.exception("unexpected")
            self._send(500, {"__type": "InternalFailure", "message": str(error)})

    def _operate(self, body: bytes) -> Record:
        chosen = operation(self.headers.get("x-amz-target"))
        request = read(body)
        validate(chosen, request)
        signed = _SCOPE.search(self.headers.get("authorization") or "")
        region = signed.group(1) if signed else os.environ["AWS_REGION"]
        prefix = f"arn:aws:sagemaker:{region}:{os.environ.get('MINISTACK_ACCOUNT_ID', '000000000000')}"
        headers = dict(self.headers.items())
        checks = self.service.checks(chosen.name, request, prefix)
        account, region = authorize("POST", self.path, headers, body, checks)
        return self.service.answer(chosen.name, request, account, region)

    def _send(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/x-amz-json-1.1")
        self.send_header("content-length", str(len(body)))
        self.send_header("x-amzn-requestid", str(uuid.uuid4()))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
        """One line a call in the service's own log."""
        logger.info("%s %s", self.headers.get("x-amz-target", self.path), format % args)


def main() -> None:
    """Serve until told to stop."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    service = Service(Path(os.environ["INTERLOCK_SAGEMAKER_STATE"]))
    Door.service = service
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["INTERLOCK_SAGEMAKER_PORT"])), Door)
    server.daemon_threads = True

    def stop(*_: object) -> None:
        service.close()
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    # The door is open by now: who hears of a failed job asks about it.
    threading.Thread(target=service.training.recover, daemon=True).start()
    server.serve_forever()


if __name__ == "__main__":
    main()

"""The service's process: HTTP in, an operation's answer out."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from localcloud.sagemaker.emulator import Condition, authorize
from localcloud.sagemaker.events import Events
from localcloud.sagemaker.protocol import ServiceError, operation, validate
from localcloud.sagemaker.registry import Registry
from localcloud.sagemaker.store import Record
from localcloud.sagemaker.training import Training

logger = logging.getLogger("sagemaker")

Check = tuple[str, str, Condition]


class Service:
    """All operations, with what each needs to be allowed."""

    def __init__(self, state: Path) -> None:
        self.events = Events()
        self.training = Training(state, self.events)
        self.registry = Registry(state, self.events)

    def checks(self, name: str, request: Record, arn: str) -> list[Check]:
        """The permissions that AWS asks of the caller of this operation; `arn` is the service's prefix."""
        job = request.get("TrainingJobName", "*")
        group = str(request.get("ModelPackageGroupName", "*")).rsplit("/", 1)[-1]
        package = request.get("ModelPackageArn") or request.get("ModelPackageName") or f"{arn}:model-package/{group}/*"
        resources = {
            "TrainingJob": f"{arn}:training-job/{job}",
            "ModelPackageGroup": f"{arn}:model-package-group/{group}",
            "ModelPackage": package,
        }
        kind = next((kind for kind in ("TrainingJob", "ModelPackageGroup", "ModelPackage") if kind in name), "")
        resource = resources.get(kind, request.get("ResourceArn", "*"))
        if name == "ListModelPackages":
            resource = resources["ModelPackageGroup"]
        elif name.startswith("List"):
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
        training, registry = self.training, self.registry
        match name:
            case "CreateTrainingJob":
                return training.create(request, account, region)
            case "DescribeTrainingJob":
                return training.describe(request["TrainingJobName"])
            case "ListTrainingJobs":
                return training.list(request)
            case "StopTrainingJob":
                return training.stop(request["TrainingJobName"])
            case "CreateModelPackageGroup":
                return registry.create_group(request, account, region)
            case "DescribeModelPackageGroup":
                return registry.describe_group(request["ModelPackageGroupName"])
            case "ListModelPackageGroups":
                return registry.list_groups(request)
            case "DeleteModelPackageGroup":
                return registry.delete_group(request["ModelPackageGroupName"])
            case "CreateModelPackage":
                return registry.create_package(request, account, region)
            case "DescribeModelPackage":
                return registry.describe_package(request["ModelPackageName"])
            case "ListModelPackages":
                return registry.list_packages(request)
            case "UpdateModelPackage":
                return registry.update_package(request)
            case "DeleteModelPackage":
                return registry.delete_package(request["ModelPackageName"])
        raise ServiceError("UnknownOperationException", f"{name} is not emulated")


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
                order = json.loads(body)
                self.service.events.misbehave(order["events"], order.get("count", 1))
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
        request: Record = json.loads(body or b"{}")
        validate(chosen, request)
        region = (self.headers.get("authorization") or "//us-east-1").split("/")[2]
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
        service.training.close()
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    server.serve_forever()


if __name__ == "__main__":
    main()

"""The registry's adapter against the local cloud's registry, and what each function can import."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from interlock.aws import jobs as jobs_module
from interlock.aws import registry as registry_module
from interlock.aws.jobs import Tokens, TrainingJobs
from interlock.aws.registry import Registry, file_metadata
from interlock.errors import DependencyUnavailable, Throttled, TrainingFailed
from interlock.records import ObjectRef
from localcloud.sagemaker.protocol import ServiceError, operation, validate
from localcloud.sagemaker.registry import Registry as LocalRegistry

ROOT = Path(__file__).parents[3]
REF = ObjectRef(bucket="artefacts", key="models/people/r/served.json", version="v.1_x", sha256="a" * 64, size=12)


class Client:
    """botocore's face of the local registry: requests are checked by botocore's model, errors come as its errors."""

    def __init__(self, state: Path) -> None:
        class Silent:
            def send(self, *_: Any, **__: Any) -> None: ...

        self.local = LocalRegistry(state, Silent())  # type: ignore[arg-type]
        self.operations: dict[str, Callable[[dict[str, Any]], Any]] = {
            "CreateModelPackageGroup": lambda request: self.local.create_group(request, "000000000000", "us-east-1"),
            "CreateModelPackage": lambda request: self.local.create_package(request, "000000000000", "us-east-1"),
            "UpdateModelPackage": self.local.update_package,
            "DescribeModelPackage": lambda request: self.local.describe_package(request["ModelPackageName"]),
            "ListModelPackages": self.local.list_packages,
        }
        self.calls: list[str] = []

    def __getattr__(self, method: str) -> Any:
        name = "".join(part.capitalize() for part in method.split("_"))
        return lambda **request: self.call(name, request)

    def call(self, name: str, request: dict[str, Any]) -> Any:
        self.calls.append(name)
        try:
            validate(operation(f"SageMaker.{name}"), request)
            return self.operations[name](request)
        except ServiceError as error:
            raise ClientError({"Error": {"Code": error.code, "Message": error.message}}, name) from error

    def get_paginator(self, method: str) -> Any:
        client = self

        class Pages:
            def paginate(self, **request: Any) -> Any:
                while True:
                    page = getattr(client, method)(**request)
                    yield page
                    if "NextToken" not in page:
                        return
                    request["NextToken"] = page["NextToken"]

        return Pages()


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    made = Client(tmp_path)
    monkeypatch.setattr(registry_module, "client", lambda _: made)
    return made


def test_a_version_in_two_steps(client: Client) -> None:
    registry = Registry("interlock-dev")
    assert not registry.has_versions("people")
    package = registry.create("people", "r1", "Who does it: 50% > all", "s3://artefacts/model.onnx", {"manifest": "m"})
    assert (package.version, package.model, package.complete) == (1, "people", False)
    assert package.approval == "PendingManualApproval"
    with pytest.raises(DependencyUnavailable, match="not completely registered"):
        _ = package.candidate
    assert registry.create("people", "r1", "again", "s3://x", {"manifest": "m"}).arn == package.arn
    metadata = file_metadata("served", REF) | file_metadata("reference", REF)
    done = registry.complete(package, metadata, "Approved")
    assert done.approval == "Approved"
    assert done.candidate.served == REF
    assert (done.candidate.run, done.candidate.manifest_id) == ("r1", "m")
    # Complete is complete: what a person decided since then stays.
    assert registry.complete(done, metadata, "PendingManualApproval").approval == "Approved"
    for number in range(2, 14):
        assert registry.create("people", f"r{number}", "d", "s3://x", {"manifest": "m"}).version == number
    assert registry.create("people", "r1", "found on the second page", "s3://x", {}).version == 1
    assert registry.has_versions("people")
    assert not registry.has_versions("others")


class Refusing:
    """A client whose every call fails with one code."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        self.error = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}

    def __getattr__(self, method: str) -> Any:
        def call(**_: Any) -> None:
            raise ClientError(self.error, method)  # type: ignore[arg-type]

        return call


REQUEST = {"TrainingJobName": "j", "ResourceConfig": {"InstanceType": "ml.m5.large"}}


def test_what_sagemaker_and_step_functions_say(monkeypatch: pytest.MonkeyPatch) -> None:
    def saying(code: str, message: str = "", status: int = 400) -> TrainingJobs:
        monkeypatch.setattr(jobs_module, "client", lambda _: Refusing(code, message, status))
        return TrainingJobs()

    assert saying("ResourceInUse").create(REQUEST) is False
    with pytest.raises(TrainingFailed, match="quota") as caught:
        saying("ResourceLimitExceeded").create(REQUEST)
    assert "ml.m5.large" in caught.value.next_step
    with pytest.raises(TrainingFailed, match="no such role"):
        saying("ValidationException", "no such role").create(REQUEST)
    with pytest.raises(Throttled):
        saying("ThrottlingException").create(REQUEST)
    with pytest.raises(DependencyUnavailable):
        saying("InternalFailure", status=500).describe("j")
    assert saying("ValidationException", "Requested resource not found.").describe("j") is None
    with pytest.raises(ClientError):
        saying("AccessDeniedException").describe("j")
    for code in ("TaskTimedOut", "TaskDoesNotExist", "InvalidToken"):
        monkeypatch.setattr(jobs_module, "client", lambda _, code=code: Refusing(code, ""))
        assert Tokens().succeed("t", {}) is False
        assert Tokens().fail("t", "E", "c") is False


# Which libraries a function's layers do not have; infra/train.py says which layers it has.
@pytest.mark.parametrize(
    ("functions", "absent"),
    [
        ("acquire launch resume reconcile register reject conclude", "numpy duckdb onnxruntime"),
        ("gate", "duckdb onnxruntime"),
        ("freeze", "onnxruntime"),
        ("evaluate", "sklearn"),
    ],
)
def test_functions_need_no_more_than_their_layers_have(functions: str, absent: str) -> None:
    code = (
        f"import sys, importlib\nfor name in '{absent} sklearn pandas scipy skl2onnx yaml jobs'.split():"
        f" sys.modules[name] = None\nfor name in '{functions}'.split():"
        " assert importlib.import_module('train.' + name).handler"
    )
    environment = {"PYTHONPATH": f"{ROOT / 'functions'}:{ROOT / 'layers/core'}", "POWERTOOLS_METRICS_NAMESPACE": "x"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

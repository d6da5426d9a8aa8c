"""SageMaker and Step Functions in memory: what the stage's adapters promise, and nothing more."""

import re
from typing import Any

from interlock.aws.jobs import Tokens, TrainingJobs
from interlock.aws.registry import Package, Registry
from interlock.errors import TrainingFailed

METADATA = re.compile(r"[\w .:/=+\-@]{1,256}")


class FakeTokens(Tokens):
    """Answers each token once; after that the workflow waits no longer."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[str, Any]] = {}
        self.late = 0

    def succeed(self, token: str, answer: Any) -> bool:
        return self._answer(token, ("success", answer))

    def fail(self, token: str, error: str, cause: str) -> bool:
        return self._answer(token, (error, cause))

    def _answer(self, token: str, answer: tuple[str, Any]) -> bool:
        if token in self.answers:
            self.late += 1
            return False
        self.answers[token] = answer
        return True


class FakeJobs(TrainingJobs):
    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.refuses = ""

    def create(self, request: dict[str, Any]) -> bool:
        if self.refuses:
            raise TrainingFailed(self.refuses)
        if request["TrainingJobName"] in self.jobs:
            return False
        self.jobs[request["TrainingJobName"]] = {**request, "TrainingJobStatus": "InProgress"}
        return True

    def describe(self, name: str) -> dict[str, Any] | None:
        return self.jobs.get(name)

    def end(self, name: str, status: str, secondary: str | None = None, **values: Any) -> dict[str, Any]:
        job = self.jobs[name]
        output = job["OutputDataConfig"]["S3OutputPath"]
        job |= {
            "TrainingJobStatus": status,
            "SecondaryStatus": secondary or status,
            "ModelArtifacts": {"S3ModelArtifacts": f"{output}{name}/output/model.tar.gz"},
            "TrainingTimeInSeconds": 12,
            "BillableTimeInSeconds": 34,
            **values,
        }
        return job


class FakeRegistry(Registry):
    def __init__(self) -> None:
        self.packages: list[Package] = []

    def create(self, model: str, run: str, description: str, source: str, metadata: dict[str, str]) -> Package:
        for package in self.packages:
            if package.metadata["run"] == run:
                return package
        return self._keep(len(self.packages) + 1, "PendingManualApproval", {**metadata, "model": model, "run": run})

    def complete(self, package: Package, metadata: dict[str, str], approval: Any) -> Package:
        if package.complete:
            return package
        self.packages.remove(package)
        return self._keep(package.version, approval, {**package.metadata, **metadata})

    def has_versions(self, model: str) -> bool:
        return any(package.model == model for package in self.packages)

    def _keep(self, version: int, approval: Any, metadata: dict[str, str]) -> Package:
        assert len(metadata) <= 50
        assert all(METADATA.fullmatch(value) for value in metadata.values()), metadata
        arn = f"arn:aws:sagemaker:us-east-1:000000000000:model-package/interlock-dev-x/{version}"
        self.packages.append(Package(arn=arn, version=version, approval=approval, metadata=metadata))
        return self.packages[-1]

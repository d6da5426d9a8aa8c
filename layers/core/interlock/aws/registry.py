"""SageMaker Model Registry: a group a model, a package a version.

A package is made in two steps, because what is served names its version: it is created pending, then its files are
written, then it is completed with their addresses and its approval. A package without addresses is one whose
registration died half-way; the retry finds it by its run and completes it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

from botocore.exceptions import ClientError

from interlock.aws.client import client, code, translated
from interlock.errors import DependencyUnavailable
from interlock.records import Candidate, ObjectRef
from interlock.schema import canonical_json

Approval = Literal["Approved", "PendingManualApproval", "Rejected"]
_VALUE_LIMIT = 256


@dataclass(frozen=True)
class Package:
    """A registered version."""

    arn: str
    version: int
    approval: Approval
    metadata: dict[str, str]

    @property
    def model(self) -> str:
        """The model it is a version of."""
        return self.metadata["model"]

    @property
    def digest(self) -> str:
        """What a person who approves it has seen: a hash of all that its metadata names."""
        return hashlib.sha256(canonical_json(self.metadata).encode()).hexdigest()[:16]

    @property
    def complete(self) -> bool:
        """Whether its files have been written."""
        return "served.uri" in self.metadata

    def ref(self, name: str) -> ObjectRef:
        """One of its files: `served`, `reference`, `lineage` or `card`.

        Raises:
            DependencyUnavailable: the registration is not complete yet.
        """
        try:
            bucket, _, key = self.metadata[f"{name}.uri"].removeprefix("s3://").partition("/")
            return ObjectRef(
                bucket=bucket,
                key=key,
                version=self.metadata[f"{name}.version"],
                sha256=self.metadata[f"{name}.sha256"],
                size=int(self.metadata[f"{name}.size"]),
            )
        except KeyError:
            raise DependencyUnavailable(f"{self.arn} is not completely registered: it names no {name}") from None

    @property
    def candidate(self) -> Candidate:
        """The version as the live record names it.

        Raises:
            DependencyUnavailable: the registration is not complete yet.
        """
        return Candidate(
            version=self.version,
            run=self.metadata["run"],
            served=self.ref("served"),
            package_arn=self.arn,
            reference=self.ref("reference"),
            manifest_id=self.metadata["manifest"],
        )


def file_metadata(name: str, ref: ObjectRef) -> dict[str, str]:
    """Where a package's file lies, as metadata; values are letters, digits and _.:/=+-@, at most 256."""
    return {
        f"{name}.uri": ref.uri,
        f"{name}.version": ref.version,
        f"{name}.sha256": ref.sha256,
        f"{name}.size": str(ref.size),
    }


class Registry:
    """The groups of one environment; a group is named `<prefix>-<model>`."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._sagemaker = client("sagemaker")

    def create(self, model: str, run: str, description: str, source: str, metadata: dict[str, str]) -> Package:
        """The run's package, pending; the one that exists when this was done before.

        Args:
            model: makes the group's name; the group is created when it is missing.
            run: names the package for retries.
            description: one line for people.
            source: URI of what it was made from.
            metadata: at most 50 short texts; longer ones are cut.
        """
        group = self._group(model)
        self._ensure(group, model)
        if existing := self._of_run(group, run):
            return self.describe(existing)
        with translated(f"registering a version of {model}"):
            answer = self._sagemaker.create_model_package(
                ModelPackageGroupName=group,
                ModelPackageDescription=f"{run}: {description}"[:1024],
                SourceUri=source,
                ModelApprovalStatus="PendingManualApproval",
                CustomerMetadataProperties=_short({**metadata, "model": model, "run": run}),
                # Two retries at once get the same package.
                ClientToken=hashlib.sha256(f"{group}/{run}".encode()).hexdigest()[:36],
            )
        return self.describe(answer["ModelPackageArn"])

    def complete(self, package: Package, metadata: dict[str, str], approval: Approval) -> Package:
        """Add the files' addresses and the approval; a complete package stays as it is, also its approval."""
        if package.complete:
            return package
        with translated(f"completing {package.arn}"):
            self._sagemaker.update_model_package(
                ModelPackageArn=package.arn,
                ModelApprovalStatus=approval,
                CustomerMetadataProperties=_short({**package.metadata, **metadata}),
            )
        return self.describe(package.arn)

    def approve(self, package: Package, comment: str) -> None:
        """Say yes to a version, with a comment of at most 1,024 characters."""
        with translated(f"approving {package.arn}"):
            self._sagemaker.update_model_package(
                ModelPackageArn=package.arn, ModelApprovalStatus="Approved", ApprovalDescription=comment[:1024]
            )

    def describe(self, arn: str) -> Package:
        """The version of that ARN."""
        with translated(f"describing {arn}"):
            found = self._sagemaker.describe_model_package(ModelPackageName=arn)
        return Package(
            arn=found["ModelPackageArn"],
            version=found["ModelPackageVersion"],
            approval=found["ModelApprovalStatus"],
            metadata=found.get("CustomerMetadataProperties", {}),
        )

    def has_versions(self, model: str) -> bool:
        """Whether the model has any version, whatever its approval."""
        return next(self._summaries(self._group(model)), None) is not None

    def _group(self, model: str) -> str:
        return f"{self._prefix}-{model}"

    def _ensure(self, group: str, model: str) -> None:
        try:
            with translated(f"creating the package group {group}"):
                self._sagemaker.create_model_package_group(
                    ModelPackageGroupName=group, ModelPackageGroupDescription=f"Versions of {model}"
                )
        except ClientError as error:
            if not _says(error, "already exists"):
                raise

    def _of_run(self, group: str, run: str) -> str | None:
        for summary in self._summaries(group):
            if summary.get("ModelPackageDescription", "").startswith(f"{run}:"):
                return str(summary["ModelPackageArn"])
        return None

    def _summaries(self, group: str) -> Any:
        """Newest first; nothing when the group does not exist yet."""
        try:
            with translated(f"listing {group}"):
                pages = self._sagemaker.get_paginator("list_model_packages").paginate(
                    ModelPackageGroupName=group, SortBy="CreationTime", SortOrder="Descending"
                )
                for page in pages:
                    yield from page["ModelPackageSummaryList"]
        except ClientError as error:
            if not _says(error, "does not exist"):
                raise


def _short(metadata: dict[str, str]) -> dict[str, str]:
    return {name: value[:_VALUE_LIMIT] for name, value in metadata.items()}


def _says(error: ClientError, what: str) -> bool:
    return code(error) == "ValidationException" and what in str(error)

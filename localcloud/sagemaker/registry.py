"""The model registry: groups, versioned packages, approval."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

from localcloud.sagemaker.events import Events
from localcloud.sagemaker.listing import page
from localcloud.sagemaker.protocol import ServiceError, described
from localcloud.sagemaker.store import Record, Store, now

_CHANGEABLE = ("ModelApprovalStatus", "ApprovalDescription", "SourceUri", "ModelCard", "ModelLifeCycle")
_METADATA_ENTRIES = 50
# What is kept of a package and not told.
_INNER = {"ClientToken"}


class Registry:
    """The operations on package groups and packages."""

    def __init__(self, state: Path, events: Events) -> None:
        self._groups = Store(state / "model-package-groups")
        self._packages = Store(state / "model-packages")
        self._events = events
        self._lock = threading.Lock()

    def create_group(self, request: Record, account: str, region: str) -> Record:
        """CreateModelPackageGroup."""
        name = request["ModelPackageGroupName"]
        group = {
            "ModelPackageGroupName": name,
            "ModelPackageGroupArn": f"arn:aws:sagemaker:{region}:{account}:model-package-group/{name}",
            "ModelPackageGroupDescription": request.get("ModelPackageGroupDescription", ""),
            "CreationTime": now(),
            "CreatedBy": {},
            "ModelPackageGroupStatus": "Completed",
            "Versions": 0,
        }
        if not self._groups.add(name, group):
            raise ServiceError(
                "ValidationException", f"Model Package Group already exists: {group['ModelPackageGroupArn']}"
            )
        return {"ModelPackageGroupArn": group["ModelPackageGroupArn"]}

    def describe_group(self, name: str) -> Record:
        """DescribeModelPackageGroup."""
        return {member: value for member, value in self._group(name).items() if member != "Versions"}

    def list_groups(self, request: Record) -> Record:
        """ListModelPackageGroups."""
        return page(
            request,
            self._groups.all(),
            name="ModelPackageGroupName",
            orders={
                "CreationTime": lambda group: group["CreationTime"],
                "Name": lambda group: group["ModelPackageGroupName"],
            },
            answer="ModelPackageGroupSummaryList",
            members=[
                "ModelPackageGroupName",
                "ModelPackageGroupArn",
                "ModelPackageGroupDescription",
                "CreationTime",
                "ModelPackageGroupStatus",
            ],
        )

    def delete_group(self, name: str) -> Record:
        """DeleteModelPackageGroup; an empty one only."""
        name = self._group(name)["ModelPackageGroupName"]
        if self._of_group(name):
            raise ServiceError("ConflictException", f"Model Package Group {name} still has model packages")
        self._groups.delete(name)
        return {}

    def create_package(self, request: Record, account: str, region: str) -> Record:
        """CreateModelPackage: the next version of its group; the same ClientToken answers the same package."""
        if "ModelPackageGroupName" not in request:
            raise ServiceError("ValidationException", "a laptop keeps versioned packages only: name the group")
        group = self._group(request["ModelPackageGroupName"])["ModelPackageGroupName"]
        if "InferenceSpecification" not in request and "SourceUri" not in request:
            raise ServiceError("ValidationException", "either InferenceSpecification or SourceUri must be given")
        if "Tags" in request:
            raise ServiceError("ValidationException", "a versioned package uses its group's tags and takes none itself")
        with self._lock:
            token = request.get("ClientToken")
            for package in self._of_group(group):
                if token and package.get("ClientToken") == token:
                    return {"ModelPackageArn": package["ModelPackageArn"]}
            # A number is used once, also when its package was deleted.
            version = self._groups.edit(group, lambda old: {**old, "Versions": self._next(old)})["Versions"]
            arn = f"arn:aws:sagemaker:{region}:{account}:model-package/{group}/{version}"
            moment = now()
            package = {
                "ModelApprovalStatus": "PendingManualApproval",
                **described("DescribeModelPackage", request),
                "ModelPackageGroupName": group,
                "ModelPackageName": f"{group}/{version}",
                "ModelPackageVersion": version,
                "ModelPackageArn": arn,
                "CreationTime": moment,
                "LastModifiedTime": moment,
                "ModelPackageStatus": "Completed",
                "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
                "ClientToken": token,
            }
            self._packages.put(arn, package)
        self._tell(package)
        return {"ModelPackageArn": arn}

    def describe_package(self, name: str) -> Record:
        """DescribeModelPackage, by its ARN."""
        return _public(self._package(name))

    def list_packages(self, request: Record) -> Record:
        """ListModelPackages: of a group, or of all groups when versioned packages are asked for."""
        group, status = request.get("ModelPackageGroupName"), request.get("ModelApprovalStatus")
        packages = self._packages.all()
        if group is not None:
            packages = self._of_group(self._group(group)["ModelPackageGroupName"])
        elif request.get("ModelPackageType", "Unversioned") == "Unversioned":
            packages = []
        return page(
            request,
            [package for package in packages if status in {None, package["ModelApprovalStatus"]}],
            name="ModelPackageName",
            orders={
                "CreationTime": lambda package: (package["CreationTime"], package["ModelPackageVersion"]),
                "Name": lambda package: (package["ModelPackageGroupName"], package["ModelPackageVersion"]),
            },
            answer="ModelPackageSummaryList",
            members=[
                "ModelPackageName",
                "ModelPackageGroupName",
                "ModelPackageVersion",
                "ModelPackageArn",
                "ModelPackageDescription",
                "CreationTime",
                "ModelPackageStatus",
                "ModelApprovalStatus",
            ],
        )

    def update_package(self, request: Record) -> Record:
        """UpdateModelPackage: approval and metadata."""
        before = self._package(request["ModelPackageArn"])
        removed = request.get("CustomerMetadataPropertiesToRemove", [])

        def change(package: Record) -> Record:
            metadata = {
                **package.get("CustomerMetadataProperties", {}),
                **request.get("CustomerMetadataProperties", {}),
            }
            metadata = {key: value for key, value in metadata.items() if key not in removed}
            if len(metadata) > _METADATA_ENTRIES:
                raise ServiceError(
                    "ValidationException", f"a package holds at most {_METADATA_ENTRIES} metadata properties"
                )
            return {
                **package,
                **{member: request[member] for member in _CHANGEABLE if member in request},
                **({"CustomerMetadataProperties": metadata} if metadata else {}),
                "LastModifiedTime": now(),
            }

        package = self._packages.edit(before["ModelPackageArn"], change)
        if package["ModelApprovalStatus"] != before["ModelApprovalStatus"]:
            self._tell(package)
        return {"ModelPackageArn": package["ModelPackageArn"]}

    def delete_package(self, name: str) -> Record:
        """DeleteModelPackage."""
        self._packages.delete(self._package(name)["ModelPackageArn"])
        return {}

    def _group(self, name: str) -> Record:
        group = self._groups.get(name.rsplit("/", 1)[-1])
        if group is None:
            raise ServiceError("ValidationException", f"Model Package Group {name} does not exist.")
        return group

    def _package(self, name: str) -> Record:
        package = self._packages.get(name)
        if package is None:
            raise ServiceError("ValidationException", f"ModelPackage {name} does not exist.")
        return package

    def _of_group(self, group: str) -> list[Record]:
        return [package for package in self._packages.all() if package["ModelPackageGroupName"] == group]

    def _next(self, group: Record) -> int:
        """The next version's number."""
        there: list[int] = [
            package["ModelPackageVersion"] for package in self._of_group(group["ModelPackageGroupName"])
        ]
        return 1 + max([int(group.get("Versions", 0)), *there])

    def _tell(self, package: Record) -> None:
        """Times are written as text here, unlike in a training job's event."""
        arn = package["ModelPackageArn"]
        detail = {
            member: datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            if member.endswith("Time")
            else value
            for member, value in _public(package).items()
        }
        self._events.send("SageMaker Model Package State Change", arn, detail, arn.split(":")[3], final=False)


def _public(package: Record) -> Record:
    return {member: value for member, value in package.items() if member not in _INNER}

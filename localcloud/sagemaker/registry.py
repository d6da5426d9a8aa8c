"""The model registry: groups, versioned packages, approval."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from localcloud.sagemaker.events import Events
from localcloud.sagemaker.protocol import ServiceError
from localcloud.sagemaker.store import Record, Store, now

_KEPT = [
    "ModelPackageGroupName",
    "ModelPackageDescription",
    "SourceUri",
    "ModelApprovalStatus",
    "MetadataProperties",
    "ModelMetrics",
    "CustomerMetadataProperties",
    "Domain",
    "Task",
    "ModelCard",
    "ApprovalDescription",
    "InferenceSpecification",
]
_CHANGEABLE = ("ModelApprovalStatus", "ApprovalDescription")


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
        }
        if not self._groups.add(name, group):
            raise ServiceError(
                "ValidationException", f"Model Package Group already exists: {group['ModelPackageGroupArn']}"
            )
        return {"ModelPackageGroupArn": group["ModelPackageGroupArn"]}

    def describe_group(self, name: str) -> Record:
        """DescribeModelPackageGroup."""
        return self._group(name)

    def list_groups(self, request: Record) -> Record:
        """ListModelPackageGroups."""
        wanted = request.get("NameContains", "")
        groups = [
            {member: value for member, value in group.items() if member != "CreatedBy"}
            for group in self._groups.all()
            if wanted in group["ModelPackageGroupName"]
        ]
        return {"ModelPackageGroupSummaryList": groups}

    def delete_group(self, name: str) -> Record:
        """DeleteModelPackageGroup; an empty one only."""
        group = self._group(name)
        if self._of_group(name):
            raise ServiceError("ConflictException", f"Model Package Group {name} still has model packages")
        self._groups.delete(group["ModelPackageGroupName"])
        return {}

    def create_package(self, request: Record, account: str, region: str) -> Record:
        """CreateModelPackage: the next version of its group; the same ClientToken answers the same package."""
        if "ModelPackageGroupName" not in request:
            raise ServiceError("ValidationException", "a laptop keeps versioned packages only: name the group")
        group = self._group(request["ModelPackageGroupName"])["ModelPackageGroupName"]
        if "InferenceSpecification" not in request and "SourceUri" not in request:
            raise ServiceError("ValidationException", "either InferenceSpecification or SourceUri must be given")
        with self._lock:
            existing = self._of_group(group)
            token = request.get("ClientToken")
            for package in existing:
                if token and package.get("ClientToken") == token:
                    return {"ModelPackageArn": package["ModelPackageArn"]}
            version = max((package["ModelPackageVersion"] for package in existing), default=0) + 1
            arn = f"arn:aws:sagemaker:{region}:{account}:model-package/{group}/{version}"
            moment = now()
            package = {
                **{member: request[member] for member in _KEPT if member in request},
                "ModelApprovalStatus": request.get("ModelApprovalStatus", "PendingManualApproval"),
                "ModelPackageName": f"{group}/{version}",
                "ModelPackageVersion": version,
                "ModelPackageArn": arn,
                "CreationTime": moment,
                "LastModifiedTime": moment,
                "ModelPackageStatus": "Completed",
                "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
                "Region": region,
                "ClientToken": token,
            }
            self._packages.put(arn, package)
        self._tell(package)
        return {"ModelPackageArn": arn}

    def describe_package(self, name: str) -> Record:
        """DescribeModelPackage, by its ARN."""
        return _public(self._package(name))

    def list_packages(self, request: Record) -> Record:
        """ListModelPackages of a group, newest first unless asked otherwise."""
        group, status = request.get("ModelPackageGroupName"), request.get("ModelApprovalStatus")
        if group is not None:
            self._group(group)
        found = [
            package
            for package in self._packages.all()
            if group in {None, package["ModelPackageGroupName"], _group_arn(package)}
            and status in {None, package["ModelApprovalStatus"]}
        ]
        found.sort(key=lambda package: package["ModelPackageVersion"], reverse=request.get("SortOrder") != "Ascending")
        start = int(request.get("NextToken", 0))
        size = request.get("MaxResults", 10)
        members = [
            "ModelPackageName",
            "ModelPackageGroupName",
            "ModelPackageVersion",
            "ModelPackageArn",
            "ModelPackageDescription",
            "CreationTime",
            "ModelPackageStatus",
            "ModelApprovalStatus",
        ]
        page = [{member: item[member] for member in members if member in item} for item in found[start : start + size]]
        more = {"NextToken": str(start + size)} if start + size < len(found) else {}
        return {"ModelPackageSummaryList": page, **more}

    def update_package(self, request: Record) -> Record:
        """UpdateModelPackage: approval and metadata."""
        package = self._package(request["ModelPackageArn"])
        changes: dict[str, Any] = {member: request[member] for member in _CHANGEABLE if member in request}
        if "CustomerMetadataProperties" in request or "CustomerMetadataPropertiesToRemove" in request:
            kept = {**package.get("CustomerMetadataProperties", {}), **request.get("CustomerMetadataProperties", {})}
            for name in request.get("CustomerMetadataPropertiesToRemove", []):
                kept.pop(name, None)
            changes["CustomerMetadataProperties"] = kept
        changed = self._packages.change(package["ModelPackageArn"], **changes, LastModifiedTime=now())
        if changed["ModelApprovalStatus"] != package["ModelApprovalStatus"]:
            self._tell(changed)
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

    def _tell(self, package: Record) -> None:
        detail = {
            "ModelPackageGroupName": package["ModelPackageGroupName"],
            "ModelPackageName": package["ModelPackageName"],
            "ModelPackageVersion": package["ModelPackageVersion"],
            "ModelPackageArn": package["ModelPackageArn"],
            "CreationTime": int(package["CreationTime"] * 1000),
            "ModelPackageStatus": package["ModelPackageStatus"],
            "ModelPackageStatusDetails": package["ModelPackageStatusDetails"],
            "ModelApprovalStatus": package["ModelApprovalStatus"],
            "CustomerMetadataProperties": package.get("CustomerMetadataProperties", {}),
        }
        self._events.send(
            "SageMaker Model Package State Change", package["ModelPackageArn"], detail, package["Region"], final=False
        )


def _public(package: Record) -> Record:
    return {member: value for member, value in package.items() if member not in {"Region", "ClientToken"}}


def _group_arn(package: Record) -> str:
    base, _, path = package["ModelPackageArn"].partition(":model-package/")
    return f"{base}:model-package-group/{path.rsplit('/', 1)[0]}"

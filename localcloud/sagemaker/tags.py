"""Tags of jobs and package groups."""

from __future__ import annotations

from pathlib import Path

from localcloud.sagemaker.store import Record, Store


class Tags:
    """The operations on tags, by the ARN of what they are on."""

    def __init__(self, state: Path) -> None:
        self._tags = Store(state / "tags")

    def add(self, arn: str, tags: list[Record]) -> Record:
        """AddTags: a key that exists gets the new value."""
        added = {tag["Key"]: tag["Value"] for tag in tags}
        return {"Tags": _pairs(self._tags.edit(arn, lambda old: {**old, **added}))}

    def listed(self, arn: str) -> Record:
        """ListTags."""
        return {"Tags": _pairs(self.of(arn))}

    def delete(self, arn: str, keys: list[str]) -> Record:
        """DeleteTags: some of them."""
        self._tags.edit(arn, lambda old: {key: value for key, value in old.items() if key not in keys})
        return {}

    def of(self, arn: str) -> Record:
        """Values by key."""
        return self._tags.get(arn) or {}

    def forget(self, arn: str) -> None:
        """All of what is no more."""
        self._tags.delete(arn)


def _pairs(tags: Record) -> list[Record]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]

"""What lies in S3, by its exact version."""

from __future__ import annotations

from typing import Literal

from interlock.schema import Model


class ObjectRef(Model):
    """Exactly these bytes in S3. `version` is None only before the object was written."""

    bucket: str
    key: str
    version: str
    sha256: str
    size: int

    @property
    def uri(self) -> str:
        """s3://bucket/key."""
        return f"s3://{self.bucket}/{self.key}"


class FileList(Model):
    """Several objects that are one: a dataset's rows in several files, in their order."""

    schema_version: Literal[1] = 1
    files: tuple[ObjectRef, ...]

"""S3: objects by exact version, with their sha256 checked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from interlock.aws.client import client, code, translated
from interlock.aws.ranges import RangedObject
from interlock.errors import ChecksumMismatch, DependencyUnavailable, InvalidUpload
from interlock.records import FileList, ObjectRef

_CHUNK = 1 << 20
_TRIES = 4
# A method without a body answers a number alone.
_MISSING = {"NoSuchKey", "NoSuchVersion", "404"}
_REFUSED = {"AccessDenied", "403"}
# As many connections as botocore keeps.
_AT_ONCE = 10


@dataclass(frozen=True)
class Arrival:
    """When an object version was put, by S3's clock, and what whoever put it wrote beside it (names in lower case)."""

    at: datetime
    metadata: Mapping[str, str]
    version: str = ""
    size: int = 0


class Objects:
    """One bucket."""

    def __init__(self, bucket: str, s3: Any = None) -> None:
        """The bucket, by this process's own client where none is given."""
        self.bucket = bucket
        self._s3 = s3 or client("s3")

    def put(self, key: str, body: bytes, content_type: str = "application/octet-stream") -> ObjectRef:
        """Write an object; answers exactly what was written."""
        with translated(f"writing s3://{self.bucket}/{key}"):
            answer = self._s3.put_object(Bucket=self.bucket, Key=key, Body=body, ContentType=content_type)
        digest = hashlib.sha256(body).hexdigest()
        return ObjectRef(bucket=self.bucket, key=key, version=answer["VersionId"], sha256=digest, size=len(body))

    def put_file(self, key: str, path: Path, content_type: str = "application/octet-stream") -> ObjectRef:
        """Write a file of at most 5 GB, streamed; one request answers the version, without a right to read."""
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
            size = file.tell()
            file.seek(0)
            with translated(f"writing s3://{self.bucket}/{key}"):
                answer = self._s3.put_object(Bucket=self.bucket, Key=key, Body=file, ContentType=content_type)
        return ObjectRef(bucket=self.bucket, key=key, version=answer["VersionId"], sha256=digest.hexdigest(), size=size)

    def get(self, ref: ObjectRef) -> bytes:
        """Read exactly these bytes.

        Raises:
            ChecksumMismatch: the object is gone or is not what was recorded.
        """
        try:
            with translated(f"reading {ref.uri}"):
                answer = self._s3.get_object(Bucket=ref.bucket, Key=ref.key, VersionId=ref.version)
                body: bytes = answer["Body"].read()
        except ClientError as error:
            raise self._missing(error, ref) from error
        if hashlib.sha256(body).hexdigest() != ref.sha256:
            raise ChecksumMismatch(f"{ref.uri} (version {ref.version}) is not the recorded {ref.sha256[:12]}…")
        return body

    def get_file(self, ref: ObjectRef, path: Path) -> Path:
        """Read exactly these bytes into a file.

        Raises:
            ChecksumMismatch: the object is gone or is not what was recorded.
        """
        digest = hashlib.sha256()
        try:
            with translated(f"reading {ref.uri}"):
                answer = self._s3.get_object(Bucket=ref.bucket, Key=ref.key, VersionId=ref.version)
                with path.open("wb") as file:
                    for chunk in answer["Body"].iter_chunks(_CHUNK):
                        digest.update(chunk)
                        file.write(chunk)
        except ClientError as error:
            raise self._missing(error, ref) from error
        if digest.hexdigest() != ref.sha256:
            raise ChecksumMismatch(f"{ref.uri} (version {ref.version}) is not the recorded {ref.sha256[:12]}…")
        return path

    def listed(self, ref: ObjectRef) -> tuple[ObjectRef, ...]:
        """The files that an object stands for: those of a list, or itself."""
        return FileList.from_json(self.get(ref)).files if ref.key.endswith(".json") else (ref,)

    def get_files(self, refs: Iterable[ObjectRef], folder: Path) -> list[Path]:
        """Read exactly these objects into files of a new folder, several at a time, in their order.

        Raises:
            ChecksumMismatch: one is gone or is not what was recorded.
        """
        folder.mkdir()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            named = ((ref, folder / f"{number:05}") for number, ref in enumerate(refs))
            return list(pool.map(lambda pair: self.get_file(*pair), named))

    def download_version(self, key: str, version: str, path: Path) -> ObjectRef:
        """Read an object of which only key and version are known, and record what it is.

        Raises:
            InvalidUpload: there is no such version (it was deleted meanwhile).
        """
        digest, size = hashlib.sha256(), 0
        try:
            with translated(f"reading s3://{self.bucket}/{key}"):
                answer = self._s3.get_object(Bucket=self.bucket, Key=key, VersionId=version)
                with path.open("wb") as file:
                    for chunk in answer["Body"].iter_chunks(_CHUNK):
                        digest.update(chunk)
                        size += file.write(chunk)
        except ClientError as error:
            if code(error) in _MISSING:
                raise InvalidUpload(f"s3://{self.bucket}/{key} (version {version}) is gone") from error
            raise
        return ObjectRef(bucket=self.bucket, key=key, version=version, sha256=digest.hexdigest(), size=size)

    def reader(self, key: str, version: str) -> RangedObject:
        """Read an object of which only key and version are known, in ranges; it tells afterwards what it was.

        Raises:
            InvalidUpload: there is no such version (it was deleted meanwhile).
        """
        where = f"s3://{self.bucket}/{key}"

        def fetch(first: int, end: int) -> bytes:
            for left in reversed(range(_TRIES)):
                try:
                    with translated(f"reading {where}"):
                        asked = {"Bucket": self.bucket, "Key": key, "VersionId": version}
                        body: bytes = self._s3.get_object(**asked, Range=f"bytes={first}-{end - 1}")["Body"].read()
                except DependencyUnavailable:
                    # The client tries requests again by itself, but not an answer that breaks off.
                    if not left:
                        raise
                else:
                    if len(body) == end - first:
                        return body
            raise DependencyUnavailable(f"reading {where}: bytes {first} to {end} came incomplete {_TRIES} times")

        return RangedObject(fetch, self.bucket, key, version, self.arrival(key, version).size)

    def arrival(self, key: str, version: str | None) -> Arrival:
        """When and with what metadata an object version (None: the newest) was put.

        Raises:
            InvalidUpload: there is no such version (it was deleted meanwhile).
        """
        try:
            with translated(f"reading s3://{self.bucket}/{key}"):
                which = {"VersionId": version} if version else {}
                answer = self._s3.head_object(Bucket=self.bucket, Key=key, **which)
        except ClientError as error:
            # 405 is a version that is a deletion's mark.
            if code(error) == "405" or self._gone(error, key, version):
                raise InvalidUpload(f"s3://{self.bucket}/{key} (version {version or 'any'}) is gone") from error
            raise
        return Arrival(answer["LastModified"], answer["Metadata"], answer["VersionId"], answer["ContentLength"])

    def raw(self, key: str, version: str | None = None) -> bytes:
        """The bytes of an object version (None: the newest) of which no hash is known.

        Raises:
            InvalidUpload: there is no such version.
        """
        try:
            with translated(f"reading s3://{self.bucket}/{key}"):
                which = {"VersionId": version} if version else {}
                body: bytes = self._s3.get_object(Bucket=self.bucket, Key=key, **which)["Body"].read()
        except ClientError as error:
            if self._gone(error, key, version):
                raise InvalidUpload(f"s3://{self.bucket}/{key} (version {version or 'any'}) is gone") from error
            raise
        return body

    def describe(self, key: str) -> ObjectRef | None:
        """What lies under a key now, hashed by reading it; None when nothing does."""
        try:
            with translated(f"reading s3://{self.bucket}/{key}"):
                answer = self._s3.get_object(Bucket=self.bucket, Key=key)
                digest, size = hashlib.sha256(), 0
                for chunk in answer["Body"].iter_chunks(_CHUNK):
                    digest.update(chunk)
                    size += len(chunk)
        except ClientError as error:
            if self._gone(error, key, None):
                return None
            raise
        return ObjectRef(bucket=self.bucket, key=key, version=answer["VersionId"], sha256=digest.hexdigest(), size=size)

    def keys(self, prefix: str, since: datetime | None = None) -> Iterator[str]:
        """All keys under a prefix, in order; of those written since a moment."""
        with translated(f"listing s3://{self.bucket}/{prefix}"):
            for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix):
                for item in page.get("Contents", []):
                    if since is None or item["LastModified"] >= since.replace(microsecond=0):
                        yield item["Key"]

    def download(self, key: str, path: Path) -> Path:
        """Read the newest version of a key into a file."""
        with translated(f"reading s3://{self.bucket}/{key}"):
            self._s3.download_file(self.bucket, key, str(path))
        return path

    def delete(self, key: str) -> None:
        """Remove the newest version of a key; earlier ones stay until the bucket's lifecycle ends them."""
        with translated(f"deleting s3://{self.bucket}/{key}"):
            self._s3.delete_object(Bucket=self.bucket, Key=key)

    def _gone(self, error: ClientError, key: str, version: str | None) -> bool:
        """Whether a read failed because nothing lies there.

        To a role that may list under some prefixes only, S3 answers 403 in place of 404: whether it may list is then
        asked without a prefix. The list itself tells one from the other; of a key's earlier versions it says nothing,
        so that a refusal of one stays a refusal.
        """
        if code(error) in _MISSING:
            return True
        if code(error) not in _REFUSED or version is not None:
            return False
        try:
            with translated(f"listing s3://{self.bucket}/{key}"):
                listed = self._s3.list_objects_v2(Bucket=self.bucket, Prefix=key, MaxKeys=1)
        except ClientError:
            return False
        # The key itself is the first of those that begin with it.
        return key not in {item["Key"] for item in listed.get("Contents", [])}

    def _missing(self, error: ClientError, ref: ObjectRef) -> Exception:
        if code(error) in _MISSING:
            return ChecksumMismatch(f"{ref.uri} (version {ref.version}) is gone")
        return error

"""Uploads and files to score: who works on them, what became of them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from interlock.records.objects import ObjectRef
from interlock.schema import Model
from interlock.spec import ModelId


class ClaimStatus(StrEnum):
    """What became of an upload, or of a file to score."""

    CLAIMED = "claimed"
    ADMITTED = "admitted"
    REJECTED = "rejected"
    DUPLICATE = "duplicate"
    SCORED = "scored"
    FAILED = "failed"


class Origin(Model):
    """The upload whose bad rows were mended and sent again.

    `admitted` says that its other rows are a dataset: the mended ones are then judged one by one, because the file that
    they were part of has been judged as a whole.
    """

    claim: str
    key: str
    admitted: bool


class Mode(StrEnum):
    """What an upload does to those before it: it is added to them, or takes their place."""

    APPEND = "append"
    REFRESH = "refresh"


class Claim(Model):
    """Who works on a file that was put into the data bucket.

    An open claim ends by itself at `expires_at`, so that a crash blocks nothing.
    """

    schema_version: Literal[1] = 1
    claim: str
    model: str
    bucket: str
    key: str
    version: str
    origin: Origin | None = None
    status: ClaimStatus
    execution: str
    at: datetime
    expires_at: datetime


class Dataset(Model):
    """An admitted upload: a manifest of object versions; `id` is the hash of its content and its contract.

    `train` and `holdout` are a Parquet file each, or a FileList of some. `content_sha256` is the hash of what was
    uploaded where that is more than the one object `source`; `uploaded_at` is S3's time of that object, and a record
    without one is from before it was kept.
    """

    schema_version: Literal[1] = 1
    id: str
    model: ModelId
    claim: str
    source: ObjectRef
    origin: Origin | None = None
    train: ObjectRef
    holdout: ObjectRef
    profile: ObjectRef
    report: ObjectRef
    rows: int
    train_rows: int
    holdout_rows: int
    bad_rows: int
    contract_version: str
    contract_sha256: str
    admitted_at: datetime
    mode: Mode = Mode.APPEND
    uploaded_at: datetime | None = None
    content_sha256: str | None = None

    @property
    def content(self) -> str:
        """The hash by which the same bytes are recognised."""
        return self.content_sha256 or self.source.sha256


class Repeat(Model):
    """An upload whose bytes had been admitted before, as the dataset of that id, under the same contract."""

    schema_version: Literal[1] = 1
    model: ModelId
    claim: str
    dataset: str
    source: ObjectRef
    mode: Mode
    uploaded_at: datetime

"""The documents that stages hand to each other and keep."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from interlock.kind import Kind
from interlock.schema import Model
from interlock.spec import ModelId, Release, ReleaseMode, RoutingKey


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


class Pseudonyms(Model):
    """With what forgotten persons' keys are hashed: a random number of the model's, that no ledger or report has."""

    schema_version: Literal[1] = 1
    model: ModelId
    secret: str


class LineageMark(Model):
    """A dataset or a run that still holds somebody who was to be forgotten; `person` is the keyed hash."""

    schema_version: Literal[1] = 1
    model: ModelId
    kind: Literal["dataset", "run"]
    subject: str
    person: str
    at: datetime


class FileList(Model):
    """Several objects that are one: a dataset's rows in several files, in their order."""

    schema_version: Literal[1] = 1
    files: tuple[ObjectRef, ...]


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


class TrainingManifest(Model):
    """What a run was trained on. `id` is the hash of the datasets, the contract, the spec and the user's script.

    `settings` is the DeployedModel as it was when the run began; `skipped` names admitted datasets whose columns no
    longer fit the contract.
    """

    schema_version: Literal[1] = 1
    id: str
    model: ModelId
    run: str
    datasets: tuple[str, ...]
    skipped: tuple[str, ...] = ()
    sources: tuple[ObjectRef, ...]
    settings: ObjectRef
    train: ObjectRef
    holdout_features: ObjectRef
    holdout: ObjectRef
    reference: ObjectRef
    train_rows: int
    holdout_rows: int
    contract_version: str
    contract_sha256: str
    spec_sha256: str


class Lease(Model):
    """The one training of a model that may run; it ends by itself at `expires_at`."""

    schema_version: Literal[1] = 1
    model: str
    execution: str
    run: str
    reason: str
    expires_at: datetime


class PendingTraining(Model):
    """A training that was asked for while another one ran; the next one answers it."""

    schema_version: Literal[1] = 1
    model: ModelId
    reason: str
    requested_by: str
    at: datetime


class EndedJob(Model):
    """What a training job cost, whatever came out of it. Stored as `job#<run>`; a run's id begins with its day."""

    schema_version: Literal[1] = 1
    model: ModelId
    run: str
    job: str
    status: str
    instance: str
    billable_seconds: int
    ended_at: datetime


class OpenToken(Model):
    """A launched job whose end the workflow is waiting for."""

    schema_version: Literal[1] = 1
    job: str
    token: str
    model: str
    run: str
    opened_at: datetime
    expires_at: datetime


class Input(Model):
    """One input tensor of a served model: a raw column. Shape is [rows, 1] or [rows].

    `datatype` is Open Inference Protocol V2's. `edges` or `categories` are there for restricted columns only:
    the reference bins in which such a value is captured.
    """

    name: str
    datatype: Literal["FP32", "INT64", "BOOL", "BYTES"]
    required: bool
    restricted: bool = False
    edges: tuple[float, ...] | None = None
    categories: tuple[str, ...] | None = None


class ServedModel(Model):
    """All that serving needs beside the ONNX file; stored as `served.json` next to it.

    `classes` has the positive class last for a binary model and is empty for a regression.
    """

    schema_version: Literal[1] = 1
    model: ModelId
    version: int
    run: str
    kind: Kind
    inputs: tuple[Input, ...] = Field(min_length=1)
    classes: tuple[str, ...] = ()
    threshold: float | None = None
    onnx: ObjectRef
    contract_version: str
    description: str = ""


class Probe(Model):
    """A few holdout rows with the answers that evaluation got, for the probe through the real endpoint.

    `rows` maps an input's name to its values, one a row; `scores` is the positive class's probability (binary),
    the winning class's (multiclass) or the prediction (regression).
    """

    schema_version: Literal[1] = 1
    rows: dict[str, tuple[bool | int | float | str | None, ...]]
    scores: tuple[float, ...]
    labels: tuple[str, ...] = ()


class Candidate(Model):
    """A registered version as the live record names it."""

    version: int
    run: str
    served: ObjectRef
    package_arn: str
    reference: ObjectRef
    manifest_id: str


class LiveRelease(Model):
    """What serves now. Changed by one conditional write on `revision`; every answer carries it.

    `champion` is None until the first release has held its probe: nothing serves. A `challenger` is there while it is
    probed, baked or paused; it answers `share` of the calls, chosen by a hash of `key` that `split` seeds, so that who
    has it at a small share keeps it at a larger one. `plan` is model.yaml's section as it was when the release began,
    `step` the place in its shares, `began` when the challenger got this share.

    `action`, `version` and `report` say what this revision was about; the ledger's entry is made of them.
    """

    schema_version: Literal[1] = 1
    model: ModelId
    revision: int = Field(ge=1)
    champion: Candidate | None
    previous: Candidate | None = None
    challenger: Candidate | None = None
    mode: ReleaseMode = "all"
    share: float = Field(default=0.0, ge=0, le=1)
    key: RoutingKey | None = None
    split: str = ""
    plan: Release | None = None
    step: int = 0
    began: datetime | None = None
    state: Literal["probing", "baking", "paused", "live"]
    action: str = ""
    version: int | None = None
    report: str | None = None
    changed_at: datetime
    changed_by: str
    reason: str


class CheckStatus(StrEnum):
    """Outcome of one check of the gate."""

    PASS = "pass"  # noqa: S105 - not a password
    WARN = "warn"
    FAIL = "fail"
    TOO_FEW = "too_few"


class Check(Model):
    """One line of a verdict: the value, its interval, the limit it was held against, and what that gives."""

    id: str
    title: str
    status: CheckStatus
    value: float | None = None
    low: float | None = None
    high: float | None = None
    limit: str = ""
    reason: str = ""
    evidence: dict[str, Any] = {}


class Verdict(Model):
    """The gate's whole judgement of a run; it passes when no check fails."""

    schema_version: Literal[1] = 1
    model: ModelId
    run: str
    passed: bool
    checks: tuple[Check, ...]
    threshold: float | None
    champion_version: int | None
    holdout_rows: int
    decided_at: datetime


class MetricPoint(Model):
    """A metric's value with its 95% bounds."""

    value: float
    low: float
    high: float


class CheckedWindow(Model):
    """What a check of the traffic found and led to, in small: one item a window in the state table, `window#<end>`.

    `columns` has the PSI of each, of the 50 that drifted most where there are more; `metric` is the one by which the
    model is watched, once as estimated for the window's rows and once by the labels of the last days.
    """

    schema_version: Literal[1] = 1
    model: ModelId
    window: str
    start: datetime
    end: datetime
    version: int
    revision: int
    rows: int
    state: str
    performance: str
    action: str
    reason: str
    drifted: int
    columns: dict[str, float]
    metric: str
    holdout: float | None = None
    estimated: MetricPoint | None = None
    realised: MetricPoint | None = None
    labelled: int = 0
    report: ObjectRef | None = None

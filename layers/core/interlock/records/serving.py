"""What serves: a registered version, its probe, the live release."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from interlock.kind import Kind
from interlock.records.objects import ObjectRef
from interlock.schema import Model
from interlock.spec import ModelId, Release, ReleaseMode, RoutingKey


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

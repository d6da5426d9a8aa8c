"""The documents that this stage's own steps hand to each other."""

from __future__ import annotations

from typing import Literal

from interlock.kind import Kind
from interlock.records import Input, ObjectRef
from interlock.schema import Model
from interlock.spec import ModelId


class JobAnswer(Model):
    """What the workflow learns of a completed job; `train.settlement.result` makes it."""

    job: str
    artifacts: str
    output: str
    image: str
    code: str
    training_seconds: int
    billable_seconds: int
    instance: str


class JobReport(Model):
    """The job's own training.json."""

    schema_version: Literal[1] = 1
    model: ModelId
    run: str | None
    onnx_sha256: str
    threshold: float | None
    cv: dict[str, float]
    estimator: str
    parameters: dict[str, bool | int | float | str | None]
    seed: int
    rows: int
    holdout_rows: int
    seconds: float
    python: str
    libraries: dict[str, str]


class Parity(Model):
    """ONNX against scikit-learn on the holdout. Differences of a regression are shares of its largest prediction."""

    rows: int
    max_difference: float
    rows_over: int
    label_flips: int


class Footprint(Model):
    """What the model costs a function of `function_mb` megabytes.

    `start_ms`: loading it and the first answer, at that function's share of a processor; `row_ms` one row, warm;
    `memory_mb` the peak of a fresh process that loads it and answers.
    """

    megabytes: float
    start_ms: float
    row_ms: float
    memory_mb: float
    function_mb: int


class ChampionScored(Model):
    """The version that serves, on the same rows; `reason` says why it could not be scored."""

    version: int
    run: str
    threshold: float | None
    comparable: bool
    reason: str = ""


class Evaluation(Model):
    """Everything the gate judges by and a version is made of. `scores` is an npz; see `train.scoring.write_scores`."""

    schema_version: Literal[1] = 1
    model: ModelId
    run: str
    manifest_id: str
    kind: Kind
    threshold: float | None
    inputs: tuple[Input, ...]
    job: JobAnswer
    report: JobReport
    onnx: ObjectRef
    scores: ObjectRef
    probe: ObjectRef
    reference: ObjectRef
    parity: Parity
    footprint: Footprint
    champion: ChampionScored | None
    holdout_rows: int
    onnxruntime: str

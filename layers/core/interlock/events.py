"""The events on Interlock's own bus. Each may come twice and in any order."""

from __future__ import annotations

from typing import ClassVar, Literal

from interlock.schema import Model
from interlock.spec import ModelId

SOURCE = "interlock"


class Event(Model):
    """Base: the detail of an event whose detail-type is the class's name."""

    schema_version: Literal[1] = 1
    model: ModelId
    name: ClassVar[str]

    def __init_subclass__(cls) -> None:
        """Name the event after its class."""
        cls.name = cls.__name__


class DatasetAdmitted(Event):
    """An upload became a dataset."""

    dataset: str
    claim: str
    rows: int


class DatasetRejected(Event):
    """An upload went to quarantine as a whole."""

    claim: str
    key: str
    reason: str
    report: str | None


class FileScored(Event):
    """A file under score/ has its predictions; `result` is the address of the document that names them."""

    claim: str
    key: str
    version: int
    rows: int
    scored: int
    result: str


class FileNotScored(Event):
    """A file under score/ has no predictions."""

    claim: str
    key: str
    reason: str


class DatasetDrifted(Event):
    """An admitted dataset differs from what the serving version, or else the last run, was trained on."""

    dataset: str
    claim: str
    run: str
    columns: tuple[str, ...]
    report: str


class TrainingRequested(Event):
    """A person, a schedule, or a training that found new data waiting asks for a run."""

    reason: str
    requested_by: str


class RetrainRequested(Event):
    """Monitoring asks for a run."""

    reason: str
    window: str


class ModelRegistered(Event):
    """A run passed the gate and has a version in the registry."""

    version: int
    run: str
    package_arn: str
    approval: Literal["automatic", "manual"]


class ModelApproved(Event):
    """A person says yes to a version.

    `seen` is the digest of the package that was looked at, `champion` the version that served then: when either has
    changed since, the approval is refused.
    """

    package_arn: str
    approved_by: str
    comment: str
    seen: str
    champion: int | None


class ModelRejected(Event):
    """A run failed the gate."""

    run: str
    failed_checks: tuple[str, ...]
    report: str


class ModelPromoted(Event):
    """A version serves all traffic."""

    version: int
    revision: int


class ModelRolledBack(Event):
    """A version was taken back."""

    version: int
    revision: int
    reason: str


class DriftDetected(Event):
    """A window of traffic differs from what the champion was trained on."""

    window: str
    columns: tuple[str, ...]
    report: str


class PerformanceDropped(Event):
    """The champion has become worse than it was on the holdout, by its labels or by the estimate without them."""

    window: str
    metric: str
    reason: str
    report: str

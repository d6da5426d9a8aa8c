"""What was judged: the checks of a gate, the windows of the traffic."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from interlock.records.objects import ObjectRef
from interlock.schema import Model
from interlock.spec import ModelId


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

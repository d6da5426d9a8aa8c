"""What a check of the traffic found and what was decided: the documents that are kept."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from interlock.records import ObjectRef
from interlock.schema import Model
from interlock.spec import ModelId
from interlock.stats.drift.found import State, WindowDrift
from interlock.stats.performance.estimate import Estimate


class LabelCounts(Model):
    """What came as labels, `told` in all.

    `unusable` are no answers to the model's question; `repeated` name a prediction again; of the `contradicted`
    predictions, which were told different labels, the last one counts; `unknown` predictions are not among those of the
    days that are looked at.
    """

    told: int = 0
    unusable: int = 0
    repeated: int = 0
    contradicted: int = 0
    unknown: int = 0
    other_version: int = 0
    unreadable_files: int = 0


class Realised(Model):
    """A metric of labelled predictions with its 95% interval."""

    value: float
    low: float
    high: float


class RealisedDay(Model):
    """Labelled predictions of one day (UTC), by when they were asked for."""

    day: date
    rows: int
    metrics: dict[str, float]


class GroupGap(Model):
    """Equal opportunity among labelled predictions; `state` "too_few" when fewer than two groups can be judged."""

    column: str
    gap: float | None
    low: float | None
    high: float | None
    best: str | None
    worst: str | None
    limit: float
    state: Literal["fine", "unfair", "too_few"]


class Performed(Model):
    """How good the model was: `estimated` from the window's scores, `realised` from the labels of the last days.

    `expected` is the estimate of the very rows that are labelled. States: "dropped", against the holdout; "concept",
    when the labelled rows are worse than their scores and inputs explain; "unknown" when nothing can be said.
    """

    metric: str
    state: Literal["fine", "dropped", "concept", "unknown"]
    reason: str
    holdout: dict[str, float]
    estimated: dict[str, Estimate] = {}
    labelled: int = 0
    realised: dict[str, Realised] = {}
    expected: dict[str, Estimate] = {}
    days: tuple[RealisedDay, ...] = ()
    labels: LabelCounts = LabelCounts()
    fairness: tuple[GroupGap, ...] = ()


class WindowResult(Model):
    """A window of the champion's traffic, judged. `state` "silent" means nobody called at all.

    `unreadable` capture files were left out. Of a window by number, `wanted` is that number, `late` are predictions
    that were captured after the window of their time had been judged, and `more`: the next one is full as well.
    """

    schema_version: Literal[1] = 1
    model: ModelId
    window: str
    start: datetime
    end: datetime
    version: int
    revision: int
    manifest_id: str
    run: str
    state: State | Literal["silent"]
    drift: WindowDrift
    performed: Performed | None = None
    unreadable: int = 0
    checked_at: datetime | None = None
    wanted: int | None = None
    late: int = 0
    more: bool = False
    report: ObjectRef | None = None

    @property
    def full(self) -> bool:
        """Whether it is a window by number and has all of its predictions."""
        return self.wanted is not None and self.drift.rows >= self.wanted


class Stretch(Model):
    """A full window by number: the next one of the version begins where it ends. `checked_at` names the check."""

    version: int
    start: datetime
    end: datetime
    rows: int
    checked_at: datetime


class Outcome(Model):
    """What was decided about a window, once. `state` and `performance` are the window's.

    `told` is set when everybody has been told; `held` when a person was not, because of quiet hours, too few bad
    windows in a row, or one of the same check that was told.
    """

    schema_version: Literal[1] = 1
    model: ModelId
    window: str
    at: datetime
    state: State | Literal["silent"]
    performance: Literal["fine", "dropped", "concept", "unknown"] = "unknown"
    action: Literal["none", "warn", "alert", "resolved", "retrain"]
    reason: str
    remedy: str = ""
    told: bool = False
    held: bool = False
    stretch: Stretch | None = None

    @property
    def bad(self) -> bool:
        """Whether the window drifted or the model was worse in it."""
        return self.state == "drift" or self.performance in {"dropped", "concept"}

    @property
    def judged(self) -> bool:
        """Whether the window says anything: silent ones and those that only warn neither begin anything nor end it."""
        return self.bad or self.state == "stable"

"""How the served traffic is watched, and what follows."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, model_validator

from interlock.schema import Model
from interlock.spec.training import ScheduleExpression

# Statistics of how a column's values lie that both numbers and categories have.
ShapeStatistic = Literal["psi", "jensen_shannon", "chi_square", "total_variation", "hellinger"]


class Retrain(Model):
    """What a drift or a loss of performance may start, and the brakes on it.

    `after_windows` bad windows in a row are needed. Each retraining that the gate has refused since the last that it
    let pass doubles the cool-down.
    """

    on_drift: bool = True
    on_performance: bool = True
    after_windows: int = Field(default=1, ge=1)
    cooldown_hours: float = Field(default=24, ge=0)
    max_per_day: int = Field(default=1, ge=0)
    budget_usd_per_month: float = Field(default=5, ge=0)


class Tell(Model):
    """When a person is told: after so many bad windows in a row, of warnings too or not, never in the quiet hours.

    `quiet_hours` are UTC and may go over midnight. What is held back is told by the first check outside them if it has
    not passed by then.
    """

    after_windows: int = Field(default=1, ge=1)
    warnings: bool = False
    quiet_hours: str | None = Field(default=None, pattern=r"^([01]?\d|2[0-3])-([01]?\d|2[0-3])$")

    def quiet(self, hour: int) -> bool:
        """Whether an hour (0 to 23, UTC) is one of the quiet ones."""
        if self.quiet_hours is None:
            return False
        start, end = (int(part) for part in self.quiet_hours.split("-"))
        return start <= hour < end if start <= end else hour >= start or hour < end


class Drift(Model):
    """When a window of traffic counts as drifted: an effect size, and a false-alarm rate over all columns.

    `numbers` and `categories` name the statistic that judges a column's shape; `thresholds` replaces the one from which
    on it matters (interlock.stats.drift.registry), by its name; a column warns from half of it on. The method
    "evidently" takes that library's default tests and thresholds instead of all of these.
    """

    method: Literal["interlock", "evidently"] = "interlock"
    numbers: Literal[ShapeStatistic, "kolmogorov_smirnov", "wasserstein"] = "psi"
    categories: ShapeStatistic = "psi"
    thresholds: dict[str, Annotated[float, Field(gt=0)]] = {}
    psi_warn: float = Field(default=0.1, gt=0)
    psi: float = Field(default=0.2, gt=0)
    missing_increase: float = Field(default=0.05, gt=0, le=1)
    new_category_share: float = Field(default=0.01, gt=0, le=1)
    outside_share: float = Field(default=0.01, gt=0, le=1)
    correlation_change: float = Field(default=0.2, gt=0, le=2)
    reconstruction_change: float = Field(default=0.25, gt=0)
    false_alarm_rate: float = Field(default=0.01, gt=0, lt=1)
    min_rows: int = Field(default=200, ge=1)

    @model_validator(mode="after")
    def _thresholds_of_chosen_statistics(self) -> Drift:
        if unused := sorted(set(self.thresholds) - {self.numbers, self.categories}):
            raise ValueError(f"thresholds of statistics that judge no column: {', '.join(unused)}")
        if "psi" in self.thresholds:
            raise ValueError("the threshold of psi is the setting psi itself")
        return self


class Performance(Model):
    """When a model has become worse: by how much of a metric, with how many labels at least.

    `metric` is the gate's first when none is named; `drop` is against the holdout. Labels are looked for as long as
    `label_days` after their predictions.
    """

    metric: str | None = None
    drop: float = Field(default=0.05, gt=0)
    min_labels: int = Field(default=100, ge=2)
    label_days: int = Field(default=7, ge=1, le=90)


class Span(Model):
    """Which predictions a check judges: those of the last `hours`, or the next so many `predictions`.

    By number, a window begins where the last one of the version ended, so that no prediction is judged twice, and ends
    with the call that makes it full; `hours` is then how old a prediction may be that is still waited with.
    """

    hours: float | None = Field(default=None, gt=0)
    predictions: int | None = Field(default=None, ge=1)

    @property
    def reach(self) -> timedelta:
        """How far back a check looks: a day, or by number a month, when nothing is said."""
        return timedelta(hours=self.hours or (24 if self.predictions is None else 720))


class Monitoring(Model):
    """When the served traffic is checked, over which window, and what follows.

    `segments` are features by whose values the check is made again, each with its own rows.
    """

    schedule: ScheduleExpression = "rate(1 day)"
    window: Span = Span()
    segments: tuple[str, ...] = ()
    drift: Drift = Drift()
    performance: Performance = Performance()
    retrain: Retrain = Retrain()
    tell: Tell = Tell()

    @model_validator(mode="after")
    def _full_windows_are_judged(self) -> Monitoring:
        if (full := self.window.predictions) is not None and full < self.drift.min_rows:
            raise ValueError(
                f"monitoring.window: of {full} predictions none is judged: drift.min_rows is {self.drift.min_rows}"
            )
        return self

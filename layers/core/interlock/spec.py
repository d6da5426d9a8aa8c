"""model.yaml: how a model is trained, gated, released and watched."""

from __future__ import annotations

import re
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from interlock.kind import Kind
from interlock.schema import Model

MODEL_ID = re.compile(r"[a-z][a-z0-9-]{0,30}")
ModelId = Annotated[str, StringConstraints(pattern=rf"^{MODEL_ID.pattern}$")]
# Statistics of how a column's values lie that both numbers and categories have.
ShapeStatistic = Literal["psi", "jensen_shannon", "chi_square", "total_variation", "hellinger"]
ScheduleExpression = Annotated[str, StringConstraints(pattern=r"^(rate|cron)\(.+\)$")]
RoutingKey = Annotated[str, StringConstraints(pattern=r"^(header|parameter):[A-Za-z0-9_.-]{1,64}$")]
ReleaseMode = Literal["all", "canary", "shadow", "ab"]


class TrainOn(StrEnum):
    """Which admitted datasets start a training by themselves."""

    FIRST_DATASET = "first_dataset"
    EVERY_DATASET = "every_dataset"
    REQUEST = "request"


class Target(Model):
    """The column to predict; `positive` is the class a binary model's probability speaks of."""

    column: str
    kind: Kind
    positive: str | None = None

    @model_validator(mode="after")
    def _positive_for_binary(self) -> Target:
        if (self.kind is Kind.BINARY) != (self.positive is not None):
            raise ValueError("target.positive is needed for a binary target, and for no other")
        return self


class Holdout(Model):
    """Which rows are never trained on: those whose keyed hash falls below the fraction, for ever."""

    fraction: float = Field(default=0.2, gt=0, lt=1)
    key: str = Field(min_length=1)


class Training(Model):
    """How the job trains. A `script` (a file of the model's folder) replaces the named estimator."""

    estimator: Literal[
        "logistic_regression",
        "gradient_boosting",
        "hist_gradient_boosting",
        "random_forest",
        "ridge",
    ] = "hist_gradient_boosting"
    parameters: dict[str, bool | int | float | str | None] = {}
    script: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_]+\.py$")
    seed: int = 0
    on: TrainOn = TrainOn.FIRST_DATASET
    schedule: ScheduleExpression | None = None
    instance: str | None = Field(default=None, pattern=r"^ml\.[a-z0-9]+\.[a-z0-9]+$")
    max_minutes: int = Field(default=30, ge=1, le=1440)


class Threshold(Model):
    """From which probability a binary model says yes: fixed, or chosen by the job out of fold."""

    strategy: Literal["fixed", "accuracy", "youden", "f1"] = "fixed"
    value: float = Field(default=0.5, gt=0, lt=1)


class Limit(Model):
    """Absolute limits of a metric, and how much worse than the champion is still accepted."""

    min: float | None = None
    max: float | None = None
    tolerance: float | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _says_something(self) -> Limit:
        if self.min is None and self.max is None and self.tolerance is None:
            raise ValueError("a limit needs min, max or tolerance")
        return self


class FairnessLimit(Model):
    """Equal opportunity between the groups of a column: the largest gap in true positive rates."""

    column: str
    max_gap: float = Field(default=0.15, gt=0, le=1)
    min_positives: int = Field(default=50, ge=1)
    min_selection_ratio: float = Field(default=0.8, ge=0, le=1)


class ParityLimit(Model):
    """How far the ONNX file may be from scikit-learn: share of rows over the difference, label flips."""

    max_difference: float = Field(default=1e-5, gt=0)
    max_rows_over: float = Field(default=0.001, ge=0, le=1)
    max_label_flips: float = Field(default=0.0005, ge=0, le=1)


class ServingLimit(Model):
    """What the model may cost the function that serves it: file size, session start, memory."""

    max_megabytes: float = Field(default=50, gt=0)
    max_start_ms: float = Field(default=1000, gt=0)
    max_memory_mb: float = Field(default=512, gt=0)


class Gate(Model):
    """What a model must show on the holdout before it is registered."""

    min_rows: int = Field(default=200, ge=1)
    metrics: dict[str, Limit] = Field(min_length=1)
    fairness: tuple[FairnessLimit, ...] = ()
    parity: ParityLimit = ParityLimit()
    serving: ServingLimit = ServingLimit()


class ReleaseLimits(Model):
    """What a challenger must hold against the champion while it bakes.

    `max_error_rate` is the share of calls it may fail beyond the champion's own; `max_slowdown` its 95th percentile
    over the champion's; `min_agreement` the share of rows both answer alike; `max_score_shift` a stability index.
    """

    max_error_rate: float = Field(default=0.01, gt=0, lt=1)
    max_slowdown: float = Field(default=2.0, ge=1)
    min_agreement: float = Field(default=0.8, ge=0, le=1)
    max_score_shift: float = Field(default=0.25, gt=0)


class Experiment(Model):
    """An A/B test, settled before it begins.

    `metric` is one that is a mean over labelled rows; `min_effect` the difference worth a release; `max_rows` the
    labelled rows, of both versions together, after which it ends without a winner; `false_positive_rate` how often two
    equal versions may be called different, however often one looks.
    """

    share: float = Field(default=0.5, gt=0, lt=1)
    metric: str
    min_effect: float = Field(gt=0)
    max_rows: int = Field(ge=100)
    false_positive_rate: float = Field(default=0.05, gt=0, lt=0.5)


class Release(Model):
    """Who approves a model that passed the gate, and how it comes to its callers.

    `all`: at once after the probe. `canary`: in steps, each of which bakes for `bake_minutes` and `min_calls`.
    `shadow`: one step that answers nobody; a canary's first share may be 0 for the same. `ab`: a fixed share until the
    experiment ends. `key` decides who belongs together: a header, a parameter of the request, or else the input itself.
    """

    approval: Literal["automatic", "manual"] = "automatic"
    mode: ReleaseMode = "all"
    key: RoutingKey | None = None
    steps: tuple[float, ...] = (0.05, 0.25, 0.5)
    bake_minutes: float = Field(default=30, ge=0)
    min_calls: int = Field(default=200, ge=1)
    limits: ReleaseLimits = ReleaseLimits()
    experiment: Experiment | None = None

    @model_validator(mode="after")
    def _steps_rise(self) -> Release:
        steps = self.steps
        if not steps or any(not 0 <= share < 1 for share in steps) or list(steps) != sorted(set(steps)):
            raise ValueError("release.steps must be rising shares from 0 up, below 1")
        if (self.mode == "ab") != (self.experiment is not None):
            raise ValueError("release.experiment is needed for mode ab, and for no other")
        return self

    @property
    def shares(self) -> tuple[float, ...]:
        """The challenger's share of the traffic, step by step; empty when it takes all at once."""
        if self.mode == "canary":
            return self.steps
        if self.mode == "shadow":
            return (0.0,)
        return (self.experiment.share,) if self.experiment else ()


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


class ModelSpec(Model):
    """The whole of model.yaml. `features` empty: every column that can be one."""

    schema_version: Literal[1] = 1
    id: ModelId
    description: str = ""
    target: Target
    features: tuple[str, ...] = ()
    holdout: Holdout
    training: Training = Training()
    threshold: Threshold = Threshold()
    gate: Gate
    release: Release = Release()
    monitoring: Monitoring = Monitoring()

    @model_validator(mode="before")
    @classmethod
    def _yaml_reads_on_as_true(cls, values: Any) -> Any:
        """YAML 1.1 reads the bare key `on` as the boolean true; mean what was written."""
        training = values.get("training") if isinstance(values, dict) else None
        if isinstance(training, dict) and True in training:
            training = {("on" if key is True else key): value for key, value in training.items()}
            values = {**values, "training": training}
        return values

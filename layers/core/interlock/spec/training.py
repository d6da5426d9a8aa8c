"""What is predicted, which rows are held out, how the job trains."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from interlock.kind import Kind
from interlock.schema import Model

ScheduleExpression = Annotated[str, StringConstraints(pattern=r"^(rate|cron)\(.+\)$")]


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

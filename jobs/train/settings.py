"""What the job is told: the `settings` channel's job.json, and the user's own script beside it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jobs.train.container import JobError

Value = bool | int | float | str | None


@dataclass(frozen=True)
class Feature:
    """A raw column that the model is fed."""

    name: str
    type: Literal["string", "integer", "number", "boolean"]

    @property
    def text(self) -> bool:
        """Whether its values are texts; all others are numbers to the model."""
        return self.type == "string"


@dataclass(frozen=True)
class Settings:
    """How to train. `classes` is empty for a regression and has the positive class last for a binary target."""

    model: str
    kind: Literal["binary", "multiclass", "regression"]
    target: str
    features: tuple[Feature, ...]
    classes: tuple[str, ...]
    estimator: str
    parameters: dict[str, Value]
    seed: int
    threshold: Literal["fixed", "accuracy", "youden", "f1"]
    threshold_value: float
    script: Path | None

    @classmethod
    def read(cls, folder: Path) -> Settings:
        """Read the settings channel.

        Raises:
            JobError: job.json is missing, or the script it names is.
        """
        try:
            told = json.loads((folder / "job.json").read_text("utf-8"))
        except FileNotFoundError:
            raise JobError(f"the settings channel {folder} has no job.json; the freeze step writes it") from None
        script = folder / told["script"] if told["script"] else None
        if script and not script.is_file():
            raise JobError(f"{told['model']}: the script {script.name} is not in the settings channel; deploy again")
        return cls(
            model=told["model"],
            kind=told["kind"],
            target=told["target"],
            features=tuple(Feature(**feature) for feature in told["features"]),
            classes=tuple(told["classes"]),
            estimator=told["estimator"],
            parameters=told["parameters"],
            seed=told["seed"],
            threshold=told["threshold"],
            threshold_value=told["threshold_value"],
            script=script,
        )

    @property
    def texts(self) -> list[str]:
        """Names of the features that are texts."""
        return [feature.name for feature in self.features if feature.text]

    @property
    def booleans(self) -> list[str]:
        """Names of the features that are booleans; 0, 1 or NaN."""
        return [feature.name for feature in self.features if feature.type == "boolean"]

    @property
    def numbers(self) -> list[str]:
        """Names of the features that are numbers; NaN where missing."""
        return [feature.name for feature in self.features if feature.type in {"integer", "number"}]

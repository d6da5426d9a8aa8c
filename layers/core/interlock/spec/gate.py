"""What a model must show before it is registered."""

from __future__ import annotations

from pydantic import Field, model_validator

from interlock.schema import Model


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

"""How a version comes to its callers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from interlock.schema import Model

RoutingKey = Annotated[str, StringConstraints(pattern=r"^(header|parameter):[A-Za-z0-9_.-]{1,64}$")]
ReleaseMode = Literal["all", "canary", "shadow", "ab"]


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

"""The deployed models: their contracts and specs, checked against each other."""

from __future__ import annotations

from functools import cache
from typing import Self

from pydantic import model_validator

from interlock.catalogue import deployed_text
from interlock.contract import Column, ColumnType, Contract
from interlock.kind import Kind
from interlock.schema import Model
from interlock.spec import ModelSpec

_FEATURE_TYPES = {ColumnType.STRING, ColumnType.INTEGER, ColumnType.NUMBER, ColumnType.BOOLEAN}
# Metrics a gate may name, by what the model predicts; `interlock.stats.metrics` computes them.
_CLASSIFIED = frozenset({"roc_auc", "log_loss", "accuracy", "brier", "calibration_error"})
METRIC_NAMES = {
    Kind.BINARY: _CLASSIFIED,
    Kind.MULTICLASS: _CLASSIFIED,
    Kind.REGRESSION: frozenset({"rmse", "mae", "r2"}),
}
# Those that are a mean over rows and can be read from what is captured: what an A/B test may be about.
EXPERIMENT_METRICS = {
    Kind.BINARY: frozenset({"accuracy", "log_loss", "brier"}),
    Kind.MULTICLASS: frozenset({"accuracy"}),
    Kind.REGRESSION: frozenset({"mae"}),
}
# Estimators that predict one of the two only.
_CLASSES_ONLY, _NUMBERS_ONLY = {"logistic_regression"}, {"ridge"}


class DeployedModel(Model):
    """A model's contract and spec as they were deployed together."""

    spec: ModelSpec
    contract: Contract

    @model_validator(mode="after")
    def _agree(self) -> Self:
        known = set(self.contract.names)
        target = self.spec.target
        if target.column not in known:
            raise ValueError(f"target.column '{target.column}' is not in the contract")
        if unknown := sorted(set(self.spec.features) - known):
            raise ValueError(f"features not in the contract: {', '.join(unknown)}")
        if target.column in self.spec.features:
            raise ValueError(f"the target '{target.column}' cannot be a feature")
        if unusable := [name for name in self.spec.features if self.contract.column(name).type not in _FEATURE_TYPES]:
            raise ValueError(f"features must be numbers, strings or booleans; these are not: {', '.join(unusable)}")
        column = self.contract.column(target.column)
        if target.kind is Kind.REGRESSION and not column.numeric:
            raise ValueError(f"a regression's target must be a number; '{column.name}' is {column.type}")
        if target.kind is not Kind.REGRESSION and column.allowed is None and column.type is not ColumnType.BOOLEAN:
            raise ValueError(f"the target '{column.name}' needs its classes as the contract's validValues")
        if target.positive is not None and target.positive not in self.classes:
            raise ValueError(f"target.positive '{target.positive}' is not one of {', '.join(self.classes)}")
        if unknown := sorted({limit.column for limit in self.spec.gate.fairness} - known):
            raise ValueError(f"fairness columns not in the contract: {', '.join(unknown)}")
        if unknown := sorted(set(self.spec.monitoring.segments) - {feature.name for feature in self.features}):
            raise ValueError(f"monitoring.segments: only features are captured; these are not: {', '.join(unknown)}")
        if numeric := [name for name in self.spec.monitoring.segments if self.contract.column(name).numeric]:
            raise ValueError(f"monitoring.segments: a number has no groups: {', '.join(numeric)}")
        return self

    @model_validator(mode="after")
    def _fits_the_target(self) -> Self:
        kind, gate, training = self.spec.target.kind, self.spec.gate, self.spec.training
        if kind is Kind.BINARY and len(self.classes) != 2:
            raise ValueError(f"a binary target has two classes; '{self.target.name}' has {', '.join(self.classes)}")
        if unknown := sorted(set(gate.metrics) - METRIC_NAMES[kind]):
            known = ", ".join(sorted(METRIC_NAMES[kind]))
            raise ValueError(f"gate.metrics: a {kind} model has no {', '.join(unknown)}; it has {known}")
        watched = self.spec.monitoring.performance.metric
        if watched is not None and watched not in METRIC_NAMES[kind]:
            known = ", ".join(sorted(METRIC_NAMES[kind]))
            raise ValueError(f"monitoring.performance.metric: a {kind} model has no {watched}; it has {known}")
        if gate.fairness and kind is not Kind.BINARY:
            raise ValueError("gate.fairness: equal opportunity needs a binary target")
        wrong = _CLASSES_ONLY if kind is Kind.REGRESSION else _NUMBERS_ONLY
        if training.script is None and training.estimator in wrong:
            raise ValueError(f"training.estimator: {training.estimator} cannot predict a {kind} target")
        return self

    @model_validator(mode="after")
    def _can_be_released(self) -> Self:
        kind, release = self.spec.target.kind, self.spec.release
        if release.experiment and release.experiment.metric not in EXPERIMENT_METRICS[kind]:
            known = ", ".join(sorted(EXPERIMENT_METRICS[kind]))
            raise ValueError(f"release.experiment.metric: an A/B test of a {kind} model is about one of {known}")
        ranges = [column.name for column in self.features if column.restricted and column.numeric]
        if ranges and 0.0 in release.shares:
            raise ValueError(
                f"release: a shadow is scored from the captured rows, and of {', '.join(ranges)}, which are restricted,"
                " only the range is captured"
            )
        return self

    @property
    def id(self) -> str:
        """The model's id: its folder's name."""
        return self.spec.id

    @property
    def features(self) -> tuple[Column, ...]:
        """The columns the model is fed, in the contract's order."""
        chosen = self.spec.features
        # Who somebody is says nothing that holds for others.
        skipped = {self.spec.target.column, *self.contract.primary_key, self.contract.subject}
        return tuple(
            column
            for column in self.contract.columns
            if (column.name in chosen if chosen else column.name not in skipped and column.type in _FEATURE_TYPES)
        )

    @property
    def target(self) -> Column:
        """The column the model predicts."""
        return self.contract.column(self.spec.target.column)

    @property
    def watched(self) -> str:
        """The metric by which monitoring says that the model has become worse."""
        return self.spec.monitoring.performance.metric or next(iter(self.spec.gate.metrics))

    @property
    def classes(self) -> tuple[str, ...]:
        """The target's classes as text, in the contract's order; for a binary target the positive one last.

        Empty for a regression. A binary model's label is 1 for the last class.
        """
        if self.spec.target.kind is Kind.REGRESSION:
            return ()
        allowed = self.target.allowed or ("false", "true")
        positive = self.spec.target.positive
        return tuple(sorted(allowed, key=lambda name: name == positive)) if positive else allowed


@cache
def deployed(model_id: str) -> DeployedModel:
    """The deployed model of that id, read from the models layer.

    Raises:
        UnknownModel: no such model is deployed.
    """
    return DeployedModel.from_json(deployed_text(model_id))

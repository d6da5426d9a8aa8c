"""model.yaml: how a model is trained, gated, released and watched; a module a stage."""

from __future__ import annotations

from interlock.spec.document import MODEL_ID, ModelId, ModelSpec
from interlock.spec.gate import FairnessLimit, Gate, Limit, ParityLimit, ServingLimit
from interlock.spec.monitoring import Drift, Monitoring, Performance, Retrain, ShapeStatistic, Span, Tell
from interlock.spec.release import Experiment, Release, ReleaseLimits, ReleaseMode, RoutingKey
from interlock.spec.training import Holdout, ScheduleExpression, Target, Threshold, Training, TrainOn

__all__ = [
    "MODEL_ID",
    "Drift",
    "Experiment",
    "FairnessLimit",
    "Gate",
    "Holdout",
    "Limit",
    "ModelId",
    "ModelSpec",
    "Monitoring",
    "ParityLimit",
    "Performance",
    "Release",
    "ReleaseLimits",
    "ReleaseMode",
    "Retrain",
    "RoutingKey",
    "ScheduleExpression",
    "ServingLimit",
    "ShapeStatistic",
    "Span",
    "Target",
    "Tell",
    "Threshold",
    "TrainOn",
    "Training",
]

"""The scikit-learn pipeline: from model.yaml, or from the user's own script.

The pipeline is fed a data frame of the raw features: numbers and booleans as float32 with NaN where missing, texts as
strings with "" where missing. Whatever it does to them goes into the ONNX file with it.

A script is a file of the model's folder with one function:

    def pipeline(settings):            # settings: jobs.train.settings.Settings
        return Pipeline([...])         # unfitted; a classifier needs predict_proba, its target is 0, 1, … in the
                                       # order of settings.classes
"""

from __future__ import annotations

import importlib.util
import traceback
from collections.abc import Callable
from typing import Any

from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from jobs.train.container import JobError
from jobs.train.settings import Settings, Value

# By name: the classifier and the regressor.
_ESTIMATORS: dict[str, tuple[type[Any] | None, type[Any] | None]] = {
    "logistic_regression": (LogisticRegression, None),
    "ridge": (None, Ridge),
    "gradient_boosting": (GradientBoostingClassifier, GradientBoostingRegressor),
    "hist_gradient_boosting": (HistGradientBoostingClassifier, HistGradientBoostingRegressor),
    "random_forest": (RandomForestClassifier, RandomForestRegressor),
}
_LINEAR = {"logistic_regression", "ridge"}
# Unlimited trees make a forest of tens of megabytes; model.yaml may say otherwise.
_DEFAULTS: dict[str, dict[str, Value]] = {
    "logistic_regression": {"max_iter": 1000},
    "random_forest": {"n_estimators": 100, "max_depth": 12, "min_samples_leaf": 5},
}


def build(settings: Settings) -> Any:
    """The unfitted pipeline.

    Raises:
        JobError: model.yaml asks for what does not exist, or the user's script fails.
    """
    return (
        _scripted(settings)
        if settings.script
        else Pipeline([("prepare", _prepare(settings)), ("model", _estimator(settings))])
    )


def _prepare(settings: Settings) -> ColumnTransformer:
    numbers: Any
    if settings.estimator == "hist_gradient_boosting":
        # It splits on NaN by itself: a missing value may mean something.
        numbers = booleans = "passthrough"
    else:
        numbers = SimpleImputer(strategy="median", keep_empty_features=True)
        booleans = SimpleImputer(strategy="most_frequent", keep_empty_features=True)
        if settings.estimator in _LINEAR:
            numbers = Pipeline([("impute", numbers), ("scale", StandardScaler())])
    steps = [
        ("numbers", numbers, settings.numbers),
        ("booleans", booleans, settings.booleans),
        ("texts", OneHotEncoder(handle_unknown="ignore", sparse_output=False), settings.texts),
    ]
    return ColumnTransformer([step for step in steps if step[2]], sparse_threshold=0)


def _estimator(settings: Settings) -> Any:
    who = f"{settings.model}: model.yaml's training.estimator '{settings.estimator}'"
    make = _ESTIMATORS[settings.estimator][settings.kind == "regression"]
    if make is None:
        fitting = [name for name, both in _ESTIMATORS.items() if both[settings.kind == "regression"]]
        raise JobError(f"{who} cannot predict a {settings.kind} target; choose one of {', '.join(fitting)}.")
    known = make().get_params()
    given = {**_DEFAULTS.get(settings.estimator, {}), **settings.parameters}
    if unknown := sorted(set(given) - set(known)):
        raise JobError(f"{who} has no parameter {', '.join(unknown)}; it has {', '.join(sorted(known))}.")
    return make(**{"random_state": settings.seed, **given})


def _scripted(settings: Settings) -> Any:
    script = settings.script
    assert script is not None  # noqa: S101 - the caller looked
    spec = importlib.util.spec_from_file_location("user_train", script)
    assert spec is not None and spec.loader is not None  # noqa: S101, PT018 - a path that ends in .py has both
    module = importlib.util.module_from_spec(spec)
    told_by(settings, lambda: spec.loader.exec_module(module))  # type: ignore[union-attr]
    make = getattr(module, "pipeline", None)
    if not callable(make):
        raise JobError(
            f"{settings.model}: {script.name} has no function pipeline(settings); see jobs/train/pipeline.py."
        )
    made = told_by(settings, lambda: make(settings))
    if not hasattr(made, "fit"):
        raise JobError(
            f"{settings.model}: pipeline(settings) in {script.name} answered {type(made).__name__}, "
            "not a scikit-learn pipeline; return the unfitted pipeline."
        )
    return made


def told_by(settings: Settings, call: Callable[[], Any]) -> Any:
    """Run something that is the user's to mend: model.yaml's parameters or the script, told as such when it fails."""
    try:
        return call()
    except JobError:
        raise
    except Exception as error:
        where = settings.script.name if settings.script else f"estimator {settings.estimator}"
        lines = [
            frame.lineno
            for frame in traceback.extract_tb(error.__traceback__)
            if settings.script and frame.filename == str(settings.script)
        ]
        at = f" (line {lines[-1]})" if lines else ""
        mend = "the script" if settings.script else "training.parameters in model.yaml"
        raise JobError(
            f"{settings.model}: {where}{at} raised {type(error).__name__}: {error}. "
            f"Correct {mend}, deploy, and retry the run."
        ) from error

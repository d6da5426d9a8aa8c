"""Trains one model: reads the channels, fits, chooses the threshold, exports, scores the holdout's features."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import clone
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from jobs.train import threshold
from jobs.train.container import Container, JobError, progress
from jobs.train.export import export
from jobs.train.pipeline import build, told_by
from jobs.train.settings import Settings

_FOLDS = 5
# A text column with more different values is an identifier, not a category: one column each would fill the memory.
_MAX_CATEGORIES = 1000
_LIBRARIES = ("numpy", "scikit-learn", "skl2onnx", "onnx", "duckdb", "pandas")

Floats = npt.NDArray[np.float64]


def run(base: Path) -> None:
    """The whole job. Writes model/model.onnx, output/data/scores.npz and output/data/training.json.

    scores.npz holds `scores` [holdout rows, classes or 1], float64, in the holdout's row order.

    Raises:
        JobError: there is no model; the message says why.
    """
    started = time.monotonic()
    container = Container.read(base)
    settings = Settings.read(container.channel("settings"))
    frame = features(settings, container.channel("train") / "train.parquet")
    y = target(settings, container.channel("train") / "train.parquet")
    progress("rows", len(frame))
    _check(settings, frame, y)

    pipeline = build(settings)
    cut, cv = _out_of_fold(settings, pipeline, frame, y)
    told_by(settings, lambda: pipeline.fit(frame, y))
    progress("fit_seconds", round(time.monotonic() - started, 3))
    onnx = export(pipeline, settings)
    (container.folder("model") / "model.onnx").write_bytes(onnx)
    progress("onnx_bytes", len(onnx))

    holdout = features(settings, container.channel("holdout") / "holdout.parquet")
    output = container.folder("output/data")
    np.savez(output / "scores.npz", scores=scores(settings, pipeline, holdout))
    seconds = round(time.monotonic() - started, 3)
    report = {
        "schema_version": 1,
        "model": settings.model,
        "run": container.hyperparameters.get("run"),
        "onnx_sha256": hashlib.sha256(onnx).hexdigest(),
        "threshold": cut,
        "cv": cv,
        "estimator": settings.script.name if settings.script else settings.estimator,
        "parameters": {} if settings.script else _plain(pipeline.named_steps["model"].get_params()),
        "seed": settings.seed,
        "rows": len(frame),
        "holdout_rows": len(holdout),
        "seconds": seconds,
        "python": sys.version.split()[0],
        "libraries": {name: metadata.version(name) for name in _LIBRARIES},
    }
    (output / "training.json").write_text(json.dumps(report, indent=1, sort_keys=True), "utf-8")
    progress("seconds", seconds)


def features(settings: Settings, path: Path) -> pd.DataFrame:
    """The raw features as the pipeline gets them, in the file's row order.

    Numbers are rounded to float32 before training, not after: the ONNX file is fed float32, and a tree that learned
    its cuts from longer numbers would send such a row the other way.
    """
    chosen = ", ".join(_selected(feature.name, text=feature.text) for feature in settings.features)
    columns = _read(f"SELECT {chosen}", path)
    return pd.DataFrame(
        {
            feature.name: pd.Series(columns[feature.name], dtype=object if feature.text else np.float32)
            for feature in settings.features
        }
    )


def target(settings: Settings, path: Path) -> npt.NDArray[Any]:
    """The target, [rows]: the class's place in `settings.classes` as int64, or the number as float64.

    Raises:
        JobError: a row has none, or a class that the contract does not know.
    """
    name = _quoted(settings.target)
    if settings.kind == "regression":
        numbers: Floats = _read(f"SELECT CAST({name} AS DOUBLE) AS y", path)["y"]
        if not np.isfinite(numbers).all():
            raise JobError(
                f"{settings.model}: {int((~np.isfinite(numbers)).sum())} training rows have no {settings.target}."
            )
        return numbers
    places = {value: place for place, value in enumerate(settings.classes)}
    values = _read(f"SELECT CAST({name} AS VARCHAR) AS y", path)["y"].tolist()
    if unknown := sorted({str(value) for value in values if value not in places}):
        raise JobError(
            f"{settings.model}: training rows have {settings.target} = {', '.join(unknown[:5])}, which is none of "
            f"{', '.join(settings.classes)}; correct validValues in contract.yaml."
        )
    return np.array([places[value] for value in values], dtype=np.int64)


def scores(settings: Settings, pipeline: Any, frame: pd.DataFrame) -> Floats:
    """scikit-learn's own answers, [rows, classes] probabilities or [rows, 1] predictions."""
    if settings.kind == "regression":
        return np.asarray(pipeline.predict(frame), dtype=np.float64).reshape(-1, 1)
    return np.asarray(pipeline.predict_proba(frame), dtype=np.float64)


def _check(settings: Settings, frame: pd.DataFrame, y: npt.NDArray[Any]) -> None:
    if not len(frame):
        raise JobError(f"{settings.model}: there are no training rows; upload more data or lower holdout.fraction.")
    if settings.kind != "regression":
        counts = np.bincount(y, minlength=len(settings.classes))
        if absent := [name for name, count in zip(settings.classes, counts, strict=True) if not count]:
            raise JobError(
                f"{settings.model}: no training row has {settings.target} = {', '.join(absent)}; "
                "upload data with every class, or take the class out of the contract's validValues."
            )
    for name in () if settings.script else settings.texts:
        if (distinct := frame[name].nunique()) > _MAX_CATEGORIES:
            raise JobError(
                f"{settings.model}: the text column '{name}' has {distinct} different values, more than "
                f"{_MAX_CATEGORIES}; leave it out of model.yaml's features or prepare it in a script of your own."
            )


def _out_of_fold(
    settings: Settings, pipeline: Any, frame: pd.DataFrame, y: npt.NDArray[Any]
) -> tuple[float | None, dict[str, float]]:
    """A binary model's threshold, and what it scored on rows that each fold's model had not seen."""
    if settings.kind != "binary":
        return None, {}
    if settings.threshold == "fixed":
        return settings.threshold_value, {}
    folds = min(_FOLDS, int(np.bincount(y).min()))
    if folds < 2:
        raise JobError(
            f"{settings.model}: the rarer class has {folds} training row, too few to choose a threshold out of fold; "
            "upload more data or set threshold.strategy to fixed."
        )
    split = StratifiedKFold(folds, shuffle=True, random_state=settings.seed)
    unseen = told_by(
        settings, lambda: cross_val_predict(clone(pipeline), frame, y, cv=split, method="predict_proba")[:, 1]
    )
    cut = threshold.best(y, unseen, settings.threshold)
    cv = {
        "roc_auc": float(roc_auc_score(y, unseen)),
        "log_loss": float(log_loss(y, unseen)),
        "accuracy": float(accuracy_score(y, unseen >= cut)),
    }
    for name, value in cv.items():
        progress(f"cv_{name}", round(value, 6))
    progress("threshold", cut)
    return cut, cv


def _read(select: str, path: Path) -> dict[str, npt.NDArray[Any]]:
    if not path.exists():
        raise JobError(f"{path} is missing: the channel was sent without its file; launch the run again.")
    with duckdb.connect() as con:
        found = con.execute(f"{select} FROM read_parquet(?)", [str(path)]).fetchnumpy()
    return {
        name: values.filled(np.nan if values.dtype.kind == "f" else None) if np.ma.isMaskedArray(values) else values
        for name, values in found.items()
    }


def _selected(name: str, *, text: bool) -> str:
    column = _quoted(name)
    return f"coalesce({column}, '') AS {column}" if text else f"CAST({column} AS FLOAT) AS {column}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _plain(parameters: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value if isinstance(value, (bool, int, float, str, type(None))) else repr(value)
        for name, value in parameters.items()
    }

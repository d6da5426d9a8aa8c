"""How good predictions are: one registry, by what the model predicts.

`y` is 0/1 [n] (binary), the class's index [n] (multiclass) or the value [n] (regression); `scores` the positive
class's probability [n], the classes' probabilities [n, k], or the predictions [n].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from interlock.kind import Kind

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Compute = Callable[[npt.NDArray[np.generic], Floats, float], float]

_BINS = 15
# scikit-learn's clipping of probabilities: the smallest step of the type.
_EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Metric:
    """A number that says how good predictions are; nan where it is not defined, or a score is not a number.

    `per_row` is there when it is the mean of losses a row.
    """

    name: str
    kind: Kind
    higher_is_better: bool
    title: str
    compute: Compute
    per_row: Callable[[npt.NDArray[np.generic], Floats, float], Floats] | None = None


def roc_auc(y: npt.NDArray[np.generic], scores: Floats, _threshold: float = 0.5) -> float:
    """Probability that a positive is scored above a negative, ties counting half (Mann-Whitney U)."""
    positive = np.asarray(y, dtype=bool)
    n, m = int(positive.sum()), int((~positive).sum())
    if not n or not m or np.isnan(scores).any():
        return float("nan")
    return float((_ranks(scores)[positive].sum() - n * (n + 1) / 2) / (n * m))


def calibration_error(y: npt.NDArray[np.generic], scores: Floats, _threshold: float = 0.5) -> float:
    """Expected calibration error over 15 bins of equal mass (Naeini, Cooper and Hauskrecht 2015).

    Equal scores share a bin, so that the order of the rows does not matter. Noise counts as error: a perfect model's
    is above 0, and its resamples' are above its own.
    """
    bins = ((_ranks(scores) - 0.5) * _BINS / len(scores)).astype(np.int64)
    return float(np.abs(np.bincount(bins, np.asarray(y, dtype=np.float64) - scores)).sum() / len(scores))


def _log_loss(y: npt.NDArray[np.generic], scores: Floats, _threshold: float) -> Floats:
    kept = np.clip(scores, _EPSILON, 1 - _EPSILON)
    return np.asarray(-np.where(np.asarray(y, dtype=bool), np.log(kept), np.log1p(-kept)))


def _right(y: npt.NDArray[np.generic], scores: Floats, threshold: float) -> Floats:
    return np.asarray((scores >= threshold) == np.asarray(y, dtype=bool), dtype=np.float64)


def _brier(y: npt.NDArray[np.generic], scores: Floats, _threshold: float) -> Floats:
    return np.asarray((scores - np.asarray(y, dtype=np.float64)) ** 2)


def _log_loss_many(y: npt.NDArray[np.generic], scores: Floats, _threshold: float) -> Floats:
    chosen = np.clip(scores[np.arange(len(y)), np.asarray(y, dtype=np.int64)], _EPSILON, 1)
    return np.asarray(-np.log(chosen))


def _right_many(y: npt.NDArray[np.generic], scores: Floats, _threshold: float) -> Floats:
    return np.asarray(scores.argmax(axis=1) == np.asarray(y, dtype=np.int64), dtype=np.float64)


def _brier_many(y: npt.NDArray[np.generic], scores: Floats, _threshold: float) -> Floats:
    wanted = np.eye(scores.shape[1])[np.asarray(y, dtype=np.int64)]
    return np.asarray(((scores - wanted) ** 2).sum(axis=1))


def _auc_many(y: npt.NDArray[np.generic], scores: Floats, _threshold: float = 0.5) -> float:
    classes = np.asarray(y, dtype=np.int64)
    return float(np.mean([roc_auc(classes == k, scores[:, k]) for k in range(scores.shape[1])]))


def _calibration_many(y: npt.NDArray[np.generic], scores: Floats, threshold: float = 0.5) -> float:
    """Of the class that is named: how often it is right against how sure it was."""
    return calibration_error(_right_many(y, scores, threshold), scores.max(axis=1))


def _squared(y: npt.NDArray[np.generic], scores: Floats, _threshold: float) -> Floats:
    return np.asarray((scores - np.asarray(y, dtype=np.float64)) ** 2)


def _absolute(y: npt.NDArray[np.generic], scores: Floats, _threshold: float) -> Floats:
    return np.asarray(np.abs(scores - np.asarray(y, dtype=np.float64)))


def _rmse(y: npt.NDArray[np.generic], scores: Floats, threshold: float = 0.5) -> float:
    return float(np.sqrt(_squared(y, scores, threshold).mean()))


def _r2(y: npt.NDArray[np.generic], scores: Floats, threshold: float = 0.5) -> float:
    values = np.asarray(y, dtype=np.float64)
    spread = ((values - values.mean()) ** 2).sum()
    return float(1 - _squared(y, scores, threshold).sum() / spread) if spread else float("nan")


def _mean(per_row: Callable[[npt.NDArray[np.generic], Floats, float], Floats]) -> Compute:
    return lambda y, scores, threshold: float(per_row(y, scores, threshold).mean())


def _ranks(scores: Floats) -> Floats:
    """Ranks from 1, ties sharing their mean rank."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ends = counts.cumsum()
    return np.asarray((ends - (counts - 1) / 2)[inverse])


_B, _M, _R = Kind.BINARY, Kind.MULTICLASS, Kind.REGRESSION
_ALL = (
    Metric("roc_auc", _B, True, "ROC AUC", roc_auc),
    Metric("log_loss", _B, False, "Log loss", _mean(_log_loss), _log_loss),
    Metric("accuracy", _B, True, "Accuracy", _mean(_right), _right),
    Metric("brier", _B, False, "Brier score", _mean(_brier), _brier),
    Metric("calibration_error", _B, False, "Calibration error", calibration_error),
    Metric("roc_auc", _M, True, "ROC AUC (one against rest)", _auc_many),
    Metric("log_loss", _M, False, "Log loss", _mean(_log_loss_many), _log_loss_many),
    Metric("accuracy", _M, True, "Accuracy", _mean(_right_many), _right_many),
    Metric("brier", _M, False, "Brier score", _mean(_brier_many), _brier_many),
    Metric("calibration_error", _M, False, "Calibration error", _calibration_many),
    Metric("rmse", _R, False, "Root mean squared error", _rmse),
    Metric("mae", _R, False, "Mean absolute error", _mean(_absolute), _absolute),
    Metric("r2", _R, True, "R squared", _r2),
)
METRICS = {(metric.kind, metric.name): metric for metric in _ALL}


def metrics_for(kind: Kind) -> tuple[Metric, ...]:
    """All metrics of what a model predicts."""
    return tuple(metric for metric in _ALL if metric.kind is kind)

"""What was learned on the holdout about how good a model is, and what it takes to estimate it on other rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from interlock.kind import Kind
from interlock.schema import Model
from interlock.stats.drift.distribution import as_float32
from interlock.stats.metrics import METRICS, Floats, metrics_for
from interlock.stats.performance.calibrator import Calibrator
from interlock.stats.performance.estimate import Estimate, estimate_accuracy, estimate_binary
from interlock.stats.performance.losses import Bins, LossModel, root

# Rows that a loss model learns from; more do not change it.
_ROWS = 50_000


class Expected(Model):
    """`holdout` has the metrics' values there. A classifier has a calibrator, a regression two models of its loss."""

    kind: Kind
    threshold: float | None
    rows: int
    holdout: dict[str, float]
    calibrator: Calibrator | None = None
    absolute: LossModel | None = None
    squared: LossModel | None = None

    @classmethod
    def of(
        cls,
        kind: Kind,
        y: npt.NDArray[Any],
        scored: Floats,
        threshold: float | None,
        bins: Mapping[str, Bins],
        sizes: Mapping[str, int],
    ) -> Self:
        """Learn it from the holdout.

        Args:
            kind: what the model predicts.
            y: 0 or 1, the class's place, or the value [n].
            scored: the model's scores [n, classes] or [n, 1].
            threshold: from which on a binary model says yes.
            bins: by column, each row's place among the reference's bins [n].
            sizes: by column, how many places there are.
        """
        plain = scored if kind is Kind.MULTICLASS else scored[:, -1]
        holdout = {metric.name: metric.compute(y, plain, threshold or 0.5) for metric in metrics_for(kind)}
        found = cls(
            kind=kind,
            threshold=threshold,
            rows=len(y),
            holdout={name: round(value, 8) for name, value in holdout.items() if np.isfinite(value)},
        )
        match kind:
            case Kind.BINARY:
                return found.model_copy(update={"calibrator": Calibrator.fitted(y, plain)})
            case Kind.MULTICLASS:
                right = scored.argmax(axis=1) == y
                return found.model_copy(update={"calibrator": Calibrator.fitted(right, scored.max(axis=1))})
            case Kind.REGRESSION:
                few = slice(0, _ROWS)
                errors = (plain - np.asarray(y, dtype=np.float64))[few]
                kept = {name: places[few] for name, places in bins.items()}
                return found.model_copy(
                    update={
                        "absolute": LossModel.fitted(np.abs(errors), kept, sizes),
                        "squared": LossModel.fitted(errors**2, kept, sizes),
                    }
                )

    def estimated(self, scores: Floats, bins: Mapping[str, Bins], rows: int) -> dict[str, Estimate]:
        """Metrics of `rows` rows without labels, from the scores and places of some of them [m]."""
        if not len(scores):
            return {}
        if self.calibrator is not None and self.kind is Kind.BINARY:
            return estimate_binary(scores, self.threshold or 0.5, self.calibrator)
        if self.calibrator is not None:
            return estimate_accuracy(scores, self.calibrator)
        if self.absolute is None or self.squared is None or not set(self.absolute.sizes) <= set(bins):
            return {}
        return {"mae": self.absolute.expected(bins, rows), "rmse": root(self.squared.expected(bins, rows))}


def worse(kind: Kind, metric: str, one: float, other: float) -> float:
    """By how much one value of a metric is worse than another; below 0 when it is better."""
    return other - one if METRICS[kind, metric].higher_is_better else one - other


def number_places(edges: Sequence[float], values: npt.NDArray[Any]) -> Bins:
    """Places [n] of numbers among the reference's bins; nan, a missing value, has the last one."""
    found = np.searchsorted(as_float32(np.array(edges)), as_float32(values), side="right")
    return np.where(np.isnan(values), len(edges) + 1, found)


def category_places(categories: Sequence[str], values: npt.NDArray[Any]) -> Bins:
    """Places [n] of categories; unknown ones share the one after the last, masked ones have the very last."""
    place = {name: index for index, name in enumerate(categories)}
    found = np.array([place.get(value, len(categories)) for value in np.ma.getdata(values)], dtype=np.int64)
    return np.where(np.ma.getmaskarray(values), len(categories) + 1, found)

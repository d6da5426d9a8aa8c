"""What a score means: the share of positives among rows with such a score, learned on the holdout."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
import numpy.typing as npt

from interlock.schema import Model
from interlock.stats.metrics import Floats, calibration_error

Method = Literal["none", "platt", "isotonic"]
METHODS: tuple[Method, ...] = ("none", "platt", "isotonic")
# Of equal mass, and as many evenly apart: most scores may lie where nothing is decided.
_KNOTS = 40
_FOLDS = 5
RESAMPLES = 20
# Groups of equal mass that isotonic regression starts from when there are more scores.
_GROUPS = 2000
_EDGE = 1e-6


class Calibrator(Model):
    """Probabilities at `scores` [k], straight lines between them; `resamples` are those of resampled holdouts."""

    method: Method
    scores: tuple[float, ...]
    probabilities: tuple[float, ...]
    resamples: tuple[tuple[float, ...], ...] = ()

    @classmethod
    def fitted(cls, y: npt.NDArray[np.generic], scores: Floats, seed: int = 0) -> Self:
        """Choose by the calibration error in five folds: the scores as they are, Platt's or isotonic.

        Args:
            y: 1 for positives [n].
            scores: the model's probabilities [n].
            seed: of folds and resamples.
        """
        generator = np.random.default_rng(seed)
        truth = np.asarray(y, dtype=np.float64)
        even = np.linspace(scores.min(), scores.max(), _KNOTS)
        knots = np.unique(np.concatenate([np.quantile(scores, np.linspace(0, 1, _KNOTS)), even]))
        fold = generator.permutation(len(scores)) % _FOLDS
        errors: dict[Method, float] = {}
        for method in METHODS:
            found = np.empty(len(scores))
            for turn in range(_FOLDS):
                mine = fold == turn
                curve = _curve(method, truth[~mine], scores[~mine], knots)
                found[mine] = np.interp(scores[mine], knots, curve)
            errors[method] = calibration_error(truth, found)
        best = min(METHODS, key=errors.__getitem__)
        draws = [generator.integers(0, len(scores), len(scores)) for _ in range(RESAMPLES)]
        return cls(
            method=best,
            scores=tuple(knots.tolist()),
            probabilities=_kept(_curve(best, truth, scores, knots)),
            resamples=tuple(_kept(_curve(best, truth[rows], scores[rows], knots)) for rows in draws),
        )

    def __call__(self, scores: Floats) -> Floats:
        """Probabilities [n] of scores [n]."""
        return np.asarray(np.interp(scores, self.scores, self.probabilities))

    def resampled(self, scores: Floats) -> list[Floats]:
        """The same by each resampled holdout: how sure the calibration is."""
        return [np.asarray(np.interp(scores, self.scores, curve)) for curve in self.resamples]


def _kept(curve: Floats) -> tuple[float, ...]:
    return tuple(curve.round(5).tolist())


def _curve(method: Method, y: Floats, scores: Floats, knots: Floats) -> Floats:
    match method:
        case "platt":
            return _platt(y, scores, knots)
        case "isotonic":
            return _isotonic(y, scores, knots)
        case _:
            return knots


def _platt(y: Floats, scores: Floats, knots: Floats) -> Floats:
    """A logistic curve over the scores' log odds, by Newton's method (Platt 1999, with his smoothed targets)."""
    positives = y.sum()
    target = np.where(y > 0, (positives + 1) / (positives + 2), 1 / (len(y) - positives + 2))
    x = np.column_stack([np.ones(len(scores)), _logit(scores)])
    weights = np.array([0.0, 1.0])
    for _ in range(50):
        p = _logistic(x @ weights)
        spread = np.maximum(p * (1 - p), _EDGE)
        step = np.linalg.solve(x.T @ (x * spread[:, None]) + 1e-9 * np.eye(2), x.T @ (target - p))
        weights = weights + step
        if np.abs(step).max() < 1e-9:
            break
    return _logistic(weights[0] + weights[1] * _logit(knots))


def _logistic(odds: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -500, 500))))


def _logit(scores: Floats) -> Floats:
    kept = np.clip(scores, _EDGE, 1 - _EDGE)
    return np.asarray(np.log(kept / (1 - kept)))


def _isotonic(y: Floats, scores: Floats, knots: Floats) -> Floats:
    """Pool adjacent violators (Barlow et al. 1972): blocks of rising means, straight lines between their middles."""
    order = np.argsort(scores, kind="stable")
    groups = np.minimum(len(order), _GROUPS)
    place = np.arange(len(order)) * groups // len(order)
    mass = np.bincount(place).astype(np.float64)
    middles = np.bincount(place, scores[order]) / mass
    means = np.bincount(place, y[order]) / mass
    blocks: list[list[float]] = []
    for group in zip(middles, means, mass, strict=True):
        blocks.append(list(group))
        while len(blocks) > 1 and blocks[-2][1] >= blocks[-1][1]:
            last, before = blocks.pop(), blocks.pop()
            both = last[2] + before[2]
            middle, mean = ((a * before[2] + b * last[2]) / both for a, b in zip(before[:2], last[:2], strict=True))
            blocks.append([middle, mean, both])
    return np.asarray(np.interp(knots, [block[0] for block in blocks], [block[1] for block in blocks]))

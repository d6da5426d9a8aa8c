"""From which probability a binary model says yes."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def best(y: npt.NDArray[np.int64], scores: Floats, strategy: Literal["accuracy", "youden", "f1"]) -> float:
    """The threshold that is best on these rows: a row is positive when its score is at least the threshold.

    Args:
        y: 0 or 1, [rows]; both occur.
        scores: probabilities of class 1 that the model gave to rows it had not seen, [rows].
        strategy: what to maximise: accuracy, Youden's J (true positive rate less false positive rate; Youden 1950),
            or F1.

    Returns:
        A value half-way between two scores, so that the last bit of a float decides nothing. Among equally good ones
        the one closest to 0.5.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, hit = scores[order], y[order] == 1
    # A cut after place k calls the first k rows positive; only between different scores can one cut.
    cuts = np.concatenate([[0], np.flatnonzero(np.diff(ranked)) + 1, [len(ranked)]])
    found = np.concatenate([[0], np.cumsum(hit)])[cuts]
    wrong = cuts - found
    positives = int(hit.sum())
    negatives = len(hit) - positives
    if strategy == "accuracy":
        value = (found + negatives - wrong) / len(hit)
    elif strategy == "youden":
        value = found / positives - wrong / negatives
    else:
        value = 2 * found / (cuts + positives)
    edges = np.concatenate([[1.0], ranked, [0.0]])
    middles = (edges[cuts] + edges[cuts + 1]) / 2
    winners = np.flatnonzero(value >= value.max() - 1e-12)
    chosen = winners[np.argmin(np.abs(middles[winners] - 0.5))]
    return float(np.clip(round(float(middles[chosen]), 6), 1e-6, 1 - 1e-6))

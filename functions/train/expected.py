"""What the holdout says about the model's performance, for the monitor to hold the traffic against."""

from __future__ import annotations

import numpy as np

from interlock.models import DeployedModel
from interlock.stats.drift.reference import CategoryReference, Reference
from interlock.stats.metrics import Floats
from interlock.stats.performance.expected import Expected, category_places, number_places
from interlock.stats.performance.losses import Bins
from train.scoring import Array


def expected(
    model: DeployedModel,
    reference: Reference,
    feeds: dict[str, Array],
    y: Array,
    scored: Floats,
    threshold: float | None,
) -> Expected:
    """From the holdout's inputs [n, 1] by column, its targets [n] and the model's scores [n, classes] or [n, 1]."""
    bins: dict[str, Bins] = {}
    sizes: dict[str, int] = {}
    for name, column in feeds.items():
        values = column[:, 0]
        if (numbers := reference.numbers.get(name)) is not None:
            bins[name], sizes[name] = number_places(numbers.edges, values), len(numbers.edges) + 2
        elif (known := reference.categories.get(name)) is not None:
            words, missing = _texts(values, known) if values.dtype == object else _booleans(values)
            bins[name] = category_places(known.categories, np.ma.masked_array(words, missing))
            sizes[name] = len(known.categories) + 2
    if reference.score is not None:
        bins["(score)"] = number_places(reference.score.edges, scored[:, -1])
        sizes["(score)"] = len(reference.score.edges) + 2
    return Expected.of(model.spec.target.kind, y, scored, threshold, bins, sizes)


def _texts(values: Array, known: CategoryReference) -> tuple[Array, Array]:
    """Texts, which the model is fed as "" where they are missing."""
    return values, np.zeros(len(values), dtype=bool) if "" in known.categories else values == ""


def _booleans(values: Array) -> tuple[Array, Array]:
    """Booleans, which the model is fed as numbers, as the reference writes them."""
    return np.where(values > 0, "true", "false"), np.isnan(values)

"""What a regression's error is expected to be on rows without labels, from their inputs and the prediction.

Direct loss estimation (as NannyML's DLE): a model of each row's loss, learned on the holdout by gradient boosting of
small trees (Friedman 2001) over the reference's bins, so that restricted columns take part by their captured bin. It
cannot see concept drift.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Self

import numpy as np
import numpy.typing as npt

from interlock.schema import Model
from interlock.stats.metrics import Floats
from interlock.stats.performance.estimate import Estimate

_TREES, _DEPTH, _RATE = 60, 4, 0.15
# Fewer rows than this make no leaf.
_LEAF = 20
_Z = 1.959963984540054

Bins = npt.NDArray[np.int64]


class Tree(Model):
    """A full binary tree, node k's children being 2k + 1 and 2k + 2.

    A row goes left when its place in the node's column is at most `place`; a node without a split has column -1 and
    ends there. `values` are those of all nodes.
    """

    columns: tuple[int, ...]
    places: tuple[int, ...]
    values: tuple[float, ...]

    def __call__(self, rows: Bins) -> Floats:
        """Values [n] of rows [n, columns]."""
        columns, places, node = np.array(self.columns), np.array(self.places), np.zeros(len(rows), dtype=np.int64)
        every = np.arange(len(rows))
        for _ in range(_DEPTH):
            column = columns[node]
            right = rows[every, np.maximum(column, 0)] > places[node]
            node = np.where(column < 0, node, 2 * node + 1 + right)
        return np.asarray(np.array(self.values)[node])


class LossModel(Model):
    """A row's expected loss: `mean` and what the trees add. `deviation` is that of the holdout's losses around it.

    `sizes` has the number of places of each column; a value that is missing has the last one.
    """

    sizes: dict[str, int]
    mean: float
    trees: tuple[Tree, ...]
    deviation: float
    rows: int

    @classmethod
    def fitted(cls, losses: Floats, bins: Mapping[str, Bins], sizes: Mapping[str, int]) -> Self:
        """Learn it.

        Args:
            losses: of each holdout row [n].
            bins: by column, the place of each row's value [n], from 0 below `sizes[column]`.
            sizes: by column, how many places there are.
        """
        matrix = np.column_stack([bins[name] for name in sizes])
        mean = float(losses.mean())
        left, trees = losses - mean, []
        for _ in range(_TREES):
            tree = _grown(matrix, left, tuple(sizes.values()))
            left = left - tree(matrix)
            trees.append(tree)
        return cls(sizes=dict(sizes), mean=mean, trees=tuple(trees), deviation=float(left.std()), rows=len(losses))

    def expected(self, bins: Mapping[str, Bins], rows: int) -> Estimate:
        """The mean loss of a window of `rows`, from the places of some of its rows [m]; with its 95% band."""
        matrix = np.column_stack([bins[name] for name in self.sizes])
        losses = self.mean + sum((tree(matrix) for tree in self.trees), np.zeros(len(matrix)))
        value = float(losses.mean())
        spread = _Z * self.deviation * math.sqrt(1 / max(1, rows) + 1 / self.rows)
        return Estimate(value=value, low=max(0.0, value - spread), high=value + spread)


def root(squared: Estimate) -> Estimate:
    """The root mean squared error from the expected squared error."""
    return Estimate(**{name: math.sqrt(max(0.0, value)) for name, value in squared.model_dump().items()})


def _grown(matrix: Bins, left: Floats, sizes: tuple[int, ...]) -> Tree:
    nodes = 2 ** (_DEPTH + 1) - 1
    columns, places, values = [-1] * nodes, [0] * nodes, [0.0] * nodes
    members: dict[int, npt.NDArray[np.int64]] = {0: np.arange(len(left))}
    for node in range(nodes):
        mine = members.pop(node, None)
        if mine is None:
            continue
        values[node] = round(_RATE * float(left[mine].mean()), 6)
        split = _best(matrix[mine], left[mine], sizes) if node < nodes // 2 else None
        if split is not None:
            columns[node], places[node] = split
            lower = matrix[mine, split[0]] <= split[1]
            members[2 * node + 1], members[2 * node + 2] = mine[lower], mine[~lower]
    return Tree(columns=tuple(columns), places=tuple(places), values=tuple(values))


def _best(matrix: Bins, left: Floats, sizes: tuple[int, ...]) -> tuple[int, int] | None:
    """The split that explains most of the squares; None when every one leaves too few rows on a side."""
    best, found = 1e-12 * float((left**2).sum()), None
    total, n = float(left.sum()), len(left)
    for column, size in enumerate(sizes):
        counts = np.cumsum(np.bincount(matrix[:, column], minlength=size))[:-1]
        sums = np.cumsum(np.bincount(matrix[:, column], left, minlength=size))[:-1]
        enough = (counts >= _LEAF) & (n - counts >= _LEAF)
        if not enough.any():
            continue
        lower, upper = np.maximum(1, counts), np.maximum(1, n - counts)
        gains = np.where(enough, sums**2 / lower + (total - sums) ** 2 / upper - total**2 / n, -1.0)
        place = int(gains.argmax())
        if gains[place] > best:
            best, found = float(gains[place]), (column, place)
    return found

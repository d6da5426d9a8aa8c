"""How numbers are distributed, kept small enough to be compared without the numbers.

Edges, how many values lie exactly on each, how many strictly between two, and the mean of those between. Ties, whole
numbers and constants then come out exactly: the distribution function is known on both sides of every edge, and its
integral between two of them. Everything is counted in float32, which is how the model sees its inputs, so that a value
that was captured after rounding still lies where it lay in training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from interlock.schema import Model

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Edges of equal mass, and those that the tails get beside them.
EDGES = 512
_TAIL_EDGES = 14
# A bin's mean is kept as its place between the bin's edges, in steps of this share of the bin.
_STEPS = 10_000


@dataclass(frozen=True)
class Tally:
    """Values counted by edges [k]: `at` [k] on each, `between` [k + 1] strictly between two, the ends open.

    `sums` [k + 1] is the sum of the values between. Two tallies by the same edges merge by adding.
    """

    edges: Floats
    at: Ints
    between: Ints
    sums: Floats

    @classmethod
    def of(cls, edges: Floats, ordered: npt.NDArray[np.float32]) -> Self:
        """Count values [n] that `ordered` has made."""
        chosen = as_float32(edges)
        left, right = np.searchsorted(ordered, chosen, "left"), np.searchsorted(ordered, chosen, "right")
        first, last = np.concatenate([[0], right]), np.concatenate([left, [len(ordered)]])
        between = last - first
        # Sums from each first to each last; where there is nothing between, reduceat answers the value itself.
        stretches = np.ravel(np.column_stack([first, last]))
        begun = stretches[stretches < len(ordered)]
        sums = np.zeros(len(stretches))
        sums[: len(begun)] = np.add.reduceat(ordered, begun, dtype=np.float64)
        return cls(chosen.astype(np.float64), right - left, between, np.where(between > 0, sums[::2], 0.0))

    def merged(self, other: Tally) -> Tally:
        """Both together.

        Raises:
            ValueError: they were counted by different edges.
        """
        if not np.array_equal(self.edges, other.edges):
            raise ValueError("only tallies by the same edges can be merged")
        return Tally(self.edges, self.at + other.at, self.between + other.between, self.sums + other.sums)

    @property
    def count(self) -> int:
        """How many values were counted."""
        return int(self.at.sum() + self.between.sum())

    @property
    def outside(self) -> int:
        """How many values lie below the first edge or above the last."""
        return int(self.between[0] + self.between[-1])

    def below(self) -> Floats:
        """Share of the values below each edge [k]."""
        return np.asarray((self._until() - self.at) / max(1, self.count))

    def up_to(self) -> Floats:
        """Share of the values at or below each edge [k]: the distribution function."""
        return np.asarray(self._until() / max(1, self.count))

    def _until(self) -> Ints:
        return np.asarray(np.cumsum(self.at) + np.cumsum(self.between[:-1]))


class Distribution(Model):
    """A stored tally of all the values that its edges were chosen from, so that none lies outside them.

    `places` [k - 1] are the means between two edges, in ten-thousandths of the way from one to the other.
    """

    edges: tuple[float, ...]
    at: tuple[int, ...]
    between: tuple[int, ...]
    places: tuple[int, ...]
    deviation: float

    @classmethod
    def of(cls, ordered: npt.NDArray[np.float32]) -> Self:
        """Of values [n] that `ordered` has made, at least one."""
        edges = _edges(ordered)
        tally = Tally.of(edges, ordered)
        counts, low, high = tally.between[1:-1], edges[:-1], edges[1:]
        means = tally.sums[1:-1] / np.maximum(1, counts)
        places = np.rint(np.clip((means - low) / (high - low), 0, 1) * _STEPS)
        return cls(
            edges=tuple(float(str(edge)) for edge in edges.astype(np.float32)),
            at=tuple(tally.at.tolist()),
            between=tuple(counts.tolist()),
            places=tuple(np.where(counts > 0, places, 0).astype(np.int64).tolist()),
            deviation=float(np.std(ordered, dtype=np.float64)),
        )

    def tally(self) -> Tally:
        """The counts, ready to be compared."""
        edges = as_float32(np.array(self.edges)).astype(np.float64)
        between = np.array([0, *self.between, 0], dtype=np.int64)
        places = np.array(self.places, dtype=np.float64) / _STEPS
        means = np.concatenate([[0.0], edges[:-1] + places * np.diff(edges), [0.0]])
        return Tally(edges, np.array(self.at, dtype=np.int64), between, means * between)


def ordered(values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """The values that are not nan, ascending, as float32; values that are float32 already are sorted where they lie."""
    found = as_float32(values)
    found.sort()
    # Nan is sorted to the end.
    return found[: np.searchsorted(found, np.float32(np.nan))]


def plain(values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Numbers with nan where an engine has masked what is missing."""
    # Without a mask, numpy.ma need not be loaded.
    if not hasattr(values, "mask"):
        return as_float32(values)
    return np.asarray(np.ma.filled(np.ma.asarray(values, dtype=np.float32), np.nan))


def as_float32(values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """The values as the model sees them; what is beyond float32 is infinite there too."""
    with np.errstate(over="ignore"):
        return np.asarray(values, dtype=np.float32)


def _edges(ordered: npt.NDArray[np.float32]) -> Floats:
    """Every value where there are few; otherwise quantiles, closer together in the tails, and both extremes."""
    values = np.unique(ordered)
    if len(values) > EDGES:
        tails = 0.5 ** np.arange(1, _TAIL_EDGES + 1) / EDGES
        levels = np.concatenate([tails, np.linspace(0, 1, EDGES), 1 - tails])
        values = np.unique(ordered[np.minimum((levels * len(ordered)).astype(np.int64), len(ordered) - 1)])
    return np.asarray(values, dtype=np.float64)

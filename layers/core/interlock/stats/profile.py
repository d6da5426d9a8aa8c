"""A profile of a dataset that can be merged with others of the same contract, without the data.

Numbers are kept as a DDSketch (Masson, Rim and Lee 2019, "DDSketch: a fast and fully-mergeable quantile sketch with
relative-error guarantees"): counts by the bucket ceil(log_gamma |x|), so that every quantile is right to 1% of its
value and merging is adding. Of numbers that lie close together for their size (years, days since 1970) 1% is too
coarse: they are counted in equal cells as well, whose width is a power of two, so that finer cells are added to coarser
ones. Texts are counted up to a number of categories.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Annotated, TypeVar

from pydantic import AfterValidator

from interlock.schema import Model

K = TypeVar("K", int, str)
ACCURACY = 0.01
GAMMA = (1 + ACCURACY) / (1 - ACCURACY)
MAX_CATEGORIES = 1000
# Values are close together when they span less than this share of the largest magnitude: 24 buckets of the sketch.
CLOSE = 24 * 2 * ACCURACY
MAX_CELLS = 128
# Smaller magnitudes count as zero: 1e-9 of anything a person writes into a file.
TINY = 1e-9
# Below it, a power of two that is finer than the last digit leaves the type's range.
_NOTHING = 1e-290


def _finite(value: float) -> float:
    """Sums of huge values leave the type's range; JSON holds its end, not infinity."""
    return min(max(value, -sys.float_info.max), sys.float_info.max)


Finite = Annotated[float, AfterValidator(_finite)]


class NumberProfile(Model):
    """Numbers, or dates as days and times as seconds since 1970 (UTC).

    `m2` is the sum of squared deviations from the mean; `positive` and `negative` map a bucket to its count. `cells`
    map floor(x / 2^step) to its count; `step` is None when the values do not lie close together.
    """

    count: int = 0
    missing: int = 0
    minimum: float | None = None
    maximum: float | None = None
    mean: Finite = 0.0
    m2: Finite = 0.0
    zero: int = 0
    positive: dict[int, int] = {}
    negative: dict[int, int] = {}
    step: int | None = None
    cells: dict[int, int] = {}

    def resolution(self, low: float, high: float) -> float:
        """The width below which values between these two cannot be told apart."""
        if self.step is not None:
            return math.ldexp(1.0, self.step)
        return 2 * ACCURACY * max(abs(low), abs(high))

    @property
    def deviation(self) -> float | None:
        """Standard deviation of the values; None below two."""
        return math.sqrt(self.m2 / (self.count - 1)) if self.count > 1 else None

    def quantile(self, share: float) -> float | None:
        """The value below which this share of the values lies, right to 1% of itself; None without values."""
        if not self.count:
            return None
        rank, seen = share * (self.count - 1), 0
        for value, count in self._buckets():
            seen += count
            if seen > rank:
                return min(max(value, self.minimum or value), self.maximum or value)
        return self.maximum

    def histogram(self, bins: int = 20, within: tuple[float, float] | None = None) -> list[tuple[float, float, int]]:
        """(low, high, count) of equally wide bins, for pictures.

        They go from the smallest to the largest value, or from one end to the other of `within`, as two profiles need
        that are drawn together: what lies beyond an end is counted in the bin there.
        """
        if self.minimum is None or self.maximum is None:
            return []
        low, high = within or (self.minimum, self.maximum)
        width = high / bins - low / bins or 1.0
        counts = [0] * bins
        for value, count in self._buckets():
            kept = min(max(value, self.minimum, low), max(min(self.maximum, high), low))
            counts[min(int(kept / width - low / width), bins - 1)] += count
        return [(low + i * width, low + (i + 1) * width, count) for i, count in enumerate(counts)]

    def shared_step(self, other: NumberProfile) -> int | None:
        """Exponent of the width of cells in which both are counted; None when only buckets are the same for both."""
        ends = [end for part in (self, other) for end in (part.minimum, part.maximum) if end is not None]
        step = cell_step(min(ends), max(ends)) if ends else None
        # Values that lie close together do so in each part.
        return None if step is None or self.step is None or other.step is None else max(step, self.step, other.step)

    def spans(self, step: int | None = None) -> list[tuple[float, float, int]]:
        """(low, high, count) of each cell of this width, or of each bucket, from the smallest value up."""
        if step is not None:
            cells = self._wider(step)
            return [(math.ldexp(cell, step), math.ldexp(cell + 1, step), cells[cell]) for cell in sorted(cells)]
        above = [(*_ends(index), self.positive[index]) for index in sorted(self.positive)]
        below = [(*_ends(index), self.negative[index]) for index in sorted(self.negative, reverse=True)]
        middle = [(-TINY, TINY, self.zero)] if self.zero else []
        return [*((-high, -low, count) for low, high, count in below), *middle, *above]

    def merged(self, other: NumberProfile) -> NumberProfile:
        """The profile of both together (Chan, Golub and LeVeque 1979 for the variance)."""
        count = self.count + other.count
        if not self.count or not other.count:
            filled = self if self.count else other
            return filled.model_copy(update={"missing": self.missing + other.missing})
        delta = other.mean - self.mean
        low = min(value for value in (self.minimum, other.minimum) if value is not None)
        high = max(value for value in (self.maximum, other.maximum) if value is not None)
        step = self.shared_step(other)
        # Nothing in it needs to be judged once more.
        return NumberProfile.model_construct(
            count=count,
            missing=self.missing + other.missing,
            minimum=low,
            maximum=high,
            mean=_finite(self.mean * (self.count / count) + other.mean * (other.count / count)),
            m2=_finite(self.m2 + other.m2 + delta * delta * (self.count * other.count / count)),
            zero=self.zero + other.zero,
            positive=_added(self.positive, other.positive),
            negative=_added(self.negative, other.negative),
            step=step,
            cells={} if step is None else _added(self._wider(step), other._wider(step)),
        )

    def _wider(self, step: int) -> dict[int, int]:
        """The cells as cells of this width, which is not smaller than their own."""
        if step == self.step:
            return self.cells
        cells: dict[int, int] = {}
        for cell, count in self.cells.items():
            wider = cell >> (step - (self.step or 0))
            cells[wider] = cells.get(wider, 0) + count
        return cells

    def _buckets(self) -> list[tuple[float, int]]:
        """Each cell's or bucket's middle value and count, from the smallest value up."""
        if self.step is not None:
            return [(math.ldexp(cell + 0.5, self.step), self.cells[cell]) for cell in sorted(self.cells)]
        # From the lower end: the largest float's upper end is out of range.
        middle = 2 * GAMMA / (1 + GAMMA)
        below = [
            (-middle * GAMMA ** (index - 1), self.negative[index]) for index in sorted(self.negative, reverse=True)
        ]
        above = [(middle * GAMMA ** (index - 1), self.positive[index]) for index in sorted(self.positive)]
        return [*below, *([(0.0, self.zero)] if self.zero else []), *above]


class TextProfile(Model):
    """Texts and booleans: how often each of up to 1,000 categories came; all others are counted in `other`."""

    count: int = 0
    missing: int = 0
    categories: dict[str, int] = {}
    other: int = 0
    shortest: int | None = None
    longest: int | None = None

    def merged(self, next_one: TextProfile) -> TextProfile:
        """The profile of both together; exact as long as both have all their categories."""
        both = _added(self.categories, next_one.categories)
        kept = dict(sorted(both.items(), key=lambda item: (-item[1], item[0]))[:MAX_CATEGORIES])
        lengths = [length for length in (self.shortest, next_one.shortest) if length is not None]
        longest = [length for length in (self.longest, next_one.longest) if length is not None]
        return TextProfile.model_construct(
            count=self.count + next_one.count,
            missing=self.missing + next_one.missing,
            categories=kept,
            other=self.other + next_one.other + sum(both.values()) - sum(kept.values()),
            shortest=min(lengths, default=None),
            longest=max(longest, default=None),
        )


class Profile(Model):
    """Every column of a dataset. Restricted columns count their texts without naming them."""

    schema_version: int = 1
    rows: int
    numbers: dict[str, NumberProfile] = {}
    texts: dict[str, TextProfile] = {}

    def merged(self, other: Profile) -> Profile:
        """The profile of both datasets together."""
        return Profile.model_construct(
            rows=self.rows + other.rows,
            numbers={
                name: self.numbers.get(name, NumberProfile()).merged(other.numbers.get(name, NumberProfile()))
                for name in sorted({*self.numbers, *other.numbers})
            },
            texts={
                name: self.texts.get(name, TextProfile()).merged(other.texts.get(name, TextProfile()))
                for name in sorted({*self.texts, *other.texts})
            },
        )


def cell_step(low: float, high: float) -> int | None:
    """Exponent of the width of the cells for values from `low` to `high`; None when they do not lie close together."""
    largest = max(abs(low), abs(high))
    if high - low >= CLOSE * largest or largest < _NOTHING:
        return None
    # Never finer than the largest value's own last digit, so that a cell's number is a whole one.
    finest = math.frexp(largest)[1] - 53
    return max(finest, math.ceil(math.log2((high - low) / MAX_CELLS))) if high > low else finest


def _ends(index: int) -> tuple[float, float]:
    """Where a bucket of positive values begins and ends."""
    # The largest float's upper end is out of range.
    low = GAMMA ** (index - 1)
    return low, min(low * GAMMA, sys.float_info.max)


def _added(one: Mapping[K, int], two: Mapping[K, int]) -> dict[K, int]:
    if not one or not two:
        return dict(one or two)
    known = one.get
    return {**one, **{key: known(key, 0) + count for key, count in two.items()}}

"""A dataset beside another one by their profiles alone, for the same statistics and verdict as a window of traffic.

Both profiles count by the same buckets, so that whatever is asked of whole buckets is exact: missing values,
categories (up to 1,000 of them) and new ones, and of numbers every statistic over bins, whose edges are buckets' ends.
Within a bucket, at most 2% of its value wide or a cell, nothing is known: Kolmogorov-Smirnov misses at most what lies
in one bucket, Wasserstein takes each value for its bucket's middle, and of the bucket that holds the smallest or
largest value of before, nothing counts as outside. How columns go together is in no profile.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from interlock.figures import ranges
from interlock.stats.drift.counted import Counted
from interlock.stats.drift.distribution import Floats, Tally
from interlock.stats.drift.reference import BINS, category_reference, counted_categories
from interlock.stats.profile import NumberProfile, Profile, TextProfile

Span = tuple[float, float, int]


def counted(name: str, before: Profile, now: Profile, *, restricted: bool, whole: bool) -> Counted | None:
    """A column in two datasets; None when it is not in both, or of another type in one.

    Args:
        name: the column's.
        before: the profile of the data that the model was trained on.
        now: of the dataset beside it.
        restricted: its categories get numbers for names.
        whole: its numbers are whole ones, and told so.
    """
    if name in before.numbers and name in now.numbers:
        return _numbers(name, before.numbers[name], now.numbers[name], whole=whole)
    if name in before.texts and name in now.texts:
        found = _texts(name, before.texts[name], now.texts[name])
        places = (*(f"group {place}" for place in range(1, len(found.bins))), found.bins[-1])
        return replace(found, bins=places) if restricted else found
    return None


def _texts(name: str, before: TextProfile, now: TextProfile) -> Counted:
    reference = category_reference(list(before.categories.items()), before.missing)
    # What the profile itself did not count apart is no category that is known.
    reference = reference.model_copy(update={"other": reference.other + before.other})
    found = counted_categories(name, reference, now.categories, now.missing)
    rest = found.now[-1] + now.other
    return replace(found, now=(*found.now[:-1], rest), new=0 if reference.other else rest)


def _numbers(name: str, before: NumberProfile, now: NumberProfile, *, whole: bool) -> Counted:
    if not before.count:
        return Counted(name, ("all values",), (0,), (now.count,), before.missing, now.missing)
    step = before.shared_step(now)
    training, batch = before.spans(step), now.spans(step)
    low, high = training[0][0], training[-1][1]
    ends = np.unique([end for part in (training, batch) for span in part for end in span[:2] if low <= end <= high])
    edges = _bin_edges(training)
    counts = [
        np.bincount(_places(edges, part), _counts(part), len(edges) + 1).astype(int) for part in (training, batch)
    ]
    return Counted(
        column=name,
        bins=ranges([math.ceil(edge) for edge in edges] if whole else edges, whole=whole),
        before=tuple(counts[0].tolist()),
        now=tuple(counts[1].tolist()),
        missing_before=before.missing,
        missing_now=now.missing,
        distributions=(_tally(ends, training), _tally(ends, batch)),
        deviation=before.deviation or 0.0,
    )


def _bin_edges(spans: Sequence[Span]) -> list[float]:
    """Where bins of about equal mass begin, but for the lowest; of a constant, both of its ends."""
    if len(spans) == 1:
        return list(spans[0][:2])
    mass = _counts(spans)
    piece = np.floor((np.cumsum(mass) - mass / 2) / mass.sum() * BINS)
    return [span[0] for span, new in zip(spans[1:], np.diff(piece) != 0, strict=True) if new]


def _tally(ends: Floats, spans: Sequence[Span]) -> Tally:
    places, counts = _places(ends, spans), _counts(spans)
    size = len(ends) + 1
    return Tally(
        edges=ends,
        at=np.zeros(len(ends), dtype=np.int64),
        between=np.bincount(places, counts, size).astype(np.int64),
        sums=np.bincount(places, counts * _middles(spans), size).astype(np.float64),
    )


def _places(edges: Sequence[float] | Floats, spans: Sequence[Span]) -> npt.NDArray[np.int64]:
    return np.searchsorted(np.asarray(edges), _middles(spans), side="right")


def _middles(spans: Sequence[Span]) -> Floats:
    # Halved first: the largest floats' sum is out of range.
    return np.array([low / 2 + high / 2 for low, high, _ in spans], dtype=np.float64)


def _counts(spans: Sequence[Span]) -> Floats:
    return np.array([count for *_, count in spans], dtype=np.float64)

"""Counts a window of captured predictions by the reference's bins."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from interlock.contract import Column, ColumnType
from interlock.figures import ranges
from interlock.models import DeployedModel
from interlock.sql import quoted, text
from interlock.stats.drift.counted import Counted
from interlock.stats.drift.distribution import Tally, ordered, plain
from interlock.stats.drift.reference import (
    OTHER,
    CategoryReference,
    NumberReference,
    Reference,
    binned,
    counted_categories,
    normal_scores,
)
from interlock.stats.drift.together import SAMPLE, Comparison, compare
from interlock.stats.drift.verdict import CountedSegment
from monitor.traffic import Array, Traffic

SCORE, LABEL = "(score)", "(label)"
# As many as a function of this size has processors, and how many columns of numbers each has in memory at once.
_THREADS, _FEW = 2, 2


@dataclass(frozen=True)
class Window:
    """A window counted: its columns, how they go together, and its segments."""

    columns: tuple[Counted, ...]
    together: Comparison | None
    segments: tuple[CountedSegment, ...]


class _Number:
    """A column of numbers while it is counted."""

    def __init__(self, name: str, source: str, reference: NumberReference, *, whole: bool) -> None:
        """What it is called, where it lies in the captures, what it was in training, and whether it has fractions."""
        self.name, self.source = name, source
        self._reference, self._whole = reference, whole
        self._before = reference.distribution.tally() if reference.distribution else None
        self._now: Tally | None = None
        self._edges = np.array(reference.edges)
        self._bins = np.zeros(len(reference.counts), dtype=np.int64)
        self._rows = 0

    def add(self, values: Array) -> None:
        """Count some values [n], of which those that are missing are nan; they are sorted where they lie."""
        known = ordered(values)
        self._rows += len(values)
        self._bins += binned(self._edges, known)
        if self._before is not None:
            tally = Tally.of(self._before.edges, known)
            self._now = tally if self._now is None else self._now.merged(tally)

    def counted(self) -> Counted:
        """All that was added, beside training."""
        distribution = self._reference.distribution
        return Counted(
            column=self.name,
            bins=ranges(self._reference.edges, whole=self._whole),
            before=self._reference.counts,
            now=tuple(self._bins.tolist()),
            missing_before=self._reference.missing,
            missing_now=self._rows - int(self._bins.sum()),
            distributions=(self._before, self._now) if self._before is not None and self._now is not None else None,
            deviation=distribution.deviation if distribution else 0.0,
        )


class _Sample:
    """The same rows of every column of numbers, kept from the reading that counts them."""

    def __init__(self, traffic: Traffic) -> None:
        self._taken = [chunk["taken"] for chunk in traffic.chunks(f"{traffic.sampled(SAMPLE)} AS taken")]
        self._values: dict[str, list[Array]] = {}

    def add(self, name: str, chunk: int, values: Array) -> None:
        """Keep the rows of a column's next chunk."""
        self._values.setdefault(name, []).append(values[self._taken[chunk]])

    def of(self, name: str) -> Array:
        """The rows of a column."""
        return np.concatenate(self._values[name])


def count(traffic: Traffic, model: DeployedModel, reference: Reference) -> Window:
    """Count all that the verdict needs; the captures are read a chunk at a time."""
    features = tuple(column for column in model.features if f"in_{column.name}" in traffic.columns)
    sample = _Sample(traffic) if reference.together and traffic.rows else None
    columns = _columns(traffic, features, reference.numbers, reference.categories, sample=sample)
    if reference.score is not None:
        columns += _numbers(traffic, [_Number(SCORE, "score", reference.score, whole=False)])
    if reference.label is not None:
        columns.append(_category(traffic, LABEL, "label", reference.label))
    segments = [
        CountedSegment(
            column=column,
            value=segment.value,
            rows=sum(traffic.counts("1", condition).values()),
            columns=tuple(_columns(traffic, features, segment.numbers, segment.categories, condition)),
        )
        for column, found in reference.segments.items()
        for segment in found
        if f"in_{column}" in traffic.columns
        for condition in [f"CAST({quoted(f'in_{column}')} AS VARCHAR) = {text(segment.value)}"]
    ]
    together = _together(traffic, features, reference, sample) if sample else None
    return Window(tuple(columns), together, tuple(segments))


def _columns(
    traffic: Traffic,
    features: tuple[Column, ...],
    numbers: dict[str, NumberReference],
    categories: dict[str, CategoryReference],
    condition: str = "true",
    sample: _Sample | None = None,
) -> list[Counted]:
    open_numbers = [
        _Number(
            column.name,
            quoted(f"in_{column.name}"),
            numbers[column.name],
            whole=column.type is ColumnType.INTEGER,
        )
        for column in features
        if column.name in numbers and not column.restricted
    ]
    found = {counted.column: counted for counted in _numbers(traffic, open_numbers, condition, sample)}
    for column in features:
        name = f"in_{column.name}"
        category = categories.get(column.name)
        # The values of a restricted column stay out of every report.
        if column.restricted and (known := numbers.get(column.name)):
            labels = [f"range {place}" for place in range(1, len(known.counts) + 1)]
            found[column.name] = _bins(traffic, column.name, name, known.counts, known.missing, labels, condition)
        elif column.restricted and category:
            labels = [f"group {place}" for place in range(1, len(category.categories) + 1)]
            found[column.name] = _bins(
                traffic,
                column.name,
                name,
                (*category.counts, category.other),
                category.missing,
                [*labels, OTHER],
                condition,
            )
        elif category:
            found[column.name] = _category(traffic, column.name, name, category, condition)
    return [found[column.name] for column in features if column.name in found]


def _numbers(
    traffic: Traffic, columns: list[_Number], condition: str = "true", sample: _Sample | None = None
) -> list[Counted]:
    """Columns of numbers, a few in a reading, so that some are counted while others are read."""

    def read(few: tuple[_Number, ...]) -> None:
        chosen = ", ".join(f"TRY_CAST({column.source} AS FLOAT) AS c{place}" for place, column in enumerate(few))
        for number, chunk in enumerate(traffic.chunks(chosen, condition)):
            for place, column in enumerate(few):
                values = plain(chunk.pop(f"c{place}"))
                if sample is not None:
                    sample.add(column.name, number, values)
                column.add(values)

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(read, (tuple(columns[at : at + _FEW]) for at in range(0, len(columns), _FEW))))
    return [column.counted() for column in columns]


def _bins(
    traffic: Traffic,
    column: str,
    name: str,
    before: tuple[int, ...],
    missing: int,
    labels: list[str],
    condition: str,
) -> Counted:
    counts = traffic.counts(f"TRY_CAST({quoted(name)} AS INTEGER)", condition)
    now = [int(counts.get(place, 0)) for place in range(len(before))]
    # The place after the last category: rare in training, or never seen there.
    new = now[-1] if labels[-1] == OTHER and not before[-1] else 0
    return Counted(
        column=column,
        bins=tuple(labels),
        before=before,
        now=tuple(now),
        missing_before=missing,
        missing_now=int(counts.get(None, 0)),
        new=new,
        rest=labels[-1] == OTHER,
    )


def _category(
    traffic: Traffic, column: str, name: str, reference: CategoryReference, condition: str = "true"
) -> Counted:
    found: dict[Any, int] = traffic.counts(f"CAST({quoted(name)} AS VARCHAR)", condition)
    # The model is fed the empty text where a value is missing (interlock.inference).
    missing = int(found.pop(None, 0)) + (0 if "" in reference.categories else int(found.pop("", 0)))
    return counted_categories(column, reference, found, missing)


def _together(
    traffic: Traffic, features: tuple[Column, ...], reference: Reference, sample: _Sample
) -> Comparison | None:
    """How the columns go together, by a sample of the rows."""
    if reference.together is None:
        return None
    wanted = [column.name for column in features if column.name in reference.together.columns]
    texts = [name for name in wanted if name in reference.categories]
    values = {name: sample.of(name) for name in wanted if name in reference.numbers}
    if texts:
        chosen = (f"nullif(CAST({quoted(f'in_{name}')} AS VARCHAR), '') AS {quoted(name)}" for name in texts)
        values |= traffic.sample(", ".join(chosen), SAMPLE)
    return compare(reference.together, normal_scores(reference, values))

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
# Columns that are sorted at once: as many as a function of this size has processors.
_THREADS = 2


@dataclass(frozen=True)
class Window:
    """A window counted: its columns, how they go together, and its segments."""

    columns: tuple[Counted, ...]
    together: Comparison | None
    segments: tuple[CountedSegment, ...]


@dataclass(frozen=True)
class _Number:
    """A column of numbers: where it lies in the captures, what it was in training, and how its bins are called."""

    name: str
    source: str
    reference: NumberReference
    bins: tuple[str, ...]


def count(traffic: Traffic, model: DeployedModel, reference: Reference) -> Window:
    """Count all that the verdict needs; the captures are read a chunk at a time."""
    features = tuple(column for column in model.features if f"in_{column.name}" in traffic.columns)
    columns = _columns(traffic, features, reference.numbers, reference.categories)
    if reference.score is not None:
        columns += _numbers(
            traffic, [_Number(SCORE, "score", reference.score, ranges(reference.score.edges, whole=False))]
        )
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
    return Window(tuple(columns), _together(traffic, features, reference), tuple(segments))


def _columns(
    traffic: Traffic,
    features: tuple[Column, ...],
    numbers: dict[str, NumberReference],
    categories: dict[str, CategoryReference],
    condition: str = "true",
) -> list[Counted]:
    open_numbers = [
        _Number(
            column.name,
            quoted(f"in_{column.name}"),
            numbers[column.name],
            ranges(numbers[column.name].edges, whole=column.type is ColumnType.INTEGER),
        )
        for column in features
        if column.name in numbers and not column.restricted
    ]
    found = {counted.column: counted for counted in _numbers(traffic, open_numbers, condition)}
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


def _numbers(traffic: Traffic, columns: list[_Number], condition: str = "true") -> list[Counted]:
    """All columns of numbers in one reading."""
    if not columns:
        return []
    chosen = ", ".join(f"TRY_CAST({column.source} AS FLOAT) AS c{place}" for place, column in enumerate(columns))
    references = [column.reference.distribution for column in columns]
    before = [reference.tally() if reference else None for reference in references]
    edges = [np.array(column.reference.edges) for column in columns]
    bins = [np.zeros(len(column.reference.counts), dtype=np.int64) for column in columns]
    tallies: list[Tally | None] = [None] * len(columns)
    rows = 0

    def add(place: int, values: Array) -> None:
        known, training = ordered(plain(values)), before[place]
        bins[place] += binned(edges[place], known)
        if training is not None:
            tally, earlier = Tally.of(training.edges, known), tallies[place]
            tallies[place] = tally if earlier is None else earlier.merged(tally)

    with ThreadPoolExecutor(_THREADS) as pool:
        for chunk in traffic.chunks(chosen, condition):
            rows += len(chunk["c0"])
            list(pool.map(add, range(len(columns)), (chunk[f"c{place}"] for place in range(len(columns)))))
    return [
        Counted(
            column=column.name,
            bins=column.bins,
            before=column.reference.counts,
            now=tuple(bins[place].tolist()),
            missing_before=column.reference.missing,
            missing_now=rows - int(bins[place].sum()),
            distributions=_both(before[place], tallies[place]),
            deviation=reference.deviation if (reference := references[place]) else 0.0,
        )
        for place, column in enumerate(columns)
    ]


def _both(before: Tally | None, now: Tally | None) -> tuple[Tally, Tally] | None:
    return (before, now) if before is not None and now is not None else None


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


def _together(traffic: Traffic, features: tuple[Column, ...], reference: Reference) -> Comparison | None:
    """How the columns go together, by a sample of the rows."""
    if reference.together is None or not traffic.rows:
        return None
    wanted = [column for column in features if column.name in reference.together.columns]
    chosen = ", ".join(
        f"TRY_CAST({quoted(f'in_{column.name}')} AS FLOAT) AS c{place}"
        if column.numeric
        else f"nullif(CAST({quoted(f'in_{column.name}')} AS VARCHAR), '') AS c{place}"
        for place, column in enumerate(wanted)
    )
    if not chosen:
        return None
    found = traffic.sample(chosen, SAMPLE)
    values = {
        column.name: plain(found[f"c{place}"]) if column.numeric else found[f"c{place}"]
        for place, column in enumerate(wanted)
    }
    return compare(reference.together, normal_scores(reference, values))

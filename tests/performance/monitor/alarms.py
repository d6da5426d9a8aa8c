"""How often the monitor cries wolf, and what it sees: pairs of a reference and a window from the same population.

    python -m tests.performance.monitor.alarms [pairs] [folder]

With a folder, the first hundred windows of each size are left there for the peers.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import stats

from interlock.spec import Drift
from interlock.stats.drift.counted import Counted
from interlock.stats.drift.distribution import Tally, ordered
from interlock.stats.drift.found import WindowDrift
from interlock.stats.drift.reference import (
    CategoryReference,
    NumberReference,
    Reference,
    binned,
    category_reference,
    normal_scores,
    number_reference,
)
from interlock.stats.drift.together import SAMPLE, Together, compare
from interlock.stats.drift.verdict import judge
from tests.performance.monitor.census import CATEGORIES, NUMBERS, Generator, Shift

Array = npt.NDArray[Any]
TRAINING = 17_600
SIZES = (100, 1000, 10_000)
# Small windows are judged as well: the rate must hold without the rule of the least rows.
POLICY = Drift(min_rows=1)
SHIFTS = {
    "mean of two columns, in deviations": [Shift(mean=value) for value in (0.2, 0.5, 0.8)],
    "scale of two columns": [Shift(scale=value) for value in (1.25, 1.5, 2.0)],
    "share of one category, moved there": [Shift(shares=value) for value in (0.1, 0.2, 0.4)],
    "missing in two columns": [Shift(missing=value) for value in (0.03, 0.06, 0.12)],
    "correlations, share taken away": [Shift(correlation=value) for value in (0.3, 0.6, 0.9)],
}


def described(rows: dict[str, Array]) -> Reference:
    """The reference as training makes it."""
    numbers = {name: number_reference(rows[name], detailed=True) for name in (*NUMBERS, "(score)")}
    categories = {}
    for name in (*CATEGORIES, "(label)"):
        values, counts = np.unique(rows[name][rows[name] >= 0], return_counts=True)
        listed = [(str(int(value)), int(count)) for value, count in zip(values, counts, strict=True)]
        categories[name] = category_reference(listed, int((rows[name] < 0).sum()))
    reference = Reference(numbers=numbers, categories=categories)
    return reference.model_copy(update={"together": Together.of(normal_scores(reference, texts(rows)))})


def texts(rows: dict[str, Array]) -> dict[str, Array]:
    """The features as the captures hold them."""
    return {
        name: rows[name] if name in NUMBERS else np.ma.masked_array(rows[name].astype(int).astype(str), rows[name] < 0)
        for name in (*NUMBERS, *CATEGORIES)
    }


def judged(reference: Reference, rows: dict[str, Array], policy: Drift = POLICY) -> WindowDrift:
    """A window's verdict by the very functions of the monitor, from arrays instead of files."""
    counted = [_number(name, kept, rows[name]) for name, kept in reference.numbers.items()]
    counted += [_category(name, kept, rows[name]) for name, kept in reference.categories.items()]
    count = len(rows["age"])
    few = {name: values[:SAMPLE] for name, values in texts(rows).items()}
    together = compare(reference.together, normal_scores(reference, few)) if reference.together else None
    return judge(counted, count, policy, together)


def _number(name: str, kept: NumberReference, values: Array) -> Counted:
    known = ordered(values)
    assert kept.distribution is not None
    tally = kept.distribution.tally()
    return Counted(
        column=name,
        bins=tuple(map(str, range(len(kept.counts)))),
        before=kept.counts,
        now=tuple(binned(np.array(kept.edges), known).tolist()),
        missing_before=kept.missing,
        missing_now=len(values) - len(known),
        distributions=(tally, Tally.of(tally.edges, known)),
        deviation=kept.distribution.deviation,
    )


def _category(name: str, kept: CategoryReference, values: Array) -> Counted:
    found = np.bincount(values[values >= 0].astype(int), minlength=100)
    known = [int(found[int(category)]) for category in kept.categories]
    rest = int(found.sum()) - sum(known)
    return Counted(
        column=name,
        bins=(*kept.categories, "(other)"),
        before=(*kept.counts, kept.other),
        now=(*known, rest),
        missing_before=kept.missing,
        missing_now=int((values < 0).sum()),
        new=0 if kept.other else rest,
        rest=True,
    )


@cache
def population() -> Generator:
    return Generator.fitted()


def undrifted(turn: int, folder: str | None) -> tuple[dict[int, bool], float, float]:
    """Which windows of one reference raise an alarm; the size of its profile."""
    generator = np.random.default_rng([1, turn])
    before = population().rows(generator, TRAINING)
    reference = described(before)
    alarms = {}
    for size in SIZES:
        window = population().rows(generator, size)
        alarms[size] = judged(reference, window).state == "drift"
        if folder:
            pl.DataFrame(window).write_parquet(f"{folder}/window-{turn:03}-{size}.parquet")
    if folder:
        pl.DataFrame(before).write_parquet(f"{folder}/reference-{turn:03}.parquet")
    return alarms, float(turn), float(len(reference.to_json()))


def seen(turn: int) -> dict[str, list[bool]]:
    """Which shifts one window of a thousand rows shows."""
    generator = np.random.default_rng([2, turn])
    reference = described(population().rows(generator, TRAINING))
    return {
        name: [judged(reference, population().rows(generator, 1000, shift)).state == "drift" for shift in shifts]
        for name, shifts in SHIFTS.items()
    }


def main(pairs: int = 1000, folder: str | None = None) -> dict[str, float]:
    """Run both, print the tables, answer the figures."""
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
    figures: dict[str, float] = {}
    with ProcessPoolExecutor(2) as pool:
        found = list(pool.map(undrifted, range(pairs), [folder if turn < 100 else None for turn in range(pairs)]))
        power = list(pool.map(seen, range(max(1, pairs // 10))))
    print(f"False alarms of {pairs} pairs without drift, {TRAINING} training rows, rate {POLICY.false_alarm_rate:.0%}:")
    for size in SIZES:
        count = sum(alarms[size] for alarms, _, _ in found)
        low, high = stats.binomtest(count, pairs).proportion_ci(method="exact")
        print(f"  {size:>6} rows: {count:>4} ({count / pairs:.2%}, 95% interval {low:.2%} to {high:.2%})")
        figures[f"false_alarm_{size}"] = count / pairs
    print(f"Seen in {len(power)} windows of 1,000 rows:")
    for name, shifts in SHIFTS.items():
        shares = np.mean([turn[name] for turn in power], axis=0)
        told = ", ".join(f"{_changed(shift)}: {share:.0%}" for shift, share in zip(shifts, shares, strict=True))
        print(f"  {name:<36} {told}")
    figures["census_profile_bytes"] = max(size for _, _, size in found)
    return figures


def _changed(shift: Shift) -> float:
    return next(
        value for value, usual in zip(vars(shift).values(), vars(Shift()).values(), strict=True) if value != usual
    )


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000, sys.argv[2] if len(sys.argv) > 2 else None)))

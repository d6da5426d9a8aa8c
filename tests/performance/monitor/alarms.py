"""How often the monitor cries wolf, and what it sees: pairs of a reference and a window from the same population.

    python -m tests.performance.monitor.alarms [pairs] [folder]

The first tenth of the pairs has windows of each shift and size too. With a folder these windows are left there, and,
where the environment of `requirements/peers.txt` is, Evidently and NannyML judge the very same ones.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
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
# Whether there was an alarm, by case and size.
Verdicts = dict[tuple[str, int], bool]
ROOT = Path(__file__).resolve().parents[3]
PEERS = ROOT / ".interlock" / "envs" / "peers" / "bin" / "python"
TRAINING = 17_600
SIZES = (100, 1000, 10_000)
# Small windows are judged as well: the rate must hold without the rule of the least rows.
POLICY = Drift(min_rows=1)
# The first is none; the other names say what is different and by how much.
CASES = [
    ("none", Shift()),
    *((f"mean of two columns, {value} deviations", Shift(mean=value)) for value in (0.2, 0.5, 0.8)),
    *((f"scale of two columns, times {value}", Shift(scale=value)) for value in (1.25, 1.5, 2.0)),
    *((f"moved to one category, {value:.0%} of rows", Shift(shares=value)) for value in (0.1, 0.2, 0.4)),
    *((f"missing in two columns, {value:.0%} more", Shift(missing=value)) for value in (0.03, 0.06, 0.12)),
    *((f"correlations, {value:.0%} taken away", Shift(correlation=value)) for value in (0.3, 0.6, 0.9)),
]


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


def pair(turn: int, shifted: bool, folder: Path | None) -> tuple[Verdicts, int]:
    """Which windows of one reference raise an alarm, by case and size; the size of its profile."""
    generator = np.random.default_rng([1, turn])
    before = population().rows(generator, TRAINING)
    reference = described(before)
    verdicts: Verdicts = {}
    windows: dict[int, list[dict[str, Array]]] = {size: [] for size in SIZES}
    for case, shift in CASES[: len(CASES) if shifted else 1]:
        for size in SIZES:
            window = population().rows(generator, size, shift)
            verdicts[case, size] = judged(reference, window).state == "drift"
            windows[size].append(window)
    if shifted and folder is not None:
        pl.DataFrame(before).write_parquet(folder / f"reference-{turn:03}.parquet")
        for size, found in windows.items():
            pl.concat([pl.DataFrame(window) for window in found]).write_parquet(
                folder / f"windows-{turn:03}-{size}.parquet"
            )
    return verdicts, len(reference.to_json())


def main(pairs: int = 1000, folder: Path | None = None) -> dict[str, float]:
    """Run all, print the tables, answer the figures."""
    shifted = max(1, pairs // 10)
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    with ProcessPoolExecutor(2) as pool:
        turns = range(pairs)
        found = list(pool.map(pair, turns, [turn < shifted for turn in turns], [folder] * pairs, chunksize=5))
    peers = asked(folder) if folder is not None and PEERS.exists() else {}
    figures: dict[str, float] = {"census_profile_bytes": max(size for _, size in found)}
    print(f"False alarms of {pairs} pairs without drift, {TRAINING} training rows, rate {POLICY.false_alarm_rate:.0%}:")
    for size in SIZES:
        count = sum(verdicts["none", size] for verdicts, _ in found)
        low, high = stats.binomtest(count, pairs).proportion_ci(method="exact")
        print(f"  {size:>6} rows: {count:>4} ({count / pairs:.2%}, 95% interval {low:.2%} to {high:.2%})")
        figures[f"false_alarm_{size}"] = count / pairs
        for peer, shares in peers.get(str(size), {}).items():
            figures[f"{peer}_false_alarm_{size}"] = shares[0]
    print(f"Alarms for {shifted} windows of each case and size, in percent:")
    names = ["ours", *next(iter(peers.values()), {})]
    print(f"  {'':<38}{'rows':>6}" + "".join(f"{name.replace('_', ' '):>22}" for name in names))
    for place, (case, _) in enumerate(CASES):
        for size in SIZES:
            ours = np.mean([verdicts[case, size] for verdicts, _ in found[:shifted]])
            shares = [ours, *(listed[place] for listed in peers.get(str(size), {}).values())]
            print(f"  {case:<38}{size:>6}" + "".join(f"{share:>22.0%}" for share in shares))
    return figures


def asked(folder: Path) -> dict[str, dict[str, list[float]]]:
    """The share of windows for which each peer raises an alarm: by size, peer, and case in their order."""
    environment = {**os.environ, "NML_DISABLE_USAGE_LOGGING": "1", "DO_NOT_TRACK": "1"}
    command = [PEERS, ROOT / "tests" / "peers" / "answers.py", "windows", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"the peers: {done.stderr[-2000:]}")
    answer: dict[str, dict[str, list[float]]] = json.loads(done.stdout.splitlines()[-1])
    return answer


if __name__ == "__main__":
    given = sys.argv[1:]
    print(json.dumps(main(int(given[0]) if given else 1000, Path(given[1]).resolve() if given[1:] else None)))

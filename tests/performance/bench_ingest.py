"""Times ingest beside its peers, all in one run, each in a process of its own and in turn: `make bench-ingest`.

Prints a table of medians as ratios to the floor, DuckDB's plain typed read of the same file, and as its last line one
JSON object. Fails when the bad rows are not exactly those that an independent implementation finds.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import duckdb

from infra import process
from tests.performance.ingest_data import ROWS, write

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PEERS = ROOT / ".interlock/envs/bench-ingest/bin/python"
OURS = {"interlock", "interlock_admit", "floor"}
CASES = ("floor", "plain_polars", "plain_duckdb", "interlock", "interlock_admit", "dataframely", "pandera")
# Slow and no part of a limit: timed once.
ONCE = {"pandera"}


@dataclass(frozen=True)
class Run:
    """One process: seconds on the clock and of the processors, and its largest memory."""

    wall: float
    cpu: float
    peak_mb: float


def run(case: str, file: Path, out: Path) -> Run:
    """Run a case to its end."""
    shutil.rmtree(out, ignore_errors=True)
    out.unlink(missing_ok=True)
    python = sys.executable if case in OURS else str(PEERS)
    began = time.perf_counter()
    command = [python, str(HERE / "ingest_cases.py"), case, str(file), str(out)]
    # As a function's is set, and everybody's modules lie there compiled, as they do in a layer.
    environment = {**os.environ, **process.VARIABLES}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    child = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    told = child.stdout.read().split()
    _, status, used = os.wait4(child.pid, 0)
    wall = time.perf_counter() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{case} failed on {file.name}")
    return Run(wall, used.ru_utime + used.ru_stime, int(told[-1]) / 1024)


def bad_rows(out: Path) -> set[int]:
    """The rows, from 0, that a case found."""
    if out.is_dir():
        query = f"SELECT interlock_row - 1 FROM read_csv('{out}/bad-rows.csv', header=true, auto_detect=true)"
    else:
        query = f"SELECT row FROM read_parquet('{out}')"
    with duckdb.connect() as con:
        return {row for (row,) in con.execute(query).fetchall()}


def table(file: Path, rounds: int, scratch: Path) -> dict[str, list[Run]]:
    """All cases on one file, in turn; the bad rows are compared after the first round."""
    found: dict[str, list[Run]] = {case: [] for case in CASES}
    for turn in range(rounds):
        for case in CASES:
            if turn == 0 or case not in ONCE:
                found[case].append(run(case, file, scratch / case))
        if turn == 0:
            ours, others = bad_rows(scratch / "interlock"), bad_rows(scratch / "plain_polars")
            if ours != others or ours != bad_rows(scratch / "plain_duckdb"):
                raise SystemExit(f"{file.name}: {len(ours ^ others)} rows are judged otherwise than by plain Polars")
            print(f"{file.name}: the same {len(ours):,} bad rows as plain Polars and plain DuckDB")
    floor = statistics.median(item.wall for item in found["floor"])
    print(f"{'':18}{'wall s':>8}{'of floor':>10}{'cpu s':>8}{'peak MB':>9}   of {rounds} rounds")
    for case, runs in found.items():
        wall, cpu = statistics.median(r.wall for r in runs), statistics.median(r.cpu for r in runs)
        print(f"{case:18}{wall:8.2f}{wall / floor:10.2f}{cpu:8.2f}{max(r.peak_mb for r in runs):9.0f}")
    return found


def ratio(found: dict[str, list[Run]], case: str, what: str) -> float:
    """A case's median as a multiple of the floor's."""
    floor, mine = (statistics.median(getattr(item, what) for item in found[name]) for name in ("floor", case))
    return round(mine / floor, 2)


def main() -> None:
    """Run it."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=ROWS)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--large", type=int, default=10, help="how many times the rows to look at memory with; 0: not")
    options.add_argument("--folder", type=Path, default=ROOT / ".interlock/bench")
    given = options.parse_args()
    csv, parquet = write(given.folder, given.rows)
    versions = {name: importlib.metadata.version(name) for name in ("duckdb", "numpy")}
    print(f"Python {platform.python_version()}, {versions}, {os.cpu_count()} cores, {given.rows:,} rows")
    with tempfile.TemporaryDirectory(dir=given.folder) as scratch:
        on_csv = table(csv, given.rounds, Path(scratch))
        on_parquet = table(parquet, given.rounds, Path(scratch))
        grown = {}
        if given.large:
            for file in write(given.folder, given.rows * given.large):
                grown[file.suffix] = run("interlock", file, Path(scratch) / "large")
                print(
                    f"{given.large} times the rows, {file.suffix[1:]}:"
                    f" {grown[file.suffix].wall:.1f} s, {grown[file.suffix].peak_mb:.0f} MB"
                )
    peak, parquet_peak = (max(item.peak_mb for item in found["interlock"]) for found in (on_csv, on_parquet))
    answer = {
        "csv_ratio": ratio(on_csv, "interlock", "wall"),
        "parquet_ratio": ratio(on_parquet, "interlock", "wall"),
        "admit_ratio": ratio(on_csv, "interlock_admit", "wall"),
        "parquet_admit_ratio": ratio(on_parquet, "interlock_admit", "wall"),
        "csv_cpu_ratio": ratio(on_csv, "interlock", "cpu"),
        "parquet_cpu_ratio": ratio(on_parquet, "interlock", "cpu"),
        "peak_mb": round(peak),
        "parquet_peak_mb": round(parquet_peak),
    }
    if grown:
        answer["peak_growth_10x"] = round(grown[".csv"].peak_mb / peak, 2)
        answer["parquet_peak_growth_10x"] = round(grown[".parquet"].peak_mb / parquet_peak, 2)
    print(json.dumps(answer))


if __name__ == "__main__":
    main()

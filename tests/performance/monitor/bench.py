"""`make bench-monitor`: what a check costs beside reading the file alone, and beside the peers on the same two samples.

Every case is a whole process, the cases in turn, so that the machine's noise falls on all alike. The last line is one
JSON object.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

from infra import process

ROOT = Path(__file__).resolve().parents[3]
PEERS = ROOT / ".interlock" / "envs" / "peers" / "bin" / "python"
AT = datetime(2026, 3, 2, 6, tzinfo=UTC)
NUMBERS = tuple(f"n{place}" for place in range(7))
TEXTS = ("c0", "c1", "c2")
ROWS, REPEATS = 500_000, 5


def case_check(folder: Path, captures: str = "captures.parquet") -> Any:
    """Ours: every statistic of every column, the dependence, the verdict; from the captures and the stored profile."""
    from interlock.models import DeployedModel
    from interlock.stats.drift.reference import Reference
    from interlock.stats.drift.verdict import judge
    from monitor.traffic import Traffic
    from monitor.window import count

    model = DeployedModel.from_json((folder / "model.json").read_text())
    reference = Reference.from_json((folder / "reference.json").read_text())
    # One compacted file, as the step before the check leaves a day.
    traffic = Traffic([folder / captures], 1, AT - timedelta(days=1), AT, folder, 1024, distinct=True)
    window = count(traffic, model, reference)
    drift = judge(window.columns, traffic.rows, model.spec.monitoring.drift, window.together)
    return {column.column: column.statistics for column in drift.columns}


def case_large(folder: Path) -> Any:
    """The same over a million captures of fourteen columns, twice as much, and a quarter."""
    rows = int(os.environ["BENCH_ROWS"])
    return len(case_check(folder / "large", f"captures-{rows}.parquet"))


def case_read(folder: Path) -> Any:
    """The limit: the stored captures into memory, nothing else."""
    import polars as pl

    return pl.read_parquet(folder / "captures.parquet").shape


class _NoPandas(MetaPathFinder):
    """Where it is installed, it is not found."""

    def find_spec(self, name: str, *_: object) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name)


def case_read_pyarrow(folder: Path) -> Any:
    """The same as the first by pyarrow, which most tools read with; without pandas, which it would import by itself."""
    sys.meta_path.insert(0, _NoPandas())
    import pyarrow.parquet

    return pyarrow.parquet.read_table(folder / "captures.parquet").shape


def case_scipy(folder: Path) -> Any:
    """Exact, from both files: Kolmogorov-Smirnov, Wasserstein and chi-square only."""
    import numpy as np
    import polars as pl
    from scipy import stats

    before, now = (pl.read_parquet(folder / f"{name}.parquet") for name in ("reference", "current"))
    found = {}
    for name in NUMBERS:
        one, two = before[name].to_numpy(), now[name].to_numpy()
        found[name] = {
            "kolmogorov_smirnov": stats.ks_2samp(one, two, method="asymp").statistic,
            "wasserstein": stats.wasserstein_distance(one, two) / one.std(),
        }
    for name in TEXTS:
        counts = before[name].value_counts().join(now[name].value_counts(), on=name, how="full", suffix="_now")
        table = np.array([counts["count"].to_numpy(), counts["count_now"].to_numpy()])
        found[name] = {"chi_square": stats.chi2_contingency(table)[0]}
    return found


def case_evidently(folder: Path) -> Any:
    """Evidently's DataDriftPreset with its default tests."""
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    before, now = (pd.read_parquet(folder / f"{name}.parquet") for name in ("reference", "current"))
    columns = DataDefinition(numerical_columns=list(NUMBERS), categorical_columns=list(TEXTS))
    run = Report([DataDriftPreset()]).run(Dataset.from_pandas(now, columns), Dataset.from_pandas(before, columns))
    return len(run.dict()["metrics"])


def case_nannyml(folder: Path) -> Any:
    """NannyML's univariate drift: Kolmogorov-Smirnov, Jensen-Shannon and Wasserstein, chi-square for categories."""
    import nannyml
    import pandas as pd

    before, now = (pd.read_parquet(folder / f"{name}.parquet") for name in ("reference", "current"))
    calculator = nannyml.UnivariateDriftCalculator(
        column_names=[*NUMBERS, *TEXTS],
        continuous_methods=["kolmogorov_smirnov", "jensen_shannon", "wasserstein"],
        categorical_methods=["chi2", "jensen_shannon"],
        chunk_number=1,
    )
    return calculator.fit(before).calculate(now).to_df().shape


def make(folder: Path) -> int:
    """The two samples, the captures as they are stored, the profile; answers its size."""
    import numpy as np
    import polars as pl

    from interlock.stats.drift.reference import (
        Reference,
        category_reference,
        normal_scores,
        number_reference,
    )
    from interlock.stats.drift.together import Together

    generator = np.random.default_rng(3)

    def sample(shifted: int) -> dict[str, Any]:
        shares = [0.4, 0.3, 0.2, 0.1] if not shifted else [0.3, 0.3, 0.25, 0.15]
        return {
            "n0": generator.normal(0.2 * shifted, 1, ROWS),
            "n1": generator.normal(5, 2, ROWS),
            "n2": generator.lognormal(1, 0.8, ROWS),
            "n3": generator.exponential(1 + 0.3 * shifted, ROWS),
            "n4": generator.integers(0, 100, ROWS).astype(float),
            "n5": generator.gamma(2, 2, ROWS),
            "n6": generator.random(ROWS),
            "c0": generator.choice(list("abcd"), ROWS, p=shares),
            "c1": generator.choice([f"k{place}" for place in range(20)], ROWS),
            "c2": generator.choice(["y", "n"], ROWS),
        }

    before, now = sample(0), sample(1)
    pl.DataFrame(before).write_parquet(folder / "reference.parquet", compression="zstd")
    pl.DataFrame(now).write_parquet(folder / "current.parquet", compression="zstd")
    captured(now, folder / "captures.parquet")
    (folder / "model.json").write_text(deployed(NUMBERS, TEXTS))
    categories = {}
    for name in TEXTS:
        values, counts = np.unique(before[name], return_counts=True)
        categories[name] = category_reference(list(zip(values.tolist(), counts.tolist(), strict=True)), 0)
    reference = Reference(
        numbers={name: number_reference(before[name], detailed=True) for name in NUMBERS}, categories=categories
    )
    few = {name: np.ma.asarray(values[:100_000]) for name, values in before.items()}
    reference = reference.model_copy(update={"together": Together.of(normal_scores(reference, few))})
    return (folder / "reference.json").write_text(reference.to_json())


def make_large(folder: Path, rows: int) -> None:
    """Captures of a model of ten numbers and four texts."""
    import numpy as np

    from interlock.stats.drift.reference import Reference, category_reference, number_reference

    folder.mkdir(exist_ok=True)
    generator = np.random.default_rng(rows)
    numbers, texts = tuple(f"n{place}" for place in range(10)), tuple(f"c{place}" for place in range(4))
    columns: dict[str, Any] = {name: generator.normal(size=rows) for name in numbers}
    columns |= {name: generator.choice([f"k{place}" for place in range(30)], rows) for name in texts}
    captured(columns, folder / f"captures-{rows}.parquet")
    (folder / "model.json").write_text(deployed(numbers, texts))
    kept = number_reference(columns["n0"][:100_000], detailed=True)
    same = category_reference([(f"k{place}", 1000) for place in range(30)], 0)
    reference = Reference(numbers=dict.fromkeys(numbers, kept), categories=dict.fromkeys(texts, same))
    (folder / "reference.json").write_text(reference.to_json())


def captured(columns: dict[str, Any], path: Path) -> None:
    """A day's compacted captures, one request a row."""
    import duckdb
    import polars as pl

    from monitor.compaction import FORMAT

    rows = len(next(iter(columns.values())))
    start = AT.replace(tzinfo=None) - timedelta(hours=20)
    identities = [f"{place * 2654435761 % 2**32:08x}-0000-4000-8000-{place:012x}" for place in range(rows)]
    pl.DataFrame({f"in_{name}": values for name, values in columns.items()}).with_columns(
        time=pl.datetime_range(start, start + timedelta(microseconds=70_000 * (rows - 1)), "70ms", eager=True),
        request_id=pl.Series(identities),
        row=pl.lit(0, pl.Int32),
        version=pl.lit(1, pl.Int32),
        revision=pl.lit(1, pl.Int32),
        label=pl.lit("yes"),
        score=pl.lit(0.5),
    ).write_parquet(path.with_suffix(".raw"))
    duckdb.execute(f"COPY (FROM read_parquet('{path.with_suffix('.raw')}')) TO '{path}' ({FORMAT})")
    path.with_suffix(".raw").unlink()


def deployed(numbers: tuple[str, ...], texts: tuple[str, ...]) -> str:
    """The model that was asked."""
    from interlock.contract import Column, ColumnType, Contract
    from interlock.models import DeployedModel
    from interlock.spec import ModelSpec

    columns = [Column(name=name, type=ColumnType.NUMBER) for name in numbers]
    columns += [Column(name=name, type=ColumnType.STRING) for name in texts]
    columns.append(Column(name="y", type=ColumnType.NUMBER, required=True))
    spec = {
        "id": "bench",
        "target": {"column": "y", "kind": "regression"},
        "holdout": {"key": "k"},
        "gate": {"metrics": {"rmse": {"max": 1.0}}},
    }
    contract = Contract(id="bench", version="1.0.0", columns=tuple(columns))
    return DeployedModel(spec=ModelSpec.model_validate(spec), contract=contract).to_json()


@dataclass(frozen=True)
class Run:
    """A whole process: seconds by the clock and of processors, peak megabytes, and what it answered."""

    seconds: float
    cpu: float
    peak: float
    found: Any


def timed(case: str, folder: Path, python: Path | str = sys.executable, **more: str) -> Run:
    """Run a case in a process of its own, set as a function's is."""
    code = (
        "import json; from pathlib import Path; from tests.performance.monitor import bench\n"
        f"found = bench.case_{case}(Path({str(folder)!r}))\n"
        "peak = Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]\n"
        "print(json.dumps([int(peak) / 1024, found]))"
    )
    environment = {
        **os.environ,
        **process.VARIABLES,
        "PYTHONPATH": f"{ROOT}:{ROOT}/functions:{ROOT}/layers/core",
        "NML_DISABLE_USAGE_LOGGING": "1",
        "DO_NOT_TRACK": "1",
        **more,
    }
    # Where modules are compiled at each start, that is all that is measured.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [python, "-c", code], capture_output=True, text=True, env=environment, cwd=folder, check=False
    )
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if done.returncode:
        raise SystemExit(f"{case}: {done.stderr[-2000:]}")
    peak, found = json.loads(done.stdout.splitlines()[-1])
    return Run(seconds, cpu, peak, found)


def alarms(folder: Path) -> dict[str, float]:
    """What the other module prints and answers. A thread a process: more would wait for each other."""
    code = ["-m", "tests.performance.monitor.alarms", os.environ.get("BENCH_PAIRS", "1000"), str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *code], stdout=subprocess.PIPE, text=True, env=environment, check=True)
    *told, last = done.stdout.splitlines()
    print("\n".join(told))
    found: dict[str, float] = json.loads(last)
    return found


def ratio(taken: dict[str, float], case: str, other: str) -> float | None:
    """How many times as long a case took as another; None where a peer is not there."""
    return round(taken[case] / taken[other], 2) if {case, other} <= taken.keys() else None


def main(folder: Path) -> None:
    """Print the tables and the figures."""
    folder.mkdir(parents=True, exist_ok=True)
    size = make(folder)
    ours, exact = timed("check", folder).found, timed("scipy", folder).found
    ks = max(abs(ours[name]["kolmogorov_smirnov"] - exact[name]["kolmogorov_smirnov"]) for name in NUMBERS)
    area = max(abs(ours[name]["wasserstein"] / exact[name]["wasserstein"] - 1) for name in NUMBERS)
    print(f"Profile of 10 columns: {size:,} bytes. Beside scipy on {ROWS:,} rows: Kolmogorov-Smirnov within {ks:.5f},")
    print(f"Wasserstein within {area:.2%}.")
    cases: dict[str, Path | str] = dict.fromkeys(("read", "check", "scipy"), sys.executable)
    if PEERS.exists():
        cases |= dict.fromkeys(("read_pyarrow", "nannyml", "evidently"), PEERS)
    runs: dict[str, list[Run]] = {case: [] for case in cases}
    for case, python in cases.items():
        # Once for nothing: modules are compiled.
        timed(case, folder, python)
    for _ in range(REPEATS):
        for case, python in cases.items():
            if case in {"nannyml", "evidently"} and len(runs[case]) >= 2:
                continue
            runs[case].append(timed(case, folder, python))
    walls = {case: statistics.median(run.seconds for run in found) for case, found in runs.items()}
    cpus = {case: statistics.median(run.cpu for run in found) for case, found in runs.items()}
    print(f"{'case':<16}{'seconds':>9}{'x read':>9}{'cpu s':>9}{'x read':>9}{'peak MB':>9}")
    for case, found in runs.items():
        peak = statistics.median(run.peak for run in found)
        wall, cpu = walls[case], cpus[case]
        print(f"{case:<16}{wall:>9.3f}{wall / walls['read']:>9.2f}{cpu:>9.3f}{cpu / cpus['read']:>9.2f}{peak:>9.0f}")
    figures: dict[str, float | None] = {
        "check_ratio": ratio(walls, "check", "read_pyarrow"),
        "check_ratio_polars": ratio(walls, "check", "read"),
        "check_ratio_cpu": ratio(cpus, "check", "read_pyarrow"),
        "evidently_speedup": ratio(walls, "evidently", "check"),
        "nannyml_speedup": ratio(walls, "nannyml", "check"),
        "profile_bytes": size,
        "ks_error": round(ks, 6),
        "wasserstein_error": round(area, 5),
    }
    for rows in (250_000, 1_000_000, 2_000_000):
        make_large(folder / "large", rows)
        run = timed("large", folder, BENCH_ROWS=str(rows))
        print(f"{rows:>9,} captures x 14 columns: {run.seconds:.2f} s, peak {run.peak:.0f} MB")
        figures[f"peak_mb_{rows}"] = round(run.peak)
    figures |= alarms(folder / "windows")
    print(json.dumps(figures))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())

"""The monitor beside Evidently and NannyML themselves, in an environment of their own (`make test-peers`)."""

import csv
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from interlock.stats.drift import evidently
from interlock.stats.drift.reference import number_reference
from interlock.stats.performance.calibrator import Calibrator
from interlock.stats.performance.estimate import estimate_binary
from interlock.stats.performance.expected import number_places
from interlock.stats.performance.losses import LossModel, root
from tests.unit.stats.counting import categorical, numeric

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / ".interlock" / "envs" / "peers" / "bin" / "python"
Array = npt.NDArray[Any]

pytestmark = pytest.mark.timeout(900)


def asked(question: str, folder: Path) -> Any:
    """What a peer answers; its last line is JSON."""
    environment = {**os.environ, "NML_DISABLE_USAGE_LOGGING": "1", "DO_NOT_TRACK": "1"}
    command = [PEERS, ROOT / "tests" / "peers" / "answers.py", question, folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_evidentlys_verdicts_by_its_default_tests(tmp_path: Path) -> None:
    """Both sizes of reference at which it chooses otherwise; some columns shifted, some not."""
    pairs = []
    for place, n in enumerate((700, 900, 3000, 6000)):
        generator = np.random.default_rng(place)
        shift = 0.15 * place
        before = {
            "x": generator.normal(size=n),
            "skewed": generator.lognormal(1, 0.8, n),
            "few": generator.integers(0, 4, n).astype(float),
            "two": generator.integers(0, 2, n).astype(float),
            "whole": generator.integers(0, 90, n).astype(float),
            "c_town": generator.integers(0, 8, n),
            "c_two": generator.integers(0, 2, n),
        }
        now = {
            "x": generator.normal(shift, 1, 800),
            "skewed": generator.lognormal(1 + shift, 0.8, 800),
            "few": generator.integers(0, 4, 800).astype(float),
            "two": (generator.random(800) < 0.5 + shift / 4).astype(float),
            "whole": generator.integers(0, 90, 800).astype(float),
            "c_town": generator.integers(0, 8, 800),
            "c_two": (generator.random(800) < 0.5 + shift / 3).astype(int),
        }
        for name, table in (("before", before), ("now", now)):
            with (tmp_path / f"{name}-{place}.csv").open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(table)
                writer.writerows(zip(*(values.tolist() for values in table.values()), strict=True))
        pairs.append((before, now))
    answers = asked("drift", tmp_path)
    worst = 0.0
    for (before, now), theirs in zip(pairs, answers, strict=True):
        drifted = 0
        for name, (method, value) in theirs["columns"].items():
            make = categorical if name.startswith("c_") else numeric
            found = evidently.test(make(name, before[name], now[name]))
            assert found is not None
            limit = 0.05 if "p_value" in method else 0.1
            assert found.drifted == (value < limit if "p_value" in method else value >= limit), (name, method, value)
            worst = max(worst, abs(found.value - value) / max(value, 1e-3))
            drifted += found.drifted
        assert drifted == theirs["drifted"]
    print(f"28 columns, largest relative difference {worst:.2%}")
    assert worst < 0.02


def test_nannymls_cbpe_on_its_synthetic_loans(tmp_path: Path) -> None:
    theirs = asked("cbpe", tmp_path)
    with np.load(tmp_path / "cbpe.npz") as data:
        calibrator = Calibrator.fitted(data["y"], data["scores"].astype(float))
        now = data["now"].astype(float)
    worst = {}
    for metric in ("roc_auc", "accuracy"):
        ours = [
            estimate_binary(now[start : start + 5000], 0.5, calibrator)[metric].value
            for start in range(0, len(now), 5000)
        ]
        worst[metric] = float(np.abs(np.array(ours) - theirs[metric]).max())
    print(f"ROC AUC within {worst['roc_auc']:.4f}, accuracy within {worst['accuracy']:.4f}")
    assert worst["roc_auc"] < 0.005
    assert worst["accuracy"] < 0.01


def test_nannymls_dle_on_its_synthetic_cars(tmp_path: Path) -> None:
    theirs = asked("dle", tmp_path)
    before, now = (_table(tmp_path / f"dle-{name}.csv") for name in ("before", "now"))
    numbers = ("car_age", "km_driven", "price_new", "accident_count", "door_count", "y_pred")
    edges = {name: number_reference(before[name].astype(float)).edges for name in numbers}
    words = {name: np.unique(before[name]).tolist() for name in ("fuel", "transmission")}

    def places(table: dict[str, Array], rows: slice) -> dict[str, Array]:
        found = {name: number_places(edges[name], table[name][rows].astype(float)) for name in numbers}
        return found | {
            name: np.array([known.index(word) for word in table[name][rows]]) for name, known in words.items()
        }

    sizes = {name: len(edges[name]) + 2 for name in numbers} | {name: len(known) + 1 for name, known in words.items()}
    learned = slice(0, 50_000)
    errors = (before["y_pred"].astype(float) - before["y_true"].astype(float))[learned]
    absolute = LossModel.fitted(np.abs(errors), places(before, learned), sizes)
    squared = LossModel.fitted(errors**2, places(before, learned), sizes)
    worst = 0.0
    for chunk, (mae, rmse) in enumerate(zip(theirs["mae"], theirs["rmse"], strict=True)):
        bins = places(now, slice(6000 * chunk, 6000 * (chunk + 1)))
        worst = max(worst, abs(absolute.expected(bins, 6000).value / mae - 1))
        worst = max(worst, abs(root(squared.expected(bins, 6000)).value / rmse - 1))
    print(f"MAE and RMSE within {worst:.2%}")
    assert worst < 0.03


def _table(path: Path) -> dict[str, Array]:
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}

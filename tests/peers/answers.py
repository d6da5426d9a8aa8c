"""What the peers say, as JSON; run by the Python of their own environment: answers.py QUESTION FOLDER."""

import json
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

warnings.filterwarnings("ignore")


def cbpe(folder: Path) -> Any:
    """NannyML's estimates on its own synthetic car loans, chunk by chunk, and the data they are made from."""
    import nannyml

    before, now, truth = nannyml.load_synthetic_car_loan_dataset()
    estimator = nannyml.CBPE(
        problem_type="classification_binary",
        y_pred_proba="y_pred_proba",
        y_pred="y_pred",
        y_true="repaid",
        metrics=["roc_auc", "accuracy"],
        chunk_size=5000,
    ).fit(before)
    found = estimator.estimate(now).filter(period="analysis").to_df()
    now = now.merge(truth, left_index=True, right_index=True) if "repaid" not in now else now
    np.savez(
        folder / "cbpe.npz",
        y=before["repaid"].to_numpy(),
        scores=before["y_pred_proba"].to_numpy(),
        now=now["y_pred_proba"].to_numpy(),
        truth=now["repaid"].to_numpy(),
    )
    return {name: found[name]["value"].tolist() for name in ("roc_auc", "accuracy")}


def dle(folder: Path) -> Any:
    """The same for its synthetic car prices."""
    import nannyml

    before, now, truth = nannyml.load_synthetic_car_price_dataset()
    features = ["car_age", "km_driven", "price_new", "accident_count", "door_count", "fuel", "transmission"]
    estimator = nannyml.DLE(
        feature_column_names=features, y_pred="y_pred", y_true="y_true", metrics=["rmse", "mae"], chunk_size=6000
    ).fit(before)
    found = estimator.estimate(now).filter(period="analysis").to_df()
    now["y_true"] = truth["y_true"].to_numpy()
    for name, frame in (("before", before), ("now", now)):
        frame[[*features, "y_pred", "y_true"]].to_csv(folder / f"dle-{name}.csv", index=False)
    return {name: found[name]["value"].tolist() for name in ("rmse", "mae")}


def drift(folder: Path) -> Any:
    """Evidently's default verdicts on every pair of files `before-N.csv` and `now-N.csv` of the folder."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    found = []
    for path in sorted(folder.glob("before-*.csv")):
        before, now = pd.read_csv(path), pd.read_csv(path.with_name(path.name.replace("before", "now")))
        texts = [name for name in before if name.startswith("c")]
        for frame in (before, now):
            frame[texts] = frame[texts].astype("object")
        columns = DataDefinition(
            numerical_columns=[name for name in before if name not in texts], categorical_columns=texts
        )
        run = Report([DataDriftPreset()]).run(Dataset.from_pandas(now, columns), Dataset.from_pandas(before, columns))
        metrics = run.dict()["metrics"]
        found.append(
            {
                "drifted": metrics[0]["value"]["count"],
                "columns": {
                    item["config"]["column"]: [item["config"]["method"], item["value"]] for item in metrics[1:]
                },
            }
        )
    return found


def windows(folder: Path) -> Any:
    """For which share of windows the defaults of each raise an alarm (tests.performance.monitor.alarms).

    By size, by whom, and by case. A dataset is Evidently's to call drifted, NannyML's columns speak each for itself.
    """
    paths = sorted(folder.glob("windows-*.parquet"))
    with ProcessPoolExecutor(2) as pool:
        answers = list(pool.map(_windows, paths))
    found: dict[str, dict[str, Any]] = {}
    for path, answer in zip(paths, answers, strict=True):
        for name, alarms in answer.items():
            found.setdefault(path.stem.split("-")[2], {}).setdefault(name, []).append(alarms)
    return {
        size: {name: np.mean(listed, axis=0).tolist() for name, listed in names.items()}
        for size, names in found.items()
    }


def _windows(path: Path) -> dict[str, list[bool]]:
    """Of windows of one size that follow each other in a file, which raise an alarm."""
    import nannyml
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    _, turn, size = path.stem.split("-")
    rows = int(size)
    before, every = pd.read_parquet(path.with_name(f"reference-{turn}.parquet")), pd.read_parquet(path)
    texts = [name for name in before if before[name].dtype.kind == "i" or name == "(label)"]
    numbers = [name for name in before if name not in texts]
    for frame in (before, every):
        frame[texts] = frame[texts].astype(str)
    each = [every.iloc[start : start + rows] for start in range(0, len(every), rows)]
    drifted = [[_evidently(before[name], now[name], name in texts) for name in before] for now in each]
    if turn == "000":
        # The tests without the drawing of their pictures, which takes most of a report's time, say what a report says.
        columns = DataDefinition(numerical_columns=numbers, categorical_columns=texts)
        run = Report([DataDriftPreset()]).run(
            Dataset.from_pandas(each[1], columns), Dataset.from_pandas(before, columns)
        )
        assert run.dict()["metrics"][0]["value"]["count"] == sum(drifted[1])
    alone = nannyml.UnivariateDriftCalculator(column_names=[*numbers, *texts], chunk_size=rows).fit(before)
    alerts = alone.calculate(every).filter(period="analysis").to_df().xs("alert", axis=1, level=-1)
    together = nannyml.DataReconstructionDriftCalculator(column_names=[*numbers, *texts], chunk_size=rows).fit(before)
    errors = together.calculate(every).filter(period="analysis").to_df()
    return {
        "evidently": [sum(columns) >= len(columns) / 2 for columns in drifted],
        "evidently_column": [any(columns) for columns in drifted],
        "nannyml_column": alerts.any(axis=1).tolist(),
        "nannyml_together": errors["reconstruction_error"]["alert"].astype(bool).tolist(),
    }


def _evidently(before: pd.Series, now: pd.Series, text: bool) -> bool:
    """Whether a column drifted by the test that Evidently chooses for it."""
    from evidently.legacy.calculations.stattests import get_stattest
    from evidently.legacy.core import ColumnType

    kind = ColumnType.Categorical if text else ColumnType.Numerical
    before, now = before.dropna(), now.dropna()
    return bool(get_stattest(before, now, kind, None)(before, now, kind, None).drifted)


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](Path(sys.argv[2]))))

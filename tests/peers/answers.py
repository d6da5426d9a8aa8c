"""What the peers say, as JSON; run by the Python of their own environment: answers.py QUESTION FOLDER."""

import json
import sys
import warnings
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
    """How often Evidently's and NannyML's defaults raise an alarm on undrifted windows (tests.performance.monitor)."""
    import nannyml
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    found: dict[str, dict[str, int]] = {}
    for path in sorted(folder.glob("window-*.parquet")):
        _, turn, size = path.stem.split("-")
        before, now = pd.read_parquet(folder / f"reference-{turn}.parquet"), pd.read_parquet(path)
        texts = [name for name in before if before[name].dtype.kind == "i" or name == "(label)"]
        numbers = [name for name in before if name not in texts]
        for frame in (before, now):
            frame[texts] = frame[texts].astype(str)
        counts = found.setdefault(size, {"windows": 0, "evidently": 0, "evidently_column": 0, "nannyml_column": 0})
        counts["windows"] += 1
        columns = DataDefinition(numerical_columns=numbers, categorical_columns=texts)
        run = Report([DataDriftPreset()]).run(Dataset.from_pandas(now, columns), Dataset.from_pandas(before, columns))
        value = run.dict()["metrics"][0]["value"]
        counts["evidently"] += value["share"] >= 0.5
        counts["evidently_column"] += value["count"] > 0
        calculator = nannyml.UnivariateDriftCalculator(column_names=[*numbers, *texts], chunk_size=int(size))
        result = calculator.fit(before).calculate(now).filter(period="analysis").to_df()
        counts["nannyml_column"] += bool(result.xs("alert", axis=1, level=-1).to_numpy()[0].any())
    return found


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](Path(sys.argv[2]))))

"""Makes the folders of a training container."""

import json
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

TYPES = {"string": "VARCHAR", "integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN"}
FEATURES = [
    {"name": "age", "type": "integer"},
    {"name": "hours per-week", "type": "number"},
    {"name": "member", "type": "boolean"},
    {"name": "job", "type": "string"},
]


def told(kind: str = "binary", **changes: Any) -> dict[str, Any]:
    classes = {"binary": ["no", "yes"], "multiclass": ["low", "middle", "high"], "regression": []}[kind]
    return {
        "model": "people",
        "kind": kind,
        "target": "y",
        "features": FEATURES,
        "classes": classes,
        "estimator": "hist_gradient_boosting",
        "parameters": {},
        "seed": 3,
        "threshold": "fixed",
        "threshold_value": 0.4,
        "script": None,
    } | changes


def rows(kind: str, count: int, seed: int) -> list[tuple[Any, ...]]:
    """Rows with missing values, more digits than float32 has, and a target that follows from the features."""
    random = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        age = None if random.random() < 0.05 else int(random.integers(18, 90))
        hours = None if random.random() < 0.05 else float(random.normal(40, 12))
        member = None if random.random() < 0.05 else bool(random.random() < 0.4)
        job = None if random.random() < 0.05 else str(random.choice(["nurse", "smith", "clerk", "naïve"]))
        z = (
            ((age or 40) - 50) / 15
            + ((hours or 40) - 40) / 12
            + (job == "smith")
            - bool(member)
            + random.normal() * 0.7
        )
        y: Any = z * 1000 + 123_456.789
        if kind != "regression":
            names = told(kind)["classes"]
            y = names[int(np.digitize(z, [0] if kind == "binary" else [-0.7, 0.9]))]
        made.append((age, hours, member, job, y))
    return made


def container(
    base: Path, settings: dict[str, Any], train: list[tuple[Any, ...]], holdout: list[tuple[Any, ...]]
) -> Path:
    config = base / "input/config"
    config.mkdir(parents=True)
    (config / "hyperparameters.json").write_text(json.dumps({"model": "people", "run": "r1"}))
    (config / "inputdataconfig.json").write_text(json.dumps({"train": {}, "holdout": {}, "settings": {}}))
    for channel in ("settings", "train", "holdout"):
        (base / "input/data" / channel).mkdir(parents=True)
    (base / "input/data/settings/job.json").write_text(json.dumps(settings))
    columns = {feature["name"]: TYPES[feature["type"]] for feature in settings["features"]}
    y = {settings["target"]: "DOUBLE" if settings["kind"] == "regression" else "VARCHAR"}
    parquet(base / "input/data/train/train.parquet", columns | y, train)
    parquet(base / "input/data/holdout/holdout.parquet", columns, [row[: len(columns)] for row in holdout])
    return base


def parquet(path: Path, columns: dict[str, str], values: list[tuple[Any, ...]]) -> None:
    with duckdb.connect() as con:
        declared = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
        con.execute(f"CREATE TABLE t ({declared})")
        if values:
            con.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(columns))})", values)
        con.execute(f"COPY t TO '{path}' (FORMAT parquet)")

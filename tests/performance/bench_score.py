"""What scoring a file costs above the model: rows a second in one function, beside the bare session, and the memory.

    python -m tests.performance.bench_score [rows]

Twenty inputs, gradient boosting of 100 trees. Each form runs in a process of its own, so that memory is its own.
"""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import duckdb

from interlock.contract import Column, ColumnType, Contract
from interlock.kind import Kind
from interlock.models import DeployedModel
from interlock.spec import Gate, Holdout, Limit, ModelSpec, Target
from serve.loaded import Loaded
from serve.score import part
from serve.score.documents import Piece
from serve.stored import Input, Ref, ServedModel
from tests.performance.served import CATEGORIES, MODEL, NUMBERS, make, session, tensors
from tests.unit.fakes import FakeObjects

FORMS = ("csv", "jsonl", "parquet")


def model() -> DeployedModel:
    return DeployedModel(
        spec=ModelSpec(
            id=MODEL,
            target=Target(column="y", kind=Kind.BINARY, positive="yes"),
            holdout=Holdout(key="a-key"),
            gate=Gate(metrics={"roc_auc": Limit(min=0.5)}),
        ),
        contract=Contract(
            id=MODEL,
            version="1",
            columns=(
                *(Column(name=name, type=ColumnType.NUMBER, required=True, minimum=-100) for name in NUMBERS),
                *(Column(name=name, type=ColumnType.STRING, required=True, max_length=9) for name in CATEGORIES),
                Column(name="y", type=ColumnType.STRING, allowed=("no", "yes")),
            ),
        ),
    )


def write(folder: Path, rows: int) -> dict[str, Path]:
    """The same rows in each form."""
    made = make()
    few = [
        {**{name: round(float(row[name]), 5) for name in NUMBERS}, **{name: row[name] for name in CATEGORIES}}
        for row in made.frame.to_dict("records")
    ]
    paths = {form: folder / f"rows.{form}" for form in FORMS}
    with paths["csv"].open("w", newline="") as text, paths["jsonl"].open("w") as lines:
        writer = csv.DictWriter(text, few[0])
        writer.writeheader()
        for first in range(0, rows, len(few)):
            some = few[: rows - first]
            writer.writerows(some)
            lines.writelines(json.dumps(row) + "\n" for row in some)
    duckdb.sql(f"COPY (FROM read_csv('{paths['csv']}')) TO '{paths['parquet']}' (FORMAT parquet)")
    (folder / "model.onnx").write_bytes(made.onnx)
    bare = session(made.onnx)
    block = tensors(made.frame.iloc[:5000])
    best = min(_timed(lambda: bare.run(None, block)) for _ in range(5))
    print(f"bare session: {5000 / best:12,.0f} rows a second")
    return paths


def _timed(call: object) -> float:
    began = time.perf_counter()
    call()  # type: ignore[operator]
    return time.perf_counter() - began


class Disk(FakeObjects):
    """A bucket whose file is on disk, so that its bytes are in nobody's memory."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def reader(self, key: str, version: str):  # type: ignore[no-untyped-def]
        from interlock.aws.ranges import RangedObject

        def fetch(first: int, end: int) -> bytes:
            with self.path.open("rb") as file:
                file.seek(first)
                return file.read(end - first)

        return RangedObject(fetch, "data", key, version, self.path.stat().st_size)

    def put_file(self, key: str, path: Path, content_type: str = ""):  # type: ignore[no-untyped-def]
        return self.put(key, path.name.encode())


def one(path: Path) -> None:
    """Score a file in this process."""
    inputs = [
        *(Input(name, "FP32", required=True) for name in NUMBERS),
        *(Input(name, "BYTES", required=True) for name in CATEGORIES),
    ]
    served = ServedModel(1, MODEL, 1, Kind.BINARY, tuple(inputs), ("no", "yes"), 0.5, Ref("", "", "", "", 0))
    loaded = Loaded(served, path.with_name("model.onnx").read_bytes())
    found = model()
    with mock.patch.object(part, "deployed_text", return_value=found.to_json().encode()):
        began = time.perf_counter()
        done = part.score(Disk(path), loaded, found, "c", Piece(index=0, key="k", version="v"), 590)
        took = time.perf_counter() - began
    # What the kernel's other figure says holds what the process that started this one had.
    peak = int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024  # type: ignore[index]
    assert done.scored == done.rows, done.errors[:1]
    print(f"{path.suffix[1:]:12} {done.rows / took:12,.0f} rows a second, peak {peak:,.0f} MB, {done.rows:,} rows")


if __name__ == "__main__":
    if len(sys.argv) > 1 and Path(sys.argv[1]).exists():
        one(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            for made in write(Path(scratch), int(sys.argv[1]) if len(sys.argv) > 1 else 100_000).values():
                subprocess.run([sys.executable, "-m", "tests.performance.bench_score", str(made)], check=True)

"""The example model's own data keeps its contract, and the demo's bad lines break it as they say."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
from pathlib import Path

import pytest
import yaml

from ingest.engine import judge
from interlock.folder import read_model
from tests.unit.ingest.made import rows

FOLDER = Path(__file__).parents[3] / "models/census-income"
MODEL = read_model(FOLDER)


@pytest.mark.parametrize(
    ("part", "count", "train", "holdout"),
    [
        ("part-1", 22_000, "accfb982e05b9485", "e8565334db9e22ac"),
        ("part-2", 10_561, "b4cae018e6285080", "c6b80e1f3a158e4e"),
    ],
)
def test_every_real_row_is_good_and_on_the_side_where_it_always_was(
    tmp_path: Path, part: str, count: int, train: str, holdout: str
) -> None:
    answer = judge(FOLDER / f"data/{part}.csv.gz", MODEL, tmp_path)
    assert (answer.rows, answer.bad_rows, answer.problems, answer.findings) == (count, 0, [], [])
    assert answer.train_rows + answer.holdout_rows == count
    assert answer.holdout_rows / count == pytest.approx(0.2, abs=0.01)
    # As the first version of the engine wrote them: the same rows in the same order.
    digests = [
        hashlib.sha256(json.dumps(rows(answer.files[name])).encode()).hexdigest()[:16] for name in ("train", "holdout")
    ]
    assert digests == [train, holdout]


def test_the_demos_bad_lines_are_bad_each_in_its_way(tmp_path: Path) -> None:
    demo = yaml.safe_load((FOLDER / "demo.yaml").read_text("utf-8"))
    lines = "\n".join(item["line"] for item in demo["bad_lines"])
    (tmp_path / "upload").write_bytes(gzip.decompress((FOLDER / demo["first_upload"]).read_bytes()) + lines.encode())
    (tmp_path / "work").mkdir()
    answer = judge(tmp_path / "upload", MODEL, tmp_path / "work")
    assert answer.admitted
    assert answer.bad_rows == len(demo["bad_lines"])
    with answer.files["violations"].open(newline="") as file:
        listed = {(int(item["row"]) - 22_000, item["rule"], item["column"]) for item in csv.DictReader(file)}
    assert listed == {
        *{(1, "type", "age"), (2, "minimum", "age"), (3, "maximum", "hours_per_week"), (4, "allowed", "workclass")},
        *{(5, "required", "fnlwgt"), (6, "field_count", ""), (7, "allowed", "sex"), (7, "allowed", "income")},
    }
    # What the demo sends for predictions are inputs of the model.
    names = {item.name for item in MODEL.features}
    assert all(set(person["row"]) == names for person in demo["people"])

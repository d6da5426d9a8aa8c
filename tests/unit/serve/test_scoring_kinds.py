"""Files scored by versions that the real job trained: of several classes and of a number, in every form of file."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interlock.records import ServedModel, TrainingManifest
from serve.protocol import rows
from serve.protocol.signature import Signature, Tensor
from serve.score import reading, take
from tests.unit.serve.scored import Scoring, parquet
from tests.unit.serve.test_registered import held_out, scores_of
from tests.unit.train.test_run import judged, registered, trained
from tests.unit.train.test_run import serve as release
from tests.unit.train.world import World, model

CLASSES = ["low", "middle", "high"]
NAMES = ("id", "age", "hours", "member", "job")
COLUMNS = {
    "multiclass": ["label", "probability", *(f"probability_{name}" for name in CLASSES)],
    "regression": ["prediction"],
}
Rows = list[tuple[Any, ...]]


class Trained:
    """A registered version, the rows it never saw, and scikit-learn's own scores of them."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.world, self.model = World(), model(kind)
        manifest, job = trained(self.world, folder, kind)
        evaluation, _, verdict = judged(self.world, manifest, job)
        package = registered(self.world, manifest, evaluation, verdict)
        release(self.world, package)
        self.served = ServedModel.from_json(self.world.artefacts.get(package.candidate.served))
        self.scores = scores_of(self.world, job.output)
        columns = held_out(self.world, TrainingManifest.from_json(self.world.data.get(manifest)), folder)
        unseen = zip(*(columns[name] for name in NAMES[1:]), strict=True)
        self.rows: Rows = [(number, *row) for number, row in enumerate(unseen, 1)]

    def scoring(self, patch: pytest.MonkeyPatch) -> Scoring:
        """Its file's way through the workflow."""
        found = Scoring(patch, self.model)
        found.state.items.update(self.world.state.items)
        found.objects.versions.update(self.world.artefacts.versions)
        found.objects.newest.update(self.world.artefacts.newest)
        return found


@pytest.fixture(scope="module", params=["multiclass", "regression"])
def version(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return Trained(tmp_path_factory.mktemp("trained"), request.param)


def in_csv(asked: Rows) -> bytes:
    out = io.StringIO()
    shown = [["" if value is None else str(value).lower() if isinstance(value, bool) else value for value in row]
             for row in asked]  # fmt: skip
    csv.writer(out, lineterminator="\n").writerows([NAMES, *shown])
    return out.getvalue().encode()


def in_parquet(asked: Rows) -> bytes:
    kinds = dict(zip(NAMES, ("BIGINT", "BIGINT", "DOUBLE", "BOOLEAN", "VARCHAR"), strict=True))

    def literal(value: Any) -> str:
        return "NULL" if value is None else repr(value)

    values = ", ".join(f"({', '.join(map(literal, row))})" for row in asked)
    typed = ", ".join(f"{name}::{kind} AS {name}" for name, kind in kinds.items())
    return parquet(f"SELECT {typed} FROM (VALUES {values}) AS t({', '.join(NAMES)})")


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("form", [in_csv, in_parquet])
def test_every_row_has_each_class_s_probability_as_scikit_learn_has_it(
    monkeypatch: pytest.MonkeyPatch, version: Trained, form: Any, large: bool
) -> None:
    scoring = version.scoring(monkeypatch)
    if large:
        monkeypatch.setattr(take, "WHOLE_BYTES", 0)
        monkeypatch.setattr(reading, "PIECE_BYTES", 500)
    assert scoring.run(scoring.put(form(version.rows), "score/people/file")) == "Scored"
    found = scoring.predictions()
    kind = version.served.kind.value
    lines = ["line"] if form is in_csv else []
    assert list(found[0]) == ["row", *lines, "id", *COLUMNS[kind], "error"]
    assert [int(row["id"]) for row in found] == [row[0] for row in version.rows]
    assert [row["error"] for row in found] == [None] * len(version.scores)
    if kind == "regression":
        scores = np.array([float(row["prediction"]) for row in found])
        assert np.abs(scores - version.scores[:, 0]).max() / np.abs(version.scores).max() < 1e-5
        return
    scores = np.array([[float(row[f"probability_{name}"]) for name in CLASSES] for row in found])
    places = [version.served.classes.index(name) for name in CLASSES]
    assert np.abs(scores - version.scores[:, places]).max() < 1e-5
    assert [row["label"] for row in found] == [version.served.classes[place] for place in version.scores.argmax(axis=1)]
    assert np.abs(np.array([float(row["probability"]) for row in found]) - version.scores.max(axis=1)).max() < 1e-5
    assert set(CLASSES) == {row["label"] for row in found}


def test_a_row_that_cannot_be_scored_has_its_reason_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, version: Trained
) -> None:
    scoring = version.scoring(monkeypatch)
    body = b"id,age,hours,member,job\n1,40,38.5,true,smith\n2,forty,38.5,maybe,smith\n3,40,38.5,false,clerk\n"
    assert scoring.run(scoring.put(body, "score/people/file.csv")) == "Scored"
    found = scoring.predictions()
    assert [row["error"] for row in found] == [None, "age: must be a whole number; member: must be true or false", None]
    kind = version.served.kind.value
    assert [found[1][name] for name in COLUMNS[kind]] == [None] * len(COLUMNS[kind])
    assert (scoring.result().rows, scoring.result().scored) == (3, 2)


@pytest.mark.parametrize(
    ("age", "said"),
    [
        ("40", None),
        ("40.0", None),
        ("4e1", None),
        ("40.5", "age: must be a whole number"),
        ("1e300", "age: is beyond the range of float32"),
        ('"40"', "age: must be a whole number"),
        ("true", "age: must be a whole number"),
    ],
)
def test_a_whole_number_may_be_written_as_json_schema_has_it_in_every_door(
    monkeypatch: pytest.MonkeyPatch, version: Trained, age: str, said: str | None
) -> None:
    scoring = version.scoring(monkeypatch)
    line = f'{{"age": {age}, "hours": 38.5, "member": true, "job": "smith"}}'
    assert scoring.run(scoring.put(b'{"id": 1, ' + line[1:].encode() + b"\n", "score/people/file")) == "Scored"
    (scored,) = scoring.predictions()
    assert scored["error"] == said
    found = rows.columns(version.model.to_json().encode())
    tensors = [Tensor(item.name, item.datatype, item.required) for item in version.served.inputs]
    signature = Signature("people", 1, version.served.kind, tensors, version.served.classes, None)
    for door in (
        lambda: rows.read_objects(f'{{"rows": [{line}]}}'.encode(), "rows", signature, found),
        lambda: rows.read_csv(f"{age},38.5,true,smith\n".encode(), signature, found),
    ):
        if said is None:
            assert door().values["age"] == [40]
            assert type(door().values["age"][0]) is int
        elif age[0].isdigit():
            with pytest.raises(rows.InvalidRows, match=said.removeprefix("age: ")):
                door()

"""What the job trained and the gate let through, served: every held-out row as scikit-learn itself scored it."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

import serve.infer
from interlock.records import ServedModel, TrainingManifest
from serve.live import Live
from serve.loaded import Memory
from serve.operations import Service
from tests.unit.serve.world import Stored, call
from tests.unit.train.test_run import judged, registered, trained
from tests.unit.train.test_run import serve as release
from tests.unit.train.world import World


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_a_registered_model_answers_as_scikit_learn_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    world = World()
    manifest, job = trained(world, tmp_path, kind)
    evaluation, _, verdict = judged(world, manifest, job)
    package = registered(world, manifest, evaluation, verdict)
    release(world, package)
    live = Live(Stored(world.state, world.artefacts), Memory(10**9), lambda: None)
    monkeypatch.setattr(serve.infer, "service", lambda: Service(live, ("people",)))
    served = ServedModel.from_json(world.artefacts.get(package.candidate.served))

    native = scores_of(world, job.output)
    columns = held_out(world, TrainingManifest.from_json(world.data.get(manifest)), tmp_path)
    inputs = [
        {"name": item.name, "datatype": item.datatype, "shape": [len(native), 1], "data": columns[item.name]}
        for item in served.inputs
    ]
    status, answer, _ = call("POST", "/v2/models/people/infer", {"inputs": inputs})
    assert status == 200, answer
    outputs = {item["name"]: np.array(item["data"]) for item in answer["outputs"]}
    assert len(native) > 50
    if kind == "regression":
        assert np.abs(outputs["prediction"] - native[:, 0]).max() / np.abs(native).max() < 1e-5
        return
    wanted = native if kind == "multiclass" else native[:, 1]
    found = outputs["probabilities"].reshape(native.shape) if kind == "multiclass" else outputs["probability"]
    assert np.abs(found - wanted).max() < 1e-5
    places = native.argmax(axis=1) if kind == "multiclass" else (native[:, 1] >= served.threshold).astype(int)
    assert outputs["label"].tolist() == [served.classes[place] for place in places]
    assert set(outputs["label"]) == set(served.classes)


def scores_of(world: World, uri: str) -> Any:
    body = world.artefacts.read(uri.removeprefix("s3://artefacts/"))
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        file = archive.extractfile("scores.npz")
        assert file is not None
        return np.load(io.BytesIO(file.read()))["scores"]


def held_out(world: World, manifest: TrainingManifest, folder: Path) -> dict[str, list[Any]]:
    path = world.data.get_file(manifest.holdout_features, folder / "held-out.parquet")
    with duckdb.connect() as con:
        found = con.execute(f"FROM read_parquet('{path}')")
        names = [item[0] for item in found.description]
        return dict(zip(names, map(list, zip(*found.fetchall(), strict=True)), strict=True))

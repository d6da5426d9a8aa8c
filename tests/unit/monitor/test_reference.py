"""The reference as a training freezes it, and a window judged by it: columns, dependence, segments, labels."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from interlock.models import DeployedModel
from interlock.records import ObjectRef
from interlock.stats.drift.reference import Reference, category_reference, number_reference
from interlock.windows import WindowResult
from tests.unit.monitor.world import AT, HOUR, Row, World, make, model, people, score
from train.data import join

SEGMENTED = model(segments=["job", "origin"])


def frozen(deployed: DeployedModel, rows: Sequence[Row], folder: Path) -> Reference:
    """What a run that is trained on these rows keeps of them, with what its model said about them."""
    table = pl.DataFrame([{"id": str(place), **row, "repaid": "yes"} for place, row in enumerate(rows)])
    for name in ("train", "holdout"):
        table.write_parquet(folder / f"{name}.parquet")
        table = table.clear()
    reference = join(deployed, [(folder / "train.parquet", folder / "holdout.parquet")], folder, 256).reference
    said = np.array([score(row) for row in rows])
    labels = category_reference([("yes", int((said >= 0.5).sum())), ("no", int((said < 0.5).sum()))], 0)
    return reference.model_copy(update={"score": number_reference(said, detailed=True), "label": labels})


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    made = make(monkeypatch, SEGMENTED)
    made.reference = frozen(SEGMENTED, people(5000, seed=1), tmp_path)
    made.release()
    return made


def judged(world: World) -> WindowResult:
    return world.result(world.check())


def test_the_reference_holds_what_a_check_needs_and_no_restricted_value_beside_its_bins(world: World) -> None:
    reference = world.reference
    assert len(reference.to_json()) < 60_000
    assert {name for name, column in reference.numbers.items() if column.distribution} == {"age", "amount"}
    assert reference.together is not None
    assert set(reference.together.columns) == {"age", "amount", "job", "member"}
    jobs = {segment.value: segment for segment in reference.segments["job"]}
    assert list(jobs) == ["clerk", "nurse", "smith"] or list(jobs) == ["clerk", "nurse", "smith", "baker"]
    assert jobs["nurse"].rows == jobs["nurse"].numbers["age"].rows
    assert "job" not in jobs["nurse"].categories
    # A restricted column's segments are named by the place of its category, as its captures are.
    assert [segment.value for segment in reference.segments["origin"]] == ["0", "1", "2"]


def test_the_same_people_are_stable_as_a_whole_and_in_every_segment(world: World) -> None:
    world.answer(people(3000, seed=2))
    found = judged(world)
    assert found.state == "stable"
    assert {column.column for column in found.drift.columns} >= {"(label)", "(score)"}
    assert found.drift.together is not None
    assert found.drift.together.state == "stable"
    assert {part.state for part in found.drift.segments} <= {"stable", "too_few"}


def test_a_drift_within_one_segment_is_named_though_the_whole_hardly_moves(world: World) -> None:
    mixed = people(4000, seed=3)
    for row in mixed:
        if row["job"] == "smith" and row["amount"]:
            row["amount"] = min(3 * row["amount"], 4000.0)
    world.answer(mixed)
    checked = world.check()
    found = world.result(checked)
    assert found.drift.drifted == ()
    drifted = [part for part in found.drift.segments if part.state == "drift"]
    assert [(part.column, part.value, part.drifted) for part in drifted] == [("job", "smith", ("amount",))]
    assert found.state == "drift"
    assert world.decide(checked)["reason"].startswith("the champion has been trained on all")
    subject, text = world.alerts.sent[0]
    assert subject.endswith("the segment job smith")
    assert "- where job is smith (" in text


def test_a_segment_with_few_rows_is_not_judged(world: World) -> None:
    world.answer(people(600, seed=4, amount=lambda row: 9e6 if row["job"] == "smith" else row["amount"]))
    found = judged(world)
    smith = next(part for part in found.drift.segments if part.value == "smith")
    assert smith.rows < 200
    assert (smith.state, smith.drifted) == ("too_few", ())


def test_a_dependence_that_training_did_not_have(world: World) -> None:
    rows = people(2000, seed=5)
    ages, amounts = sorted(row["age"] for row in rows), sorted(row["amount"] or 500.0 for row in rows)
    order = np.random.default_rng(0).permutation(2000)
    world.answer([{**rows[k], "age": ages[k], "amount": amounts[k]} for k in order])
    found = judged(world)
    assert found.drift.drifted == ()
    assert found.drift.together is not None
    assert found.drift.together.pair == ("age", "amount")
    assert found.state == "drift"
    stored = found.report
    assert stored is not None
    assert "How columns go together" in world.data.get(stored).decode()


def test_values_beyond_all_that_training_saw(world: World) -> None:
    world.answer(people(960, seed=6) + people(40, seed=7, age=199), request="r")
    age = next(column for column in judged(world).drift.columns if column.column == "age")
    assert age.state == "drift"
    assert age.outside == pytest.approx(0.04, abs=0.002)
    assert "4.1% of the values lie outside the training range" in age.reason


def test_a_capture_file_that_was_cut_short_is_left_out_and_counted(world: World) -> None:
    world.answer(people(500, seed=8), request="whole")
    whole = next(iter(world.data.keys("captures/")))
    body = world.data.read(whole)
    world.data.put(whole.replace(".parquet", "-half.parquet"), body[: len(body) // 2])
    checked = world.check()
    found = world.result(checked)
    assert (found.state, found.drift.rows, found.unreadable) == ("stable", 500, 1)
    assert "Unreadable files left out" in world.data.get(ObjectRef.model_validate(found.report)).decode()


def test_evidentlys_verdicts_for_those_who_want_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    deployed = model(drift={"method": "evidently"})
    world = make(monkeypatch, deployed)
    world.reference = frozen(deployed, people(2000, seed=1), tmp_path)
    world.release()
    world.answer(people(2000, seed=9, age=lambda row: row["age"] + 15))
    found = judged(world)
    assert found.state == "warn"
    assert set(found.drift.drifted) == {"age", "(score)", "(label)"}
    assert found.drift.columns[0].reason.startswith("Evidently's ")


def test_a_reference_of_an_earlier_version_still_serves(world: World) -> None:
    old = json.loads(world.reference.to_json())
    for name in ("together", "segments", "label"):
        old.pop(name)
    for column in [*old["numbers"].values(), old["score"]]:
        column.pop("distribution")
    world.reference = Reference.from_json(json.dumps({**old, "schema_version": 1}))
    world.release()
    world.answer(people(800, seed=3, age=lambda row: row["age"] + 15), at=AT - HOUR)
    assert set(judged(world).drift.drifted) == {"age", "(score)"}

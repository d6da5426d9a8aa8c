"""Labels that come late, twice, wrongly or for nobody; what the model was worth by them; what it should have been."""

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interlock.models import DeployedModel
from interlock.stats.drift.reference import Reference
from interlock.stats.performance.expected import Expected
from interlock.windows import Performed
from serve import labels as door
from tests.unit.monitor.test_reference import frozen
from tests.unit.monitor.world import AT, HOUR, Row, World, make, model, people, score

LABELLED = model(fairness=[{"column": "member", "min_positives": 20}])


def truth(row: Row, generator: np.random.Generator) -> str:
    return "yes" if generator.random() < score(row) else "no"


def knowing(deployed: DeployedModel, folder: Path) -> Reference:
    """The reference of a model that was evaluated on a holdout of these people."""
    generator = np.random.default_rng(0)
    rows = people(4000, seed=1)
    said = np.array([[1 - score(row), score(row)] for row in rows])
    y = np.array([truth(row, generator) == "yes" for row in rows]).astype(int)
    expected = Expected.of(deployed.spec.target.kind, y, said, 0.5, {}, {})
    return frozen(deployed, rows, folder).model_copy(update={"expected": expected})


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    made = make(monkeypatch, LABELLED)
    made.reference = knowing(LABELLED, tmp_path)
    made.release()
    return made


def tell(world: World, rows: Sequence[Row], said: Sequence[str], request: str = "r", **more: Any) -> None:
    """Post labels through the HTTPS door's own function."""
    given = [{"request_id": request, "row": place, "label": label} for place, label in enumerate(said)]
    door.take(json.dumps({"labels": given, **more}).encode(), LABELLED, world.data, AT - HOUR / 2)


def performed(world: World) -> Performed:
    found = world.result(world.check()).performed
    assert found is not None
    return found


def test_without_labels_the_estimate_is_what_the_labels_would_say(world: World) -> None:
    rows = people(3000, seed=2)
    world.answer(rows)
    found = performed(world)
    generator = np.random.default_rng(2)
    real = np.mean([(score(row) >= 0.5) == (truth(row, generator) == "yes") for row in rows])
    assert found.estimated["accuracy"].low < real < found.estimated["accuracy"].high
    assert (found.state, found.labelled, found.realised) == ("fine", 0, {})
    assert "estimated without labels" in found.reason


def test_labels_are_measured_by_the_day_of_their_prediction(world: World) -> None:
    generator = np.random.default_rng(3)
    for days, request in ((3, "old"), (0, "new")):
        rows = people(400, seed=10 + days)
        world.answer(rows, at=AT - timedelta(days=days) - HOUR, request=request)
        tell(world, rows, [truth(row, generator) for row in rows], request)
    found = performed(world)
    assert found.labelled == 800
    assert [(str(day.day), day.rows) for day in found.days] == [("2026-02-27", 400), ("2026-03-02", 400)]
    realised, expected = found.realised["accuracy"], found.expected["accuracy"]
    assert realised.low < found.holdout["accuracy"] < realised.high
    assert realised.low < expected.value < realised.high
    assert found.state == "fine"


def test_a_relation_that_has_changed_is_named_though_the_inputs_are_the_same(world: World) -> None:
    rows = people(800, seed=4)
    world.answer(rows)
    generator = np.random.default_rng(4)
    tell(world, rows, ["no" if truth(row, generator) == "yes" else "yes" for row in rows])
    checked = world.check()
    result = world.result(checked)
    assert result.state == "stable"
    assert result.performed is not None
    assert result.performed.state == "concept"
    assert "the relation itself has changed" in result.performed.reason
    assert world.decide(checked)["action"] == "alert"
    assert [type(event).__name__ for event in world.bus.published] == ["PerformanceDropped"]
    assert world.alerts.sent[0][0] == "loans: what it has learned no longer holds"


def test_labels_that_come_twice_contradict_name_nobody_or_answer_nothing(world: World) -> None:
    rows = people(300, seed=5)
    world.answer(rows)
    tell(world, rows, ["yes"] * 300)
    # Told again later, a hundred of them otherwise.
    given = [{"request_id": "r", "row": place, "label": "no" if place < 100 else "yes"} for place in range(300)]
    door.take(json.dumps({"labels": given}).encode(), LABELLED, world.data, AT)
    tell(world, rows, ["yes"] * 7, request="nobody")
    world.data.put("labels/loans/mine.csv", b"request_id,row,label\nr,0,perhaps\nr,1,\n")
    world.data.put("labels/loans/notes.txt", b"nothing of the kind\n")
    found = performed(world)
    assert found.labels.model_dump() == {
        "told": 609,
        "unusable": 2,
        "repeated": 300,
        "contradicted": 100,
        "unknown": 7,
        "other_version": 0,
        "unreadable_files": 1,
    }
    assert found.labelled == 300


def test_a_file_of_labels_may_name_the_groups(world: World) -> None:
    generator = np.random.default_rng(6)
    rows = people(1000, seed=6)
    world.answer(rows)
    lines = [f"r,{place},{truth(row, generator)}" for place, row in enumerate(rows)]
    world.data.put("labels/loans/february.csv", ("request_id,row,label\n" + "\n".join(lines)).encode())
    (gap,) = performed(world).fairness
    # `member` is an input, so that the captures know it.
    assert {gap.best, gap.worst} == {"true", "false"}
    assert gap.state == "fine"
    assert gap.gap is not None


def test_a_label_before_its_prediction_waits_for_it(world: World) -> None:
    rows = people(300, seed=7)
    tell(world, rows, ["yes"] * 300)
    assert performed(world).labels.unknown == 300
    world.answer(rows)
    found = performed(world)
    assert (found.labels.unknown, found.labelled) == (0, 300)


def test_labels_of_another_version_say_nothing_of_this_one(world: World) -> None:
    rows = people(300, seed=8)
    world.answer(rows)
    tell(world, rows, ["no"] * 300)
    world.release(version=2)
    found = performed(world)
    assert (found.labelled, found.labels.other_version, found.state) == (0, 300, "unknown")


def test_too_few_labels_are_counted_and_not_judged(world: World) -> None:
    rows = people(600, seed=9)
    world.answer(rows)
    tell(world, rows[:50], ["no"] * 50)
    found = performed(world)
    assert (found.labelled, found.realised, found.state) == (50, {}, "fine")


def test_the_report_says_what_an_estimate_cannot_see(world: World) -> None:
    world.answer(people(600, seed=10))
    stored = world.result(world.check()).report
    assert stored is not None
    page = world.data.get(stored).decode()
    assert "It cannot see a change of the relation between inputs and target (concept drift): only labels can." in page
    assert "How good the model is" in page

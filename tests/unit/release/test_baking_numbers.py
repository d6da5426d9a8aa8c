"""Releases of a model that predicts a number: its error is estimated before any label, by what training has seen."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from interlock.kind import Kind
from interlock.models import DeployedModel
from interlock.spec import ModelSpec
from interlock.stats.drift.reference import Reference, number_reference
from interlock.stats.performance.expected import Expected, number_places
from tests.unit.release.world import CONTRACT, World, started

LIMITS = {"min_agreement": 0.1, "max_score_shift": 50}


def model(**release: Any) -> DeployedModel:
    sold = next(column for column in CONTRACT.columns if column.name == "sold")
    price = sold.model_copy(update={"name": "price", "type": CONTRACT.columns[1].type, "allowed": None})
    contract = CONTRACT.model_copy(update={"columns": (*CONTRACT.columns[:-1], price)})
    spec = {
        "id": "flats",
        "target": {"column": "price", "kind": "regression"},
        "holdout": {"key": "k"},
        "gate": {"metrics": {"mae": {"tolerance": 0.5}}},
        "release": {"mode": "canary", "steps": [0.5], "bake_minutes": 30, "min_calls": 40, "limits": LIMITS, **release},
    }
    return DeployedModel(spec=ModelSpec.model_validate(spec), contract=contract)


def bent(bend: float = 0.0) -> bytes:
    """3 * size, and for flats above the average `bend` more."""
    numbers = {"three": 3.0, "zero": 0.0, "bend": bend}
    initializers = [numpy_helper.from_array(np.float32([value]), name) for name, value in numbers.items()]
    nodes = [
        helper.make_node("Mul", ["size", "three"], ["straight"]),
        helper.make_node("Greater", ["size", "zero"], ["large"]),
        helper.make_node("Where", ["large", "bend", "zero"], ["more"]),
        helper.make_node("Add", ["straight", "more"], ["prediction"]),
    ]
    inputs = [
        helper.make_tensor_value_info("size", TensorProto.FLOAT, [None, 1]),
        helper.make_tensor_value_info("place", TensorProto.STRING, [None, 1]),
    ]
    output = helper.make_tensor_value_info("prediction", TensorProto.FLOAT, [None, 1])
    graph = helper.make_graph(nodes, "flats", inputs, [output], initializers)
    made: onnx.ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    written: bytes = made.SerializeToString()
    return written


def truth(size: Any) -> Any:
    return 3 * size


class Numbers(World):
    """The same flats, whose price is asked."""

    def learned(self, file: bytes, threshold: float) -> bytes:
        """As training learns it: the losses on a holdout, by the places of the inputs among the reference's bins."""
        random = np.random.default_rng(11)
        size = random.normal(size=4000).astype(np.float32)
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        place = np.array(["north"] * len(size), dtype=object)
        (said,) = session.run(None, {"size": size[:, None], "place": place[:, None]})
        y = truth(size) + random.normal(scale=0.1, size=len(size))
        numbers = number_reference(size.astype(np.float64))
        bins = {"size": number_places(numbers.edges, size)}
        expected = Expected.of(
            Kind.REGRESSION, y, said.astype(np.float64), None, bins, {"size": len(numbers.edges) + 2}
        )
        found = Reference(numbers={"size": numbers}, categories={}, expected=expected)
        return found.to_json().encode()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> World:
    return started(monkeypatch, Numbers(model(), capsys), bent())


def test_a_challenger_whose_error_is_larger_where_the_callers_are_is_taken_back_before_any_label(world: World) -> None:
    world.release(2, bent(2.0))
    world.call(1000)
    assert world.tend().startswith("fail")
    estimate = world.check("estimate:mae")
    assert estimate.status.value == "fail"
    # Half of the callers get 2 more than is right: 1 on average, beside the noise's 0.08.
    assert 0.8 < estimate.value < 1.1
    assert estimate.low > 0.5
    assert world.check("labels:mae").status.value == "too_few"
    assert (world.champion, world.live.challenger) == (1, None)
    world.ledger_is_true()


def test_where_the_callers_are_it_is_as_good_it_stays(world: World) -> None:
    """The same version, and callers whom its fault does not concern: its mean error on the holdout says nothing."""
    world.release(2, bent(2.0))
    random = world.random
    world.random = SimpleNamespace(normal=lambda: random.uniform(-2, -0.3), choice=random.choice)  # type: ignore[assignment]
    world.call(700)
    assert world.tend().startswith("pass")
    assert world.check("estimate:mae").status.value == "pass"
    assert abs(world.check("estimate:mae").value) < 0.2
    assert world.champion == 2


def test_an_equal_version_is_not_taken_back(world: World) -> None:
    world.release(2, bent(0.05))
    world.call(600)
    assert world.tend().startswith("pass")
    assert world.check("estimate:mae").status.value == "pass"
    assert world.champion == 2


def test_labels_decide_where_there_are_any(world: World) -> None:
    """By what has become the truth, the new version is right."""
    world.release(2, bent(2.0))
    answers = world.call(1000)
    world.label(answers, lambda item: 3 * item["row"]["size"] + 2.0 * (item["row"]["size"] > 0))
    assert world.tend().startswith("pass")
    assert world.check("labels:mae").status.value == "pass"
    assert world.check("estimate:mae").status.value == "warn"
    assert "the labels decide" in world.check("estimate:mae").reason


def test_labels_show_a_worse_one_too(world: World) -> None:
    world.release(2, bent(2.0))
    answers = world.call(1000)
    world.label(answers, lambda item: truth(item["row"]["size"]))
    assert world.tend().startswith("fail")
    assert world.check("labels:mae").status.value == "fail"
    assert world.check("labels:mae").low > 0.5
    assert world.champion == 1

"""Which version answers: the split's share, its stickiness, and what becomes of a challenger that fails."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from interlock.records import Candidate, LiveRelease
from serve.routing import is_challengers, place, routing_key
from tests.unit.serve.world import MODEL, World, call, document

KEYS = [f"customer-{number}".encode() for number in range(100_000)]


def test_the_share_is_met_over_100_000_keys() -> None:
    """Inside the 99% interval of a binomial count, as often as chance says: of 40 counts, 39.6 on average."""
    inside, shares = [], (0.01, 0.05, 0.25, 0.5, 0.9)
    for number in range(8):
        places = [place(f"20260101T0000{number:02}-v2", key) for key in KEYS]
        assert kstest(np.array(places) / 2**64, "uniform").pvalue > 1e-4
        for share in shares:
            got = sum(is_challengers(share, found) for found in places)
            margin = NormalDist().inv_cdf(0.995) * math.sqrt(len(KEYS) * share * (1 - share))
            inside.append(abs(got - share * len(KEYS)) <= margin)
    print(f"{sum(inside)} of {len(inside)} shares inside their 99% interval")
    assert sum(inside) >= 37


def test_splits_are_independent_of_each_other() -> None:
    one = np.array([is_challengers(0.5, place("a", key)) for key in KEYS])
    two = np.array([is_challengers(0.5, place("b", key)) for key in KEYS])
    assert abs(np.corrcoef(one, two)[0, 1]) < 4 / math.sqrt(len(KEYS))


@given(st.binary(max_size=50), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_keeps_whom_a_smaller_one_had(key: bytes, one: float, two: float) -> None:
    small, large = sorted((one, two))
    found = place("s", key)
    assert not is_challengers(small, found) or is_challengers(large, found)
    assert not is_challengers(0, found)


def test_every_process_splits_alike() -> None:
    """Another interpreter, with another seed for its own hashes."""
    program = "from serve.routing import place; print([place('s', f'k{n}'.encode()) for n in range(50)])"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True, text=True, check=True, cwd="functions", env={"PYTHONHASHSEED": "1"},
    )  # fmt: skip
    assert json.loads(done.stdout) == [place("s", f"k{number}".encode()) for number in range(50)]


def test_the_key_is_the_header_the_parameter_or_the_first_row() -> None:
    values = {"size": [1.5, 2.0], "place": ["north", None]}
    assert routing_key("header:X-Customer", {"x-customer": "7"}, {}, values) == b"header:7"
    assert routing_key("parameter:customer", {}, {"customer": 7}, values) == b"parameter:7"
    by_input = routing_key(None, {"x-customer": "7"}, {"customer": 7}, values)
    assert by_input == b'[1.5,"north"]'
    # Whoever forgets the header is still routed, and always alike.
    assert routing_key("header:x-customer", {}, {}, values) == by_input


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    found = World()
    found.serve(monkeypatch)
    return found


class Released:
    """A world in which version 4 is on its way beside version 3."""

    def __init__(self, world: World, share: float, onnx: bytes = MODEL, key: str | None = None) -> None:
        served = world.served.model_copy(
            update={"version": 4, "threshold": 0.0, "onnx": world.objects.put("models/flats/r4/model.onnx", onnx)}
        )
        stored = world.objects.put("models/flats/r4/served.json", served.to_json().encode())
        self.challenger = Candidate(
            version=4, run="r4", served=stored, package_arn="arn4", reference=stored, manifest_id="m4"
        )
        self.record = LiveRelease(
            model="flats", revision=9, champion=world.candidate, challenger=self.challenger, mode="canary", share=share,
            key=key, split="20260101T000000-v4", state="baking", changed_at="2026-01-01T00:00:00Z", changed_by="a test",
            reason="",
        )  # fmt: skip
        world.state.put("model#flats", "live", self.record)


def ask(number: int, **headers: str) -> dict[str, Any]:
    status, answer, told = call("POST", "/v2/models/flats/infer", document([float(number)], ["north"]), **headers)
    assert status == 200
    assert told["x-interlock-revision"] == "9"
    assert answer["parameters"]["revision"] == 9
    return answer


def captures(text: str) -> list[dict[str, Any]]:
    return [line for raw in text.splitlines() if (line := json.loads(raw)).get("interlock") == "capture"]


def test_the_share_reaches_the_challenger_and_every_capture_says_so(
    world: World,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Released(world, 0.3)
    versions = [ask(number)["model_version"] for number in range(300)]
    assert 60 <= versions.count("4") <= 120
    assert [ask(number)["model_version"] for number in range(20)] == versions[:20]
    lines = captures(capsys.readouterr().out)
    assert [str(line["version"]) for line in lines[:300]] == versions
    assert {line["revision"] for line in lines} == {9}
    assert all(line["milliseconds"] > 0 and len(line["unit"]) == 16 for line in lines)


def test_a_caller_stays_with_its_version(world: World) -> None:
    Released(world, 0.5, key="header:x-customer")
    by_caller = {
        customer: {ask(number, **{"x-customer": customer})["model_version"] for number in range(5)}
        for customer in "abcdefgh"
    }
    assert all(len(versions) == 1 for versions in by_caller.values())
    assert len(set.union(*by_caller.values())) == 2


def test_a_challenger_without_a_share_answers_only_by_its_number(world: World) -> None:
    Released(world, 0.0)
    assert {ask(number)["model_version"] for number in range(50)} == {"3"}
    _, answer, _ = call("POST", "/v2/models/flats/versions/4/infer", document([1.0], ["north"]))
    assert answer["model_version"] == "4"


def nan_model() -> bytes:
    from onnx import TensorProto, helper

    inputs = [
        helper.make_tensor_value_info("size", TensorProto.FLOAT, [None, 1]),
        helper.make_tensor_value_info("place", TensorProto.STRING, [None, 1]),
    ]
    output = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 2])
    zero = helper.make_tensor("zero", TensorProto.FLOAT, [1], [0.0])
    nodes = [
        helper.make_node("Mul", ["size", "zero"], ["nothing"]),
        helper.make_node("Div", ["nothing", "zero"], ["nan"]),
        helper.make_node("Concat", ["nan", "nan"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(nodes, "nan", inputs, [output], [zero])
    written: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9
    ).SerializeToString()
    return written


@pytest.mark.parametrize("onnx", [b"no model at all", nan_model()], ids=["crashes on load", "answers NaN"])
def test_where_a_challenger_fails_the_champion_answers(
    world: World,
    capsys: pytest.CaptureFixture[str],
    onnx: bytes,
) -> None:
    Released(world, 0.5, onnx)
    assert {ask(number)["model_version"] for number in range(40)} == {"3"}
    lines = captures(capsys.readouterr().out)
    failures = [line for line in lines if "error" in line]
    assert 8 <= len(failures) <= 32
    assert {(line["version"], line["revision"]) for line in failures} == {(4, 9)}
    assert len(lines) - len(failures) == 40


def test_a_broken_challenger_is_not_fetched_for_every_call(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    Released(world, 0.5, b"no model at all")
    fetched: list[str] = []
    get = world.get

    def counted(ref: Any) -> bytes:
        fetched.append(ref.key)
        return get(ref)

    monkeypatch.setattr(world, "get", counted)
    for number in range(40):
        ask(number)
    assert fetched.count("models/flats/r4/model.onnx") == 1
    world.now = 5.0
    for number in range(40):
        ask(number)
    assert fetched.count("models/flats/r4/model.onnx") == 2


def test_an_altered_challenger_is_never_loaded(world: World) -> None:
    released = Released(world, 0.5)
    key = "models/flats/r4/model.onnx"
    world.objects.versions[key, world.objects.newest[key]] = MODEL + b"x"
    assert {ask(number)["model_version"] for number in range(40)} == {"3"}
    assert released.record.champion == world.candidate


def test_a_champion_that_answers_no_number_says_so() -> None:
    broken = World(nan_model())
    with pytest.MonkeyPatch.context() as patch:
        broken.serve(patch)
        status, answer, _ = call("POST", "/v2/models/flats/infer", document([1.0], ["north"]))
    assert status == 500
    assert "no number" in answer["error"]


def test_a_first_version_under_probe_is_asked_by_its_number_only(world: World) -> None:
    released = Released(world, 0.0)
    world.state.put("model#flats", "live", released.record.model_copy(update={"champion": None, "state": "probing"}))
    assert call("POST", "/v2/models/flats/infer", document([1.0], ["north"]))[0] == 404
    assert call("POST", "/v2/models/flats/versions/4/infer", document([1.0], ["north"]))[0] == 200
    assert call("GET", "/v2/health/ready")[0] == 200

"""What a capture line says is what was asked and answered, however the caller spelled it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.inference import places
from interlock.kind import Kind
from serve.captures import lines
from serve.loaded import Loaded
from serve.protocol.request import Reader
from serve.protocol.response import interpret
from serve.protocol.signature import Signature, Tensor
from serve.protocol.spelling import spelled
from serve.protocol.tensors import Row
from tests.unit.serve.world import World, document

SIGNATURE = Signature(
    "m",
    1,
    Kind.REGRESSION,
    [
        Tensor("first", "BYTES", False),
        Tensor("number", "FP32", False),
        Tensor("whole ü", "INT64", True),
        Tensor("flag", "BOOL", False),
        Tensor("last", "BYTES", True),
    ],
    (),
    None,
)
NUMBERS = ("number", "whole ü", "flag")
READ = Reader(SIGNATURE).read
ROWS = st.lists(
    st.tuples(
        st.none() | st.text(st.sampled_from('ab]}{[,:"\\\n data'), max_size=12),
        st.none() | st.floats(-1e30, 1e30),
        st.integers(-(2**53), 2**53),
        st.none() | st.booleans(),
        st.sampled_from(["data", '"data": [', "]}, {", '"}]}', "inputs", "x"]),
    ),
    min_size=1,
    max_size=4,
)


def body(rows: list[Any], **spelling: Any) -> str:
    inputs = [
        {"name": item.name, "datatype": item.datatype, "shape": [len(rows), 1], "data": [row[place] for row in rows]}
        for place, item in enumerate(SIGNATURE.inputs)
    ]
    return json.dumps({"inputs": inputs}, **spelling)


@settings(max_examples=200, deadline=None)
@given(ROWS, st.sampled_from([None, 1]), st.booleans(), st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t: ")]))
def test_numbers_are_copied_or_nothing_is(
    rows: list[Any], indent: int | None, ascii_only: bool, separators: tuple[str, str]
) -> None:
    request = READ(body(rows, indent=indent, ensure_ascii=ascii_only, separators=separators).encode())
    found = spelled(request, NUMBERS)
    assert set(found) in (set(), set(NUMBERS))
    for name, text in found.items():
        assert json.loads(text) == list(request.values[name])
        assert not set(b" \t\r\n") & set(text)


PLAIN = body([("a", 1.5, 2, True, "z"), (None, None, 3, None, "z")])
INPUTS = PLAIN.removeprefix('{"inputs": ').removesuffix("}")


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        f'{{"id": "mine", "inputs": {INPUTS}, "parameters": {{"data": [7]}}}}',
        # Each of these has another meaning than what stands first.
        f'{{"inputs": {INPUTS.replace("1.5", "9.5")}, "inputs": {INPUTS}}}',
        f'{{"inputs": {INPUTS.replace("1.5", "9.5")}, "\\u0069nputs": {INPUTS}}}',
        f'{{"parameters": {{"inputs": {INPUTS.replace("1.5", "9.5")}}}, "inputs": {INPUTS}}}',
        PLAIN.replace('"data": [1.5, null]', '"data": [9.5, null], "data": [1.5, null]'),
        PLAIN.replace('"data": ["z", "z"]', '"data": ["y", "y"], "data": ["z", "z"]'),
        PLAIN.replace('"data": [1.5', '"parameters": {"data": [9.5, 1]}, "data": [1.5'),
    ],
)
def test_a_request_that_could_be_read_in_two_ways_is_written_from_its_values(text: str) -> None:
    request = READ(text.encode())
    assert request.values["number"] == [1.5, None]
    for name, spelling in spelled(request, NUMBERS).items():
        assert json.loads(spelling) == request.values[name]


def test_plain_requests_are_copied() -> None:
    """Else the tests above prove nothing."""
    assert spelled(READ(PLAIN.encode()), NUMBERS)["number"] == b"[1.5,null]"
    assert spelled(READ(f'{{"id": "mine", "inputs": {INPUTS}}}'.encode()), {"flag"}) == {"flag": b"[true,null]"}


@pytest.mark.parametrize("rows", [1, 31, 32, 500])
@pytest.mark.parametrize("restricted", [True, False])
def test_a_line_holds_the_same_values_from_few_rows_and_from_many(rows: int, restricted: bool) -> None:
    world = World()
    loaded = world.loaded()
    inputs = tuple(msgspec.structs.replace(item, restricted=restricted) for item in loaded.served.inputs)
    served = msgspec.structs.replace(
        loaded.served, inputs=(msgspec.structs.replace(inputs[0], edges=(1.0, 2.0)), *inputs[1:])
    )
    sizes, towns = [place / 7 for place in range(rows)], ["north", None] * rows
    request = loaded.read(json.dumps(document(sizes, towns[:rows]) | {}).replace(f"[{rows}]", f"[{rows}, 1]").encode())
    assert request.body is not None
    answer = interpret(loaded.answer(request), loaded.signature)
    (line,) = lines(request, answer, served, 1, "r", "t", counted={"counted": 1})
    found = json.loads(line)
    if restricted:
        assert set(found["inputs"]["size"]) <= {0, 1, 2, 3}
        assert found["inputs"]["place"][0] == 0
    else:
        assert found["inputs"] == {"size": sizes, "place": towns[:rows]}
    assert found["scores"] == answer.scores
    assert found["counted"] == 1


def test_tensors_that_are_filled_again_hold_nothing_of_the_call_before() -> None:
    columns = [["a"], [1.5], [7], [True], ["z"]]
    kept = Row(SIGNATURE)
    for given_now in (columns, [[None], [None], [8], [None], ["y"]], columns):
        again, fresh = kept.fill(given_now), Row(SIGNATURE).fill(given_now)
        assert list(again) == list(fresh)
        for name, tensor in again.items():
            np.testing.assert_array_equal(tensor, fresh[name])


@settings(deadline=None)
@given(st.lists(st.floats(0, 1, width=32), min_size=1), st.floats(0, 1))
def test_labels_are_those_that_evaluation_judged(scores: list[float], threshold: float) -> None:
    signature = Signature("m", 1, Kind.BINARY, [Tensor("x", "FP32", True)], ("no", "yes"), threshold)
    raw = np.array([[1 - score, score] for score in scores])
    wanted = [signature.classes[place] for place in places(Kind.BINARY, raw, threshold)]
    assert interpret(raw, signature).labels == wanted


def test_a_row_is_answered_alike_alone_and_among_others() -> None:
    """The tensors of one row are kept for the next call, those of many are not."""
    loaded: Loaded = World().loaded()
    sizes, towns = [0.5, 3.25, 2.0], ["north", None, "south"]
    together = loaded.answer(loaded.read(json.dumps(document(sizes, towns)).encode()))
    for place, (size, town) in enumerate(zip(sizes, towns, strict=True)):
        alone = loaded.answer(loaded.read(json.dumps(document([size], [town])).encode()))
        np.testing.assert_allclose(alone[0], together[place], atol=1e-7)

"""The protocol's request and answer: what is taken, what is refused and how that is said; onnxruntime is the judge."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.errors import InvalidRequest, PayloadTooLarge
from interlock.kind import Kind
from serve.protocol.request import Reader, Request
from serve.protocol.response import interpret, write
from serve.protocol.signature import Signature, Tensor
from serve.protocol.tensors import tensors
from tests.unit.serve.world import MODEL, World, document

WORLD = World()
# One input of each of the signature's datatypes, required and not.
EVERY = Signature(
    "every",
    1,
    Kind.REGRESSION,
    [
        Tensor(f"{name}{suffix}", name, required)
        for name in ("FP32", "INT64", "BOOL", "BYTES")
        for suffix, required in (("", True), ("?", False))
    ],
    (),
    None,
)
GOOD: dict[str, Any] = {"FP32": 1.5, "INT64": 7, "BOOL": True, "BYTES": "a"}


def asked(**changes: dict[str, Any]) -> dict[str, Any]:
    """A good request of one row, some of its inputs changed."""
    return {
        "inputs": [
            {"name": item.name, "datatype": item.datatype, "shape": [1, 1], "data": [GOOD[item.datatype]]}
            | changes.get(item.name, {})
            for item in EVERY.inputs
        ]
    }


def taken(document: dict[str, Any], signature: Signature = EVERY) -> Request:
    return Reader(signature).read(json.dumps(document).encode())


def fed(request: Request, signature: Signature = EVERY) -> dict[str, Any]:
    """What the session is fed."""
    return tensors(list(request.values.values()), request.rows, signature, request.packed)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-1e6, 1e6, width=32), st.one_of(st.none(), st.text(max_size=5))), min_size=1, max_size=20
    )
)
def test_every_answer_is_onnxruntimes_own(rows: list[tuple[float, str | None]]) -> None:
    loaded = WORLD.loaded()
    request = loaded.read(json.dumps(document([r[0] for r in rows], [r[1] for r in rows])).encode())
    session = ort.InferenceSession(MODEL)
    feeds = {
        "size": np.float32([[r[0]] for r in rows]),
        "place": np.array([[r[1] or ""] for r in rows], dtype=object),
    }
    wanted = session.run(None, feeds)[-1][:, 1]
    answer = interpret(loaded.answer(request), loaded.signature)
    outputs = {item["name"]: item for item in json.loads(write(request, answer, loaded.signature, {}))["outputs"]}
    np.testing.assert_allclose(outputs["probability"]["data"], wanted, atol=1e-7)
    assert outputs["label"]["data"] == ["yes" if score >= 0.6 else "no" for score in wanted]
    assert outputs["label"]["shape"] == [len(rows)]


RANGES = {
    "INT8": (-(2**7), 2**7 - 1),
    "INT16": (-(2**15), 2**15 - 1),
    "INT32": (-(2**31), 2**31 - 1),
    "INT64": (-(2**63), 2**63 - 1),
    "UINT8": (0, 2**8 - 1),
    "UINT16": (0, 2**16 - 1),
    "UINT32": (0, 2**32 - 1),
    "UINT64": (0, 2**64 - 1),
}


@pytest.mark.parametrize("wanted", ["INT64", "FP32"])
@pytest.mark.parametrize("datatype", RANGES)
def test_every_whole_number_of_its_datatype_is_taken_and_none_beyond(datatype: str, wanted: str) -> None:
    low, high = RANGES[datatype]
    for value in (low, high):
        request = taken(asked(**{wanted: {"datatype": datatype, "data": [value]}}))
        assert list(request.values[wanted]) == [value]
        assert fed(request)[wanted].tolist() == [[float(np.float32(value))]]
    for value in (low - 1, high + 1):
        with pytest.raises(InvalidRequest, match=f"input '{wanted}': element 0 is beyond the range of {datatype}"):
            taken(asked(**{wanted: {"datatype": datatype, "data": [value]}}))


@pytest.mark.parametrize("datatype", ["FP32", "FP64"])
def test_floats_of_both_widths_are_taken_for_a_number(datatype: str) -> None:
    assert fed(taken(asked(FP32={"datatype": datatype, "data": [0.1]})))["FP32"][0, 0] == np.float32(0.1)


def test_tensors_are_what_the_session_wants() -> None:
    changes = {f"{name}?": {"data": [None]} for name in GOOD}
    tensors = fed(taken(asked(**changes)))
    assert {name: (tensor.shape, tensor.dtype.kind) for name, tensor in tensors.items()} == {
        item.name: ((1, 1), "O" if item.datatype == "BYTES" else "f") for item in EVERY.inputs
    }
    assert tensors["BYTES?"][0, 0] == ""
    assert all(np.isnan(tensors[f"{name}?"][0, 0]) for name in ("FP32", "INT64", "BOOL"))
    assert tensors["BOOL"][0, 0] == 1.0


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=6))
def test_nested_and_flat_data_are_the_same_request(column: list[int | None]) -> None:
    rows = len(column)
    base = {item.name: {"shape": [rows, 1], "data": [GOOD[item.datatype]] * rows} for item in EVERY.inputs}
    flat = taken(asked(**base | {"INT64?": {"shape": [rows], "data": column}}))
    nested = taken(asked(**base | {"INT64?": {"shape": [rows, 1], "data": [[value] for value in column]}}))
    assert flat.values == nested.values
    for name, tensor in fed(flat).items():
        np.testing.assert_array_equal(tensor, fed(nested)[name])


@pytest.mark.parametrize("name", list(GOOD))
@pytest.mark.parametrize("nested", [False, True], ids=["flat", "nested"])
def test_null_is_taken_only_where_a_value_may_be_missing(name: str, nested: bool) -> None:
    data: list[Any] = [[None]] if nested else [None]
    assert list(taken(asked(**{f"{name}?": {"data": data}})).values[f"{name}?"]) == [None]
    with pytest.raises(InvalidRequest, match=f"input '{name}': element 0 is null"):
        taken(asked(**{name: {"data": data}}))


@pytest.mark.parametrize("name", list(GOOD))
@pytest.mark.parametrize("value", [1.5, 7, True, "a", "1.5", [[1]], {}], ids=str)
def test_a_value_of_another_type_is_never_taken(name: str, value: Any) -> None:
    """numpy would take "1.5" and true for numbers."""
    right = {"FP32": (float, int), "INT64": (int,), "BOOL": (bool,), "BYTES": (str,)}[name]
    document = asked(**{name: {"data": [value]}})
    if type(value) in right:
        assert list(taken(document).values[name]) == [value]
        return
    with pytest.raises(InvalidRequest, match=f"input '{name}': element 0 is {type(value).__name__}, wanted {name}"):
        taken(document)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"shape": [2, 1]}, "input 'FP32': shape [2, 1] wants 2 values, got 1"),
        ({"shape": [1, 2]}, "input 'FP32': wants shape [rows] or [rows, 1], got [1, 2]"),
        ({"shape": [1, 1, 1]}, "input 'FP32': wants shape [rows] or [rows, 1], got [1, 1, 1]"),
        ({"shape": []}, "input 'FP32': wants shape [rows] or [rows, 1], got []"),
        ({"shape": [0]}, "input 'FP32': shape [0] holds no rows"),
        ({"shape": [-1, 1]}, "input 'FP32': shape [-1, 1] holds no rows"),
        ({"shape": "1"}, "input 'FP32': shape '1' is wrong: Expected `array`, got `str`"),
        ({"shape": [True]}, "input 'FP32': shape [True] is wrong: Expected `int`, got `bool`"),
        ({"data": [[1, 2]]}, "input 'FP32': shape [1, 1] wants one value a row, row 0 is otherwise"),
        ({"data": [[1], 2], "shape": [2, 1]}, "input 'FP32': shape [2, 1] wants one value a row, row 1 is otherwise"),
        ({"data": 1}, "input 'FP32': data is wrong: Expected `array`, got `int`"),
        ({"datatype": "BYTES", "data": ["a"]}, "input 'FP32': wants datatype FP32, got BYTES"),
        ({"datatype": "FP16"}, "input 'FP32': wants datatype FP32, got 'FP16': JSON has no 16-bit floats"),
        ({"datatype": "BF16"}, "input 'FP32': wants datatype FP32, got 'BF16'"),
        ({"datatype": 7}, "input 'FP32': wants datatype FP32, got 7"),
        ({"datatype": ["FP32"]}, "input 'FP32': wants datatype FP32, got ['FP32']"),
        ({"name": 7}, "every input must be an object with a 'name'"),
        ({"name": "INT64"}, "inputs are missing: FP32; the model takes"),
        ({"name": "shoe"}, "inputs are missing: FP32; the model takes"),
    ],
)
def test_what_is_wrong_with_an_input_is_said(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        taken(asked(FP32=change))
    assert caught.value.message.startswith(said)


def test_unknown_doubled_and_uneven_inputs_are_named() -> None:
    document = asked()
    with pytest.raises(InvalidRequest, match="unknown inputs: shoe"):
        taken({"inputs": [*document["inputs"], document["inputs"][0] | {"name": "shoe"}]})
    with pytest.raises(InvalidRequest, match="input 'FP32' is there twice"):
        taken({"inputs": [*document["inputs"], document["inputs"][0]]})
    with pytest.raises(InvalidRequest, match="input 'INT64': has 2 rows, the inputs before it have 1"):
        taken(asked(INT64={"shape": [2], "data": [1, 2]}))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "the body is not JSON"),
        (b"{", "the body is not JSON"),
        (b'\xff\xfe{"inputs": []}', "the body is not JSON"),
        (b"[" * 100_000, "the body is not JSON"),
        (b"[]", "the body must be an object with a list 'inputs'"),
        (b"{}", "the body must be an object with a list 'inputs'"),
        (b'{"inputs": 1}', "the body must be an object with a list 'inputs'"),
        (b'{"inputs": [1]}', "every input must be an object with a 'name'"),
        (b'{"inputs": []}', "inputs are missing"),
    ],
)
def test_a_body_that_is_no_request_is_refused(body: bytes, said: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Reader(EVERY).read(body)
    assert caught.value.message.startswith(said)


@pytest.mark.parametrize(
    ("field", "value"),
    [("id", 7), ("outputs", "probability"), ("outputs", [7]), ("outputs", [{"name": "nothing"}]), ("parameters", [])],
)
def test_the_other_fields_are_checked_too(field: str, value: Any) -> None:
    with pytest.raises(InvalidRequest, match=field):
        taken(asked() | {field: value})


def test_ten_thousand_rows_are_taken_and_one_more_is_not() -> None:
    many = {item.name: {"shape": [10_000], "data": [GOOD[item.datatype]] * 10_000} for item in EVERY.inputs}
    assert taken(asked(**many)).rows == 10_000
    with pytest.raises(PayloadTooLarge):
        taken(asked(**many | {"FP32": {"shape": [10_001], "data": [1] * 10_001}}))


def test_a_lone_surrogate_is_no_text() -> None:
    body = json.dumps(asked()).replace('"data": ["a"]', r'"data": ["\ud800"]').encode()
    with pytest.raises(InvalidRequest, match="not JSON"):
        Reader(EVERY).read(body)


def usual(rows: int, **data: list[Any]) -> dict[str, Any]:
    """A request in the form that is read in one pass."""
    return {
        "inputs": [
            {
                "name": item.name,
                "datatype": item.datatype,
                "shape": [rows, 1],
                "data": data.get(item.name, [GOOD[item.datatype]] * rows),
            }
            for item in EVERY.inputs
        ]
    }


@pytest.mark.parametrize("number", ["1e39", "-1e400", "1" + "0" * 60])
@pytest.mark.parametrize("name", ["FP32", "FP32?"])
@pytest.mark.parametrize("before", [[], [1.5], [1.5, 2.5, 3.5]])
def test_a_number_beyond_float32_is_refused(before: list[float], name: str, number: str) -> None:
    rows = len(before) + 1
    body = json.dumps(usual(rows, **{name: [*before, 4711]})).replace("4711", number).encode()
    with pytest.raises(InvalidRequest) as caught:
        Reader(EVERY).read(body)
    assert f"input '{name}': element {len(before)} is beyond the range of float32" in caught.value.message


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.none() | st.floats(-(2.0**127), 2.0**127),
            st.none() | st.integers(-(2**63), 2**63 - 1),
            st.none() | st.booleans(),
            st.none() | st.text(max_size=3),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_the_usual_form_and_any_other_are_the_same_request(rows: list[tuple[Any, ...]]) -> None:
    columns = dict(zip(("FP32?", "INT64?", "BOOL?", "BYTES?"), map(list, zip(*rows, strict=True)), strict=True))
    document = usual(len(rows), **columns)
    quick, slow = taken(document), taken({"inputs": document["inputs"][::-1]})
    assert quick.body is not None
    assert slow.body is None
    for name, column in columns.items():
        assert list(quick.values[name]) == list(slow.values[name]) == column
    wanted = fed(slow)
    for name, tensor in fed(quick).items():
        np.testing.assert_array_equal(tensor, wanted[name])


def test_an_error_never_repeats_a_value() -> None:
    with pytest.raises(InvalidRequest) as caught:
        WORLD.loaded().read(json.dumps(document([1], [4711])).encode())
    assert "4711" not in caught.value.message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "shape", "data", "x"]), inner),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["FP32", "INT64?", "BOOL", "BYTES?"]), st.sampled_from(["data", "shape", "datatype", "name"]), JSON
)
def test_whatever_comes_is_taken_or_refused_by_name(name: str, field: str, value: Any) -> None:
    """Never another exception, and what is taken is a tensor for every input."""
    try:
        request = taken(asked(**{name: {field: value}}))
    except InvalidRequest:
        return
    assert {tensor.shape for tensor in fed(request).values()} == {(request.rows, 1)}

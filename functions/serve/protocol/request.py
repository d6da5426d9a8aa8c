"""A request of the protocol, checked strictly against the model's signature.

The types below say what each datatype may hold, once. A request in its usual form (the signature's inputs in their
order, with their datatypes, flat) is decoded and checked by them in one pass; numpy alone would silently take "1.5",
true and null for numbers. What that pass refuses is decoded by the same types in any order and any datatype that loses
nothing; and what that refuses is looked at slowly: nested data is laid flat, and what is really wrong is said with the
input's name.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping, Sequence
from operator import attrgetter
from types import GenericAlias
from typing import Annotated, Any, Literal, NoReturn

import msgspec

from interlock.errors import InvalidRequest, PayloadTooLarge
from serve.protocol.signature import INTEGERS, TAKEN, Signature, Tensor
from serve.protocol.tensors import packed

MAX_ROWS = 10_000
Parameters = dict[str, Any]


# What float32 cannot hold would be answered with NaN.
_LARGEST = 3.4028234663852886e38
_Long = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_Number = Annotated[float, msgspec.Meta(ge=-_LARGEST, le=_LARGEST)]


class _Given(msgspec.Struct, tag_field="datatype"):
    name: str
    shape: list[int]


class _Bool(_Given, tag="BOOL"):
    data: list[bool | None]


class _Bytes(_Given, tag="BYTES"):
    data: list[str | None]


class _Fp32(_Given, tag="FP32"):
    data: list[_Number | None]


class _Fp64(_Given, tag="FP64"):
    data: list[_Number | None]


class _Int8(_Given, tag="INT8"):
    data: list[Annotated[int, msgspec.Meta(ge=-(2**7), lt=2**7)] | None]


class _Int16(_Given, tag="INT16"):
    data: list[Annotated[int, msgspec.Meta(ge=-(2**15), lt=2**15)] | None]


class _Int32(_Given, tag="INT32"):
    data: list[Annotated[int, msgspec.Meta(ge=-(2**31), lt=2**31)] | None]


class _Int64(_Given, tag="INT64"):
    data: list[_Long | None]


class _Uint8(_Given, tag="UINT8"):
    data: list[Annotated[int, msgspec.Meta(ge=0, lt=2**8)] | None]


class _Uint16(_Given, tag="UINT16"):
    data: list[Annotated[int, msgspec.Meta(ge=0, lt=2**16)] | None]


class _Uint32(_Given, tag="UINT32"):
    data: list[Annotated[int, msgspec.Meta(ge=0, lt=2**32)] | None]


class _Uint64(_Given, tag="UINT64"):
    data: list[Annotated[int, msgspec.Meta(ge=0)] | None]


_Input = _Bool | _Bytes | _Fp32 | _Fp64 | _Int8 | _Int16 | _Int32 | _Int64 | _Uint8 | _Uint16 | _Uint32 | _Uint64


class _Asked(msgspec.Struct):
    name: str


class _Form(msgspec.Struct, kw_only=True):
    id: str | None = None
    outputs: list[_Asked] | None = None
    parameters: Parameters = {}


class _Document(_Form):
    inputs: list[_Input]


# What a value of each of the signature's datatypes may be.
_VALUE: dict[str, Any] = {"FP32": _Number, "INT64": _Long, "BOOL": bool, "BYTES": str}
# Packing the numbers of many rows finds those that float32 cannot hold, at no cost; asking for each here has one.
_VALUES = _VALUE | {"FP32": float}
_name, _shape, _data = attrgetter("name"), attrgetter("shape"), attrgetter("data")
_DECODER = msgspec.json.Decoder(_Document)
_DATATYPE = {kind: str(kind.__struct_config__.tag) for kind in _Input.__args__}
# A place in a refused document: an input, perhaps one of its fields, perhaps an element.
_PLACE = re.compile(r"\$\.inputs\[(\d+)\](?:\.(\w+))?(?:\[(\d+)\])?")


class Request(msgspec.Struct, frozen=True):
    """A checked request: values by input, in the signature's order, each [rows], as they were sent.

    `body` is there when that was in the protocol's usual form; so is, of many rows, what checking the range of their
    numbers left behind: `packed`, the numbers as tensors want them.
    """

    id: str | None
    rows: int
    values: Mapping[str, Sequence[Any]]
    outputs: frozenset[str] | None
    parameters: Parameters
    body: bytes | None = None
    packed: bytearray | None = None


class Reader:
    """Reads requests to one model."""

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self._one_row = _usual(signature, tuple[Literal[1], Literal[1]], tuple, _VALUE)
        self._rows = _usual(signature, tuple[int, Literal[1]], list, _VALUES)

    def read(self, body: bytes) -> Request:
        """Check a request.

        Raises:
            InvalidRequest: names the input, what was wanted and what came.
            PayloadTooLarge: more rows than one request may hold.
        """
        try:
            document = self._one_row.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self._many(body)
        return self._checked(document, [item.data for item in document.inputs], 1, body)

    def _many(self, body: bytes) -> Request:
        """A request of another number of rows than one, or in another form."""
        try:
            document = self._rows.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self._otherwise(body)
        columns = list(map(_data, document.inputs))
        rows = len(columns[0])
        if (
            list(map(_shape, document.inputs)) == [(rows, 1)] * len(columns)
            and list(map(len, columns)) == [rows] * len(columns)
            and 0 < rows <= MAX_ROWS
        ):
            # What overflows is looked at again, and said.
            with contextlib.suppress(OverflowError):
                return self._checked(document, columns, rows, body, packed(columns, rows, self._signature))
        return self._otherwise(body)

    def _otherwise(self, body: bytes) -> Request:
        """A request in another form than the usual, or what is wrong with it."""
        signature = self._signature
        try:
            document = _DECODER.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            document = _looked_at_slowly(body, signature)
        inputs = _in_order(document.inputs, signature)
        rows = _rows(inputs[0])
        for tensor, item in zip(signature.inputs, inputs, strict=True):
            _check_input(tensor, item, rows)
        return self._checked(document, list(map(_data, inputs)), rows)

    def _checked(
        self,
        document: _Form,
        columns: list[Sequence[Any]],
        rows: int,
        body: bytes | None = None,
        packed: bytearray | None = None,
    ) -> Request:
        signature = self._signature
        outputs = frozenset(map(_name, document.outputs)) if document.outputs else None
        if outputs and not outputs <= {item.name for item in signature.outputs}:
            known = ", ".join(item.name for item in signature.outputs)
            raise InvalidRequest(f"'outputs' must name some of {known}; asked for were {', '.join(sorted(outputs))}")
        values = dict(zip(signature.names, columns, strict=True))
        return Request(document.id, rows, values, outputs, document.parameters, body, packed)


def _usual(signature: Signature, shape: Any, column: Any, values: dict[str, Any]) -> msgspec.json.Decoder[Any]:
    """What decodes the signature's inputs in their order, with data in such a column, and checks them as it does.

    Names and lengths are types here: they are compared while they are read, and nothing is made of them to look at.
    """
    inputs = []
    for tensor in signature.inputs:
        value = values[tensor.datatype]
        data = column[value if tensor.required else value | None]
        fields = [("name", Literal[tensor.name]), ("shape", shape), ("data", data)]
        inputs.append(msgspec.defstruct("Input", fields, tag_field="datatype", tag=tensor.datatype))
    every = GenericAlias(tuple, tuple(inputs))
    return msgspec.json.Decoder(msgspec.defstruct("Usual", [("inputs", every)], bases=(_Form,), kw_only=True))


def _rows(item: _Input) -> int:
    rows = item.shape[0] if item.shape else len(item.data)
    if rows > MAX_ROWS:
        raise PayloadTooLarge(
            f"input '{item.name}': {rows} rows are more than the {MAX_ROWS} that one request may hold"
        )
    if rows < 1:
        raise InvalidRequest(f"input '{item.name}': shape {item.shape} holds no rows")
    return rows


def _in_order(given: list[_Input], signature: Signature) -> list[_Input]:
    """The inputs in the signature's order."""
    by_name = {item.name: item for item in given}
    names, takes = [item.name for item in given], f"the model takes {', '.join(signature.names)}"
    if missing := [name for name in signature.names if name not in by_name]:
        raise InvalidRequest(f"inputs are missing: {', '.join(missing)}; {takes}")
    if unknown := [name for name in names if name not in signature.names]:
        raise InvalidRequest(f"unknown inputs: {', '.join(unknown)}; {takes}")
    if len(names) != len(by_name):
        raise InvalidRequest(f"input '{next(name for name in names if names.count(name) > 1)}' is there twice")
    return [by_name[name] for name in signature.names]


def _check_input(tensor: Tensor, item: _Input, rows: int) -> None:
    where, datatype = f"input '{tensor.name}'", _DATATYPE[type(item)]
    if datatype not in TAKEN[tensor.datatype]:
        raise InvalidRequest(f"{where}: wants datatype {tensor.datatype}, got {datatype}")
    if len(item.shape) not in {1, 2} or item.shape[1:] not in ([], [1]):
        raise InvalidRequest(f"{where}: wants shape [rows] or [rows, 1], got {item.shape}")
    if item.shape[0] != rows:
        raise InvalidRequest(f"{where}: has {item.shape[0]} rows, the inputs before it have {rows}")
    if len(item.data) != rows:
        raise InvalidRequest(f"{where}: shape {item.shape} wants {rows} values, got {len(item.data)}")
    if tensor.required and None in item.data:
        raise InvalidRequest(f"{where}: element {list(item.data).index(None)} is null, and a value must be there")
    # The one bound that the decoder cannot keep.
    if type(item) is _Uint64:
        for index, value in enumerate(item.data):
            if value is not None and value >= 2**64:
                raise InvalidRequest(f"{where}: element {index} is beyond the range of {datatype}")


def _looked_at_slowly(body: bytes, signature: Signature) -> _Document:
    """The document with nested data laid flat, or what is wrong with it.

    Raises:
        InvalidRequest: says where and what.
    """
    try:
        document = json.loads(body, parse_constant=_no_constant)
        json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, UnicodeError, RecursionError) as error:
        raise InvalidRequest(f"the body is not JSON: {error}") from None
    if not isinstance(document, dict) or not isinstance(document.get("inputs"), list):
        raise InvalidRequest("the body must be an object with a list 'inputs'")
    for item in document["inputs"]:
        if not isinstance(item, dict) or not isinstance(item.get("name"), str):
            raise InvalidRequest("every input must be an object with a 'name'")
        shape, data = item.get("shape"), item.get("data")
        if (
            isinstance(shape, list)
            and len(shape) == 2
            and isinstance(data, list)
            and any(isinstance(row, list) for row in data)
        ):
            item["data"] = _flat(data, item["name"], shape)
    _refuse_datatypes(document["inputs"], signature)
    try:
        return msgspec.convert(document, _Document)
    except msgspec.ValidationError as error:
        raise InvalidRequest(_explained(str(error), document["inputs"])) from None


def _flat(data: list[Any], name: str, shape: list[Any]) -> list[Any]:
    """Nested data [rows, 1] as [rows]."""
    for index, row in enumerate(data):
        if not isinstance(row, list) or len(row) != 1:
            raise InvalidRequest(f"input '{name}': shape {shape} wants one value a row, row {index} is otherwise")
    return [row[0] for row in data]


def _refuse_datatypes(inputs: list[dict[str, Any]], signature: Signature) -> None:
    wanted = {tensor.name: tensor.datatype for tensor in signature.inputs}
    for item in inputs:
        datatype = item.get("datatype")
        if datatype not in _DATATYPE.values():
            because = ": JSON has no 16-bit floats" if datatype == "FP16" else ""
            takes = wanted.get(item["name"], "one of " + ", ".join(sorted(_DATATYPE.values())))
            raise InvalidRequest(f"input '{item['name']}': wants datatype {takes}, got {datatype!r}{because}")
        fits = wanted.get(item["name"], str(datatype))
        if datatype not in TAKEN.get(fits, {fits}):
            raise InvalidRequest(f"input '{item['name']}': wants datatype {fits}, got {datatype}")


def _explained(error: str, inputs: list[dict[str, Any]]) -> str:
    """The decoder's complaint with the input's name. The type and the place, never the value: it may be restricted."""
    said, _, path = error.partition(" - at `")
    if (found := _PLACE.match(path)) is None:
        return f"{said}, at {path.rstrip('`').removeprefix('$.')}" if path else said
    item = inputs[int(found[1])]
    where, field, index = f"input '{item['name']}'", found[2], found[3]
    if field != "data" or index is None:
        shown = f" {item.get(field)!r}" if field == "shape" else ""
        return f"{where}: {field or 'the object'}{shown} is wrong: {said}"
    value, datatype = item["data"][int(index)], item["datatype"]
    if datatype in INTEGERS and type(value) is int:
        return f"{where}: element {index} is beyond the range of {datatype}"
    if datatype in {"FP32", "FP64"} and type(value) in {int, float}:
        return f"{where}: element {index} is beyond the range of float32"
    return f"{where}: element {index} is {type(value).__name__}, wanted {datatype}"


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON; a missing value is null")

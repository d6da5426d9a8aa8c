"""A request of the protocol, checked strictly against the model's signature.

The types of `datatypes` say what each datatype may hold. A request in its usual form (the signature's inputs in their
order, with their datatypes, flat) is decoded and checked by them in one pass; numpy alone would silently take "1.5",
true and null for numbers. What that pass refuses is decoded by the same types in any order and any datatype that loses
nothing; and what that refuses is looked at slowly: nested data is laid flat, and what is really wrong is said with the
input's name.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from operator import attrgetter
from types import GenericAlias
from typing import Any, Literal

import msgspec

from interlock.errors import InvalidRequest, PayloadTooLarge
from serve.protocol.datatypes import DATATYPE, VALUE, Document, Form, Input, Uint64
from serve.protocol.explain import looked_at_slowly
from serve.protocol.signature import TAKEN, Signature, Tensor
from serve.protocol.tensors import packed

MAX_ROWS = 10_000
Parameters = dict[str, Any]
# Packing the numbers of many rows finds those that float32 cannot hold, at no cost; asking for each here has one.
_MANY = VALUE | {"FP32": float}
_DECODER = msgspec.json.Decoder(Document)
_name, _shape, _data = attrgetter("name"), attrgetter("shape"), attrgetter("data")


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
        self._one_row = _usual(signature, tuple[Literal[1], Literal[1]], tuple, VALUE)
        self._rows = _usual(signature, tuple[int, Literal[1]], list, _MANY)

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
            document = looked_at_slowly(body, signature)
        inputs = _in_order(document.inputs, signature)
        rows = _rows(inputs[0])
        for tensor, item in zip(signature.inputs, inputs, strict=True):
            _check_input(tensor, item, rows)
        return self._checked(document, list(map(_data, inputs)), rows)

    def _checked(
        self,
        document: Form,
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
    return msgspec.json.Decoder(msgspec.defstruct("Usual", [("inputs", every)], bases=(Form,), kw_only=True))


def _rows(item: Input) -> int:
    rows = item.shape[0] if item.shape else len(item.data)
    if rows > MAX_ROWS:
        raise PayloadTooLarge(
            f"input '{item.name}': {rows} rows are more than the {MAX_ROWS} that one request may hold"
        )
    if rows < 1:
        raise InvalidRequest(f"input '{item.name}': shape {item.shape} holds no rows")
    return rows


def _in_order(given: list[Input], signature: Signature) -> list[Input]:
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


def _check_input(tensor: Tensor, item: Input, rows: int) -> None:
    where, datatype = f"input '{tensor.name}'", DATATYPE[type(item)]
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
    if type(item) is Uint64:
        for index, value in enumerate(item.data):
            if value is not None and value >= 2**64:
                raise InvalidRequest(f"{where}: element {index} is beyond the range of {datatype}")

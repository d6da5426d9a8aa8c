"""A request that the types refused, looked at slowly: nested data is laid flat, and what is wrong is said."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

import msgspec

from interlock.errors import InvalidRequest
from serve.protocol.datatypes import DATATYPE, Document
from serve.protocol.signature import INTEGERS, TAKEN, Signature

# A place in a refused document: an input, perhaps one of its fields, perhaps an element.
_PLACE = re.compile(r"\$\.inputs\[(\d+)\](?:\.(\w+))?(?:\[(\d+)\])?")


def looked_at_slowly(body: bytes, signature: Signature) -> Document:
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
        return msgspec.convert(document, Document)
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
        if datatype not in DATATYPE.values():
            because = ": JSON has no 16-bit floats" if datatype == "FP16" else ""
            takes = wanted.get(item["name"], "one of " + ", ".join(sorted(DATATYPE.values())))
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

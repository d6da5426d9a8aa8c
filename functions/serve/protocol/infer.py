"""An inference: the request checked strictly against the model's signature, the answer in the protocol's form.

numpy would silently take "1.5", true and null for numbers; here every element's type is checked before.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from interlock.errors import InvalidRequest, PayloadTooLarge
from interlock.inference import headline, places
from interlock.spec import Kind

MAX_ROWS = 10_000
_LARGEST = float(np.finfo(np.float32).max)
Array = npt.NDArray[Any]

_INTEGERS = {"INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"}
# What a client may send for each datatype of the signature: a wider one that loses nothing on the way.
_TAKEN = {
    "FP32": {"FP32", "FP64", *_INTEGERS},
    "INT64": _INTEGERS,
    "BOOL": {"BOOL"},
    "BYTES": {"BYTES"},
}
_TYPES: dict[str, tuple[type, ...]] = {"FP32": (int, float), "INT64": (int,), "BOOL": (bool,), "BYTES": (str,)}


@dataclass(frozen=True)
class Tensor:
    """One input of the signature: a raw column. A missing value is null, where the column may be missing."""

    name: str
    datatype: str
    required: bool


@dataclass(frozen=True)
class Signature:
    """What a served model takes and gives. `classes` is empty for a regression, the positive class last for binary."""

    model: str
    version: int
    kind: Kind
    inputs: tuple[Tensor, ...]
    classes: tuple[str, ...]
    threshold: float | None


@dataclass(frozen=True)
class Request:
    """A checked request: values by input, each [rows], as they were sent."""

    id: str | None
    rows: int
    values: dict[str, list[Any]]
    outputs: tuple[str, ...] | None
    parameters: dict[str, Any] = field(default_factory=dict)


def read(body: bytes, signature: Signature) -> Request:
    """Check a request.

    Raises:
        InvalidRequest: names the input, what was wanted and what came.
        PayloadTooLarge: more rows than one request may hold.
    """
    try:
        document = json.loads(body, parse_constant=_no_constant)
    except (ValueError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"the body is not JSON: {error}") from None
    if not isinstance(document, dict) or not isinstance(document.get("inputs"), list):
        raise InvalidRequest("the body must be an object with a list 'inputs'")
    given: dict[str, dict[str, Any]] = {}
    for item in document["inputs"]:
        if not isinstance(item, dict) or not isinstance(item.get("name"), str):
            raise InvalidRequest("every input must be an object with a 'name'")
        if item["name"] in given:
            raise InvalidRequest(f"input '{item['name']}' is there twice")
        given[item["name"]] = item
    _check_names(given, signature)
    values: dict[str, list[Any]] = {}
    rows: int | None = None
    for tensor in signature.inputs:
        column, count = _values(given[tensor.name], tensor)
        if rows is not None and count != rows:
            raise InvalidRequest(f"input '{tensor.name}': has {count} rows, the inputs before it have {rows}")
        values[tensor.name], rows = column, count
    return Request(
        id=_id(document),
        rows=rows or 0,
        values=values,
        outputs=_outputs(document, signature),
        parameters=_parameters(document),
    )


@dataclass(frozen=True)
class Answer:
    """What the model said, by row: `score` is the positive class's probability, the named class's, or the value."""

    labels: Sequence[str] | None
    scores: Array
    probabilities: Array | None


def interpret(raw: Array, signature: Signature) -> Answer:
    """Read the scores: probabilities [rows, classes] or predictions [rows, 1]."""
    kind = signature.kind
    if kind is Kind.REGRESSION:
        return Answer(None, headline(kind, raw), None)
    labels = [signature.classes[place] for place in places(kind, raw, signature.threshold)]
    return Answer(labels, headline(kind, raw), raw if kind is Kind.MULTICLASS else None)


def outputs_of(signature: Signature) -> list[dict[str, Any]]:
    """The output tensors as the model's metadata tells them."""
    if signature.kind is Kind.REGRESSION:
        return [{"name": "prediction", "datatype": "FP32", "shape": [-1]}]
    label = {"name": "label", "datatype": "BYTES", "shape": [-1]}
    if signature.kind is Kind.BINARY:
        return [label, {"name": "probability", "datatype": "FP32", "shape": [-1]}]
    return [label, {"name": "probabilities", "datatype": "FP32", "shape": [-1, len(signature.classes)]}]


def write(request: Request, answer: Answer, signature: Signature, parameters: dict[str, Any]) -> dict[str, Any]:
    """The response's document."""
    data: dict[str, Any] = {"prediction": answer.scores, "probability": answer.scores}
    if answer.labels is not None:
        data["label"] = answer.labels
    if answer.probabilities is not None:
        data["probabilities"] = answer.probabilities
    found = []
    for output in outputs_of(signature):
        name = output["name"]
        if request.outputs is None or name in request.outputs:
            values = data[name]
            listed = values.reshape(-1).tolist() if isinstance(values, np.ndarray) else list(values)
            found.append(
                {
                    "name": name,
                    "datatype": output["datatype"],
                    "shape": [request.rows, *output["shape"][1:]],
                    "data": listed,
                }
            )
    response: dict[str, Any] = {
        "model_name": signature.model,
        "model_version": str(signature.version),
        "parameters": parameters,
        "outputs": found,
    }
    return response if request.id is None else {"id": request.id, **response}


def _check_names(given: dict[str, dict[str, Any]], signature: Signature) -> None:
    wanted = [tensor.name for tensor in signature.inputs]
    if missing := [name for name in wanted if name not in given]:
        raise InvalidRequest(f"inputs are missing: {', '.join(missing)}; the model takes {', '.join(wanted)}")
    if unknown := [name for name in given if name not in wanted]:
        raise InvalidRequest(f"unknown inputs: {', '.join(unknown)}; the model takes {', '.join(wanted)}")


def _values(item: dict[str, Any], tensor: Tensor) -> tuple[list[Any], int]:
    where = f"input '{tensor.name}'"
    datatype, shape, data = item.get("datatype"), item.get("shape"), item.get("data")
    if datatype not in _TAKEN[tensor.datatype]:
        raise InvalidRequest(f"{where}: wants datatype {tensor.datatype}, got {datatype!r}")
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise InvalidRequest(f"{where}: shape must be a list of whole numbers, got {shape!r}")
    if len(shape) not in {1, 2} or (len(shape) == 2 and shape[1] != 1):
        raise InvalidRequest(f"{where}: wants shape [rows] or [rows, 1], got {shape}")
    rows = shape[0]
    if rows > MAX_ROWS:
        raise PayloadTooLarge(f"{where}: {rows} rows are more than the {MAX_ROWS} that one request may hold")
    if rows == 0:
        raise InvalidRequest(f"{where}: there are no rows")
    if not isinstance(data, list):
        raise InvalidRequest(f"{where}: data must be a list")
    column = [value for row in data for value in row] if data and all(isinstance(row, list) for row in data) else data
    if len(column) != rows:
        raise InvalidRequest(f"{where}: shape {shape} wants {rows} values, got {len(column)}")
    _check_elements(column, tensor, datatype, where)
    return column, rows


def _check_elements(column: list[Any], tensor: Tensor, datatype: str, where: str) -> None:
    allowed = (int,) if datatype in _INTEGERS else _TYPES[tensor.datatype]
    for index, value in enumerate(column):
        kind = type(value)
        if kind in allowed:
            # What float32 cannot hold would be answered with NaN, which is not JSON.
            if kind is not str and abs(value) > _LARGEST:
                raise InvalidRequest(f"{where}: element {index} is beyond the range of float32")
            continue
        if value is None and not tensor.required:
            continue
        shown = "null" if value is None else kind.__name__
        # The type and the place, never the value: it may be somebody's restricted one.
        raise InvalidRequest(f"{where}: element {index} is {shown}, wanted {datatype}")


def _outputs(document: dict[str, Any], signature: Signature) -> tuple[str, ...] | None:
    asked = document.get("outputs")
    if asked is None:
        return None
    known = [output["name"] for output in outputs_of(signature)]
    if not isinstance(asked, list) or not all(isinstance(item, dict) and item.get("name") in known for item in asked):
        raise InvalidRequest(f"'outputs' must be a list of objects whose name is one of {', '.join(known)}")
    return tuple(item["name"] for item in asked) or None


def _parameters(document: dict[str, Any]) -> dict[str, Any]:
    given = document.get("parameters", {})
    if not isinstance(given, dict):
        raise InvalidRequest("'parameters' must be an object")
    return given


def _id(document: dict[str, Any]) -> str | None:
    given = document.get("id")
    if given is not None and not isinstance(given, str):
        raise InvalidRequest("'id' must be a string")
    return given


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON; a missing value is null")

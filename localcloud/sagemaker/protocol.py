"""The API's form: which operations there are, what their requests must look like, how errors are answered."""

from __future__ import annotations

import json
import re
import unicodedata
from functools import cache
from typing import Any

import botocore.session
from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StringShape, StructureShape

# How the API's patterns name kinds of characters that Python's expressions do not know.
_KIND = re.compile(r"\\p\{(\w+)\}")


class ServiceError(Exception):
    """An error as the API answers it."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


@cache
def model() -> ServiceModel:
    """Botocore's model of the SageMaker API."""
    return botocore.session.get_session().get_service_model("sagemaker")


def operation(target: str | None) -> OperationModel:
    """The operation that the X-Amz-Target header names.

    Raises:
        ServiceError: there is none.
    """
    name = (target or "").removeprefix("SageMaker.")
    if name not in model().operation_names:
        raise ServiceError("UnknownOperationException", f"no operation {target!r}")
    return model().operation_model(name)


def described(operation_name: str, request: dict[str, Any]) -> dict[str, Any]:
    """What of a request the operation that describes the thing answers again."""
    shape = model().operation_model(operation_name).output_shape
    return {name: value for name, value in request.items() if shape is not None and name in shape.members}


def read(body: bytes) -> dict[str, Any]:
    """A request's JSON.

    Raises:
        ServiceError: SerializationException: it is not an object.
    """
    try:
        request = json.loads(body or b"{}")
    except ValueError as error:
        raise ServiceError("SerializationException", f"the body is not JSON: {error}") from None
    if not isinstance(request, dict):
        raise ServiceError("SerializationException", "the body is not an object")
    return request


def validate(name: OperationModel, request: dict[str, Any]) -> None:
    """Check a request against the model: required members, unknown ones, enums, patterns, lengths.

    Raises:
        ServiceError: ValidationException that lists every violation, in AWS's words; SerializationException when a
            value is of another JSON type than the model says.
    """
    found: list[str] = []
    if name.input_shape is not None:
        _check(request, name.input_shape, "", found)
    if found:
        plural = "s" if len(found) > 1 else ""
        raise ServiceError("ValidationException", f"{len(found)} validation error{plural} detected: {'; '.join(found)}")


def _check(value: Any, shape: Shape, path: str, found: list[str]) -> None:
    if isinstance(shape, StructureShape):
        _structure(value, shape, path, found)
    elif isinstance(shape, ListShape):
        _typed(value, list, path, "list")
        _size(len(value), value, shape, path, found)
        for index, content in enumerate(value):
            _check(content, shape.member, f"{path}.{index + 1}.member", found)
    elif isinstance(shape, MapShape):
        _typed(value, dict, path, "map")
        _size(len(value), value, shape, path, found)
        for key, content in value.items():
            _check(key, shape.key, path, found)
            _check(content, shape.value, f"{path}.{key}", found)
    elif shape.type_name == "string":
        _string(value, shape, path, found)
    elif shape.type_name in {"integer", "long", "float", "double", "timestamp"}:
        _typed(value, (int, float), path, "number")
        _range(value, shape, path, found)
    elif shape.type_name == "boolean":
        _typed(value, bool, path, "boolean")


def _structure(value: Any, shape: StructureShape, path: str, found: list[str]) -> None:
    _typed(value, dict, path, "structure")
    missing = [member for member in shape.required_members if value.get(member) is None]
    found.extend(_failed(None, _join(path, member), "not be null") for member in missing)
    for member, content in value.items():
        if member not in shape.members:
            found.append(f"Unknown parameter '{_join(path, member)}'")
        elif content is not None:
            _check(content, shape.members[member], _join(path, member), found)


def _typed(value: Any, wanted: type | tuple[type, ...], path: str, name: str) -> None:
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        raise ServiceError("SerializationException", f"'{path}' is not a {name}")


def _string(value: Any, shape: Shape, path: str, found: list[str]) -> None:
    _typed(value, str, path, "string")
    _size(len(value), value, shape, path, found)
    if isinstance(shape, StringShape) and shape.enum and value not in shape.enum:
        found.append(_failed(value, path, f"satisfy enum value set: [{', '.join(shape.enum)}]"))
    pattern = shape.metadata.get("pattern")
    if pattern and not _pattern(pattern).fullmatch(value):
        found.append(_failed(value, path, f"satisfy regular expression pattern: {pattern}"))


@cache
def _pattern(written: str) -> re.Pattern[str]:
    """A pattern of the API as Python's expressions write it; one that cannot be written so allows everything."""
    # Some of the API's patterns end in a stray quantifier after their end.
    written = re.sub(r"\$\{\d+,\d+\}$", "", written)
    written = _KIND.sub(lambda kind: _characters(kind.group(1)), written)
    try:
        return re.compile(written)
    except re.error:
        return re.compile(".*", re.DOTALL)


@cache
def _characters(kind: str) -> str:
    """The characters of a kind, as they are written inside a set; of the basic plane, which is all that names need."""
    if kind == "Alnum":
        return "0-9A-Za-z"
    if kind == "L":
        return r"\w"
    return "".join(re.escape(chr(code)) for code in range(0x10000) if unicodedata.category(chr(code)).startswith(kind))


def _size(length: int, value: Any, shape: Shape, path: str, found: list[str]) -> None:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and length < low:
        found.append(_failed(value, path, f"have length greater than or equal to {low}"))
    if high is not None and length > high:
        found.append(_failed(value, path, f"have length less than or equal to {high}"))


def _range(value: float, shape: Shape, path: str, found: list[str]) -> None:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and value < low:
        found.append(_failed(value, path, f"have value greater than or equal to {low}"))
    if high is not None and value > high:
        found.append(_failed(value, path, f"have value less than or equal to {high}"))


def _failed(value: Any, path: str, wanted: str) -> str:
    shown = "null" if value is None else str(value)[:200]
    return f"Value '{shown}' at '{path}' failed to satisfy constraint: Member must {wanted}"


def _join(path: str, member: str) -> str:
    lowered = member[0].lower() + member[1:]
    return f"{path}.{lowered}" if path else lowered

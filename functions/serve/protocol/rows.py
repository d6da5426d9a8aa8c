"""Requests of people and of SageMaker's clients: rows instead of tensors, held against the model's contract.

A row is an object {column: value}, or a line of CSV in the order of the model's inputs. Every value that is not as the
contract wants it is named with its row, column and rule; none is repeated, since it may be somebody's restricted one.
"""

from __future__ import annotations

import csv
import io
import math
import operator
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from interlock.errors import InvalidRequest, PayloadTooLarge
from serve.protocol.request import MAX_ROWS, Request
from serve.protocol.response import Answer
from serve.protocol.signature import Signature, Tensor

_TOLD = 100
_DIGITS = re.compile("[+-]?[0-9]+")
_LARGEST = 3.4028234663852886e38


class Wrong(NamedTuple):
    """A value that is not taken."""

    row: int
    column: str
    message: str


class InvalidRows(InvalidRequest):
    """Rows that the contract does not allow."""

    headline = "Rows are not as the contract wants them"
    remedy = "Correct the named values and send the rows again."

    def __init__(self, wrong: Sequence[Wrong]) -> None:
        first = "; ".join(f"row {item.row}, {item.column}: {item.message}" for item in wrong[:3])
        super().__init__(f"{len(wrong)} value{'s' if len(wrong) > 1 else ''} cannot be taken: {first}")
        self.fields = [item._asdict() for item in wrong[:_TOLD]]


class Column(msgspec.Struct, frozen=True):
    """What is asked of a value: the part of `interlock.contract.Column` that a single value can be held against."""

    name: str
    type: str
    required: bool = False
    minimum: float | None = None
    maximum: float | None = None
    exclusive_minimum: float | None = None
    exclusive_maximum: float | None = None
    multiple_of: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    allowed: tuple[str, ...] | None = None
    severity: str = "error"
    severities: dict[str, str] = {}

    def refuses(self, rule: str) -> bool:
        """Whether a violation of that rule makes a row bad, rather than only being told."""
        return self.severities.get(rule, self.severity) == "error"


class _Contract(msgspec.Struct):
    columns: list[Column]


class _Deployed(msgspec.Struct):
    contract: _Contract


def columns(document: bytes) -> dict[str, Column]:
    """The contract's columns in a deployed model's document (`interlock.models.DeployedModel`), by name."""
    return {item.name: item for item in msgspec.json.decode(document, type=_Deployed).contract.columns}


def read_objects(body: bytes, field: str, signature: Signature, contract: dict[str, Column]) -> Request:
    """Check {field: [{column: value}, …]}; a column that is not there is missing.

    Raises:
        InvalidRequest: it has another form; the columns are others than the model's.
        InvalidRows: names every value that the contract does not allow.
        PayloadTooLarge: more rows than one request may hold.
    """
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"the body is not JSON: {error}") from None
    given = document.get(field) if isinstance(document, dict) else None
    if not isinstance(given, list) or not all(isinstance(row, dict) for row in given):
        raise InvalidRequest(f"the body must be an object with a list '{field}' of objects", remedy=_remedy(signature))
    _check_count(len(given))
    known = set(signature.names)
    if unknown := sorted({name for row in given for name in row if name not in known}):
        raise InvalidRequest(f"unknown columns: {', '.join(unknown[:20])}", remedy=_remedy(signature))
    return _request(by_column(given, signature.names, signature.inputs), signature, contract)


def by_column(rows: Sequence[dict[str, Any]], names: Sequence[str], tensors: Sequence[Tensor]) -> list[list[Any]]:
    """The values [inputs][rows] of decoded objects in which the inputs have these names.

    A whole number may be written with nothing behind its point, as JSON Schema has it: 5.0 is the integer 5.
    """
    found = []
    for name, tensor in zip(names, tensors, strict=True):
        values = [row.get(name) for row in rows]
        if tensor.datatype == "INT64" and float in set(map(type, values)):
            values = [_whole(value, value) if type(value) is float else value for value in values]
        found.append(values)
    return found


def read_csv(body: bytes, signature: Signature, contract: dict[str, Column]) -> Request:
    """Check lines of CSV in the order of the model's inputs, without a header; an empty field is missing.

    Raises:
        InvalidRequest: it is not UTF-8, or a line has another number of fields.
        InvalidRows: names every value that the contract does not allow.
        PayloadTooLarge: more rows than one request may hold.
    """
    try:
        lines = [line for line in csv.reader(io.StringIO(body.decode("utf-8-sig")), strict=True) if line]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidRequest(f"the body is not CSV: {error}") from None
    _check_count(len(lines))
    width = len(signature.names)
    for row, line in enumerate(lines):
        if len(line) != width:
            raise InvalidRequest(f"row {row} has {len(line)} fields, not {width}", remedy=_remedy(signature))
    typed = [[_typed(line[place], tensor.datatype) for line in lines] for place, tensor in enumerate(signature.inputs)]
    return _request(typed, signature, contract)


def complaints(values: Sequence[Sequence[Any]], signature: Signature, contract: dict[str, Column]) -> list[Wrong]:
    """Every value [inputs][rows] that signature or contract do not allow, by row and column: the first thing wrong."""
    return sorted(
        Wrong(row, tensor.name, message)
        for tensor, column in zip(signature.inputs, values, strict=True)
        if not _surely_good(column, tensor, contract.get(tensor.name))
        for row, value in enumerate(column)
        if (message := _complaint(value, tensor.datatype, tensor.required, contract.get(tensor.name))) is not None
    )


def predictions(answer: Answer, signature: Signature) -> list[dict[str, Any]]:
    """The answer, an object a row: label and probability, every class's for more than two, or the prediction."""
    if answer.labels is None:
        return [{"prediction": score} for score in answer.scores]
    found: list[dict[str, Any]] = [
        {"label": label, "probability": score} for label, score in zip(answer.labels, answer.scores, strict=True)
    ]
    if answer.probabilities is not None:
        width = len(signature.classes)
        for row, item in enumerate(found):
            own = answer.probabilities[row * width : (row + 1) * width]
            item["probabilities"] = dict(zip(signature.classes, own, strict=True))
    return found


def write_csv(answer: Answer) -> bytes:
    """The answer, a line a row: the label and its score, or the prediction."""
    out = io.StringIO()
    labels = [[label] for label in answer.labels] if answer.labels is not None else [[] for _ in answer.scores]
    csv.writer(out, lineterminator="\n").writerows(
        [*label, repr(score)] for label, score in zip(labels, answer.scores, strict=True)
    )
    return out.getvalue().encode()


def _check_count(rows: int) -> None:
    if rows > MAX_ROWS:
        raise PayloadTooLarge(f"{rows} rows are more than the {MAX_ROWS} that one request may hold")
    if rows == 0:
        raise InvalidRequest("there are no rows")


def _remedy(signature: Signature) -> str:
    return f"The model takes {', '.join(signature.names)}."


def _request(values: list[list[Any]], signature: Signature, contract: dict[str, Column]) -> Request:
    if wrong := complaints(values, signature, contract):
        raise InvalidRows(wrong)
    by_name = dict(zip(signature.names, values, strict=True))
    rows = len(values[0])
    return Request(None, rows, by_name, None, {})


_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "FP32": ((int, float), "must be a number"),
    "INT64": ((int,), "must be a whole number"),
    "BOOL": ((bool,), "must be true or false"),
    "BYTES": ((str,), "must be a text"),
}


def _complaint(value: Any, datatype: str, required: bool, column: Column | None) -> str | None:
    """The first thing that is wrong with a value."""
    if value is None:
        return "is missing" if required else None
    types, wanted = _TYPES[datatype]
    if type(value) not in types:
        return wanted
    if datatype in {"FP32", "INT64"} and abs(value) > _LARGEST:
        return "is beyond the range of float32"
    return next(_violations(value, column), None) if column is not None else None


def _surely_good(values: Sequence[Any], tensor: Tensor, column: Column | None) -> bool:
    """Whether a look at the column as a whole finds that no value of it is wrong, long before each has been looked at.

    Of numbers that are only bounded, the smallest and the largest stand for all; of anything else, the different ones.
    """
    kinds = set(map(type, values))
    if type(None) in kinds:
        if tensor.required:
            return False
        kinds.discard(type(None))
        values = [value for value in values if value is not None]
    if not kinds <= set(_TYPES[tensor.datatype][0]):
        return False
    if kinds & {str, bool}:
        some = set(values)
    elif column is None or (column.multiple_of is None and column.allowed is None):
        some = {min(values), max(values)} if values else set()
    else:
        return False
    return all(_complaint(value, tensor.datatype, tensor.required, column) is None for value in some)


def _is_multiple(value: float, of: float) -> bool:
    quotient = value / of
    return abs(quotient - round(quotient)) <= 1e-9 * max(1.0, abs(quotient))


def _matches(pattern: str, value: str) -> bool:
    try:
        return re.search(pattern, value) is not None
    except re.error:
        # The contract's patterns are RE2's; one that only RE2 reads is left to the check of uploads.
        return True


# Rule, the column's field that bounds it, whether a value keeps it, what is said when not.
_NUMBERS: tuple[tuple[str, str, Callable[[Any, Any], bool], str], ...] = (
    ("minimum", "minimum", operator.ge, "must be at least {:g}"),
    ("minimum", "exclusive_minimum", operator.gt, "must be greater than {:g}"),
    ("maximum", "maximum", operator.le, "must be at most {:g}"),
    ("maximum", "exclusive_maximum", operator.lt, "must be less than {:g}"),
    ("multiple_of", "multiple_of", _is_multiple, "must be a multiple of {:g}"),
)
_TEXTS: tuple[tuple[str, str, Callable[[Any, Any], bool], str], ...] = (
    ("length", "min_length", lambda value, bound: len(value) >= bound, "must have at least {} characters"),
    ("length", "max_length", lambda value, bound: len(value) <= bound, "must have at most {} characters"),
    ("pattern", "pattern", lambda value, bound: _matches(bound, value), "must match {}"),
)


def _violations(value: Any, column: Column) -> Iterator[str]:
    """What the contract says against a value that is there."""
    rules = _TEXTS if isinstance(value, str) else () if isinstance(value, bool) else _NUMBERS
    for rule, field, keeps, said in rules:
        bound = getattr(column, field)
        if bound is not None and column.refuses(rule) and not keeps(value, bound):
            yield said.format(bound)
    if column.allowed is not None and column.refuses("allowed") and not _listed(value, column.allowed):
        yield f"must be one of {', '.join(column.allowed)}"


def _listed(value: Any, allowed: Sequence[str]) -> bool:
    """Whether the contract's list has it: by value, not by spelling, as ingest looks."""
    if isinstance(value, bool | str):
        return str(value).lower() in allowed if isinstance(value, bool) else value in allowed
    return any(value == (int(item) if _DIGITS.fullmatch(item) else float(item)) for item in allowed)


def _whole(value: float, otherwise: Any) -> Any:
    return int(value) if value.is_integer() else otherwise


def _typed(text: str, datatype: str) -> Any:
    """A field of CSV as its column's type; what is no such thing stays text, and is refused as that."""
    if text == "":
        return None
    try:
        if datatype == "INT64":
            return int(text) if _DIGITS.fullmatch(text) else _whole(float(text), text)
        if datatype == "FP32":
            return number if math.isfinite(number := float(text)) else text
    except ValueError:
        return text
    return {"true": True, "false": False}.get(text.lower(), text) if datatype == "BOOL" else text

"""The capture: lines on stdout with what was asked and answered, which the log subscription turns into Parquet.

A line holds the rows of one request column by column, so that a thousand rows cost a caller little and name each column
once. A restricted value never leaves the function: its reference bin does, so that drift still counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from interlock.stats.drift.bins import category_bin, number_bin
from serve.protocol.request import Request
from serve.protocol.response import MANY, Answer, encode
from serve.protocol.spelling import spelled
from serve.stored import Input, ServedModel

# A log event holds 256 KB; a longer line is cut in two, and the texts of a single row are shortened.
_LONGEST_LINE, _LONGEST_VALUE = 200_000, 1000


def lines(
    request: Request,
    answer: Answer,
    served: ServedModel,
    revision: int,
    request_id: str,
    at: str,
    milliseconds: float | None = None,
    unit: str | None = None,
    counted: dict[str, Any] | None = None,
) -> list[bytes]:
    """The lines of one request: what the model took for all of its rows, and whose the request was, in each.

    The first line also counts the request, by the fields of `counted`: a line of its own would cost the caller more.
    """
    inputs = request.values
    if served.restricted:
        bins = {item.name: [_bin(item, value) for value in inputs[item.name]] for item in served.restricted}
        inputs = {**inputs, **bins}
    whole: dict[str, Any] = {
        "interlock": "capture",
        "schema_version": 2,
        "model": served.model,
        "version": served.version,
        "revision": revision,
        "request_id": request_id,
        "time": at,
        "milliseconds": milliseconds,
        "unit": unit,
        "first_row": 0,
        "labels": answer.labels,
        "scores": answer.scores,
        "inputs": inputs,
    }
    first = whole | counted if counted else whole
    if request.rows >= MANY:
        numbers = {item.name for item in served.inputs if item.datatype != "BYTES" and not item.restricted}
        copied = {name: msgspec.Raw(text) for name, text in spelled(request, numbers).items()}
        first = {**first, "scores": answer.told, "inputs": {**inputs, **copied}}
    line = encode(first)
    if len(line) <= _LONGEST_LINE:
        return [line]
    return [*([encode(counted)] if counted else []), *_cut(whole)]


def failure(model: str, version: int, revision: int, request_id: str, at: str, error: Exception) -> bytes:
    """The line of a call that a version could not answer: of the error its class, since a message may hold a value."""
    return encode(
        {
            "interlock": "capture",
            "schema_version": 2,
            "model": model,
            "version": version,
            "revision": revision,
            "request_id": request_id,
            "time": at,
            "error": type(error).__name__,
        }
    )


def _cut(whole: dict[str, Any]) -> Iterator[bytes]:
    """The same rows on several lines; the texts of a row that is too long by itself are shortened."""
    line = encode(whole)
    if len(line) <= _LONGEST_LINE:
        yield line
        return
    labels, scores, inputs = whole["labels"], whole["scores"], whole["inputs"]
    if (middle := len(scores) // 2) == 0:
        short = {
            name: [value[:_LONGEST_VALUE] if isinstance(value, str) else value for value in column]
            for name, column in inputs.items()
        }
        yield encode({**whole, "inputs": short})
        return
    for part, offset in ((slice(None, middle), 0), (slice(middle, None), middle)):
        cut = {
            "first_row": whole["first_row"] + offset,
            "labels": labels[part] if labels else None,
            "scores": scores[part],
            "inputs": {name: column[part] for name, column in inputs.items()},
        }
        yield from _cut(whole | cut)


def _bin(item: Input, value: Any) -> int | None:
    # The model is fed the empty text where a value is missing (serve.protocol.request).
    if value is None or (value == "" and "" not in (item.categories or ())):
        return None
    if item.categories is not None:
        # The reference writes booleans as the data engine does.
        return category_bin(item.categories, str(value).lower() if isinstance(value, bool) else str(value))
    return number_bin(item.edges or (), float(value))

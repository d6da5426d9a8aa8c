"""The capture: one JSON line a prediction on stdout, which the log subscription turns into Parquet.

A restricted value never leaves the function: its reference bin does, so that drift still counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from interlock.records import Input, ServedModel
from interlock.stats.drift.reference import category_bin, number_bin
from serve.protocol.infer import Answer, Request

# A log event holds 256 KB; a line far below it always fits with what the log adds.
_LONGEST_VALUE = 1000


def lines(
    request: Request,
    answer: Answer,
    served: ServedModel,
    revision: int,
    request_id: str,
    at: str,
    milliseconds: float | None = None,
    unit: str | None = None,
) -> Iterator[str]:
    """The lines of one request, a row each; what the model took for all of them, and whose the request was."""
    columns = [(item, request.values[item.name]) for item in served.inputs]
    for row in range(request.rows):
        yield json.dumps(
            {
                "interlock": "capture",
                "schema_version": 1,
                "model": served.model,
                "version": served.version,
                "revision": revision,
                "request_id": request_id,
                "row": row,
                "time": at,
                "label": answer.labels[row] if answer.labels is not None else None,
                "score": float(answer.scores[row]),
                "milliseconds": None if milliseconds is None else round(milliseconds, 4),
                "unit": unit,
                "inputs": {item.name: _captured(item, values[row]) for item, values in columns},
            },
            separators=(",", ":"),
        )


def failure(model: str, version: int, revision: int, request_id: str, at: str, error: Exception) -> str:
    """The line of a call that a version could not answer: of the error its class, since a message may hold a value."""
    return json.dumps(
        {
            "interlock": "capture",
            "schema_version": 1,
            "model": model,
            "version": version,
            "revision": revision,
            "request_id": request_id,
            "time": at,
            "error": type(error).__name__,
        },
        separators=(",", ":"),
    )


def _captured(item: Input, value: Any) -> Any:
    if not item.restricted:
        return value[:_LONGEST_VALUE] if isinstance(value, str) else value
    # The model is fed the empty text where a value is missing (interlock.inference).
    if value is None or (value == "" and "" not in (item.categories or ())):
        return None
    if item.categories is not None:
        # The reference writes booleans as the data engine does.
        return category_bin(item.categories, str(value).lower() if isinstance(value, bool) else str(value))
    return number_bin(item.edges or (), float(value))

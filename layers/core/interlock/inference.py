"""How a model's ONNX file is fed and read: the same for evaluation and for serving, or they would not agree.

One tensor [rows, 1] a raw column: float32 for numbers and booleans, NaN where missing; text, "" where missing. The
file's last output is the scores: probabilities [rows, classes], or predictions [rows, 1] of a regression.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from interlock.contract import Column, ColumnType
from interlock.models import DeployedModel
from interlock.records import Input
from interlock.spec import Kind

Floats = npt.NDArray[np.float64]
Value = bool | int | float | str | None

_DATATYPES: dict[ColumnType, Literal["FP32", "INT64", "BOOL", "BYTES"]] = {
    ColumnType.NUMBER: "FP32",
    ColumnType.INTEGER: "INT64",
    ColumnType.BOOLEAN: "BOOL",
    ColumnType.STRING: "BYTES",
}


class Session(Protocol):
    """The part of onnxruntime's InferenceSession that is used."""

    def run(self, output_names: None, feeds: dict[str, npt.NDArray[Any]]) -> Sequence[Any]:
        """All outputs for these inputs."""


def signature(model: DeployedModel) -> tuple[Input, ...]:
    """The inputs of a model, as Open Inference Protocol V2 names their types."""
    return tuple(_input(column) for column in model.features)


def feeds(inputs: Sequence[Input], columns: Mapping[str, Sequence[Value]]) -> dict[str, npt.NDArray[Any]]:
    """Tensors for the columns' values.

    Raises:
        KeyError: a column is missing.
        ValueError, TypeError: a value is not of the column's type.
    """
    return {item.name: _tensor(item, columns[item.name]) for item in inputs}


def scores(session: Session, tensors: dict[str, npt.NDArray[Any]]) -> Floats:
    """The file's scores, [rows, classes] or [rows, 1]."""
    return np.asarray(session.run(None, tensors)[-1], dtype=np.float64)


def headline(kind: Kind, found: Floats) -> Floats:
    """One number a row, [rows]: the positive class's probability, the winner's, or the prediction."""
    if kind is Kind.MULTICLASS:
        return np.asarray(found.max(axis=1))
    return np.asarray(found[:, -1])


def places(kind: Kind, found: Floats, threshold: float | None) -> npt.NDArray[np.int64]:
    """The predicted class's place in the model's classes, [rows]; for a binary model 1 from the threshold on.

    Raises:
        ValueError: a regression has no classes, a binary model no threshold.
    """
    if kind is Kind.MULTICLASS:
        return np.asarray(found.argmax(axis=1), dtype=np.int64)
    if kind is Kind.REGRESSION or threshold is None:
        raise ValueError("only classifiers predict classes, and a binary one needs its threshold")
    return np.asarray(found[:, -1] >= threshold, dtype=np.int64)


def _input(column: Column) -> Input:
    return Input(
        name=column.name,
        datatype=_DATATYPES[column.type],
        required=column.required,
        restricted=column.restricted,
    )


def _tensor(item: Input, values: Sequence[Value]) -> npt.NDArray[Any]:
    if item.datatype == "BYTES":
        return np.array([["" if value is None else value] for value in values], dtype=object).reshape(-1, 1)
    return np.array([np.nan if value is None else value for value in values], dtype=np.float32).reshape(-1, 1)

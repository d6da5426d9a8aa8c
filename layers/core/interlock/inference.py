"""How a model's ONNX file is fed and read: the same for evaluation and for serving, or they would not agree.

One tensor [rows, 1] a raw column: float32 for numbers and booleans, NaN where missing; text, "" where missing. The
file's last output is the scores: probabilities [rows, classes], or predictions [rows, 1] of a regression.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from interlock.kind import Kind

Floats = npt.NDArray[np.float64]
Value = bool | int | float | str | None


class Session(Protocol):
    """The part of onnxruntime's InferenceSession that is used."""

    def run(self, output_names: None, feeds: dict[str, npt.NDArray[Any]]) -> Sequence[Any]:
        """All outputs for these inputs."""


class Named(Protocol):
    """The part of an input's description that is used: `interlock.records.Input`, or what serving reads of it."""

    @property
    def name(self) -> str:
        """The column."""

    @property
    def datatype(self) -> str:
        """Open Inference Protocol V2's."""


def feeds(inputs: Sequence[Named], columns: Mapping[str, Sequence[Value]]) -> dict[str, npt.NDArray[Any]]:
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
        found = found.max(axis=1, keepdims=True)
    return found[:, -1]


def places(kind: Kind, found: Floats, threshold: float | None) -> npt.NDArray[np.int64]:
    """The predicted class's place in the model's classes, [rows]; for a binary model 1 from the threshold on.

    Raises:
        ValueError: a regression has no classes, a binary model no threshold.
    """
    if kind is Kind.MULTICLASS:
        return np.asarray(found.argmax(axis=1), dtype=np.int64)
    if kind is Kind.REGRESSION or threshold is None:
        raise ValueError("only classifiers predict classes, and a binary one needs its threshold")
    return (found[:, -1] >= threshold).astype(np.int64)


def _tensor(item: Named, values: Sequence[Value]) -> npt.NDArray[Any]:
    if item.datatype == "BYTES":
        return np.array([["" if value is None else value] for value in values], dtype=object).reshape(-1, 1)
    return np.array([np.nan if value is None else value for value in values], dtype=np.float32).reshape(-1, 1)

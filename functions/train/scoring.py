"""Runs ONNX files on the holdout, as the serving function will, and holds them against scikit-learn."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import onnxruntime

from interlock.inference import headline, places, scores
from interlock.kind import Kind
from interlock.models import DeployedModel
from interlock.records import Input, Probe
from interlock.signature import signature
from interlock.sql import quoted, text
from train.documents import Parity

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

_PROBED_ROWS = 8


class Holdout:
    """The run's held-out rows with their target, in the order in which the job scored them."""

    def __init__(self, path: Path) -> None:
        self._con = duckdb.connect()
        self._from = f"FROM read_parquet({text(str(path))})"
        self.columns = {name for name, *_ in self._con.execute(f"DESCRIBE SELECT * {self._from}").fetchall()}

    def feeds(self, inputs: Sequence[Input]) -> dict[str, Array]:
        """The session's inputs, each [rows, 1]."""
        chosen = ", ".join(
            f"coalesce({quoted(item.name)}, '') AS c{place}"
            if item.datatype == "BYTES"
            else f"CAST({quoted(item.name)} AS FLOAT) AS c{place}"
            for place, item in enumerate(inputs)
        )
        found = self._numpy(chosen)
        return {
            item.name: (
                found[f"c{place}"].astype(object)
                if item.datatype == "BYTES"
                else np.ma.filled(found[f"c{place}"], np.nan).astype(np.float32)
            ).reshape(-1, 1)
            for place, item in enumerate(inputs)
        }

    def target(self, model: DeployedModel) -> Array:
        """[rows]: the class's place in the model's classes as int64, or the number as float64."""
        name = quoted(model.target.name)
        if model.spec.target.kind is Kind.REGRESSION:
            return np.ma.filled(self._numpy(f"CAST({name} AS DOUBLE) AS y")["y"], np.nan)
        places = {value: place for place, value in enumerate(model.classes)}
        values = self._numpy(f"CAST({name} AS VARCHAR) AS y")["y"]
        return np.array([places[value] for value in values.tolist()], dtype=np.int64)

    def group(self, column: str) -> npt.NDArray[np.str_]:
        """A column as text [rows]; missing ones are a group of their own."""
        values = self._numpy(f"coalesce(CAST({quoted(column)} AS VARCHAR), '(missing)') AS g")["g"]
        return values.astype(np.str_)

    def first(self, inputs: Sequence[Input], count: int) -> dict[str, tuple[Any, ...]]:
        """The first rows as a caller would send them, by input."""
        chosen = ", ".join(quoted(item.name) for item in inputs)
        rows = self._con.execute(f"SELECT {chosen} {self._from} LIMIT {count}").fetchall()
        return {item.name: tuple(column) for item, column in zip(inputs, zip(*rows, strict=True), strict=True)}

    def _numpy(self, chosen: str) -> dict[str, Array]:
        found: dict[str, Array] = self._con.execute(f"SELECT {chosen} {self._from}").fetchnumpy()
        return found


def run(onnx: bytes, feeds: dict[str, Array]) -> Floats:
    """The file's scores [rows, classes] or [rows, 1], under the serving function's own settings."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    return scores(session, feeds)


def compare(kind: Kind, onnx: Floats, native: Floats, threshold: float | None, tolerance: float) -> Parity:
    """Row by row: the largest difference of any score, and whether the label is the same.

    Raises:
        ValueError: the two have not the same rows and classes.
    """
    if onnx.shape != native.shape:
        raise ValueError(f"the ONNX file gives scores of shape {onnx.shape}, scikit-learn gave {native.shape}")
    # float32 has 7 digits: a regression's error grows with its predictions.
    scale = max(1.0, float(np.abs(native).max())) if kind is Kind.REGRESSION else 1.0
    difference = np.abs(onnx - native).max(axis=1) / scale
    # A score that is not a number is as far off as can be.
    difference = np.where(np.isfinite(difference), difference, 1.0e9)
    flips = 0
    if kind is not Kind.REGRESSION:
        flips = int((places(kind, onnx, threshold) != places(kind, native, threshold)).sum())
    return Parity(
        rows=len(native),
        max_difference=float(difference.max()),
        rows_over=int((difference > tolerance).sum()),
        label_flips=flips,
    )


def probe(model: DeployedModel, holdout: Holdout, scored: Floats, threshold: float | None) -> Probe:
    """A few held-out rows with the answers they must get."""
    kind, inputs = model.spec.target.kind, signature(model)
    count = min(_PROBED_ROWS, len(scored))
    labels = [] if kind is Kind.REGRESSION else places(kind, scored[:count], threshold).tolist()
    return Probe(
        rows=holdout.first(inputs, count),
        scores=tuple(headline(kind, scored[:count]).tolist()),
        labels=tuple(model.classes[place] for place in labels),
    )


def write_scores(y: Array, challenger: Array, champion: Array | None, groups: dict[str, npt.NDArray[np.str_]]) -> bytes:
    """An npz: y [rows], challenger and champion [rows, classes or 1], and `group:<column>` [rows] as text."""
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {"y": y, "challenger": challenger}
    arrays |= {f"group:{column}": values for column, values in groups.items()}
    if champion is not None:
        arrays["champion"] = champion
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()

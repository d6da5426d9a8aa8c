"""The fitted pipeline as one ONNX file: raw columns in, scores out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from skl2onnx import to_onnx
from skl2onnx.common import tree_ensemble
from skl2onnx.common.data_types import FloatTensorType, StringTensorType

from jobs.train.container import JobError
from jobs.train.settings import Settings

# Fixed: another opset is another file. Both are old enough for every onnxruntime of the last years.
_OPSET = {"": 18, "ai.onnx.ml": 3}


def export(pipeline: Any, settings: Settings) -> bytes:
    """Write the fitted pipeline as ONNX.

    One input a feature, by its name, [rows, 1]: float32 for numbers and booleans, strings for texts. The last output
    is the scores: probabilities [rows, classes] of a classifier, predictions [rows, 1] of a regression. Nothing in
    the file depends on when or where it was written.

    Raises:
        JobError: the pipeline has a step that ONNX cannot express.
    """
    types = [
        (feature.name, StringTensorType([None, 1]) if feature.text else FloatTensorType([None, 1]))
        for feature in settings.features
    ]
    options = {} if settings.kind == "regression" else {id(pipeline): {"zipmap": False}}
    try:
        with _whole_numbers():
            model = to_onnx(pipeline, initial_types=types, options=options, target_opset=_OPSET, name=settings.model)
    except Exception as error:
        raise JobError(
            f"{settings.model}: the trained pipeline cannot be written as ONNX: {type(error).__name__}: "
            f"{str(error)[:500]}. "
            "Build it from scikit-learn's own transformers and estimators that skl2onnx supports."
        ) from error
    _name_inputs(model.graph, [feature.name for feature in settings.features])
    # The converter keeps them in a set, whose order changes from process to process.
    versions = sorted(model.opset_import, key=lambda item: item.domain)
    del model.opset_import[:]
    model.opset_import.extend(versions)
    written: bytes = model.SerializeToString(deterministic=True)
    return written


@contextmanager
def _whole_numbers() -> Iterator[None]:
    """skl2onnx 1.20 writes a boolean where the attribute is an integer, which protobuf 7 no longer takes."""
    original = tree_ensemble.add_node

    def add_node(*arguments: Any, **named: Any) -> None:
        if "nodes_missing_value_tracks_true" in named:
            named["nodes_missing_value_tracks_true"] = int(named["nodes_missing_value_tracks_true"])
        original(*arguments, **named)

    tree_ensemble.add_node = add_node
    try:
        yield
    finally:
        tree_ensemble.add_node = original


def _name_inputs(graph: Any, names: list[str]) -> None:
    """Give the inputs the columns' own names, which the converter rewrites; whoever else has such a name gives way."""
    columns: dict[str, str] = dict(zip((item.name for item in graph.input), names, strict=True))
    taken = {*names, *(name for node in graph.node for name in node.output), *(item.name for item in graph.initializer)}

    def renamed(name: str) -> str:
        if name in columns:
            return columns[name]
        if name in names:
            columns[name] = name + "_"
            while columns[name] in taken:
                columns[name] += "_"
            return columns[name]
        return name

    for item in (*graph.input, *graph.output, *graph.initializer):
        item.name = renamed(item.name)
    for node in graph.node:
        node.input[:] = [renamed(name) for name in node.input]
        node.output[:] = [renamed(name) for name in node.output]

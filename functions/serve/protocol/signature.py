"""What a served model takes and gives, in the protocol's words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from interlock.kind import Kind

INTEGERS = frozenset({"INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"})
# What a client may send for each datatype of the signature: a wider one that loses nothing on the way.
TAKEN = {
    "FP32": frozenset({"FP32", "FP64"}) | INTEGERS,
    "INT64": INTEGERS,
    "BOOL": frozenset({"BOOL"}),
    "BYTES": frozenset({"BYTES"}),
}


class Tensor(NamedTuple):
    """One input: a raw column. A missing value is null, where the column may be missing."""

    name: str
    datatype: str
    required: bool


class Output(NamedTuple):
    """One output: `shape` is that of one row, empty for a single value."""

    name: str
    datatype: str
    shape: tuple[int, ...] = ()


class Signature:
    """A model's inputs and outputs. `classes` is empty for a regression, the positive class last for binary."""

    def __init__(
        self,
        model: str,
        version: int,
        kind: Kind,
        inputs: Iterable[Tensor],
        classes: tuple[str, ...],
        threshold: float | None,
    ) -> None:
        self.model = model
        self.version = version
        self.kind = kind
        self.inputs = tuple(inputs)
        self.classes = classes
        self.threshold = threshold
        self.names = [tensor.name for tensor in self.inputs]
        # Numbers and texts go to the session in a block each: their names, and their places among the inputs.
        self.text_places = [place for place, tensor in enumerate(self.inputs) if tensor.datatype == "BYTES"]
        self.number_places = [place for place, tensor in enumerate(self.inputs) if tensor.datatype != "BYTES"]
        self.texts = [self.names[place] for place in self.text_places]
        self.numbers = [self.names[place] for place in self.number_places]
        # Places among the texts whose value may be missing.
        self.missing_texts = [place for place, name in enumerate(self.text_places) if not self.inputs[name].required]
        self.outputs = _outputs(kind, len(classes))

    def metadata(self) -> dict[str, Any]:
        """The model as the protocol describes it."""
        return {
            "name": self.model,
            "versions": [str(self.version)],
            "platform": "onnx_onnxv1",
            "inputs": [{"name": item.name, "datatype": item.datatype, "shape": [-1, 1]} for item in self.inputs],
            "outputs": [
                {"name": item.name, "datatype": item.datatype, "shape": [-1, *item.shape]} for item in self.outputs
            ],
        }


def _outputs(kind: Kind, classes: int) -> tuple[Output, ...]:
    if kind is Kind.REGRESSION:
        return (Output("prediction", "FP32"),)
    if kind is Kind.BINARY:
        return (Output("label", "BYTES"), Output("probability", "FP32"))
    return (Output("label", "BYTES"), Output("probabilities", "FP32", (classes,)))

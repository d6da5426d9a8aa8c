"""What a model said, read from its scores and written in the protocol's form."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import msgspec
import numpy.typing as npt

from interlock.inference import headline, places
from interlock.kind import Kind
from serve.protocol.request import Request
from serve.protocol.signature import Signature

# From so many rows on, the text of numbers is found sooner than it is written again.
MANY = 32
encode = msgspec.json.Encoder().encode


class Answer(msgspec.Struct, frozen=True, dict=True):
    """By row: `scores` is the positive class's probability, the winning class's, or the value.

    `probabilities` are all classes' [rows * classes], row by row, for a multiclass model only.
    """

    labels: list[str] | None
    scores: list[float]
    probabilities: list[float] | None

    @cached_property
    def told(self) -> list[float] | msgspec.Raw:
        """The scores for answer and capture: of many rows their text, which is then written once."""
        return self.scores if len(self.scores) < MANY else msgspec.Raw(encode(self.scores))


def interpret(raw: npt.NDArray[Any], signature: Signature) -> Answer:
    """Read the scores: probabilities [rows, classes] or predictions [rows, 1]."""
    kind, classes, threshold = signature.kind, signature.classes, signature.threshold
    if kind is Kind.BINARY and threshold is not None:
        # As `interlock.inference` says, without the arrays that cost a call of one row a microsecond each.
        no, yes = classes
        scores = raw[:, -1].tolist()
        return Answer([yes if score >= threshold else no for score in scores], scores, None)
    scores = headline(kind, raw).tolist()
    if kind is Kind.REGRESSION:
        return Answer(None, scores, None)
    labels = [classes[place] for place in places(kind, raw, threshold).tolist()]
    return Answer(labels, scores, raw.reshape(-1).tolist())


def write(request: Request, answer: Answer, signature: Signature, parameters: dict[str, Any]) -> bytes:
    """The response's document."""
    scores = answer.told
    data = {
        "label": answer.labels,
        "probability": scores,
        "prediction": scores,
        "probabilities": answer.probabilities,
    }
    response: dict[str, Any] = {
        "model_name": signature.model,
        "model_version": str(signature.version),
        "parameters": parameters,
        "outputs": [
            {"name": name, "datatype": datatype, "shape": [request.rows, *shape], "data": data[name]}
            for name, datatype, shape in signature.outputs
            if request.outputs is None or name in request.outputs
        ],
    }
    return encode(response if request.id is None else {"id": request.id, **response})

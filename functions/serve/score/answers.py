"""Blocks of rows answered by the version that serves, as the prediction door answers each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from interlock.kind import Kind
from serve.loaded import Loaded
from serve.protocol import rows
from serve.protocol.request import Request
from serve.protocol.response import interpret
from serve.protocol.signature import Signature
from serve.score.reading import Block
from serve.score.writing import Said


def answer(block: Block, loaded: Loaded, contract: dict[str, rows.Column]) -> list[Said]:
    """What is said of each row: all that is wrong with it, or what the model says."""
    wrong = dict(block.wrong)
    readable = [place for place in range(len(block.numbers)) if place not in wrong]
    found = rows.complaints(_only(block.values, readable), loaded.signature, contract) if readable else []
    for item in found:
        said = f"{item.column}: {item.message}"
        place = readable[item.row]
        wrong[place] = f"{wrong[place]}; {said}" if place in wrong else said
    good = [place for place in readable if place not in wrong]
    answers: list[Said] = [wrong.get(place, "") for place in range(len(block.numbers))]
    for place, one in zip(good, _scored(_only(block.values, good), len(good), loaded), strict=True):
        answers[place] = one
    return answers


def _only(values: Sequence[Sequence[Any]], places: Sequence[int]) -> list[list[Any]]:
    if values and len(places) == len(values[0]):
        return [list(column) for column in values]
    return [[column[place] for place in places] for column in values]


def _scored(values: list[list[Any]], count: int, loaded: Loaded) -> list[Said]:
    """The model's answers; of rows that it fails on together, those that it fails on alone have none."""
    if not count:
        return []
    signature = loaded.signature
    try:
        request = Request(None, count, dict(zip(signature.names, values, strict=True)), None, {})
        found = interpret(loaded.answer(request), signature)
    except Exception as error:  # noqa: BLE001 - whatever the model does wrong is that row's error
        if count == 1:
            return [f"version {signature.version} crashed: {type(error).__name__}"]
        half = count // 2
        first, second = [column[:half] for column in values], [column[half:] for column in values]
        return _scored(first, half, loaded) + _scored(second, count - half, loaded)
    said: list[Said] = []
    width = len(signature.classes)
    for row, score in enumerate(found.scores):
        own = found.probabilities[row * width : (row + 1) * width] if found.probabilities else []
        label = [found.labels[row]] if found.labels is not None else []
        good = math.isfinite(score) and all(map(math.isfinite, own))
        said.append([*label, score, *own] if good else f"version {signature.version} answers no number")
    return said


def columns(signature: Signature, keys: Mapping[str, str], *, numbered_lines: bool) -> dict[str, str]:
    """The columns of the predictions, with their kinds in the data engine's words.

    `keys` are the columns that stand beside them, with theirs; one that is named as ours has an underscore more.
    """
    ours = {"label": "VARCHAR", "probability": "DOUBLE"}
    if signature.kind is Kind.REGRESSION:
        ours = {"prediction": "DOUBLE"}
    elif signature.kind is Kind.MULTICLASS:
        ours |= {f"probability_{name}": "DOUBLE" for name in signature.classes}
    before = {"row": "BIGINT", **({"line": "BIGINT"} if numbered_lines else {})}
    taken = {name.casefold() for name in (*before, *ours, "error")}
    found = dict(before)
    for key, kind in keys.items():
        name = key
        while name.casefold() in taken:
            name += "_"
        taken.add(name.casefold())
        found[name] = kind
    return {**found, **ours, "error": "VARCHAR"}

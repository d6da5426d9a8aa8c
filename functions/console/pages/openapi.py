"""The API described, model by model, with a form to ask for a prediction."""

from __future__ import annotations

from typing import Any, NamedTuple

from console.described import Document, Operation, operations, resolved
from console.door import Asked, Reply
from console.render import html
from interlock.openapi import describe


class Input(NamedTuple):
    """A column as a form asks for it. `choices` are all that it may be, where there are some; `kind` is JSON's."""

    name: str
    kind: str
    required: bool
    description: str
    choices: tuple[str, ...]
    minimum: float | None
    maximum: float | None
    longest: int | None


class Section(NamedTuple):
    """What is about one model, or, without a name, about the server."""

    model: str
    operations: tuple[Operation, ...]
    inputs: tuple[Input, ...]


def show(asked: Asked) -> Reply:
    """The description of what the caller may read, as GET /openapi.json gives it of all models."""
    document = describe([asked.sources.deployed(model) for model in asked.models])
    found = tuple(operations(document))
    sections = [Section(model, _of(found, model), _inputs(document, model)) for model in asked.models]
    told = {operation.path for section in sections for operation in section.operations}
    server = Section("", tuple(operation for operation in found if operation.path not in told), ())
    return html("openapi", info=document["info"], sections=[*sections, server])


def _of(found: tuple[Operation, ...], model: str) -> tuple[Operation, ...]:
    """A model's own, the door for people first."""
    mine = (operation for operation in found if model in operation.path.split("/"))
    return tuple(sorted(mine, key=lambda operation: not operation.path.startswith("/models/")))


def _inputs(document: Document, model: str) -> tuple[Input, ...]:
    row = document["components"]["schemas"][f"{model}.Row"]
    return tuple(
        _input(name, resolved(document, column), required=name in row["required"])
        for name, column in row["properties"].items()
    )


def _input(name: str, column: dict[str, Any], *, required: bool) -> Input:
    kind = column["type"] if isinstance(column["type"], str) else column["type"][0]
    choices = ("true", "false") if kind == "boolean" else tuple(str(c) for c in column.get("enum", ()) if c is not None)
    return Input(
        name,
        kind,
        required,
        column.get("description", ""),
        choices,
        column.get("minimum", column.get("exclusiveMinimum")),
        column.get("maximum", column.get("exclusiveMaximum")),
        column.get("maxLength"),
    )

"""An OpenAPI document as lines for people: its operations, and schemas as fields one below the other. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

Document = dict[str, Any]

_DEEPEST = 5
# What bounds a value, and how that is said.
_BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
    "multipleOf": "a multiple of {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "pattern": "matches {}",
    "minItems": "at least {}",
    "maxItems": "at most {}",
}


class Field(NamedTuple):
    """A part of a document. `depth` says how deep it lies in the whole; `kind` is its type in words."""

    name: str
    depth: int
    kind: str
    required: bool
    notes: str


class Body(NamedTuple):
    """What is sent or answered in one content type."""

    content_type: str
    fields: tuple[Field, ...]


class Answered(NamedTuple):
    """One of the answers to an operation."""

    status: str
    description: str
    bodies: tuple[Body, ...]


class Operation(NamedTuple):
    """What can be asked at a path. `plain` ones need no body and no parameter: a link asks them."""

    method: str
    path: str
    summary: str
    id: str
    parameters: tuple[Field, ...]
    bodies: tuple[Body, ...]
    answers: tuple[Answered, ...]

    @property
    def plain(self) -> bool:
        """Whether a link asks it."""
        return self.method == "GET" and not self.parameters


def operations(document: Document) -> Iterator[Operation]:
    """All operations, in the document's order."""
    for path, item in document["paths"].items():
        shared = tuple(_parameter(document, found) for found in item.get("parameters", []))
        for method in ("get", "post"):
            if method in item:
                yield _operation(document, method.upper(), path, item[method], shared)


def resolved(document: Document, schema: Document) -> Document:
    """The schema itself, where it is a reference within the document."""
    reference = schema.get("$ref")
    found: Document = document["components"]["schemas"][reference.rsplit("/", 1)[-1]] if reference else schema
    return found


def fields(document: Document, schema: Document, depth: int = 0) -> Iterator[Field]:
    """The parts of a schema, each below the one that holds it."""
    schema = resolved(document, schema)
    required = set(schema.get("required", []))
    for name, given in schema.get("properties", {}).items():
        part = resolved(document, given)
        yield Field(name, depth, _kind(document, part), name in required, _notes(part))
        if depth < _DEEPEST:
            yield from _within(document, part, depth + 1)


def _within(document: Document, schema: Document, depth: int) -> Iterator[Field]:
    """What lies in an object, or in each item of a list."""
    for place, item in enumerate(schema.get("prefixItems", [])):
        yield Field(f"[{place}]", depth, "object", True, _constants(item))
    if isinstance(item := schema.get("items"), dict):
        yield from fields(document, item, depth)
    else:
        yield from fields(document, schema, depth)


def _constants(schema: Document) -> str:
    """What never varies of an object, for instance a tensor's name and type."""
    fixed = {name: part["const"] for name, part in schema.get("properties", {}).items() if "const" in part}
    return ", ".join(f"{name} {json.dumps(value, ensure_ascii=False)}" for name, value in fixed.items())


def _kind(document: Document, schema: Document) -> str:
    kinds = schema.get("type", "any")
    listed = kinds if isinstance(kinds, list) else [kinds]
    if listed == ["array"]:
        item = schema.get("items")
        if schema.get("prefixItems"):
            return f"{len(schema['prefixItems'])} objects"
        return f"list of {_kind(document, resolved(document, item))}s" if isinstance(item, dict) else "list"
    if listed == ["any"] and ("enum" in schema or "const" in schema):
        return "string"
    return " or ".join(listed)


def _notes(schema: Document) -> str:
    bounds = [
        text.format(schema[name]) for name, text in _BOUNDS.items() if name in schema and "prefixItems" not in schema
    ]
    if "enum" in schema:
        bounds.insert(0, "one of " + ", ".join("nothing" if value is None else str(value) for value in schema["enum"]))
    if "const" in schema:
        bounds.insert(0, f"always {json.dumps(schema['const'], ensure_ascii=False)}")
    if schema.get("additionalProperties") is False:
        bounds.append("nothing else")
    return "; ".join([*([schema["description"].rstrip(".")] if "description" in schema else []), *bounds])


def _operation(document: Document, method: str, path: str, found: Document, shared: tuple[Field, ...]) -> Operation:
    own = tuple(_parameter(document, parameter) for parameter in found.get("parameters", []))
    return Operation(
        method,
        path,
        found["summary"],
        found["operationId"],
        (*shared, *own),
        _bodies(document, found.get("requestBody", {})),
        tuple(
            Answered(status, answer["description"], _bodies(document, answer))
            for status, answer in found["responses"].items()
        ),
    )


def _bodies(document: Document, holder: Document) -> tuple[Body, ...]:
    return tuple(
        Body(content_type, tuple(fields(document, content["schema"])))
        for content_type, content in holder.get("content", {}).items()
    )


def _parameter(document: Document, found: Document) -> Field:
    schema = resolved(document, found["schema"])
    return Field(found["name"], 0, _kind(document, schema), bool(found.get("required")), _notes(schema))

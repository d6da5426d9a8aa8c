"""The API described in OpenAPI 3.1, made from the deployed models; pure, but with the library that reads them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

from interlock import VERSION
from interlock.contract import Column, ColumnType
from interlock.kind import Kind
from interlock.models import DeployedModel
from interlock.signature import signature

Document = dict[str, Any]

_JSON_TYPES = {
    ColumnType.STRING: "string",
    ColumnType.INTEGER: "integer",
    ColumnType.NUMBER: "number",
    ColumnType.BOOLEAN: "boolean",
}
_MAX_ROWS = 10_000
_ERRORS = {
    "400": "The request is not as the model or the protocol wants it",
    "403": "The caller may not do this: answered by the API itself ({message}) or for the token's scope ({error})",
    "404": "There is no such path, model or version, or nothing serves yet",
    "413": "More rows than one request may hold; beyond 6 MB the API itself answers",
    "415": "Another content type",
    "500": "The model fails on this request, or a fault of ours",
    "503": "A service that is needed does not answer",
}


def describe(models: Iterable[DeployedModel]) -> Document:
    """The whole description: OpenAPI 3.1."""
    paths: Document = {
        "/v2": {"get": _read("The server", {"name": _STRING, "version": _STRING, "extensions": _list(_STRING)})},
        "/v2/health/live": {"get": _read("Whether the server answers", {"live": _BOOLEAN})},
        "/v2/health/ready": {
            "get": _read("Whether all models can be answered", {"live": _BOOLEAN, "ready": _BOOLEAN}, "503")
        },
        "/openapi.json": {
            "get": {
                "summary": "This description",
                "operationId": "openapi",
                "responses": {"200": _json("An OpenAPI document", {"type": "object"}), **_errors("403", "500")},
            }
        },
    }
    schemas: Document = {"Error": _ERROR}
    for model in models:
        name = model.id
        schemas[f"{name}.Row"] = _row(model)
        schemas[f"{name}.Inference"] = _inference(model)
        schemas[f"{name}.Answer"] = _inferred(model)
        schemas[f"{name}.Prediction"] = _prediction(model)
        for path, parameters in ((f"/v2/models/{name}", []), (f"/v2/models/{name}/versions/{{version}}", [_VERSION])):
            suffix = " of a version" if parameters else ""
            shared = {"parameters": parameters} if parameters else {}
            paths[path] = shared | {"get": _metadata(f"{name}: inputs and outputs{suffix}")}
            paths[f"{path}/ready"] = shared | {
                "get": _read(
                    f"{name}: whether it can be answered{suffix}", {"name": _STRING, "ready": _BOOLEAN}, "404", "503"
                )
            }
            paths[f"{path}/infer"] = shared | {
                "post": _call(f"{name}: Open Inference Protocol V2{suffix}", f"{name}.Inference", f"{name}.Answer")
            }
        paths |= _own(name)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Interlock",
            "version": VERSION,
            "description": "Predictions over HTTPS. Calls are signed with AWS Signature Version 4 for the service "
            "execute-api, or carry a token where the deployment takes tokens.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "sigv4": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "AWS Signature Version 4",
                },
            },
        },
        "security": [{"sigv4": []}],
    }


_STRING, _BOOLEAN, _INTEGER, _NUMBER = ({"type": name} for name in ("string", "boolean", "integer", "number"))
_VERSION = {"name": "version", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 1}}
_ERROR: Document = {
    "type": "object",
    "properties": {
        "error": _STRING,
        "message": _STRING,
        "fields": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["row", "column", "message"],
                "properties": {"row": _INTEGER, "column": _STRING, "message": _STRING},
            },
        },
    },
    "anyOf": [{"required": ["error"]}, {"required": ["message"]}],
}


def _list(item: Document) -> Document:
    return {"type": "array", "items": item}


def _object(properties: Document, *, optional: tuple[str, ...] = ()) -> Document:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "required": required, "properties": properties}


def _json(description: str, schema: Document) -> Document:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _errors(*statuses: str) -> Document:
    return {status: _json(_ERRORS[status], {"$ref": "#/components/schemas/Error"}) for status in statuses}


def _operation(summary: str) -> str:
    """An id made of the summary's words."""
    return "_".join("".join(letter if letter.isalnum() else " " for letter in summary.lower()).split())


def _read(summary: str, properties: Document, *errors: str) -> Document:
    return {
        "summary": summary,
        "operationId": _operation(summary),
        "responses": {"200": _json("As asked", _object(properties)), **_errors("403", "500", *errors)},
    }


def _metadata(summary: str) -> Document:
    tensor = _object({"name": _STRING, "datatype": _STRING, "shape": _list(_INTEGER)})
    texts = {"name": _STRING, "versions": _list(_STRING), "platform": _STRING}
    return _read(summary, texts | {"inputs": _list(tensor), "outputs": _list(tensor)}, "404", "503")


def _call(summary: str, asks: str, answers: str, status: str = "200") -> Document:
    return {
        "summary": summary,
        "operationId": _operation(summary),
        "requestBody": {"required": True, **_content({"$ref": f"#/components/schemas/{asks}"})},
        "responses": {
            status: _json("The answer", {"$ref": f"#/components/schemas/{answers}"}),
            **_errors("400", "403", "404", "413", "415", "500", "503"),
        },
    }


def _content(schema: Document) -> Document:
    return {"content": {"application/json": {"schema": schema}}}


def _own(name: str) -> Document:
    """The friendly door, SageMaker's, and labels."""
    rows = {
        "type": "array",
        "items": {"$ref": f"#/components/schemas/{name}.Row"},
        "minItems": 1,
        "maxItems": _MAX_ROWS,
    }
    predictions = _list({"$ref": f"#/components/schemas/{name}.Prediction"})
    told = {"model": _STRING, "version": _INTEGER, "revision": _INTEGER, "request_id": _STRING, "threshold": _NUMBER}
    errors = _errors("400", "403", "404", "413", "415", "500", "503")
    label = _object(
        {"request_id": _STRING, "row": {"type": "integer", "minimum": 0}, "label": {"type": ["string", "number"]}},
        optional=("row",),
    )
    return {
        f"/models/{name}/predict": {
            "post": {
                "summary": f"{name}: rows, checked by the contract",
                "operationId": f"predict_{name}",
                "requestBody": {"required": True, **_content(_object({"rows": rows}))},
                "responses": {
                    "200": _json(
                        "A prediction a row", _object({**told, "predictions": predictions}, optional=("threshold",))
                    ),
                    **errors,
                },
            }
        },
        f"/models/{name}/ping": {
            "get": _read(f"{name}: SageMaker's ping", {"name": _STRING, "ready": _BOOLEAN}, "404", "503")
        },
        f"/models/{name}/invocations": {
            "post": {
                "summary": f"{name}: SageMaker's invocations",
                "operationId": f"invocations_{name}",
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {"schema": _object({"instances": rows})},
                        "text/csv": {"schema": _STRING},
                    },
                },
                "responses": {
                    "200": {
                        "description": "A prediction a row, in the form that came or that is accepted",
                        "content": {
                            "application/json": {"schema": _object({"predictions": predictions})},
                            "text/csv": {"schema": _STRING},
                        },
                    },
                    **errors,
                },
            }
        },
        f"/models/{name}/labels": {
            "post": {
                "summary": f"{name}: what was true for earlier predictions",
                "operationId": f"labels_{name}",
                "requestBody": {"required": True, **_content(_object({"labels": _list(label) | {"minItems": 1}}))},
                "responses": {
                    "202": _json("How many were taken", _object({"accepted": _INTEGER})),
                    **_errors("400", "403", "404", "500", "503"),
                },
            }
        },
    }


def _row(model: DeployedModel) -> Document:
    properties = {column.name: _column(column) for column in model.features}
    required = [column.name for column in model.features if column.required]
    return {"type": "object", "additionalProperties": False, "required": required, "properties": properties}


def _column(column: Column) -> Document:
    kind = _JSON_TYPES[column.type]
    found: Document = {"type": kind if column.required else [kind, "null"]}
    if column.description:
        found["description"] = column.description
    bounds = {
        "minimum": column.minimum if column.severity_of("minimum") == "error" else None,
        "exclusiveMinimum": column.exclusive_minimum if column.severity_of("minimum") == "error" else None,
        "maximum": column.maximum if column.severity_of("maximum") == "error" else None,
        "exclusiveMaximum": column.exclusive_maximum if column.severity_of("maximum") == "error" else None,
        "multipleOf": column.multiple_of if column.severity_of("multiple_of") == "error" else None,
        "minLength": column.min_length if column.severity_of("length") == "error" else None,
        "maxLength": column.max_length if column.severity_of("length") == "error" else None,
        "pattern": column.pattern if column.severity_of("pattern") == "error" else None,
    }
    found |= {name: value for name, value in bounds.items() if value is not None}
    if column.allowed is not None and column.type is ColumnType.STRING and column.severity_of("allowed") == "error":
        found["enum"] = [*column.allowed, *([] if column.required else [None])]
    return found


def _inference(model: DeployedModel) -> Document:
    tensors = [
        _object(
            {
                "name": {"const": item.name},
                "datatype": {"const": item.datatype},
                "shape": {"type": "array", "items": _INTEGER, "minItems": 1, "maxItems": 2},
                "data": {"type": "array"},
            }
        )
        for item in signature(model)
    ]
    count = len(tensors)
    inputs = {"type": "array", "prefixItems": tensors, "items": False, "minItems": count, "maxItems": count}
    outputs = _list(_object({"name": {"enum": _outputs(model)}}))
    document = {"id": _STRING, "parameters": {"type": "object"}, "inputs": inputs, "outputs": outputs}
    return _object(document, optional=("id", "parameters", "outputs"))


def _outputs(model: DeployedModel) -> list[str]:
    kind = model.spec.target.kind
    if kind is Kind.REGRESSION:
        return ["prediction"]
    return ["label", "probability" if kind is Kind.BINARY else "probabilities"]


def _inferred(model: DeployedModel) -> Document:
    data = {"type": "array", "items": {"type": ["string", "number"]}}
    output = _object(
        {"name": {"enum": _outputs(model)}, "datatype": _STRING, "shape": _list(_INTEGER), "data": data},
    )
    document = {
        "id": _STRING, "model_name": _STRING, "model_version": _STRING, "parameters": {"type": "object"},
        "outputs": _list(output),
    }  # fmt: skip
    return _object(document, optional=("id",))


def _prediction(model: DeployedModel) -> Document:
    if model.spec.target.kind is Kind.REGRESSION:
        return _object({"prediction": _NUMBER})
    found = {"label": {"enum": list(model.classes)}, "probability": {"type": "number", "minimum": 0, "maximum": 1}}
    if model.spec.target.kind is Kind.MULTICLASS:
        found["probabilities"] = _object(dict.fromkeys(model.classes, _NUMBER))
    return _object(found)


def text(models: Iterable[DeployedModel]) -> str:
    """The description as it is committed."""
    return json.dumps(describe(models), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    from pathlib import Path

    from interlock.folder import model_folders, read_model

    sys.stdout.write(text(read_model(path) for path in model_folders(Path(sys.argv[1]))))

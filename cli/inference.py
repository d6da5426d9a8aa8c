"""Predictions and labels over HTTPS, signed as every caller signs."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from cli.target import Target
from interlock.errors import InvalidRequest

Row = dict[str, Any]


@dataclass(frozen=True)
class Prediction:
    """One answered row."""

    label: str | None
    score: float
    version: str
    revision: int
    request_id: str
    row: int


def predict(target: Target, model: str, rows: list[Row]) -> list[Prediction]:
    """Ask for all rows in one request.

    Raises:
        InvalidRequest: the API refused it; the message is the API's own.
    """
    document = _post(target, f"/v2/models/{model}/infer", request(target, model, rows))
    outputs = {item["name"]: item["data"] for item in document["outputs"]}
    scores = outputs.get("probability") or outputs.get("prediction") or outputs["probabilities"]
    labels = outputs.get("label") or [None] * len(rows)
    if "probabilities" in outputs:
        width = len(scores) // len(rows)
        scores = [max(scores[place : place + width]) for place in range(0, len(scores), width)]
    told = document["parameters"]
    return [
        Prediction(label, score, document["model_version"], told["revision"], told["request_id"], row)
        for row, (label, score) in enumerate(zip(labels, scores, strict=True))
    ]


def request(target: Target, model: str, rows: list[Row]) -> dict[str, Any]:
    """The protocol's request for these rows; texts from a file become the numbers that the model takes.

    Raises:
        InvalidRequest: a value cannot be read as its column's type.
    """
    inputs = []
    for item in _get(target, f"/v2/models/{model}")["inputs"]:
        values = [_typed(row.get(item["name"]), item["datatype"], item["name"]) for row in rows]
        inputs.append({"name": item["name"], "datatype": item["datatype"], "shape": [len(rows), 1], "data": values})
    return {"inputs": inputs}


def curl(target: Target, model: str, rows: list[Row]) -> str:
    """The line that asks the same with curl."""
    url = f"{target.outputs['ApiUrl'].rstrip('/')}/v2/models/{model}/infer"
    body = json.dumps(request(target, model, rows), separators=(",", ":"))
    parts = ["curl", "--aws-sigv4", f"aws:amz:{target.session.region_name}:execute-api"]
    if target.local:
        credentials = target.session.get_credentials()
        host = urlsplit(url)
        parts += ["--user", f"{credentials.access_key}:{credentials.secret_key}" if credentials else ""]
        parts += ["--resolve", f"{host.hostname}:{host.port}:127.0.0.1"]
        return " ".join(shlex.quote(part) for part in [*parts, "-H", "content-type: application/json", "-d", body, url])
    line = " ".join(shlex.quote(part) for part in [*parts, "-H", "content-type: application/json", "-d", body, url])
    return line.replace(
        " -H ",
        ' --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" -H "x-amz-security-token: $AWS_SESSION_TOKEN" -H ',
        1,
    )


def label(target: Target, model: str, labels: list[dict[str, Any]]) -> int:
    """Send true answers; answers how many were taken."""
    return int(_post(target, f"/models/{model}/labels", {"labels": labels})["accepted"])


def _post(target: Target, path: str, document: dict[str, Any]) -> dict[str, Any]:
    return _read(*target.call("POST", path, json.dumps(document).encode())[:2])


def _get(target: Target, path: str) -> dict[str, Any]:
    return _read(*target.call("GET", path)[:2])


def _read(status: int, body: bytes) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(body)
    except ValueError:
        raise InvalidRequest(f"the API answered {status}: {body[:300].decode('utf-8', 'replace')}") from None
    if status >= 300:
        raise InvalidRequest(
            f"the API answered {status}: {found.get('error') or found.get('message') or found}",
            remedy="Send what GET /v2/models/<model> names; `interlock status` shows what serves.",
        )
    return found


def _typed(value: Any, datatype: str, name: str) -> Any:
    if value is None or not isinstance(value, str) or datatype == "BYTES":
        return value
    try:
        if datatype == "BOOL":
            return {"true": True, "1": True, "false": False, "0": False}[value.lower()]
        return int(value) if datatype == "INT64" else float(value)
    except (ValueError, KeyError):
        raise InvalidRequest(f"'{name}' wants {datatype}, got {value!r}") from None

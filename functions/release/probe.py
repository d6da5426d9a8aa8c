"""Asks the real endpoint what evaluation asked, and wants the same answers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from interlock import keys
from interlock.aws.http import signed_post
from interlock.aws.live import live_release
from interlock.aws.objects import Objects
from interlock.aws.state import State
from interlock.errors import ProbeFailed
from interlock.observability import logger, observed
from interlock.records import Probe, ServedModel
from interlock.settings import ArtefactsBucket, StateTable

# Serving functions hold a release for five seconds at most; a new one must have arrived well within this.
_PATIENCE = 30.0
_PAUSE = 1.0
_TOLERANCE = 1e-5


class Settings(StateTable, ArtefactsBucket):
    """What this function uses."""

    api_url: str


@observed
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """{model, version, revision} → {model, version, revision}, or ProbeFailed."""
    settings = Settings.load()
    model, version, revision = event["model"], event["version"], event["revision"]
    logger.append_keys(model=model, version=version, revision=revision)
    live = live_release(State(settings.state_table), model)
    if live is None or live.challenger is None or live.revision != revision:
        raise ProbeFailed(f"{model}: the live release is no longer at revision {revision}")
    artefacts = Objects(settings.artefacts_bucket)
    served = ServedModel.from_json(artefacts.get(live.challenger.served))
    key = keys.artefact(model, live.challenger.run, "probe.json")
    stored = artefacts.describe(key)
    if stored is None:
        raise ProbeFailed(f"{model}: {key} is missing")
    questions = Probe.from_json(artefacts.get(stored))
    url = f"{settings.api_url.rstrip('/')}/v2/models/{model}/versions/{version}/infer"
    probe(served, questions, revision, lambda body: signed_post(url, body))
    return {"model": model, "version": version, "revision": revision}


def probe(
    served: ServedModel,
    questions: Probe,
    revision: int,
    post: Callable[[bytes], tuple[int, bytes]],
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Ask until the answer carries the revision, then compare it.

    Raises:
        ProbeFailed: the endpoint does not answer, does not take up the revision in time, or answers otherwise.
    """
    body = json.dumps(_request(served, questions)).encode()
    deadline = clock() + _PATIENCE
    while True:
        status, raw = post(body)
        found = json.loads(raw) if raw.startswith(b"{") else {}
        seen = found.get("parameters", {}).get("revision")
        if status == 200 and seen == revision:
            break
        if clock() > deadline:
            raise ProbeFailed(
                f"{served.model}: after {_PATIENCE:.0f} s the endpoint answers {status} at revision {seen}, "
                f"wanted {revision}: {raw[:300].decode('utf-8', 'replace')}"
            )
        sleep(_PAUSE)
    _compare(served, questions, {item["name"]: item["data"] for item in found["outputs"]})


def _request(served: ServedModel, questions: Probe) -> dict[str, Any]:
    rows = len(questions.scores)
    return {
        "id": "probe",
        "inputs": [
            {
                "name": item.name,
                "datatype": item.datatype,
                "shape": [rows, 1],
                "data": list(questions.rows[item.name]),
            }
            for item in served.inputs
        ],
    }


def _compare(served: ServedModel, questions: Probe, outputs: dict[str, list[Any]]) -> None:
    if "probabilities" in outputs:
        width = len(served.classes)
        flat = outputs["probabilities"]
        scores = [max(flat[start : start + width]) for start in range(0, len(flat), width)]
    else:
        scores = outputs.get("probability") or outputs["prediction"]
    for row, (got, wanted) in enumerate(zip(scores, questions.scores, strict=True)):
        # Written so that NaN, which is near nothing and far from nothing, fails.
        if not abs(got - wanted) <= _TOLERANCE * max(1.0, abs(wanted)):
            raise ProbeFailed(f"{served.model}: row {row} of the probe scores {got}, evaluation scored {wanted}")
    if questions.labels and list(questions.labels) != outputs.get("label"):
        raise ProbeFailed(f"{served.model}: the probe's labels differ from evaluation's")

"""One request answered by the version that its routing key names; by the champion where a challenger fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from interlock.errors import InterlockError, InvalidRequest, ModelFailed, Unavailable
from interlock.inference import feeds, scores
from interlock.records import LiveRelease
from serve.live import Live, Loaded
from serve.protocol.infer import Answer, Request, interpret, read
from serve.routing import is_challengers, place, routing_key


@dataclass(frozen=True)
class Answered:
    """An answer and who gave it. `unit` names the routing key's place, `milliseconds` what the model itself took."""

    loaded: Loaded
    request: Request
    answer: Answer
    milliseconds: float
    unit: str | None


def answered(
    live: Live,
    release: LiveRelease,
    version: int | None,
    body: bytes,
    headers: Mapping[str, str],
    failed: Callable[[int, Exception], None],
) -> Answered:
    """Answer a request.

    Args:
        live: the models in memory.
        release: what serves.
        version: the one that was asked for by its number; None lets the release choose.
        body: the request.
        headers: by lower-case name.
        failed: told the version and the error where a version could not answer a good request.

    Raises:
        InvalidRequest: the request is not one.
        ModelFailed: the version that had to answer crashed, or its answer is not a number.
    """
    loaded = live.version(release, version)
    request = read(body, loaded.signature)
    unit = None
    if version is None and release.share > 0 and release.challenger is not None:
        found = place(release.split, routing_key(release.key, headers, request.parameters, request.values))
        unit = f"{found:016x}"
        if is_challengers(release.share, found):
            number = release.challenger.version
            try:
                rival = live.version(release, number)
                same = rival.signature.inputs == loaded.signature.inputs
                return _score(rival, request if same else read(body, rival.signature), unit)
            except Exception as error:  # noqa: BLE001 - whatever a challenger does wrong, the champion answers
                # What keeps us from fetching it says nothing about it.
                if not isinstance(error, Unavailable):
                    failed(number, error)
    try:
        return _score(loaded, request, unit)
    except ModelFailed as error:
        failed(loaded.served.version, error)
        raise


def _score(loaded: Loaded, request: Request, unit: str | None) -> Answered:
    served, started = loaded.served, time.perf_counter()
    try:
        answer = interpret(scores(loaded.session, feeds(served.inputs, request.values)), loaded.signature)
    except (InterlockError, InvalidRequest):
        raise
    except Exception as error:
        raise ModelFailed(f"version {served.version} of '{served.model}' crashed: {type(error).__name__}") from error
    if not np.isfinite(answer.scores).all():
        raise ModelFailed(f"version {served.version} of '{served.model}' answers no number")
    return Answered(loaded, request, answer, 1000 * (time.perf_counter() - started), unit)

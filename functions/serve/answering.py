"""One request answered by the version that its routing key names; by the champion where a challenger fails."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

import msgspec

from interlock.errors import InterlockError, ModelFailed, Unavailable
from serve.live import Live
from serve.loaded import Loaded
from serve.protocol.request import Request
from serve.protocol.response import Answer, interpret
from serve.routing import is_challengers, place, routing_key
from serve.stored import LiveRelease


class Answered(msgspec.Struct, frozen=True):
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
    read: Callable[[Loaded], Request],
    headers: Mapping[str, str],
    failed: Callable[[int, Exception], None],
) -> Answered:
    """Answer a request.

    Args:
        live: the models in memory.
        release: what serves.
        version: the one that was asked for by its number; None lets the release choose.
        read: the request, checked as the version wants it that is to answer it.
        headers: by lower-case name.
        failed: told the version and the error where a version could not answer a good request.

    Raises:
        InvalidRequest: the request is not one.
        ModelFailed: the version that had to answer crashed, or its answer is not a number.
    """
    loaded = live.version(release, version)
    request = read(loaded)
    unit = None
    if version is None and release.share > 0 and release.challenger is not None:
        found = place(release.split, routing_key(release.key, headers, request.parameters, request.values))
        unit = f"{found:016x}"
        if is_challengers(release.share, found):
            number = release.challenger.version
            try:
                rival = live.version(release, number)
                same = rival.signature.inputs == loaded.signature.inputs
                return _score(rival, request if same else read(rival), unit)
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
        answer = interpret(loaded.answer(request), loaded.signature)
    except InterlockError:
        raise
    except Exception as error:
        raise ModelFailed(f"version {served.version} of '{served.model}' crashed: {type(error).__name__}") from error
    if not math.isfinite(sum(answer.scores)):
        raise ModelFailed(f"version {served.version} of '{served.model}' answers no number")
    return Answered(loaded, request, answer, 1000 * (time.perf_counter() - started), unit)

"""The prediction cache: the same rows are scored once, and never for another model or version."""

from __future__ import annotations

import gc
import json
import weakref
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import serve.infer
from interlock.kind import Kind
from serve.cache import Cache
from serve.live import Live
from serve.loaded import Memory
from serve.operations import Service
from serve.protocol.signature import Signature, Tensor
from serve.protocol.tensors import tensors
from tests.unit.serve.world import World, call, document

SIGNATURE = Signature(
    model="m",
    version=1,
    kind=Kind.BINARY,
    inputs=(Tensor("x", "FP32", required=False), Tensor("t", "BYTES", required=False)),
    classes=("no", "yes"),
    threshold=0.5,
)


class Run:
    """A session that counts what it is asked, and answers with the number of the question."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, named: Any) -> Any:
        self.count += 1
        return np.full((len(named["x"]), 2), self.count, np.float32)


def named(*rows: tuple[float | None, str | None]) -> dict[str, Any]:
    numbers, texts = zip(*rows, strict=True)
    return tensors([list(numbers), list(texts)], len(rows), SIGNATURE)


def test_the_same_rows_are_scored_once_however_they_are_spelled() -> None:
    cache, run = Cache(10**6), Run()
    first = cache.scores(b"m/1/sha", named((1.0, "a")), run)
    assert cache.scores(b"m/1/sha", named((1, "a")), run) is first
    assert run.count == 1
    assert cache.told() == {"CacheLookups": 2, "CacheHits": 1}
    assert cache.told() == {"CacheLookups": 0, "CacheHits": 0}


@pytest.mark.parametrize("owner", [b"other/1/sha", b"m/2/sha", b"m/1/other"])
def test_nothing_is_found_across_models_versions_or_files(owner: bytes) -> None:
    cache, run = Cache(10**6), Run()
    cache.scores(b"m/1/sha", named((1.0, "a")), run)
    cache.scores(owner, named((1.0, "a")), run)
    assert run.count == 2


ROWS = st.lists(
    st.tuples(st.none() | st.floats(width=32, allow_nan=False), st.none() | st.text(max_size=4)), min_size=1, max_size=3
)


@given(ROWS, ROWS)
def test_rows_that_differ_are_never_taken_for_each_other(one: list[Any], other: list[Any]) -> None:
    cache, run = Cache(10**6), Run()
    before, after = named(*one), named(*other)
    cache.scores(b"o", before, run)
    cache.scores(b"o", after, run)
    # As text: -0.0 is not 0.0, and what is missing is itself.
    same = [repr(tensor.tolist()) for tensor in before.values()] == [repr(tensor.tolist()) for tensor in after.values()]
    assert run.count == (1 if same else 2)


def test_it_holds_no_more_than_it_may_and_the_least_recently_used_goes() -> None:
    run = Run()
    cache = Cache(3 * 408)
    for place in range(3):
        cache.scores(b"o", named((float(place), "a")), run)
    cache.scores(b"o", named((0.0, "a")), run)
    cache.scores(b"o", named((3.0, "a")), run)
    assert run.count == 4
    cache.scores(b"o", named((0.0, "a")), run)
    assert run.count == 4
    cache.scores(b"o", named((1.0, "a")), run)
    assert run.count == 5
    # What is larger than all of its room is answered and not kept.
    cache.scores(b"o", named(*[(float(place), "a") for place in range(1000)]), run)
    cache.scores(b"o", named(*[(float(place), "a") for place in range(1000)]), run)
    assert run.count == 7


def test_the_function_answers_the_same_and_tells_the_rate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World()
    live = Live(world, Memory(10**9), world.count, cache=Cache(10**6))
    monkeypatch.setattr(serve.infer, "service", lambda: Service(live, ("flats",)))
    answers = [
        call("POST", "/v2/models/flats/infer", document([size], ["north"]))[1]["outputs"]
        for size in (1.0, 1.0, 2.0, 1.0)
    ]
    assert answers[0] == answers[1] == answers[3]
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["CacheLookups"], line["CacheHits"]) for line in said] == [(1, 0), (1, 1), (1, 0), (1, 1)]
    assert {"Name": "CacheHits"} in said[0]["_aws"]["CloudWatchMetrics"][0]["Metrics"]


def test_there_is_none_unless_it_is_given_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STATE_TABLE", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("MODEL_MEMORY_MB", "100")
    assert serve.infer.service.__wrapped__().live.cache is None
    monkeypatch.setenv("PREDICTION_CACHE_MB", "5")
    assert serve.infer.service.__wrapped__().live.cache is not None


@pytest.mark.parametrize("cache", [None, Cache(10**6)])
def test_a_version_that_has_to_go_is_gone_at_once(cache: Cache | None) -> None:
    """Not when Python looks for circles the next time: sessions are large, and it may not for long."""
    world = World()
    live = Live(world, Memory(1), world.count, cache=cache)
    loaded = live.version(live.release("flats"), None)
    loaded.answer(loaded.read(json.dumps(document([1.0], ["north"])).encode()))
    session = weakref.ref(loaded.session)
    gc.disable()
    try:
        live._memory._loaded.clear()
        del loaded
        assert session() is None
    finally:
        gc.enable()

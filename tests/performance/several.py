"""Several models in one function's memory, and what the cache of predictions costs and saves."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from serve.cache import Cache
from serve.live import Live
from serve.loaded import Loaded, Memory
from serve.protocol.tensors import tensors
from serve.stored import served_model
from tests.performance import served

_MODELS, _ROOM = 20, 5


def measured() -> dict[str, float]:
    """Print what 20 models take, asked for in turn, with room for 5 of them and for all; each in a fresh process."""
    grown = {
        name: float(subprocess.run([sys.executable, "-m", __name__, str(room)], capture_output=True, check=True).stdout)
        for name, room in ((f"room for {_ROOM}", _ROOM), ("room for all", _MODELS))
    }
    print(f"\n{_MODELS} models in turn, memory beyond the runtime's, MB")
    for name, megabytes in grown.items():
        print(f"  {name:14} {megabytes:8.0f}")
    made = served.make()
    print("\nThe cache of predictions, one row, us")
    for name, seconds in _cache(made).items():
        print(f"  {name:42} {1e6 * seconds:8.1f}")
    return {"memory_ratio_20": round(grown[f"room for {_ROOM}"] / grown["room for all"], 2)}


def _cache(made: served.Made) -> dict[str, float]:
    from tests.performance.bench_serve import Stored, timed

    live = Live(Stored(made.onnx), Memory(10**9), lambda: None, cache=Cache(10**8))
    assert live.cache is not None
    loaded = live.version(live.release(served.MODEL), None)
    request = loaded.read(served.request(made.frame.iloc[:1]))
    named = tensors(list(request.values.values()), 1, loaded.signature)
    cases: dict[str, Callable[[], Any]] = {
        "the run that a hit saves": lambda: loaded.scores(named),
        "a hit": partial(live.cache.scores, b"kept", named, loaded.scores),
        "a miss, the run with it": partial(Cache(0).scores, b"not kept", named, loaded.scores),
    }
    return timed(cases)


def main() -> None:
    """Serve the models three times in turn and print by how many MB the process grew."""
    from tests.performance.bench_serve import Stored

    stored = Stored(served.make(rows=3000, trees=600).onnx)
    described = served_model(stored.objects["served.json"])
    onnx = stored.get(described.onnx)
    before = _resident()
    size = Loaded(described, onnx).size
    memory = Memory(int(sys.argv[1]) * size)
    for turn in range(3 * _MODELS):
        key = str(turn % _MODELS)
        if memory.get(key) is None:
            memory.put(key, Loaded(described, onnx))
    print(_resident() - before)


def _resident() -> float:
    with open("/proc/self/status", encoding="ascii") as file:  # noqa: PTH123
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmRSS"))


if __name__ == "__main__":
    main()

"""Measures a model in a process of its own: `python footprint.py model.onnx feeds.npz` prints JSON.

feeds.npz holds `names` and the tensors `input0`, `input1` …; texts are fixed-width unicode there and are fed as
objects, as the serving function does.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

_ANSWERS = 100


def measure(onnx: Path, feeds: Path) -> dict[str, float]:
    """Start a fresh interpreter on this file; answers start_ms, row_ms and memory_mb of it.

    Raises:
        subprocess.CalledProcessError: the model cannot be loaded or does not answer.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, __file__, str(onnx), str(feeds)], env=environment, capture_output=True, text=True, check=True
    )
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def main(onnx: str, feeds: str) -> None:
    """Load, answer, print."""
    import onnxruntime

    with np.load(feeds) as stored:
        values = [stored[f"input{place}"] for place in range(len(stored["names"]))]
        tensors = {
            str(name): value.astype(object) if value.dtype.kind == "U" else value
            for name, value in zip(stored["names"], values, strict=True)
        }
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    started = time.perf_counter()
    session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    session.run(None, tensors)
    first = time.perf_counter() - started
    started = time.perf_counter()
    for _ in range(_ANSWERS):
        session.run(None, tensors)
    row = (time.perf_counter() - started) / _ANSWERS
    print(json.dumps({"start_ms": first * 1000, "row_ms": row * 1000, "memory_mb": _peak_mb()}))


def _peak_mb() -> float:
    """Peak resident memory; the kernel's own count of this process, since rusage would count its parent's too."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 1024


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])

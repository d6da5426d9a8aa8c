"""A cold start in AWS's own runtime emulator: process start to first answer, release and model fetched and verified.

The floor is a process that imports numpy and onnxruntime and opens the same model. Both run the bench's Python on the
layers that the deployment builds, with bytecode and without it.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from tests.performance import emulator, served

STARTS = 9
_FLOOR = """
import numpy, onnxruntime, sys
with open(sys.argv[1], "rb") as file:
    onnxruntime.InferenceSession(file.read())
"""
_NOTHING = "def handler(event, context):\n    return {}\n"


def measured(made: served.Made) -> dict[str, float]:
    """Print the table; answers `cold_ratio` and what goes with it."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "model.onnx").write_bytes(made.onnx)
        emulator.unpacked(folder)
        (folder / "task/nothing.py").write_text(_NOTHING)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        cloud = emulator.Cloud(made)
        event = served.event(served.request(made.frame.iloc[:1]))
        found = {}
        print("\nCold start, ms")
        for written, cached in (("with bytecode", True), ("without", False)):
            if not cached:
                for cache in [*(folder / "opt").rglob("__pycache__"), *(folder / "task").rglob("__pycache__")]:
                    shutil.rmtree(cache)
            taken: dict[str, list[float]] = {"floor": [], "first answer": [], "an empty handler": []}
            for start in range(STARTS + 1):
                environment = emulator.environment(folder, cloud, write=cached and start == 0)
                times = {
                    "floor": _floor(folder, environment),
                    "first answer": _answered(environment, emulator.HANDLER, event),
                    "an empty handler": _answered(environment, "nothing.handler", event),
                }
                # The first round warms the page cache, and writes what bytecode the build did not.
                if start:
                    for name, seconds in times.items():
                        taken[name].append(seconds)
            medians = {name: statistics.median(values) for name, values in taken.items()}
            for name, seconds in medians.items():
                spread = f"[{1e3 * min(taken[name]):.0f}..{1e3 * max(taken[name]):.0f}]"
                print(f"  {written:14} {name:18} {1e3 * seconds:8.1f} {spread:12} {seconds / medians['floor']:6.2f}")
            key = "cold_ratio" if cached else "cold_ratio_without_bytecode"
            found[key] = round(medians["first answer"] / medians["floor"], 2)
        cloud.server.shutdown()
        print(f"  unzipped, code and layers: {size / 1e6:.0f} MB")
        return found


def _floor(folder: Path, environment: dict[str, str]) -> float:
    started = time.perf_counter()
    subprocess.run([emulator.PYTHON, "-c", _FLOOR, str(folder / "model.onnx")], env=environment, check=True)
    return time.perf_counter() - started


def _answered(variables: dict[str, str], handler: str, event: bytes) -> float:
    """Seconds from the emulator's start to the first answer's last byte."""
    started = time.perf_counter()
    with emulator.running(variables, handler, subprocess.DEVNULL) as connection:
        answer = emulator.invoke(connection, event)
        taken = time.perf_counter() - started
    assert handler != emulator.HANDLER or answer["statusCode"] == 200, answer
    return taken

"""What a function imports is in its layers: a module that begins to need more fails here and not on the first event."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from typing import Any

import pytest

from infra.build import ROOT

# Packages by the layer that brings them; whatever else a function imports is in every one's.
BROUGHT = {"numeric": ("numpy",), "onnx": ("onnxruntime", "msgspec"), "tabular": ("duckdb", "backports")}
IMPORTING = """
import importlib, json, sys
without, modules = json.loads(sys.argv[1])

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in without:
            raise ModuleNotFoundError(f"No module named {name!r}")

sys.meta_path.insert(0, Missing())
for module in modules:
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        print(module, error)
"""


def test_every_function_finds_what_it_imports(
    resources: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{ROOT / 'functions'}:{ROOT / 'layers/core'}")
    by_layers: dict[frozenset[str], list[str]] = defaultdict(list)
    for item in resources.values():
        if item["Type"] == "AWS::Lambda::Function":
            layers = json.dumps(item["Properties"]["Layers"])
            has = frozenset(name for name in BROUGHT if f"Foundation{name.capitalize()}Layer" in layers)
            by_layers[has].append(item["Properties"]["Handler"].removesuffix(".handler"))
    assert len(by_layers) > 3
    for has, modules in by_layers.items():
        without = [package for name, packages in BROUGHT.items() if name not in has for package in packages]
        words = [sys.executable, "-c", IMPORTING, json.dumps([without, sorted(modules)])]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        assert not done.stdout, f"with the layers {sorted(has)} alone: {done.stdout}"

"""The variables of a function's process do what they are there for."""

import json
import os
import subprocess
import sys

import pytest

from infra.process import VARIABLES

LOADED = """
import json
import interlock.models
from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__
from pydantic.plugin import _loader
from threadpoolctl import threadpool_info
print(json.dumps({
    "threads": [pool["num_threads"] for pool in threadpool_info()],
    "wide": [name for name in __cpu_dispatch__ if name.startswith(("X86_V4", "AVX512")) and __cpu_features__[name]],
    "plugins": _loader._plugins is not None,
}))
"""


def loaded(variables: dict[str, str]) -> dict[str, object]:
    # A name that numpy does not know is a warning.
    command = [sys.executable, "-W", "error::ImportWarning", "-c", LOADED]
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES} | variables
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_libraries_start_without_what_no_function_uses() -> None:
    assert loaded(VARIABLES) == {"threads": [1], "wide": [], "plugins": False}


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one processor has one thread anyway")
def test_without_them_they_would_not() -> None:
    found = loaded({})
    assert found["plugins"]
    assert found["threads"] == [os.cpu_count()]

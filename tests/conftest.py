"""How tests are handed to processes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

# Each has a local cloud of its own.
CLOUDS = ("tests/local/sagemaker/", "tests/local/")


class Beside(LoadScopeScheduling):
    """One process runs all tests that share a local cloud; others run, file by file, what needs none meanwhile."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", maxsplit=1)[0]
        return next((cloud for cloud in CLOUDS if file.startswith(cloud)), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Beside:
    """Ours for any `--dist`: no other knows of the clouds."""
    # What comes first begins first: the clouds take longest, and few tests are not little work.
    config.option.loadscopereorder = False
    return Beside(config, log)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are named by their place: a gzip header holds the time, and each process would have tests of its own."""
    return argname if isinstance(val, bytes) else None


def pytest_itemcollected(item: pytest.Item) -> None:
    """Tests of an API's operations bear their names, which pytest 9.2 drops: of one name, xdist runs but one."""
    if label := getattr(item, "operation_label", None):
        item._id = replace(item._id, params=label)  # type: ignore[attr-defined]

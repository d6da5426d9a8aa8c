"""The death of a process at one of its writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest


class Killed(BaseException):
    """Nothing catches it, as nothing catches the end of a function's environment."""


def watch(patch: pytest.MonkeyPatch, world: object, doors: Mapping[str, tuple[str, ...]], number: int) -> list[str]:
    """Note each write through these methods of a world's parts, and die before the one of this number (0: none).

    All of it is undone with `patch`.
    """
    writes: list[str] = []
    for thing, names in doors.items():
        door = getattr(world, thing)
        for name in names:
            whole = getattr(door, name)

            def writing(*args: Any, whole: Any = whole, what: str = f"{thing}.{name}", **more: Any) -> Any:
                writes.append(what)
                if len(writes) == number:
                    raise Killed(what)
                return whole(*args, **more)

            patch.setattr(door, name, writing)
    return writes

"""What a check found and what was decided: the documents that are kept."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from interlock.records import ObjectRef
from interlock.schema import Model
from interlock.spec import ModelId
from interlock.stats.drift.column import State
from interlock.stats.drift.verdict import WindowDrift


class WindowResult(Model):
    """A window of the champion's traffic, judged. `state` "silent" means nobody called at all.

    `unreadable` capture files were left out.
    """

    schema_version: Literal[1] = 1
    model: ModelId
    window: str
    start: datetime
    end: datetime
    version: int
    revision: int
    manifest_id: str
    run: str
    state: State | Literal["silent"]
    drift: WindowDrift
    unreadable: int = 0
    report: ObjectRef | None = None


class Outcome(Model):
    """What was decided about a window, once. `state` is the window's; `told` is set when everybody has been told."""

    schema_version: Literal[1] = 1
    model: ModelId
    window: str
    at: datetime
    state: State | Literal["silent"]
    action: Literal["none", "alert", "resolved", "retrain"]
    reason: str
    remedy: str = ""
    told: bool = False

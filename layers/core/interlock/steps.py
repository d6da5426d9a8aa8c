"""What a step of a release has shown: the document that is kept while it bakes, and reported at its end."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from interlock.records import Check
from interlock.schema import Model
from interlock.spec import ModelId, ReleaseMode

Outcome = Literal["wait", "pass", "fail", "win", "no_winner"]


class StepVerdict(Model):
    """What a step of a release shows so far. `outcome` "wait": nothing is decided yet, and `reason` says why."""

    schema_version: Literal[1] = 1
    model: ModelId
    release: str
    version: int
    champion: int
    mode: ReleaseMode
    step: int
    steps: int
    share: float
    revision: int
    began: datetime
    at: datetime
    calls: int
    champion_calls: int
    outcome: Outcome
    reason: str
    checks: tuple[Check, ...]

    @property
    def subject(self) -> str:
        """What its report is filed under."""
        return f"{self.release}-step-{self.step + 1}"

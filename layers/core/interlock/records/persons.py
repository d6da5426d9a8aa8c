"""What is kept of persons who were to be forgotten."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from interlock.schema import Model
from interlock.spec import ModelId


class Pseudonyms(Model):
    """With what forgotten persons' keys are hashed: a random number of the model's, that no ledger or report has."""

    schema_version: Literal[1] = 1
    model: ModelId
    secret: str


class LineageMark(Model):
    """A dataset or a run that still holds somebody who was to be forgotten; `person` is the keyed hash."""

    schema_version: Literal[1] = 1
    model: ModelId
    kind: Literal["dataset", "run"]
    subject: str
    person: str
    at: datetime

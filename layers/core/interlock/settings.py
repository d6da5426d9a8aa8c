"""What a function is told by its environment. Small mixins; each handler combines those it uses.

class Validate(DataBucket, StateTable): ...
settings = Validate.load()
"""

from __future__ import annotations

import os
from functools import cache
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from interlock.errors import InvalidSettings


class Settings(BaseModel):
    """Base: a field `data_bucket` is read from the variable DATA_BUCKET."""

    model_config = ConfigDict(frozen=True)

    environment: str

    @classmethod
    @cache
    def load(cls) -> Self:
        """Read the variables once.

        Raises:
            InvalidSettings: a variable is missing or wrong; names all of them.
        """
        found = {name: os.environ[name.upper()] for name in cls.model_fields if name.upper() in os.environ}
        try:
            return cls.model_validate(found)
        except ValidationError as error:
            wrong = ", ".join(f"{str(e['loc'][0]).upper()} ({e['msg']})" for e in error.errors())
            raise InvalidSettings(f"environment variables of this function: {wrong}") from None


class DataBucket(Settings):
    """Reads or writes data."""

    data_bucket: str


class ArtefactsBucket(Settings):
    """Reads or writes models and job output."""

    artefacts_bucket: str


class StateTable(Settings):
    """Reads or changes what moves."""

    state_table: str


class LedgerTable(Settings):
    """Appends decisions."""

    ledger_table: str


class Bus(Settings):
    """Publishes events."""

    bus_name: str


class Alerts(Settings):
    """Tells a person."""

    alerts_topic: str

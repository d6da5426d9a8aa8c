"""The data contract as every stage uses it; `interlock.odcs` reads it from the public standard's YAML."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, model_validator

from interlock.errors import InvalidContract
from interlock.schema import Model


class ColumnType(StrEnum):
    """Logical types of the Open Data Contract Standard that are enforced."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"


class Severity(StrEnum):
    """What a violation does: an error makes the row bad, a warning is only reported."""

    ERROR = "error"
    WARNING = "warning"


class Column(Model):
    """One column and the rules for its values; a bound of None is no bound."""

    name: str = Field(min_length=1)
    type: ColumnType
    description: str = ""
    required: bool = False
    unique: bool = False
    restricted: bool = False
    minimum: float | None = None
    maximum: float | None = None
    exclusive_minimum: float | None = None
    exclusive_maximum: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    allowed: tuple[str, ...] | None = None
    format: str | None = None
    severity: Severity = Severity.ERROR

    @property
    def numeric(self) -> bool:
        """Whether its values are numbers."""
        return self.type in {ColumnType.INTEGER, ColumnType.NUMBER}


class Contract(Model):
    """What an upload must be. `primary_key` may be empty; shares are fractions of the rows in the file."""

    schema_version: int = 1
    id: str
    version: str
    columns: tuple[Column, ...] = Field(min_length=1)
    primary_key: tuple[str, ...] = ()
    min_rows: int = 1
    max_rows: int | None = None
    max_bad_row_share: float = Field(default=0.0, ge=0, le=1)
    null_tokens: tuple[str, ...] = ("",)

    @model_validator(mode="after")
    def _consistent(self) -> Contract:
        names = [column.name for column in self.columns]
        folded = [name.casefold() for name in names]
        if doubled := sorted({name for name in names if folded.count(name.casefold()) > 1}):
            raise ValueError(f"columns named twice (upper and lower case are the same): {', '.join(doubled)}")
        if reserved := [name for name in folded if name.startswith("interlock_")]:
            raise ValueError(f"names that begin with interlock_ are Interlock's own: {', '.join(reserved)}")
        if unknown := sorted(set(self.primary_key) - set(names)):
            raise ValueError(f"primary key names unknown columns: {', '.join(unknown)}")
        return self

    def column(self, name: str) -> Column:
        """The column of that name.

        Raises:
            InvalidContract: there is none.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise InvalidContract(
            f"contract {self.id} has no column '{name}'; it has {', '.join(c.name for c in self.columns)}"
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names in the contract's order."""
        return tuple(column.name for column in self.columns)

"""Columns: their types and the rules for their values."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from interlock.schema import Model


class ColumnType(StrEnum):
    """Logical types of the Open Data Contract Standard that are enforced."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"


# As what ingest writes a type, in the engine's words.
STORED_TYPES = {
    ColumnType.STRING: "VARCHAR",
    ColumnType.INTEGER: "BIGINT",
    ColumnType.NUMBER: "DOUBLE",
    ColumnType.BOOLEAN: "BOOLEAN",
    ColumnType.DATE: "DATE",
    ColumnType.TIMESTAMP: "TIMESTAMP",
}


class Severity(StrEnum):
    """What a violation does: an error makes the row bad or rejects the file; a warning or an info is only reported."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Column(Model):
    """One column and the rules for its values; a bound of None is no bound.

    A missing value violates `required` and nothing else. Numbers are bounded by `minimum` … `exclusive_maximum`, dates
    and timestamps by `earliest` (inclusive), `after` (exclusive), `latest` (inclusive) and `before` (exclusive),
    written `yyyy-MM-dd` or `yyyy-MM-ddTHH:mm:ss[.ffffff]` in UTC. Both kinds are the rules `minimum` and `maximum`.

    Attributes:
        physical_name: the column's name in the file, where it is another one than `name`.
        multiple_of: the value divided by it is a whole number (to 1e-9 of itself for a number, exactly for an integer).
        format: of a date or timestamp, its exact form in Java's letters (`interlock.formats.c_format`); of a string, a
            name in `interlock.formats.TEXT_FORMATS`, whose pattern it must match and whose length it must keep.
        missing_tokens: texts that mean a missing value in this column, beside the contract's null tokens.
        timezone: whether a timestamp's text ends with its zone (Z or an offset): True must, False must not, None may.
        severity: of every rule of the column that `severities` does not name.
        severities: severity by rule: required, minimum, maximum, multiple_of, length, pattern, allowed, format,
            timezone, unique. A value that is not of the column's type is always an error: it cannot be kept.
    """

    name: str = Field(min_length=1)
    type: ColumnType
    physical_name: str | None = Field(default=None, min_length=1)
    description: str = ""
    required: bool = False
    unique: bool = False
    restricted: bool = False
    minimum: int | float | None = None
    maximum: int | float | None = None
    exclusive_minimum: int | float | None = None
    exclusive_maximum: int | float | None = None
    multiple_of: int | float | None = Field(default=None, gt=0)
    earliest: str | None = None
    latest: str | None = None
    after: str | None = None
    before: str | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    allowed: tuple[str, ...] | None = None
    format: str | None = None
    timezone: bool | None = None
    missing_tokens: tuple[str, ...] = ()
    severity: Severity = Severity.ERROR
    severities: dict[str, Severity] = {}

    @property
    def numeric(self) -> bool:
        """Whether its values are numbers."""
        return self.type in {ColumnType.INTEGER, ColumnType.NUMBER}

    @property
    def moment(self) -> bool:
        """Whether its values are dates or times."""
        return self.type in {ColumnType.DATE, ColumnType.TIMESTAMP}

    @property
    def in_file(self) -> str:
        """Its name in the file."""
        return self.physical_name or self.name

    def severity_of(self, rule: str) -> Severity:
        """How much a violation of that rule of `ingest.rules` matters."""
        return Severity.ERROR if rule == "type" else self.severities.get(rule, self.severity)

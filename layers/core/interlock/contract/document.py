"""The contract as a whole, and how its CSV files are written."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from interlock.contract.columns import Column
from interlock.contract.rules import Metric, QualityRule
from interlock.errors import InvalidContract
from interlock.schema import Model


class Dialect(Model):
    """How a CSV file of this contract is written; what is None is found out from the file.

    Attributes:
        delimiter: one character between fields.
        quote: the character around fields that hold a delimiter, a line break or a quote (then written twice);
            empty: none is quoted.
        encoding: utf-8, utf-16, latin-1 or windows-1252.
        decimal: the mark before a number's decimals.
        thousands: a mark between a number's thousands that is left out when reading; None: there is none.
        header: whether the first line names the columns; without one they are in the contract's order.
    """

    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    quote: str | None = Field(default=None, max_length=1)
    encoding: Annotated[str, Field(pattern="^(utf-8|utf-16|latin-1|windows-1252)$")] | None = None
    decimal: Annotated[str, Field(pattern="^[.,]$")] = "."
    thousands: Annotated[str, Field(pattern="^[.,' _\u00a0]$")] | None = None
    header: bool = True

    @model_validator(mode="after")
    def _told_apart(self) -> Dialect:
        marks = [mark for mark in (self.delimiter, self.quote, self.decimal, self.thousands) if mark]
        if len(set(marks)) < len(marks) and not (self.delimiter == "," == self.decimal):
            raise ValueError("delimiter, quote, decimal and thousands must be different characters")
        return self


class Contract(Model):
    """What an upload must be. `primary_key` may be empty; shares are fractions of the rows in the file.

    `quality` holds the rules beyond a column's own values, `dialect` how its CSV files are written (None: found out).
    `table` is the name under which sql rules find the rows, `subject` the column that says whose row it is, for
    `interlock forget`.
    """

    schema_version: int = 1
    id: str
    version: str
    table: str = "upload"
    columns: tuple[Column, ...] = Field(min_length=1)
    primary_key: tuple[str, ...] = ()
    subject: str | None = None
    min_rows: int = 1
    max_rows: int | None = None
    max_bad_row_share: float = Field(default=0.0, ge=0, le=1)
    null_tokens: tuple[str, ...] = ("",)
    dialect: Dialect | None = None
    quality: tuple[QualityRule, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Contract:
        names = [column.name for column in self.columns]
        for listed in (names, [column.in_file for column in self.columns]):
            folded = [name.casefold() for name in listed]
            if doubled := sorted({name for name in listed if folded.count(name.casefold()) > 1}):
                raise ValueError(f"columns named twice (upper and lower case are the same): {', '.join(doubled)}")
            if reserved := [name for name in folded if name.startswith("interlock_")]:
                raise ValueError(f"names that begin with interlock_ are Interlock's own: {', '.join(reserved)}")
        if unknown := sorted(set(self.primary_key) - set(names)):
            raise ValueError(f"primary key names unknown columns: {', '.join(unknown)}")
        if self.subject is not None and self.subject not in names:
            raise ValueError(f"the subject key is no column: {self.subject}")
        for rule in self.quality:
            if unknown := sorted(set(rule.columns) - set(names)):
                raise ValueError(f"quality rule '{rule.id}' names unknown columns: {', '.join(unknown)}")
            if rule.metric is Metric.COMPARE:
                left, right = (self.column(name).type for name in rule.columns)
                if left is not right and not (
                    self.column(rule.columns[0]).numeric and self.column(rule.columns[1]).numeric
                ):
                    raise ValueError(f"quality rule '{rule.id}' compares a {left} with a {right}")
        ids = [rule.id for rule in self.quality]
        if doubled := sorted({name for name in ids if ids.count(name) > 1}):
            raise ValueError(f"quality rules with the same id: {', '.join(doubled)}")
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

"""A contract's rules as SQL: what a value means, and when it violates what.

Column i of the contract is `ri` as text and `vi` as its type.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ingest import rules
from interlock.contract import Column, ColumnType, Contract, Severity
from interlock.errors import InvalidContract
from interlock.sql import text

# ISO 8601 as people write it; a time without a zone is UTC.
_TIMESTAMP = r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}(:?\d{2})?)?"
_NUMBER = r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?"
_TRUE, _FALSE = "('true', '1')", "('false', '0')"
# ODCS writes formats as Java does; the engine as C does.
_FORMATS = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}


@dataclass(frozen=True)
class Check:
    """A condition that is true for a row that violates the rule; `column` is None for the primary key."""

    rule: rules.Rule
    index: int | None
    column: Column | None
    condition: str

    @property
    def severity(self) -> Severity:
        """Whether it makes the row bad."""
        return self.column.severity if self.column else Severity.ERROR


def typed(index: int, column: Column) -> str:
    """The value as its type; NULL when it is missing or not of the type."""
    value = f"r{index}"
    match column.type:
        case ColumnType.INTEGER:
            return f"CASE WHEN regexp_full_match({value}, '[+-]?\\d+') THEN TRY_CAST({value} AS BIGINT) END"
        case ColumnType.NUMBER:
            number = f"TRY_CAST({value} AS DOUBLE)"
            return f"CASE WHEN regexp_full_match({value}, '{_NUMBER}') AND isfinite({number}) THEN {number} END"
        case ColumnType.BOOLEAN:
            return f"CASE WHEN lower({value}) IN {_TRUE} THEN true WHEN lower({value}) IN {_FALSE} THEN false END"
        case ColumnType.DATE:
            return f"CAST(try_strptime({value}, {text(_format(column, '%Y-%m-%d'))}) AS DATE)"
        case ColumnType.TIMESTAMP if column.format:
            return f"try_strptime({value}, {text(_format(column, ''))})"
        case ColumnType.TIMESTAMP:
            zoned = f"TRY_CAST({value} || CASE WHEN regexp_matches({value}, '(Z|[+-]\\d{{2}}(:?\\d{{2}})?)$') THEN '' "
            return (
                f"CASE WHEN regexp_full_match({value}, '{_TIMESTAMP}') THEN "
                f"{zoned}ELSE '+00' END AS TIMESTAMPTZ) AT TIME ZONE 'UTC' END"
            )
        case ColumnType.STRING:
            return value


def checks(contract: Contract) -> list[Check]:
    """Every check of a contract that looks at one row alone, in the contract's order."""
    return [
        Check(rule, index, column, condition)
        for index, column in enumerate(contract.columns)
        for rule, condition in _conditions(index, column)
    ]


def repeated(contract: Contract) -> list[Check]:
    """Checks that need the other rows; `condition` lists the key's columns. All rows but a key's first violate it."""
    unique = [
        Check(rules.UNIQUE, index, column, f"v{index}")
        for index, column in enumerate(contract.columns)
        if column.unique
    ]
    if contract.primary_key:
        key = ", ".join(f"v{contract.names.index(name)}" for name in contract.primary_key)
        unique.append(Check(rules.PRIMARY_KEY, None, None, key))
    return unique


def _conditions(index: int, column: Column) -> Iterator[tuple[rules.Rule, str]]:
    raw, value = f"r{index}", f"v{index}"
    there = f"{value} IS NOT NULL"
    if column.required:
        yield rules.REQUIRED, f"{raw} IS NULL"
    if column.type is not ColumnType.STRING:
        yield rules.TYPE, f"{raw} IS NOT NULL AND {value} IS NULL"
    if column.minimum is not None:
        yield rules.MINIMUM, f"{there} AND {value} < {column.minimum!r}"
    if column.exclusive_minimum is not None:
        yield rules.MINIMUM, f"{there} AND {value} <= {column.exclusive_minimum!r}"
    if column.maximum is not None:
        yield rules.MAXIMUM, f"{there} AND {value} > {column.maximum!r}"
    if column.exclusive_maximum is not None:
        yield rules.MAXIMUM, f"{there} AND {value} >= {column.exclusive_maximum!r}"
    lengths = [f"length({value}) < {column.min_length}"] if column.min_length is not None else []
    lengths += [f"length({value}) > {column.max_length}"] if column.max_length is not None else []
    if lengths:
        yield rules.LENGTH, f"{there} AND ({' OR '.join(lengths)})"
    if column.pattern is not None:
        yield rules.PATTERN, f"{there} AND NOT regexp_matches({value}, {text(column.pattern)})"
    if column.allowed is not None:
        allowed = ", ".join(text(item) for item in column.allowed)
        yield rules.ALLOWED, f"{there} AND {raw} NOT IN ({allowed})"


def _format(column: Column, default: str) -> str:
    given = column.format
    if given is None:
        return default
    ours, rest = given, given
    for java, directive in _FORMATS.items():
        ours, rest = ours.replace(java, directive), rest.replace(java, "")
    if re.search("[A-SU-Ya-z]", rest):
        raise InvalidContract(f"column '{column.name}': the format {given!r} is not understood")
    return ours

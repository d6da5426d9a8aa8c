"""A contract's rules as SQL: what a value means, and when it violates what.

Column i of the contract is `ri` as text and `vi` as its type.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ingest import rules
from interlock.contract import Column, ColumnType, Contract, Severity
from interlock.formats import TEXT_FORMATS, c_format
from interlock.sql import text

# ISO 8601 as people write it; a time without a zone is UTC.
_TIMESTAMP = r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}(:?\d{2})?)?"
_ZONE = r"(Z|[+-]\d{2}(:?\d{2})?)$"
_NUMBER = r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?"
# JSON Schema's integer: 5.0 is one (programs that keep missing values as NaN write it so), 5.5 is not.
_INTEGER = r"[+-]?\d+(\.0*)?"
_COMPARED = {ColumnType.INTEGER: "BIGINT", ColumnType.NUMBER: "DOUBLE", ColumnType.BOOLEAN: "BOOLEAN"}
_TRUE, _FALSE = "('true', '1')", "('false', '0')"


@dataclass(frozen=True)
class Check:
    """A condition that is true for a row that violates the rule; `column` is None for the primary key."""

    rule: rules.Rule
    index: int | None
    column: Column | None
    condition: str

    @property
    def severity(self) -> Severity:
        """Whether it makes the row bad; a value that cannot be kept always does."""
        return self.column.severity_of(self.rule.id) if self.column else Severity.ERROR


def typed(index: int, column: Column) -> str:
    """The value as its type; NULL when it is missing or not of the type."""
    value = f"r{index}"
    match column.type:
        case ColumnType.INTEGER:
            whole = f"TRY_CAST(split_part({value}, '.', 1) AS BIGINT)"
            return f"CASE WHEN regexp_full_match({value}, '{_INTEGER}') THEN {whole} END"
        case ColumnType.NUMBER:
            number = f"TRY_CAST({value} AS DOUBLE)"
            return f"CASE WHEN regexp_full_match({value}, '{_NUMBER}') AND isfinite({number}) THEN {number} END"
        case ColumnType.BOOLEAN:
            return f"CASE WHEN lower({value}) IN {_TRUE} THEN true WHEN lower({value}) IN {_FALSE} THEN false END"
        case ColumnType.DATE:
            return f"CAST({_moment(value, column.format or 'yyyy-MM-dd')} AS DATE)"
        case ColumnType.TIMESTAMP if column.format:
            return _moment(value, column.format)
        case ColumnType.TIMESTAMP:
            zoned = f"TRY_CAST({value} || CASE WHEN regexp_matches({value}, '{_ZONE}') THEN '' "
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
    low = _outside(
        *(value, column, ("<", column.minimum), ("<=", column.exclusive_minimum)),
        *(("<", column.earliest), ("<=", column.after)),
    )
    high = _outside(
        *(value, column, (">", column.maximum), (">=", column.exclusive_maximum)),
        *((">", column.latest), (">=", column.before)),
    )
    if low:
        yield rules.MINIMUM, f"{there} AND ({low})"
    if high:
        yield rules.MAXIMUM, f"{there} AND ({high})"
    if column.multiple_of is not None:
        yield rules.MULTIPLE_OF, f"{there} AND {_no_multiple(value, column)}"
    lengths = [f"length({value}) < {column.min_length}"] if column.min_length is not None else []
    lengths += [f"length({value}) > {column.max_length}"] if column.max_length is not None else []
    if lengths:
        yield rules.LENGTH, f"{there} AND ({' OR '.join(lengths)})"
    if column.pattern is not None:
        yield rules.PATTERN, f"{there} AND NOT regexp_matches({value}, {text(column.pattern)})"
    if column.format is not None and column.type is ColumnType.STRING:
        form = TEXT_FORMATS[column.format]
        right = f"regexp_full_match({value}, {text(form.pattern)}) AND length({value}) <= {form.longest}"
        yield rules.FORMAT, f"{there} AND NOT ({right})"
    if column.timezone is not None:
        zoned = f"regexp_matches({raw}, '{_ZONE}')"
        yield rules.TIMEZONE, f"{there} AND {'NOT ' if column.timezone else ''}{zoned}"
    if column.allowed is not None:
        # By value, not by spelling: 05 is 5.
        kind = {ColumnType.INTEGER: "BIGINT", ColumnType.NUMBER: "DOUBLE", ColumnType.BOOLEAN: "BOOLEAN"}.get(
            column.type
        )
        allowed = ", ".join(f"CAST({text(item)} AS {kind or 'VARCHAR'})" for item in column.allowed)
        yield rules.ALLOWED, f"{there} AND {value if kind else raw} NOT IN ({allowed})"


def _outside(value: str, column: Column, *bounds: tuple[str, float | str | None]) -> str:
    """The condition that a value is beyond one of the bounds."""
    return " OR ".join(f"{value} {sign} {_literal(column, bound)}" for sign, bound in bounds if bound is not None)


def _no_multiple(value: str, column: Column) -> str:
    """The condition that a number is no multiple: exact for whole numbers, to 1e-9 of itself for others."""
    step = column.multiple_of
    if column.type is ColumnType.INTEGER and step == int(step or 0):
        return f"{value} % {int(step)} <> 0"
    nearest = f"round({value} / CAST({step!r} AS DOUBLE)) * CAST({step!r} AS DOUBLE)"
    return f"abs({value} - {nearest}) > 1e-9 * abs({value})"


def _literal(column: Column, bound: float | str) -> str:
    if isinstance(bound, str):
        return f"CAST({text(bound)} AS {'DATE' if column.type is ColumnType.DATE else 'TIMESTAMP'})"
    whole = column.type is ColumnType.INTEGER and isinstance(bound, int)
    return f"CAST({bound!r} AS {'HUGEINT' if whole else 'DOUBLE'})"


def _moment(value: str, written: str) -> str:
    """A timestamp in exactly this format: the engine's own reading also takes 2024-1-5 and blanks around it."""
    form = text(c_format(written))
    return f"CASE WHEN strftime(try_strptime({value}, {form}), {form}) = {value} THEN try_strptime({value}, {form}) END"

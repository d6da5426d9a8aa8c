"""A contract's rules: what a value means, and when it violates what.

What a value means, and conditions on texts and on several columns, are SQL over `ri` (column i of the contract as
text) and `vi` (as its type). Presence, type and bounds are judged on the arrays, a column at a time.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from ingest import rules
from ingest.categories import Categories
from ingest.parsing import Fields, Mask, Values
from ingest.patterns import Pattern
from interlock.contract import STORED_TYPES, Column, ColumnType, Contract, Metric, QualityRule, Severity
from interlock.formats import TEXT_FORMATS, TIMESTAMP, c_format
from interlock.sql import text

_ZONE = r"(Z|[+-]\d{2}(:?\d{2})?)$"
_NUMBER = r"[+-]?({whole}({mark}\d*)?|{mark}\d+)([eE][+-]?\d+)?"
# JSON Schema's integer: 5.0 is one (programs that keep missing values as NaN write it so), 5.5 is not.
_INTEGER = r"[+-]?{whole}({mark}0*)?"
# Which texts break a rule by their bytes, and which must be judged otherwise [rows].
Spelled = Callable[[Fields], tuple[Mask, Mask]]
_TRUE, _FALSE = "('true', '1')", "('false', '0')"


@dataclass(frozen=True)
class Check:
    """Which rows violate a rule of the contract; `index` and `column` are None for a rule of several columns.

    The rows are those for which the SQL `condition` is true, or those that `test` marks in the column, or (`key`) all
    but the first with the same values in the columns of these indices. What `condition` says of a text that is there,
    `spelled` finds in its bytes: the rows that it marks and those that it leaves to `condition`; or they are those
    whose text is not one of `listed`. `quality` is the id of the contract's quality rule that it counts for.
    """

    rule: rules.Rule
    index: int | None
    column: Column | None
    severity: Severity
    condition: str = ""
    test: Callable[[Values], Mask] | None = None
    spelled: Spelled | None = None
    listed: Categories | None = None
    key: tuple[int, ...] = ()
    quality: str = ""

    @property
    def name(self) -> str:
        """The column's name; nothing for a rule of several."""
        return self.column.name if self.column else ""

    @property
    def id(self) -> str:
        """Unique in the contract, and the same in every file that is judged by it."""
        return self.quality or (f"{self.rule.id}:{self.name}" if self.column else self.rule.id)


def typed(index: int, column: Column, mark: str = ".", thousands: str | None = None) -> str:
    """The value as its type; NULL when it is missing or not of the type."""
    value = f"r{index}"
    match column.type:
        case ColumnType.INTEGER:
            digits = _plain(value, mark, thousands)
            whole = f"TRY_CAST(split_part({digits}, '.', 1) AS BIGINT)"
            return f"CASE WHEN regexp_full_match({value}, {_pattern(_INTEGER, mark, thousands)}) THEN {whole} END"
        case ColumnType.NUMBER:
            number = f"TRY_CAST({_plain(value, mark, thousands)} AS DOUBLE)"
            written = f"regexp_full_match({value}, {_pattern(_NUMBER, mark, thousands)})"
            return f"CASE WHEN {written} AND isfinite({number}) THEN {number} END"
        case ColumnType.BOOLEAN:
            return f"CASE WHEN lower({value}) IN {_TRUE} THEN true WHEN lower({value}) IN {_FALSE} THEN false END"
        case ColumnType.DATE:
            return f"CAST({_moment(value, column.format or 'yyyy-MM-dd')} AS DATE)"
        case ColumnType.TIMESTAMP if column.format:
            return _moment(value, column.format)
        case ColumnType.TIMESTAMP:
            zoned = f"TRY_CAST({value} || CASE WHEN regexp_matches({value}, '{_ZONE}') THEN '' "
            return (
                f"CASE WHEN regexp_full_match({value}, '{TIMESTAMP}') THEN "
                f"{zoned}ELSE '+00' END AS TIMESTAMPTZ) AT TIME ZONE 'UTC' END"
            )
        case ColumnType.STRING:
            return value


def number(value: str, column: Column, mark: str = ".", thousands: str | None = None) -> int | float | None:
    """One whole number or decimal as `typed` reads it, without the engine: None when it is not of the type."""
    whole = column.type is ColumnType.INTEGER
    if not re.fullmatch(_written(_INTEGER if whole else _NUMBER, mark, thousands), value, re.ASCII):
        return None
    digits = value.replace(thousands or "", "").replace(mark, ".")
    if whole:
        found = int(digits.partition(".")[0])
        return found if -(2**63) <= found < 2**63 else None
    return float(digits) if math.isfinite(float(digits)) else None


def checks(contract: Contract) -> list[Check]:
    """Every check of a contract: those of each column in the contract's order, then those of its quality rules."""
    return [
        *(check for index, column in enumerate(contract.columns) for check in _of_column(index, column)),
        *_repeated(contract),
        *(_of_quality(rule, contract) for rule in contract.quality if rule.by_row),
    ]


def _repeated(contract: Contract) -> Iterator[Check]:
    for index, column in enumerate(contract.columns):
        if column.unique:
            yield Check(rules.UNIQUE, index, column, column.severity_of(rules.UNIQUE.id), key=(index,))
    if contract.primary_key:
        key = tuple(contract.names.index(name) for name in contract.primary_key)
        yield Check(rules.PRIMARY_KEY, None, None, Severity.ERROR, key=key)


def _of_quality(rule: QualityRule, contract: Contract) -> Check:
    indices = tuple(contract.names.index(name) for name in rule.columns)
    index = indices[0] if len(indices) == 1 else None
    column = None if index is None else contract.columns[index]
    condition = ""
    key: tuple[int, ...] = ()
    match rule.metric:
        case Metric.NULL_VALUES | Metric.MISSING_VALUES:
            condition = " OR ".join(f"r{i} IS NULL" for i in indices)
        case Metric.INVALID_VALUES:
            condition = " OR ".join(f"({part})" for i in indices for part in _invalid(i, contract.columns[i], rule))
        case Metric.COMPARE:
            one, two = indices
            condition = f"v{one} IS NOT NULL AND v{two} IS NOT NULL AND NOT (v{one} {rule.relation} v{two})"
        case _:
            key = indices
    kind = rules.BY_METRIC[rule.metric]
    return Check(kind, index, column, rule.row_severity, condition, key=key, quality=rule.id)


def _invalid(index: int, column: Column, rule: QualityRule) -> Iterator[str]:
    yield f"r{index} IS NOT NULL AND v{index} IS NULL"
    if rule.pattern is not None:
        yield f"r{index} IS NOT NULL AND NOT regexp_matches(r{index}, {text(rule.pattern)})"
    if rule.allowed is not None:
        yield f"v{index} IS NOT NULL AND {_not_among(index, column, rule.allowed)}"


def _of_column(index: int, column: Column) -> Iterator[Check]:
    def found(
        rule: rules.Rule,
        condition: str = "",
        test: Callable[[Values], Mask] | None = None,
        spelled: Spelled | None = None,
        listed: Categories | None = None,
    ) -> Check:
        return Check(rule, index, column, column.severity_of(rule.id), condition, test, spelled, listed)

    value = f"v{index}"
    there = f"{value} IS NOT NULL"
    if column.required:
        yield found(rules.REQUIRED, test=lambda values: values.missing)
    if column.type is not ColumnType.STRING:
        yield found(rules.TYPE, test=lambda values: ~values.there & ~values.missing)
    low = _outside(
        *(column, (np.less, column.minimum), (np.less_equal, column.exclusive_minimum)),
        *((np.less, column.earliest), (np.less_equal, column.after)),
    )
    high = _outside(
        *(column, (np.greater, column.maximum), (np.greater_equal, column.exclusive_maximum)),
        *((np.greater, column.latest), (np.greater_equal, column.before)),
    )
    if low:
        yield found(rules.MINIMUM, test=low)
    if high:
        yield found(rules.MAXIMUM, test=high)
    if column.multiple_of is not None:
        yield found(rules.MULTIPLE_OF, f"{there} AND {_no_multiple(value, column)}")
    for rule, condition, spelled in _of_text(value, column):
        yield found(rule, f"{there} AND {condition}", spelled=spelled)
    if column.timezone is not None:
        zoned = f"regexp_matches(r{index}, '{_ZONE}')"
        yield found(rules.TIMEZONE, f"{there} AND {'NOT ' if column.timezone else ''}{zoned}")
    if column.allowed is not None and column.numeric:
        kind = np.int64 if column.type is ColumnType.INTEGER else np.float64
        every = np.array([kind(item) for item in column.allowed], dtype=kind)
        yield found(rules.ALLOWED, test=lambda values: values.there & ~np.isin(np.asarray(values.values), every))
    elif column.allowed is not None:
        listed = _listed(column.allowed) if column.type is ColumnType.STRING else None
        yield found(rules.ALLOWED, f"{there} AND {_not_among(index, column, column.allowed)}", listed=listed)


def _of_text(value: str, column: Column) -> Iterator[tuple[rules.Rule, str, Spelled | None]]:
    """Rules of a text that is there, and the conditions that it breaks them."""
    lengths = [f"length({value}) < {column.min_length}"] if column.min_length is not None else []
    lengths += [f"length({value}) > {column.max_length}"] if column.max_length is not None else []
    if lengths:
        yield rules.LENGTH, f"({' OR '.join(lengths)})", None
    if column.pattern is not None:
        pattern = Pattern.read(column.pattern)
        yield rules.PATTERN, f"NOT regexp_matches({value}, {text(column.pattern)})", pattern.missed if pattern else None
    if column.format is not None and column.type is ColumnType.STRING:
        form = TEXT_FORMATS[column.format]
        right = f"regexp_full_match({value}, {text(form.pattern)}) AND length({value}) <= {form.longest}"
        yield rules.FORMAT, f"NOT ({right})", None


def _listed(allowed: tuple[str, ...]) -> Categories | None:
    """The texts of a list; None when it holds longer ones than can be looked up."""
    listed = Categories(allowed)
    return listed if len(listed.texts) == len(allowed) else None


def _not_among(index: int, column: Column, allowed: tuple[str, ...]) -> str:
    """By value, not by spelling: 05 is 5, and a date in its column's form is the one that the contract writes."""
    listed = ", ".join(f"CAST({text(item)} AS {STORED_TYPES[column.type]})" for item in allowed)
    return f"v{index} NOT IN ({listed})"


def _outside(
    column: Column, *bounds: tuple[Callable[..., Mask], int | float | str | None]
) -> Callable[[Values], Mask] | None:
    """Whether a value is beyond one of the bounds; None when there is no bound."""
    known = [(beyond, _bound(column, bound)) for beyond, bound in bounds if bound is not None]

    def test(values: Values) -> Mask:
        assert values.values is not None  # noqa: S101 - a text has no bounds
        outside = np.zeros(len(values.there), dtype=bool)
        for beyond, bound in known:
            outside |= beyond(values.values, bound)
        return outside & values.there

    return test if known else None


def _bound(column: Column, bound: float | str) -> int | float:
    """A bound as the column's values are kept."""
    if not isinstance(bound, str):
        whole = column.type is ColumnType.INTEGER and isinstance(bound, int)
        return bound if whole else float(bound)
    moment = datetime.fromisoformat(bound).replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return moment.days if column.type is ColumnType.DATE else moment // timedelta(microseconds=1)


def _no_multiple(value: str, column: Column) -> str:
    """The condition that a number is no multiple: exact for whole numbers, to 1e-9 of itself for others."""
    step = column.multiple_of
    if column.type is ColumnType.INTEGER and step == int(step or 0):
        return f"{value} % {int(step)} <> 0"
    nearest = f"round({value} / CAST({step!r} AS DOUBLE)) * CAST({step!r} AS DOUBLE)"
    return f"abs({value} - {nearest}) > 1e-9 * abs({value})"


def _pattern(written: str, mark: str, thousands: str | None) -> str:
    """A number's pattern as SQL."""
    return text(_written(written, mark, thousands))


def _written(written: str, mark: str, thousands: str | None) -> str:
    """A number's pattern with its marks."""
    groups = rf"|\d{{1,3}}({re.escape(thousands)}\d{{3}})+" if thousands else ""
    return written.replace("{whole}", rf"(\d+{groups})").replace("{mark}", re.escape(mark))


def _plain(value: str, mark: str, thousands: str | None) -> str:
    """A number without its thousands' marks and with a point."""
    if thousands:
        value = f"replace({value}, {text(thousands)}, '')"
    return value if mark == "." else f"replace({value}, {text(mark)}, '.')"


def _moment(value: str, written: str) -> str:
    """A timestamp in exactly this format: the engine's own reading also takes 2024-1-5 and blanks around it."""
    form = text(c_format(written))
    return f"CASE WHEN strftime(try_strptime({value}, {form}), {form}) = {value} THEN try_strptime({value}, {form}) END"

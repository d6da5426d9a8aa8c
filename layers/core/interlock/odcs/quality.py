"""Reads the standard's quality rules, of a column and of the table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from interlock.contract import ColumnType, Limit, Metric, Operator, QualityRule, Severity
from interlock.odcs import parts, values
from interlock.odcs.limits import OPERATORS, read_limits, read_unit, row_bounds
from interlock.sandbox import ready

# v3.0 named them so.
_BEFORE = {"duplicateCount": "duplicateValues", "validValues": "invalidValues", "nullCheck": "nullValues"}
_STANDARD = {
    *(Metric.NULL_VALUES, Metric.MISSING_VALUES, Metric.INVALID_VALUES, Metric.DUPLICATE_VALUES),
    Metric.ROW_COUNT,
}
_ON_TABLE = {
    Metric.ROW_COUNT,
    Metric.DUPLICATE_VALUES,
    Metric.SQL,
    Metric.COMPARE,
    Metric.ROW_COUNT_CHANGE,
    Metric.DRIFTED_COLUMNS,
}
_ON_COLUMN = set(Metric) - {Metric.ROW_COUNT, Metric.ROW_COUNT_CHANGE, Metric.COMPARE, Metric.DRIFTED_COLUMNS}
_ARGUMENTS = {
    Metric.MISSING_VALUES: {"missingValues"},
    Metric.INVALID_VALUES: {"validValues", "pattern"},
    Metric.DUPLICATE_VALUES: {"properties"},
}
# What an implementation for the engine interlock may hold, beside metric and the operators.
_SETTINGS = {
    Metric.COMPARE: {"left", "relation", "right"},
    Metric.FRESHNESS: set[str](),
    Metric.ROW_COUNT_CHANGE: {"batches"},
    Metric.NEW_CATEGORIES: {"batches"},
    Metric.DRIFTED_COLUMNS: set[str](),
}
_NONE = (Limit(operator=Operator.MUST_BE, value=(0,)),)
# What a rule of each type is made of; beyond it, it would hold what is read by nobody.
_MADE_OF = {
    "library": {"metric", "rule", "arguments", "unit", *OPERATORS},
    "sql": {"query", "unit", "arguments", *OPERATORS},
    "custom": {"engine", "implementation", "unit", *OPERATORS},
    "text": set[str](),
}
_OF_ANY = {"id", "name", "type", "severity"}
_CATEGORIES = {ColumnType.STRING, ColumnType.BOOLEAN}


@dataclass(frozen=True)
class ColumnRule:
    """A column's quality rule; `field` and `value` when it is one of the column's own rules, which allow none."""

    quality: QualityRule
    field: str | None = None
    value: Any = None
    missing_tokens: tuple[str, ...] = ()


def column_rules(
    path: str, item: dict[str, Any], kind: ColumnType, table: str, problems: list[str]
) -> Iterator[ColumnRule]:
    """What a column's quality rules ask for."""
    for place, written in _written(path, item):
        rule = _read(place, written, (str(item.get("name")),), table, problems)
        if rule is None:
            continue
        arguments = written.get("arguments") or {}
        before = len(problems)
        problems += _arguments(place, rule, arguments, kind)
        problems += _of_this_column(place, rule, item, kind)
        if len(problems) > before:
            continue
        if rule.metric is Metric.INVALID_VALUES:
            listed = values.listed(arguments["validValues"], kind) if "validValues" in arguments else None
            rule = rule.model_copy(update={"allowed": listed, "pattern": arguments.get("pattern")})
        tokens = tuple(values.text(token) for token in arguments.get("missingValues", ()) if token is not None)
        yield ColumnRule(rule, *_own(rule), missing_tokens=tokens)


def table_rules(schema: dict[str, Any], table: str, problems: list[str]) -> tuple[dict[str, int], list[QualityRule]]:
    """The bounds of the number of rows that reject a file (min_rows, max_rows), and all other rules of the table."""
    bounds: dict[str, int] = {}
    found = []
    for place, written in _written("schema[0]", schema):
        rule = _read(place, written, (), table, problems)
        if rule is None:
            continue
        arguments = written.get("arguments") or {}
        before = len(problems)
        problems += _arguments(place, rule, arguments, None)
        if len(problems) > before:
            continue
        if rule.metric is Metric.DUPLICATE_VALUES:
            rule = rule.model_copy(update={"columns": tuple(map(str, arguments["properties"]))})
        if wrong := list(_of_these_columns(place, rule, schema)):
            problems += wrong
            continue
        own = row_bounds(rule)
        if own is None or set(own) & set(bounds):
            found.append(rule)
        else:
            bounds |= own
    return bounds, found


def query_places(document: dict[str, Any]) -> list[str]:
    """Where the sql rules of a document stand that has been read, in the order of the contract's rules."""
    (schema,) = document["schema"]
    items = [("schema[0]", schema)]
    items += [(column_path(index, item), item) for index, item in enumerate(schema["properties"])]
    return [place for path, item in items for place, rule in _written(path, item) if rule.get("type") == "sql"]


def column_path(index: int, item: dict[str, Any]) -> str:
    """How a column is named when something is wrong with it."""
    return f"schema[0].properties[{index}]({item.get('name', '?')})"


def named(rules: list[QualityRule]) -> tuple[QualityRule, ...]:
    """The rules with an id each: the contract's own, or one made of what it is."""
    taken = {rule.id for rule in rules if rule.id != _UNNAMED}
    found = []
    for rule in rules:
        if rule.id == _UNNAMED:
            plain = re.sub(r"[^A-Za-z0-9_]+", "-", rule.name or "-".join((rule.metric, *rule.columns))).strip("-")
            number, name = 1, plain
            while name in taken:
                number += 1
                name = f"{plain}-{number}"
            taken.add(name)
            rule = rule.model_copy(update={"id": name})  # noqa: PLW2901 - the same rule, with its name
        found.append(rule)
    return tuple(found)


_UNNAMED = "?"


def _written(path: str, item: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The item's quality rules, each with its place."""
    for index, rule in enumerate(item.get("quality") or []):
        yield f"{path}.quality[{index}]({rule.get('metric') or rule.get('rule') or rule.get('type')})", rule


def _read(
    place: str, written: dict[str, Any], columns: tuple[str, ...], table: str, problems: list[str]
) -> QualityRule | None:
    """A rule without its arguments; None, and what is wrong, when it cannot be enforced."""
    before = len(problems)
    about = _about(place, written, problems)
    metric = None if about is None else _metric(place, written, about, _ON_COLUMN if columns else _ON_TABLE, problems)
    if about is None or metric is None:
        return None
    limits = read_limits(place, about, problems)
    if not limits and metric is not Metric.COMPARE:
        inside = ".implementation" * (about is not written)
        problems.append(f"{place}{inside}: says no limit: one of {', '.join(OPERATORS)}")
    unit = read_unit(place, written, metric, problems)
    severity = str(written.get("severity") or "error").lower()
    if severity not in set(Severity):
        problems.append(f"{place}.severity: {severity} is unknown; {', '.join(Severity)}")
    if len(problems) > before or unit is None:
        return None
    try:
        return QualityRule(
            id=str(written.get("id") or _UNNAMED),
            name=str(written.get("name") or ""),
            metric=metric,
            columns=(str(about.get("left")), str(about.get("right"))) if metric is Metric.COMPARE else columns,
            limits=limits or _NONE,
            unit=unit,
            severity=Severity(severity),
            relation=about.get("relation") if metric is Metric.COMPARE else None,
            query=ready(str(written["query"]), table, *columns) if metric is Metric.SQL else None,
            **({"batches": about["batches"]} if about is not written and "batches" in about else {}),
        )
    except ValidationError as error:
        problems += [f"{place}: {'.'.join(map(str, wrong['loc']))}: {wrong['msg']}" for wrong in error.errors()]
        return None


def _about(place: str, written: dict[str, Any], problems: list[str]) -> dict[str, Any] | None:
    """Where metric and operators stand: in the rule itself, or in its implementation for the engine interlock.

    None also for plain text, which is for people.
    """
    kind, inside = written.get("type", "library"), written.get("implementation")
    refused = [*parts.problems(place, written, parts.RULE), *_beside(place, written, str(kind))]
    problems += refused
    if kind == "text":
        return None
    if kind not in {"library", "sql", "custom"}:
        problems.append(f"{place}.type: is {kind!r}; enforced are library, sql and custom (engine interlock)")
    elif kind != "custom":
        return None if refused else written
    elif str(written.get("engine")).lower() != "interlock":
        problems.append(f"{place}: a rule of the engine {written.get('engine')!r} is not enforced; take it out")
    elif not isinstance(inside, dict):
        problems.append(f"{place}.implementation: must be a mapping with metric and what belongs to it")
    elif said := [name for name in OPERATORS if name in written]:
        problems.append(f"{place}.{said[0]}: belongs into implementation, says the standard of type custom")
    else:
        return None if refused else inside
    return None


def _beside(place: str, written: dict[str, Any], kind: str) -> Iterator[str]:
    """What in the rule would say something in a rule of another type, and says nothing in this one."""
    for name in written:
        enforced = name in parts.RULE and parts.RULE[name].treatment is parts.Treatment.ENFORCED
        if kind in _MADE_OF and enforced and name not in _MADE_OF[kind] | _OF_ANY:
            yield f"{place}.{name}: is not enforced in a rule of type {kind}; take it out"
    if "metric" in written and "rule" in written:
        yield f"{place}.rule: is another name of metric; take one of them out"


def _metric(
    place: str, written: dict[str, Any], about: dict[str, Any], here: set[Metric], problems: list[str]
) -> Metric | None:
    kind = written.get("type", "library")
    said = "sql" if kind == "sql" else str(about.get("metric") or about.get("rule") or "")
    possible = {"library": _STANDARD, "sql": {Metric.SQL}, "custom": set(_SETTINGS)}[kind]
    name = _BEFORE.get(said, said)
    if name not in possible:
        problems.append(f"{place}: the metric {said!r} is not enforced; enforced: {', '.join(sorted(possible))}")
        return None
    metric = Metric(name)
    if kind == "custom":
        known = {"metric", *OPERATORS, *_SETTINGS[metric]}
        problems += [f"{place}.implementation.{name}: is not known" for name in about if name not in known]
    if metric not in here:
        where = "a column, not on the table" if here is _ON_TABLE else "the table, not on a column"
        problems.append(f"{place}: {metric} is enforced on {where}")
        return None
    if metric is Metric.SQL and not written.get("query"):
        problems.append(f"{place}.query: is missing")
        return None
    return metric


def _arguments(place: str, rule: QualityRule, arguments: dict[str, Any], kind: ColumnType | None) -> Iterator[str]:
    """What is wrong with a rule's arguments; `kind` is None on the table."""
    known = _ARGUMENTS.get(rule.metric, set())
    if rule.metric is Metric.DUPLICATE_VALUES and kind is not None:
        known = set()
    for name in arguments:
        if name not in known:
            yield f"{place}.arguments.{name}: is not enforced; enforced: {', '.join(sorted(known)) or 'none'}"
    needed = known - {"missingValues"}
    if needed and not needed & set(arguments):
        yield f"{place}.arguments: needs {' or '.join(sorted(needed, reverse=True))}"
    if kind is not None and "validValues" in arguments:
        yield from values.list_problems(f"{place}.arguments.validValues", arguments["validValues"], kind)
    if kind is not None and "pattern" in arguments:
        yield from values.pattern_problems(f"{place}.arguments.pattern", arguments["pattern"], kind)
    for name in ("missingValues", "properties"):
        if name not in arguments:
            continue
        listed = arguments[name]
        if not isinstance(listed, list) or not listed:
            yield f"{place}.arguments.{name}: is {listed!r}, not a list"
        elif any(isinstance(value, bool) for value in listed):
            yield f"{place}.arguments.{name}: {values.UNQUOTED.format('true or false')}"


def _of_this_column(place: str, rule: QualityRule, item: dict[str, Any], kind: ColumnType) -> Iterator[str]:
    """What a metric needs of its column."""
    if rule.metric is Metric.FRESHNESS and kind not in {ColumnType.DATE, ColumnType.TIMESTAMP}:
        yield f"{place}: freshness is that of a date or timestamp; the column is a {kind}"
    if rule.metric is Metric.FRESHNESS and str(item.get("classification") or "public").lower() not in {
        "public",
        "internal",
    }:
        yield f"{place}: the outcome would tell a value of a restricted column"
    if rule.metric is Metric.NEW_CATEGORIES and kind not in _CATEGORIES:
        yield f"{place}: categories are those of a string or boolean; the column is a {kind}"


def _of_these_columns(place: str, rule: QualityRule, schema: dict[str, Any]) -> Iterator[str]:
    """What a rule over several columns needs of them."""
    kinds = {str(item.get("name")): str(item.get("logicalType")) for item in schema.get("properties") or []}
    if unknown := sorted(set(rule.columns) - set(kinds)):
        yield f"{place}: names unknown columns: {', '.join(unknown)}"
    elif rule.metric is Metric.COMPARE:
        left, right = (kinds[name] for name in rule.columns)
        if left != right and {left, right} != {ColumnType.INTEGER, ColumnType.NUMBER}:
            yield f"{place}: compares a column of type {left} with one of type {right}"


def _own(rule: QualityRule) -> tuple[str | None, Any]:
    """Field and value of the column for a rule that allows none."""
    if not rule.allows_none:
        return None, None
    match rule.metric:
        case Metric.NULL_VALUES | Metric.MISSING_VALUES:
            return "required", True
        case Metric.DUPLICATE_VALUES:
            return "unique", True
        case Metric.INVALID_VALUES if rule.pattern is None:
            return "allowed", rule.allowed
        case Metric.INVALID_VALUES if rule.allowed is None:
            return "pattern", rule.pattern
        case _:
            return None, None

"""Reads the contract from the Open Data Contract Standard v3 (https://bitol-io.github.io/open-data-contract-standard).

What bears on data is enforced or refused; nothing is silently ignored. What only describes (descriptions, tags,
teams, prices, servers, support) is free to be there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from interlock.contract import Column, ColumnType, Contract, Severity
from interlock.errors import InvalidContract

_OPTIONS = {
    ColumnType.STRING: {"minLength", "maxLength", "pattern", "format"},
    ColumnType.INTEGER: {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"},
    ColumnType.NUMBER: {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"},
    ColumnType.BOOLEAN: set[str](),
    ColumnType.DATE: {"format"},
    ColumnType.TIMESTAMP: {"format"},
}
_FIELDS = {
    "minimum": "minimum",
    "maximum": "maximum",
    "exclusiveMinimum": "exclusive_minimum",
    "exclusiveMaximum": "exclusive_maximum",
    "minLength": "min_length",
    "maxLength": "max_length",
    "pattern": "pattern",
    "format": "format",
}
_SPOKEN = {"description", "businessName", "tags", "examples", "authoritativeDefinitions", "id", "physicalName"}
_ON_PROPERTY = _SPOKEN | {
    "name",
    "logicalType",
    "physicalType",
    "logicalTypeOptions",
    "required",
    "unique",
    "primaryKey",
    "primaryKeyPosition",
    "classification",
    "quality",
    "customProperties",
    "criticalDataElement",
}
_ON_SCHEMA = _SPOKEN | {
    "name",
    "logicalType",
    "physicalType",
    "properties",
    "quality",
    "customProperties",
    "dataGranularityDescription",
}
_CUSTOM = {"maxBadRowShare": "max_bad_row_share", "nullTokens": "null_tokens"}
_RESTRICTED = {"restricted", "confidential", "sensitive", "pii"}


def read_contract(document: dict[str, Any]) -> Contract:
    """The contract of an ODCS v3 document with one schema.

    Raises:
        InvalidContract: lists everything that is wrong or would not be enforced, each with its path.
    """
    problems: list[str] = []
    version = str(document.get("apiVersion", ""))
    if not version.startswith("v3."):
        problems.append(f"apiVersion: is {version!r}, v3.x is read")
    schemas = document.get("schema") or []
    if len(schemas) != 1:
        problems.append(f"schema: holds {len(schemas)} objects, exactly one is read: an upload is one table")
        schemas = [{}]
    schema = schemas[0]
    problems += _unknown("schema[0]", schema, _ON_SCHEMA)
    columns = []
    for index, item in enumerate(schema.get("properties") or []):
        path = f"schema[0].properties[{index}]({item.get('name', '?')})"
        problems += _unknown(path, item, _ON_PROPERTY)
        if (column := _column(path, item, problems)) is not None:
            columns.append(column)
    if not columns:
        problems.append("schema[0].properties: there is no readable column")
    whole = _whole(schema, problems)
    if problems:
        raise InvalidContract(f"{document.get('id', 'contract')}:\n  " + "\n  ".join(problems))
    try:
        return Contract(
            id=str(document.get("id", "")),
            version=str(document.get("version", "")),
            columns=tuple(columns),
            primary_key=_primary_key(schema.get("properties") or []),
            **whole,
        )
    except ValueError as error:
        raise InvalidContract(str(error)) from None


def _column(path: str, item: dict[str, Any], problems: list[str]) -> Column | None:
    try:
        kind = ColumnType(str(item.get("logicalType")))
    except ValueError:
        problems.append(f"{path}.logicalType: is {item.get('logicalType')!r}, read are {', '.join(ColumnType)}")
        return None
    found: dict[str, Any] = {}
    for option, value in (item.get("logicalTypeOptions") or {}).items():
        if option not in _OPTIONS[kind]:
            allowed = ", ".join(sorted(_OPTIONS[kind])) or "none"
            problems.append(f"{path}.logicalTypeOptions.{option}: is not enforced for {kind}; enforced: {allowed}")
        else:
            found[_FIELDS[option]] = value
    if kind is ColumnType.STRING and found.pop("format", None):
        problems.append(f"{path}.logicalTypeOptions.format: is not enforced for strings; say it as a pattern")
    try:
        re.compile(found.get("pattern") or "")
    except re.error as error:
        problems.append(f"{path}.logicalTypeOptions.pattern: {error}")
    severities = set()
    for rule_path, rule in _rules(path, item):
        severities.add(str(rule.get("severity", "error")))
        if (meant := _rule(rule)) is None:
            problems.append(
                f"{rule_path}: is not enforced; enforced on a column, with mustBe: 0: invalidValues (validValues or "
                "pattern), nullValues, duplicateValues"
            )
        else:
            found |= meant
    if unknown := severities - {"error", "warning"}:
        problems.append(f"{path}.quality: severity {', '.join(sorted(unknown))} is unknown; error or warning")
        severities.clear()
    if len(severities) > 1:
        problems.append(f"{path}.quality: one severity a column is read, not {' and '.join(sorted(severities))}")
        severities.clear()
    if item.get("required"):
        found["required"] = True
    try:
        return Column(
            name=str(item.get("name") or ""),
            type=kind,
            description=str(item.get("description") or ""),
            unique=bool(found.pop("unique", item.get("unique", False))),
            restricted=str(item.get("classification", "")).lower() in _RESTRICTED,
            severity=Severity(severities.pop()) if severities else Severity.ERROR,
            **found,
        )
    except ValueError as error:
        problems.append(f"{path}: {error}")
        return None


def _primary_key(properties: list[dict[str, Any]]) -> tuple[str, ...]:
    """Names of the key's columns in the key's order."""
    keys = [
        (item.get("primaryKeyPosition") or index, str(item["name"]))
        for index, item in enumerate(properties, start=1)
        if item.get("primaryKey")
    ]
    return tuple(name for _, name in sorted(keys))


def _rule(rule: dict[str, Any]) -> dict[str, Any] | None:
    """What a quality rule of a column sets; None when it is not enforced."""
    arguments = rule.get("arguments") or {}
    if rule.get("mustBe") != 0:
        return None
    match rule.get("metric") or rule.get("rule"), sorted(arguments):
        case "invalidValues", ["validValues"]:
            return {"allowed": tuple(_text(value) for value in arguments["validValues"])}
        case "invalidValues", ["pattern"]:
            return {"pattern": arguments["pattern"]}
        case "nullValues" | "missingValues", []:
            return {"required": True}
        case "duplicateValues", []:
            return {"unique": True}
        case _:
            return None


def _whole(schema: dict[str, Any], problems: list[str]) -> dict[str, Any]:
    """Rules for the table as a whole."""
    found: dict[str, Any] = {}
    bounds: dict[str, Callable[[Any], dict[str, int]]] = {
        "mustBe": lambda n: {"min_rows": int(n), "max_rows": int(n)},
        "mustBeGreaterOrEqualTo": lambda n: {"min_rows": int(n)},
        "mustBeGreaterThan": lambda n: {"min_rows": int(n) + 1},
        "mustBeLessOrEqualTo": lambda n: {"max_rows": int(n)},
        "mustBeLessThan": lambda n: {"max_rows": int(n) - 1},
        "mustBeBetween": lambda pair: {"min_rows": int(pair[0]), "max_rows": int(pair[1])},
    }
    for path, rule in _rules("schema[0]", schema):
        used = [name for name in bounds if name in rule]
        if (rule.get("metric") or rule.get("rule")) != "rowCount" or not used:
            problems.append(f"{path}: is not enforced; enforced on the table: rowCount with {', '.join(bounds)}")
        for name in used:
            found |= bounds[name](rule[name])
    for index, custom in enumerate(schema.get("customProperties") or []):
        name = custom.get("property")
        if name in _CUSTOM:
            value = custom.get("value")
            found[_CUSTOM[name]] = tuple(_text(item) for item in value) if isinstance(value, list) else value
        else:
            problems.append(f"schema[0].customProperties[{index}]: {name!r} is unknown; known: {', '.join(_CUSTOM)}")
    return found


def _rules(path: str, item: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The item's quality rules that speak of data; plain text is for people."""
    for index, rule in enumerate(item.get("quality") or []):
        if rule.get("type") != "text":
            yield f"{path}.quality[{index}]({rule.get('metric') or rule.get('rule') or rule.get('type')})", rule


def _unknown(path: str, item: dict[str, Any], known: set[str]) -> list[str]:
    return [f"{path}.{name}: is not enforced; take it out" for name in item if name not in known]


def _text(value: Any) -> str:
    """A value of a list as it stands in a file; YAML reads a bare yes as a boolean."""
    return str(value).lower() if isinstance(value, bool) else str(value)

"""Reads the contract from the Open Data Contract Standard v3 (https://bitol-io.github.io/open-data-contract-standard).

What bears on data is enforced or refused; nothing is silently ignored. What only describes (descriptions, tags,
teams, prices, servers, support) is free to be there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

from pydantic import ValidationError

from interlock.contract import Column, ColumnType, Contract, Severity
from interlock.errors import InvalidContract
from interlock.formats import c_format

_BOUNDS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
_OPTIONS = {
    ColumnType.STRING: {"minLength", "maxLength", "pattern"},
    ColumnType.INTEGER: _BOUNDS,
    ColumnType.NUMBER: _BOUNDS,
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
_DESCRIBES = {
    *("id", "name", "description", "businessName", "tags", "examples", "synonyms", "semanticType", "deprecated"),
    *("authoritativeDefinitions", "context", "physicalType"),
}
_ON_PROPERTY = _DESCRIBES | {
    *("logicalType", "logicalTypeOptions", "required", "unique", "primaryKey", "primaryKeyPosition", "enum"),
    *("classification", "quality", "customProperties", "criticalDataElement", "physicalName"),
}
_ON_SCHEMA = _DESCRIBES | {
    *("logicalType", "properties", "quality", "customProperties", "dataGranularityDescription", "physicalName"),
}
_ON_DOCUMENT = _DESCRIBES | {
    *("apiVersion", "kind", "version", "status", "tenant", "domain", "dataProduct", "contractCreatedTs"),
    *("servers", "support", "price", "team", "roles", "slaDefaultElement", "slaProperties", "schema"),
    "customProperties",
}
_ON_RULE = _DESCRIBES | {
    *("type", "metric", "rule", "arguments", "severity", "unit", "dimension", "method", "businessImpact"),
    *("schedule", "scheduler", "customProperties"),
}
# What a service promises; the other agreements (latency, frequency, error rate) speak of the data.
_SERVICE = {
    *("availability", "throughput", "retention", "generalAvailability", "endOfSupport", "endOfLife"),
    *("timeToDetect", "timeToNotify", "timeToRepair", "timeOfAvailability"),
}
_UNQUOTED = "YAML reads an unquoted word as {}; write it in quotes"
_CUSTOM = {"maxBadRowShare": "max_bad_row_share", "nullTokens": "null_tokens"}
# Everything else that is said of a column's classification closes it.
_OPEN = {"public", "internal"}
# What Python reads in a pattern and the engine (RE2) does not; characters in [ ] are skipped, they mean themselves.
_NOT_RE2 = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]"
    r"|(?P<group>\(\?(?:[=!>(#]|<[=!]|P=|-?[ims]*[axuL]))|(?P<possessive>[*+?}]\+)|(?P<count>\{\d{4,})",
    re.DOTALL,
)
_ESCAPES = re.compile(r"\\(.)", re.DOTALL)
_NOT_RE2_ESCAPES = frozenset("123456789ZuUN")


def read_contract(document: dict[str, Any]) -> Contract:
    """The contract of an ODCS v3 document with one schema.

    Raises:
        InvalidContract: lists everything that is wrong or would not be enforced, each with its path.
    """
    problems: list[str] = []
    version = str(document.get("apiVersion", ""))
    if not version.startswith("v3."):
        problems.append(f"apiVersion: is {version!r}, v3.x is read")
    problems += _unknown("document", document, _ON_DOCUMENT)
    problems += _misplaced("document", document)
    for index, agreed in enumerate(document.get("slaProperties") or []):
        if (name := agreed.get("property")) not in _SERVICE:
            problems.append(f"slaProperties[{index}]({name}): is not enforced; take it out")
    schemas = document.get("schema") or []
    if len(schemas) != 1:
        problems.append(f"schema: holds {len(schemas)} objects, exactly one is read: an upload is one table")
        schemas = [{}]
    schema = schemas[0]
    problems += _unknown("schema[0]", schema, _ON_SCHEMA)
    properties = schema.get("properties") or []
    columns = []
    for index, item in enumerate(properties):
        path = f"schema[0].properties[{index}]({item.get('name', '?')})"
        problems += _unknown(path, item, _ON_PROPERTY)
        problems += _misplaced(path, item)
        if (column := _column(path, item, problems)) is not None:
            columns.append(column)
    if not columns:
        problems.append("schema[0].properties: there is no readable column")
    whole = _whole(schema, problems)
    name = document.get("id", "contract")
    if problems:
        raise InvalidContract(f"{name}:\n  " + "\n  ".join(problems))
    try:
        return Contract(
            id=str(document.get("id", "")),
            version=str(document.get("version", "")),
            columns=tuple(columns),
            primary_key=_primary_key(properties),
            **whole,
        )
    except ValidationError as error:
        wrong = (f"{'.'.join(map(str, item['loc'])) or 'schema[0]'}: {item['msg']}" for item in error.errors())
        raise InvalidContract(f"{name}:\n  " + "\n  ".join(wrong)) from None


def _column(path: str, item: dict[str, Any], problems: list[str]) -> Column | None:
    try:
        kind = ColumnType(str(item.get("logicalType")))
    except ValueError:
        problems.append(f"{path}.logicalType: is {item.get('logicalType')!r}, read are {', '.join(ColumnType)}")
        return None
    if item.get("physicalName") not in {None, item.get("name")}:
        problems.append(f"{path}.physicalName: is not read; give the column the name it has in the file")
    found: dict[str, Any] = {}
    for option, value in (item.get("logicalTypeOptions") or {}).items():
        if option not in _OPTIONS[kind]:
            allowed = ", ".join(sorted(_OPTIONS[kind])) or "none"
            problems.append(f"{path}.logicalTypeOptions.{option}: is not enforced for {kind}; enforced: {allowed}")
        else:
            found[_FIELDS[option]] = value
    for flag, name in (("required", "required"), ("unique", "unique"), ("primaryKey", "required")):
        if item.get(flag):
            found[name] = True
    if item.get("enum"):
        found["allowed"] = tuple(value["value"] if isinstance(value, dict) else value for value in item["enum"])
    severity = _quality(path, item, found, problems)
    problems += _values(path, kind, found)
    if "allowed" in found:
        found["allowed"] = tuple(map(_text, found["allowed"]))
    try:
        return Column(
            name=str(item.get("name") or ""),
            type=kind,
            description=str(item.get("description") or ""),
            restricted=str(item.get("classification") or "public").lower() not in _OPEN,
            severity=severity,
            **found,
        )
    except ValidationError as error:
        problems += [f"{path}: {'.'.join(map(str, wrong['loc']))}: {wrong['msg']}" for wrong in error.errors()]
        return None


def _quality(path: str, item: dict[str, Any], found: dict[str, Any], problems: list[str]) -> Severity:
    """Add what a column's quality rules ask for; answers how much it matters."""
    severities = {"error"} if found else set()
    for rule_path, rule in _rules(path, item):
        severities.add(str(rule.get("severity") or "error"))
        meant = _rule(rule)
        if meant is None:
            problems.append(
                f"{rule_path}: is not enforced; enforced on a column, with mustBe: 0: invalidValues (validValues or "
                "pattern), nullValues, duplicateValues"
            )
            continue
        for name, value in meant.items():
            if found.setdefault(name, value) != value:
                problems.append(f"{rule_path}: {name} is said twice, differently")
    if unknown := severities - {"error", "warning"}:
        problems.append(f"{path}.quality: severity {', '.join(sorted(unknown))} is unknown; error or warning")
    elif len(severities) > 1:
        problems.append(
            f"{path}.quality: either all of a column's rules are warnings or none; required, options and"
            " enum are errors"
        )
    return Severity.WARNING if severities == {"warning"} else Severity.ERROR


def _values(path: str, kind: ColumnType, found: dict[str, Any]) -> Iterator[str]:
    """What is wrong with the values in a column's rules."""
    if pattern := found.get("pattern"):
        if kind is not ColumnType.STRING:
            yield f"{path}: a pattern is enforced for strings only"
        try:
            re.compile(pattern)
        except re.error as error:
            yield f"{path}: the pattern {pattern!r} cannot be read: {error}"
        unread = {part.group() for part in _NOT_RE2.finditer(pattern) if part.lastgroup}
        unread |= {"\\" + letter for letter in _ESCAPES.findall(pattern) if letter in _NOT_RE2_ESCAPES}
        if unread:
            yield (
                f"{path}: the pattern {pattern!r} holds {' and '.join(sorted(unread))}, which the engine (RE2) does not"
                " read: no looking around, references, possessive or huge repetitions"
            )
    if written := found.get("format"):
        try:
            c_format(str(written))
        except InvalidContract as error:
            yield f"{path}.logicalTypeOptions.format: {error.message}"
    for name in ("minimum", "maximum", "exclusive_minimum", "exclusive_maximum"):
        if isinstance(bound := found.get(name), float) and not math.isfinite(bound):
            yield f"{path}: {name} is {bound}, no bound"
    for value in found.get("allowed", ()):
        if value is None or (isinstance(value, bool) and kind is not ColumnType.BOOLEAN):
            yield f"{path}: {_UNQUOTED.format(value)}"
        elif not _READABLE[kind](_text(value)):
            yield f"{path}: the value {_text(value)!r} is not of the type {kind}"


def _primary_key(properties: list[dict[str, Any]]) -> tuple[str, ...]:
    """Names of the key's columns in the key's order; the standard writes "no position" as -1."""
    keys = [
        (position if (position := item.get("primaryKeyPosition") or 0) > 0 else len(properties), index, item)
        for index, item in enumerate(properties)
        if item.get("primaryKey")
    ]
    return tuple(str(item["name"]) for *_, item in sorted(keys, key=lambda key: key[:2]))


def _rule(rule: dict[str, Any]) -> dict[str, Any] | None:
    """What a quality rule of a column sets; None when it is not enforced."""
    arguments = rule.get("arguments") or {}
    if not _library(rule) or set(rule) - _ON_RULE != {"mustBe"} or rule["mustBe"] != 0:
        return None
    match rule.get("metric") or rule.get("rule"), sorted(arguments):
        case "invalidValues", ["validValues"]:
            return {"allowed": tuple(arguments["validValues"])}
        case "invalidValues", ["pattern"]:
            return {"pattern": arguments["pattern"]}
        case "nullValues" | "missingValues", []:
            return {"required": True}
        case "duplicateValues", []:
            return {"unique": True}
        case _:
            return None


def _library(rule: dict[str, Any]) -> bool:
    """Whether it is one of the standard's own metrics, counted in rows or (the same for none at all) percent."""
    return rule.get("type", "library") == "library" and rule.get("unit", "rows") in {"rows", "percent"}


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
        used = set(rule) - _ON_RULE
        counts = _library(rule) and rule.get("unit", "rows") == "rows" and not rule.get("arguments")
        if (rule.get("metric") or rule.get("rule")) != "rowCount" or not counts or not used or used - set(bounds):
            problems.append(f"{path}: is not enforced; enforced on the table: rowCount with {', '.join(bounds)}")
            continue
        if rule.get("severity", "error") != "error":
            problems.append(f"{path}.severity: a file with a wrong number of rows is always rejected; say error")
        for name in sorted(used):
            try:
                found |= bounds[name](rule[name])
            except (TypeError, ValueError, IndexError):
                problems.append(f"{path}.{name}: is {rule[name]!r}, not a number of rows")
    for index, custom in enumerate(schema.get("customProperties") or []):
        name = custom.get("property")
        if name in _CUSTOM:
            value = custom.get("value")
            problems += [
                f"schema[0].customProperties[{index}]({name}): {_UNQUOTED.format(token)}"
                for token in (value if isinstance(value, list) else [])
                if token is None or isinstance(token, bool)
            ]
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


def _misplaced(path: str, item: dict[str, Any]) -> Iterator[str]:
    """Properties of ours that would not be read where they stand; other tools' are free to be there."""
    ours = {name.lower() for name in _CUSTOM}
    for index, custom in enumerate(item.get("customProperties") or []):
        if str(name := custom.get("property")).lower() in ours:
            yield f"{path}.customProperties[{index}]: {name} belongs into schema[0].customProperties"


def _text(value: Any) -> str:
    """A value of a list as it stands in a file; YAML reads a bare yes as a boolean."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _integer(value: str) -> bool:
    return re.fullmatch(r"[+-]?\d+", value) is not None


def _number(value: str) -> bool:
    try:
        return math.isfinite(float(value))
    except ValueError:
        return False


_READABLE: dict[ColumnType, Callable[[str], bool]] = {
    ColumnType.STRING: lambda _: True,
    ColumnType.INTEGER: _integer,
    ColumnType.NUMBER: _number,
    ColumnType.BOOLEAN: {"true", "false"}.__contains__,
    ColumnType.DATE: lambda _: True,
    ColumnType.TIMESTAMP: lambda _: True,
}

"""Reads a property of the standard as a column."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from interlock.contract import Column, ColumnType, QualityRule, Severity
from interlock.errors import InvalidContract
from interlock.formats import TEXT_FORMATS, UNCHECKABLE_FORMATS, c_format
from interlock.odcs import parts, quality, values

_FIELDS = {
    "minimum": "minimum",
    "maximum": "maximum",
    "exclusiveMinimum": "exclusive_minimum",
    "exclusiveMaximum": "exclusive_maximum",
    "multipleOf": "multiple_of",
    "minLength": "min_length",
    "maxLength": "max_length",
    "pattern": "pattern",
    "format": "format",
    "timezone": "timezone",
}
_MOMENTS = {"minimum": "earliest", "maximum": "latest", "exclusiveMinimum": "after", "exclusiveMaximum": "before"}
_WIDTHS: dict[tuple[ColumnType, str], tuple[float, float] | None] = {
    **{(ColumnType.INTEGER, f"i{bits}"): (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32)},
    **{(ColumnType.INTEGER, f"u{bits}"): (0, 2**bits - 1) for bits in (8, 16, 32)},
    # What the column holds anyway.
    (ColumnType.INTEGER, "i64"): None,
    (ColumnType.NUMBER, "f32"): (-3.4028234663852886e38, 3.4028234663852886e38),
    (ColumnType.NUMBER, "f64"): None,
}
_LENGTHS = {"minLength", "maxLength"}
_ENDS = (
    *((low, high, operator.gt) for low, high in (("minimum", "maximum"), ("earliest", "latest"))),
    ("min_length", "max_length", operator.gt),
    *((low, "exclusive_maximum", operator.ge) for low in ("minimum", "exclusive_minimum")),
    ("exclusive_minimum", "maximum", operator.ge),
    *((low, "before", operator.ge) for low in ("earliest", "after")),
    ("after", "latest", operator.ge),
)
_UTC = {"utc", "etc/utc", "z", "gmt", "etc/gmt"}
# Everything else that is said of a column's classification closes it.
_OPEN = {"public", "internal"}


def read_column(
    path: str, item: dict[str, Any], table: str, problems: list[str]
) -> tuple[Column | None, list[QualityRule]]:
    """The column with the rules for its values, and the quality rules that are more than that."""
    problems += parts.problems(path, item, parts.PROPERTY)
    try:
        kind = ColumnType(str(item.get("logicalType")))
    except ValueError:
        said = item.get("logicalType")
        reason = f" ({parts.TYPES_REFUSED[said]})" if said in parts.TYPES_REFUSED else ""
        problems.append(f"{path}.logicalType: is {said!r}{reason}, read are {', '.join(ColumnType)}")
        return None, []
    found: dict[str, Any] = {}
    problems += _options(path, item, kind, found)
    problems += _flags(path, item, found)
    if item.get("enum") is not None:
        listed = tuple(value.get("value") if isinstance(value, dict) else value for value in item["enum"])
        problems += values.list_problems(f"{path}.enum", listed, kind)
        found["allowed"] = values.listed(listed, kind)
    severities: dict[str, Severity] = {}
    beyond = []
    for rule in quality.column_rules(path, item, kind, table, problems):
        if rule.missing_tokens:
            found["missing_tokens"] = tuple(dict.fromkeys((*found.get("missing_tokens", ()), *rule.missing_tokens)))
        severity = rule.quality.severity
        if rule.field is None:
            beyond.append(rule.quality)
        elif rule.field not in found:
            found[rule.field] = rule.value
            if severity is not Severity.ERROR:
                severities[rule.field] = severity
        elif rule.value != found[rule.field] or severity is not severities.get(rule.field, Severity.ERROR):
            # A second rule of the same kind; the same rule said twice is one.
            beyond.append(rule.quality)
    name = str(item.get("name") or "")
    physical = item.get("physicalName")
    try:
        column = Column(
            name=name,
            type=kind,
            physical_name=str(physical) if physical not in {None, name} else None,
            description=str(item.get("description") or ""),
            restricted=str(item.get("classification") or "public").lower() not in _OPEN,
            severities=severities,
            **found,
        )
    except ValidationError as error:
        problems += [f"{path}: {'.'.join(map(str, wrong['loc']))}: {wrong['msg']}" for wrong in error.errors()]
        return None, []
    return column, beyond


def primary_key(properties: list[dict[str, Any]]) -> tuple[str, ...]:
    """Names of the key's columns in the key's order; the standard writes "no position" as -1."""
    keys = [
        (position if (position := item.get("primaryKeyPosition") or 0) > 0 else len(properties), index, item)
        for index, item in enumerate(properties)
        if item.get("primaryKey")
    ]
    return tuple(str(item["name"]) for *_, item in sorted(keys, key=lambda key: key[:2]))


def _flags(path: str, item: dict[str, Any], found: dict[str, Any]) -> Iterator[str]:
    for flag, name in (("required", "required"), ("unique", "unique"), ("primaryKey", "required")):
        if item.get(flag) is True:
            found[name] = True
        elif item.get(flag) not in {None, False}:
            yield f"{path}.{flag}: is {item[flag]!r}, not true or false"
    if not item.get("primaryKey") and (item.get("primaryKeyPosition") or -1) > 0:
        yield f"{path}.primaryKeyPosition: the column is not of the key; say primaryKey: true"


def _options(path: str, item: dict[str, Any], kind: ColumnType, found: dict[str, Any]) -> Iterator[str]:
    """Read the type's options into `found`; answers what is wrong with them."""
    options: dict[str, Any] = item.get("logicalTypeOptions") or {}
    moments = kind in {ColumnType.DATE, ColumnType.TIMESTAMP}
    # The format last: it narrows bounds and never widens them.
    for option, value in sorted(options.items(), key=lambda item: item[0] == "format"):
        place = f"{path}.logicalTypeOptions.{option}"
        if option not in parts.OPTIONS[kind]:
            allowed = ", ".join(sorted(parts.OPTIONS[kind])) or "none"
            yield f"{place}: is not enforced for {kind}; enforced: {allowed}"
        elif option == "format":
            yield from _format(place, kind, str(value), found)
        elif option == "defaultTimezone":
            if str(value).lower() not in _UTC:
                yield f"{place}: is {value!r}; a time without a zone is UTC: let the values end with their zone"
        elif moments and option in _MOMENTS:
            if (read := values.moment(value, kind)) is None:
                yield f"{place}: {value!r} is no {kind} in ISO 8601"
            found[_MOMENTS[option]] = read
        elif option in _MOMENTS and not values.number(value):
            yield f"{place}: is {value!r}, no bound"
        elif option in _LENGTHS and (type(value) is not int or value < 0):
            yield f"{place}: is {value!r}, no number of characters"
        else:
            found[_FIELDS[option]] = value
    yield from _impossible(path, found)
    if "pattern" in found:
        yield from values.pattern_problems(path, found["pattern"], kind)
    if found.get("timezone") and found.get("format"):
        yield (
            f"{path}.logicalTypeOptions: timezone: true and a format do not go together, for a format holds no offset;"
            " without one, ISO 8601 with any offset is read"
        )


def _impossible(path: str, found: dict[str, Any]) -> Iterator[str]:
    """Bounds that no value keeps."""
    for low, high, none in _ENDS:
        one, two = found.get(low), found.get(high)
        if one is not None and two is not None and none(one, two):
            yield f"{path}.logicalTypeOptions: nothing lies between {one} and {two}"


def _format(place: str, kind: ColumnType, written: str, found: dict[str, Any]) -> Iterator[str]:
    match kind:
        case ColumnType.DATE | ColumnType.TIMESTAMP:
            found["format"] = written
            try:
                directives = c_format(written)
            except InvalidContract as error:
                yield f"{place}: {error.message}"
            else:
                if not all(part in directives for part in ("%Y", "%m", "%d")):
                    yield f"{place}: {written!r} says no day; a {kind} needs yyyy, MM and dd"
        case ColumnType.STRING if written in TEXT_FORMATS:
            found["format"] = written
        case ColumnType.STRING:
            reason = UNCHECKABLE_FORMATS.get(written, "is not known")
            yield f"{place}: {written!r}: {reason}; enforced are {', '.join(TEXT_FORMATS)}"
        case _ if (kind, written) in _WIDTHS:
            width = _WIDTHS[kind, written]
            if width is not None:
                found["minimum"] = max(width[0], found.get("minimum", width[0]))
                found["maximum"] = min(width[1], found.get("maximum", width[1]))
        case _:
            known = ", ".join(name for of, name in _WIDTHS if of is kind)
            yield f"{place}: {written!r} does not fit a column of 64 bits; enforced are {known}"

"""The values that a contract writes: texts as they stand in a file, patterns both engines read, moments, numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

from interlock.contract import ColumnType

UNQUOTED = "YAML reads an unquoted word as {}; write it in quotes"
# What Python reads in a pattern and the engine (RE2) does not; characters in [ ] are skipped, they mean themselves.
_NOT_RE2 = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]"
    r"|(?P<group>\(\?(?:[=!>(#]|<[=!]|P=|-?[ims]*[axuL]))|(?P<possessive>[*+?}]\+)|(?P<count>\{\d{4,})",
    re.DOTALL,
)
_ESCAPES = re.compile(r"\\(.)", re.DOTALL)
_NOT_RE2_ESCAPES = frozenset("123456789ZuUN")


def text(value: Any) -> str:
    """A value of a list as it stands in a file; YAML reads a bare yes as a boolean."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def listed(values: Any, kind: ColumnType) -> tuple[str, ...]:
    """A list as `Column.allowed` holds it, when nothing is wrong with it: dates and times in ISO 8601 and UTC."""
    if kind in _MOMENTS and isinstance(values, list | tuple):
        return tuple(found for value in values if (found := moment(value, kind)) is not None)
    return tuple(map(text, values))


def pattern_problems(path: str, pattern: Any, kind: ColumnType) -> Iterator[str]:
    """What is wrong with a pattern."""
    if kind is not ColumnType.STRING:
        yield f"{path}: a pattern is enforced for strings only"
    if not isinstance(pattern, str):
        yield f"{path}: the pattern is {pattern!r}, not a text"
        return
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


def list_problems(path: str, values: Any, kind: ColumnType) -> Iterator[str]:
    """What is wrong with a list of allowed values."""
    if not isinstance(values, list | tuple):
        yield f"{path}: is {values!r}, not a list"
        return
    if not values:
        yield f"{path}: holds no value, so that none could be right"
    for value in values:
        if value is None or (isinstance(value, bool) and kind is not ColumnType.BOOLEAN):
            yield f"{path}: {UNQUOTED.format(value)}"
        elif kind in _MOMENTS and moment(value, kind) is None:
            yield f"{path}: {value!r} is no {kind} in ISO 8601"
        elif not _READABLE[kind](text(value)):
            yield f"{path}: the value {text(value)!r} does not fit the type {kind}"


def moment(value: Any, kind: ColumnType) -> str | None:
    """A bound of a date or timestamp column as `Column` holds it; None when it is none."""
    if isinstance(value, date) and not isinstance(value, datetime):
        value = value.isoformat()
    elif isinstance(value, datetime):
        # YAML reads an unquoted time by itself, and gives one with a zone in UTC.
        value = value.isoformat()
    try:
        if kind is ColumnType.DATE:
            return date.fromisoformat(value).isoformat() if re.fullmatch(r"\d{4}-\d{2}-\d{2}", value) else None
        found = datetime.fromisoformat(value)
    except (ValueError, TypeError):
        return None
    if found.tzinfo is not None:
        found = found.astimezone(UTC).replace(tzinfo=None)
    return found.isoformat()


def number(value: Any) -> bool:
    """Whether it is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _integer(value: str) -> bool:
    return re.fullmatch(r"[+-]?\d+", value) is not None and -(2**63) <= int(value) < 2**63


def _number(value: str) -> bool:
    try:
        return math.isfinite(float(value))
    except ValueError:
        return False


_MOMENTS = {ColumnType.DATE, ColumnType.TIMESTAMP}
_READABLE: dict[ColumnType, Callable[[str], bool]] = {
    ColumnType.STRING: lambda _: True,
    ColumnType.INTEGER: _integer,
    ColumnType.NUMBER: _number,
    ColumnType.BOOLEAN: {"true", "false"}.__contains__,
    ColumnType.DATE: lambda _: True,
    ColumnType.TIMESTAMP: lambda _: True,
}

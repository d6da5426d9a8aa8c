"""Reads what a quality rule's metric is held against."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from interlock.contract import Limit, Metric, Operator, QualityRule, Severity, Unit
from interlock.odcs import values

OPERATORS = tuple(operator.value for operator in Operator)
_TIMES = {Unit.MINUTES, Unit.HOURS, Unit.DAYS}
_UNITS = {
    Metric.ROW_COUNT: {Unit.ROWS},
    Metric.SQL: {Unit.ROWS},
    Metric.FRESHNESS: _TIMES,
}


def read_limits(place: str, about: dict[str, Any], problems: list[str]) -> tuple[Limit, ...]:
    """The limits of a rule; what is wrong with them joins the problems."""
    found = []
    for operator in Operator:
        if operator.value not in about:
            continue
        value = about[operator.value]
        listed = value if isinstance(value, list) else [value]
        if not listed or not all(map(values.number, listed)):
            problems.append(f"{place}.{operator}: is {value!r}, not a number; metrics are numbers")
            continue
        try:
            found.append(Limit(operator=operator, value=tuple(listed)))
        except ValidationError as error:
            problems.append(f"{place}.{operator}: {error.errors()[0]['msg']}")
    if found and not any(all(limit.holds(value) for limit in found) for value in _around(found)):
        problems.append(f"{place}: no number keeps all of these limits")
    return tuple(found)


def read_unit(place: str, written: dict[str, Any], metric: Metric, problems: list[str]) -> Unit | None:
    """What its metric is counted in; None, and what is wrong, when it cannot be."""
    possible = _UNITS.get(metric, {Unit.ROWS, Unit.PERCENT})
    said = str(written.get("unit") or ("" if metric is Metric.FRESHNESS else Unit.ROWS))
    if said not in possible:
        problems.append(f"{place}.unit: is {said!r}; {metric} is counted in {', '.join(sorted(possible))}")
        return None
    return Unit(said)


def row_bounds(rule: QualityRule) -> dict[str, int] | None:
    """The bounds of a rowCount rule that rejects; None when it is not made of such."""
    if rule.metric is not Metric.ROW_COUNT or rule.severity is not Severity.ERROR:
        return None
    found: dict[str, int] = {}
    for limit in rule.limits:
        low, high = limit.value[0], limit.value[-1]
        if low != int(low) or high != int(high):
            return None
        match limit.operator:
            case Operator.MUST_BE | Operator.MUST_BE_BETWEEN:
                bounds = {"min_rows": int(low), "max_rows": int(high)}
            case Operator.MUST_BE_GREATER_OR_EQUAL_TO:
                bounds = {"min_rows": int(low)}
            case Operator.MUST_BE_GREATER_THAN:
                bounds = {"min_rows": int(low) + 1}
            case Operator.MUST_BE_LESS_OR_EQUAL_TO:
                bounds = {"max_rows": int(low)}
            case Operator.MUST_BE_LESS_THAN:
                bounds = {"max_rows": int(low) - 1}
            case _:
                return None
        if set(bounds) & set(found):
            return None
        found |= bounds
    return found


def _around(limits: list[Limit]) -> Iterator[float]:
    """Numbers that stand for all: between two neighbouring ends of limits nothing changes."""
    for end in (end for limit in limits for end in limit.value):
        yield from (end, math.nextafter(end, -math.inf), math.nextafter(end, math.inf))

"""The page that a person reads about an upload."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ingest.judgement import Finding, Judgement
from ingest.rules import CATALOGUE
from interlock.contract import Column, ColumnType, Contract, Severity
from interlock.report import number, page
from interlock.stats.profile import NumberProfile, Profile, TextProfile

_BINS, _SHOWN = 24, 5
_SPOKEN = {
    ColumnType.INTEGER: "a whole number",
    ColumnType.NUMBER: "a number",
    ColumnType.BOOLEAN: "true or false",
    ColumnType.DATE: "a date as yyyy-MM-dd",
    ColumnType.TIMESTAMP: "a time as yyyy-MM-ddTHH:mm:ss",
}


def html(judgement: Judgement, contract: Contract, profile: Profile | None) -> str:
    """Render the report; verdict first, then what failed, the most frequent first, then every column."""
    worst = sorted(judgement.findings, key=lambda item: (item.severity is Severity.WARNING, -item.count))
    return page(
        "ingest",
        judgement=judgement,
        file=judgement.source.key.rsplit("/", 1)[-1],
        limit=contract.max_bad_row_share,
        findings=[_finding(item, contract) for item in worst],
        columns=[_column(column, profile) for column in contract.columns] if profile and profile.rows else [],
    )


def _finding(found: Finding, contract: Contract) -> dict[str, Any]:
    column = contract.column(found.column) if found.column else None
    return {
        "column": found.column,
        "rule": found.rule,
        "warning": found.severity is Severity.WARNING,
        "count": found.count,
        "more": found.count - len(found.examples),
        "wanted": _wanted(found.rule, column) or found.condition,
        "why": CATALOGUE[found.rule].why,
        "remedy": found.remedy,
        "examples": found.examples,
        "masked": bool(column and column.restricted),
    }


def _wanted(rule: str, column: Column | None) -> str:
    """What the contract says, in its own figures."""
    if column is None:
        return ""
    match rule:
        case "type":
            return f"not {f'in the form {column.format}' if column.format else _SPOKEN[column.type]}"
        case "minimum" if column.exclusive_minimum is not None:
            return f"not above {number(column.exclusive_minimum)}"
        case "minimum":
            return f"below {number(column.minimum)}"
        case "maximum" if column.exclusive_maximum is not None:
            return f"not below {number(column.exclusive_maximum)}"
        case "maximum":
            return f"above {number(column.maximum)}"
        case "length":
            bounds = ((column.min_length, "shorter than"), (column.max_length, "longer than"))
            return " or ".join(f"{word} {length}" for length, word in bounds if length is not None) + " characters"
        case "pattern":
            return f"not of the form {column.pattern}"
        case "allowed" if column.allowed and len(column.allowed) <= 2 * _SHOWN:
            return f"none of {', '.join(column.allowed)}"
        case "allowed" if column.allowed:
            return f"none of {', '.join(column.allowed[:_SHOWN])} and {len(column.allowed) - _SHOWN} more"
    return ""


def _column(column: Column, profile: Profile) -> dict[str, Any]:
    numbers, texts = profile.numbers.get(column.name), profile.texts.get(column.name, TextProfile())
    found = numbers or texts
    total = found.count + found.missing
    return {
        "name": column.name,
        "type": column.type.value,
        "restricted": column.restricted,
        "missing": found.missing / total if total else None,
        "bins": [],
        "texts": [],
        **(_histogram(column, numbers) if numbers else _shares(column, texts)),
    }


def _histogram(column: Column, found: NumberProfile) -> dict[str, Any]:
    """Bins as (label, share of the values)."""
    if not found.count:
        return {"summary": "no values"}
    # Whole numbers in few steps have a bin each, or the picture would show gaps that are not there.
    steps = int((found.maximum or 0) - (found.minimum or 0)) + 1
    bins = steps if column.type is ColumnType.INTEGER and 1 < steps <= _BINS else _BINS
    named = [
        (f"{_spoken(column, low)} to {_spoken(column, high)}", count / found.count)
        for low, high, count in found.histogram(bins)
    ]
    return {
        "bins": named,
        "low": _spoken(column, found.minimum),
        "high": _spoken(column, found.maximum),
        "summary": f"median {_spoken(column, found.quantile(0.5), 3)}",
    }


def _shares(column: Column, found: TextProfile) -> dict[str, Any]:
    """The most frequent texts as (text, share of the values); of a restricted column only the shares."""
    names = list(found.categories.items())
    if not found.count:
        return {"summary": "no values"}
    more = f"at least {len(names)}" if found.other else str(len(names))
    if column.restricted and not names:
        return {"summary": "not shown"}
    return {
        "texts": [("" if column.restricted else name, count / found.count) for name, count in names[:_SHOWN]],
        "summary": f"{more} different value{'s' if len(names) > 1 else ''}",
    }


def _spoken(column: Column, value: float | None, digits: int = 4) -> str:
    """A number, or the day or time that it stands for."""
    if value is not None and column.type is ColumnType.INTEGER:
        # A quantile is right to 1%; between two whole numbers is none of them.
        return number(round(value), digits)
    if value is None or column.numeric:
        return number(value, digits)
    seconds = value * 86_400 if column.type is ColumnType.DATE else value
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return "–"
    return f"{moment:%Y-%m-%d}" if column.type is ColumnType.DATE else f"{moment:%Y-%m-%d %H:%M}"

"""The page that a person reads about an upload."""

from __future__ import annotations

from typing import Any

from ingest.findings import Finding
from ingest.judgement import Judgement
from ingest.rules import CATALOGUE
from interlock.contract import Column, ColumnType, Contract, Metric, QualityRule, Severity
from interlock.figures import number
from interlock.records import CheckStatus
from interlock.report import page

_SHOWN = 5
_SPOKEN = {
    ColumnType.INTEGER: "a whole number",
    ColumnType.NUMBER: "a number",
    ColumnType.BOOLEAN: "true or false",
    ColumnType.DATE: "a date as yyyy-MM-dd",
    ColumnType.TIMESTAMP: "a time as yyyy-MM-ddTHH:mm:ss",
}
_WORST_FIRST = [CheckStatus.FAIL, CheckStatus.WARN, CheckStatus.TOO_FEW, CheckStatus.PASS]


def html(judgement: Judgement, contract: Contract) -> str:
    """Render the report; verdict first, then what failed, the most frequent first, then every column."""
    return page(
        "ingest",
        judgement=judgement,
        file=_file(judgement.source.key),
        origin=_file(judgement.origin.key) if judgement.origin else "",
        rows_file=_file(judgement.files["bad_rows"].key) if "bad_rows" in judgement.files else "",
        limit=None if judgement.origin and judgement.origin.admitted else contract.max_bad_row_share,
        warned=any(item.severity is Severity.WARNING for item in judgement.findings)
        or any(outcome.status is CheckStatus.WARN for outcome in judgement.outcomes)
        or (judgement.training is not None and judgement.training.drift.state == "drift"),
        findings=[_finding(item, contract) for item in judgement.worst_first],
        outcomes=sorted(judgement.outcomes, key=lambda outcome: _WORST_FIRST.index(outcome.status)),
        columns=judgement.columns,
    )


def _finding(found: Finding, contract: Contract) -> dict[str, Any]:
    column = contract.column(found.column) if found.column else None
    named = next((rule for rule in contract.quality if rule.id == found.quality), None)
    tolerated = named is not None and not named.allows_none
    return {
        "column": found.column,
        "rule": found.rule,
        "severity": found.severity,
        "count": found.count,
        "more": found.count - len(found.examples),
        "wanted": _asked(named) if named else _wanted(found.rule, column) or found.condition,
        "why": "the contract tolerates some" if tolerated else CATALOGUE[found.rule].why,
        "remedy": found.remedy,
        "examples": found.examples,
        "masked": bool(column and column.restricted),
        "tolerated": tolerated,
    }


def _wanted(rule: str, column: Column | None) -> str:
    """What the contract says of a column, in its own figures; nothing when the rule's own words say it all."""
    if column is None:
        return ""
    match rule:
        case "type":
            return f"not {_form(column)}"
        case "minimum":
            return _beyond(
                ("below", column.minimum),
                ("not above", column.exclusive_minimum),
                ("before", column.earliest),
                ("not after", column.after),
            )
        case "maximum":
            return _beyond(
                ("above", column.maximum),
                ("not below", column.exclusive_maximum),
                ("after", column.latest),
                ("not before", column.before),
            )
        case "length":
            found = _beyond(("shorter than", column.min_length), ("longer than", column.max_length))
            return f"{found} characters" if found else ""
        case "multiple_of":
            return f"no multiple of {number(column.multiple_of, 12)}"
        case "format":
            return f"no {column.format}"
        case "timezone":
            return "without its zone" if column.timezone else "with a zone"
        case "pattern":
            return f"not of the form {column.pattern}"
        case "allowed":
            return f"none of {_list(column.allowed or ())}"
    return ""


def _form(column: Column) -> str:
    if column.format and column.moment:
        return f"in the form {column.format}"
    return _SPOKEN.get(column.type, "a text")


def _beyond(*bounds: tuple[str, float | str | None]) -> str:
    """The bounds that are there, in words."""
    return " or ".join(
        f"{word} {bound if isinstance(bound, str) else number(bound, 12)}"
        for word, bound in bounds
        if bound is not None
    )


def _asked(rule: QualityRule) -> str:
    """What a quality rule of the contract says of a row."""
    columns = " and ".join(rule.columns)
    match rule.metric:
        case Metric.COMPARE:
            said = f"a row whose {rule.columns[0]} is not {rule.relation} {rule.columns[1]}"
        case Metric.INVALID_VALUES if rule.allowed is not None:
            said = f"none of {_list(rule.allowed)}"
        case Metric.INVALID_VALUES:
            said = f"not of the form {rule.pattern}"
        case Metric.DUPLICATE_VALUES:
            said = f"the same {columns} as a row before"
        case _:
            said = f"no value in {columns}"
    return f"{rule.name}: {said}" if rule.name else said


def _list(values: tuple[str, ...]) -> str:
    if len(values) <= 2 * _SHOWN:
        return ", ".join(values)
    return f"{', '.join(values[:_SHOWN])} and {len(values) - _SHOWN} more"


def _file(key: str) -> str:
    return key.rsplit("/", 1)[-1]

"""The page that a person reads about an upload."""

from __future__ import annotations

from typing import Any

from ingest.judgement import Finding, Judgement
from ingest.rules import CATALOGUE
from interlock.contract import Column, ColumnType, Contract, Severity
from interlock.records import CheckStatus
from interlock.report import number, page

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
    findings = judgement.worst_first
    return page(
        "ingest",
        judgement=judgement,
        file=_file(judgement.source.key),
        origin=_file(judgement.origin.key) if judgement.origin else "",
        rows_file=_file(judgement.files["bad_rows"].key) if "bad_rows" in judgement.files else "",
        limit=None if judgement.origin and judgement.origin.admitted else contract.max_bad_row_share,
        warned=any(item.severity is Severity.WARNING for item in findings)
        or any(outcome.status is CheckStatus.WARN for outcome in judgement.outcomes),
        findings=[_finding(item, contract) for item in findings],
        outcomes=sorted(judgement.outcomes, key=lambda outcome: _WORST_FIRST.index(outcome.status)),
        columns=judgement.columns,
    )


def _finding(found: Finding, contract: Contract) -> dict[str, Any]:
    column = contract.column(found.column) if found.column else None
    return {
        "column": found.column,
        "rule": found.rule,
        "severity": found.severity,
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


def _file(key: str) -> str:
    return key.rsplit("/", 1)[-1]

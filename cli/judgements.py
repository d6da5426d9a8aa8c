"""A judgement of an upload on the terminal: the verdict, what decided it, what is wrong, what changed."""

from __future__ import annotations

from rich.markup import escape

from cli.view import console, table
from ingest.findings import Example, Finding
from ingest.judgement import Judgement, Outcome
from interlock.cells import visible
from interlock.contract import Severity
from interlock.figures import percent, sentence
from interlock.records import CheckStatus

_SHOWN = 2
_TONES = {CheckStatus.FAIL: "red", CheckStatus.WARN: "yellow", CheckStatus.TOO_FEW: "yellow"}


def show(found: Judgement) -> None:
    """Print a judgement; nothing in it that came from the data can write to the terminal or name a colour."""
    verdict = "admitted" if found.verdict == "admit" else "[red]rejected[/]"
    console.print(
        f"  {verdict}: {found.rows:,} row{'s' * (found.rows != 1)}, {found.bad_rows:,} bad; "
        f"{found.train_rows:,} to train on, {found.holdout_rows:,} held out"
    )
    if found.origin:
        console.print(f"  mended rows of {_safe(found.origin.key.rsplit('/', 1)[-1])} (claim {found.origin.claim})")
    for problem in found.problems:
        condition, remedy = (_safe(sentence(text)) for text in (problem.condition, problem.remedy))
        console.print(f"  [red]{condition}[/]: {_safe(problem.found)}. {remedy}.")
    said = {problem.rule for problem in found.problems}
    for outcome in found.outcomes:
        if outcome.status is not CheckStatus.PASS and outcome.rule not in said:
            console.print(f"  [{_TONES[outcome.status]}]{_safe(_sentence(outcome))}[/]")
    if (training := found.training) is not None and training.drift.state == "drift":
        names = ", ".join(training.drift.drifted)
        console.print(
            f"  [yellow]drift in {_safe(training.drift.extent)} beside {_safe(training.told)}[/]: {_safe(names)}"
        )
    table("", ("column", "rule", "rows", "first found"), [_row(item) for item in found.worst_first])
    for line in _changes(found):
        console.print(f"  [dim]{_safe(line)}[/]")
    if found.bad_rows and "bad_rows" in found.files:
        console.print(f"  [dim]the bad rows with their reasons: interlock quarantine show {found.claim}[/]")


def _row(item: Finding) -> tuple[str, str, str, str]:
    rule = item.rule if item.severity is Severity.ERROR else f"{item.rule} ({item.severity})"
    first = "; ".join(_example(one, item.column) for one in item.examples[:_SHOWN])
    return visible(item.column or "(whole row)"), rule, f"{item.count:,}", first


def _example(one: Example, column: str | None) -> str:
    place = f"{visible(one.file)} row {one.row}" if one.file else f"row {one.row}"
    if one.value is None and column is None:
        # What is wrong lies between several values.
        return place
    return f"{place}: {visible(one.value) if one.value else '(nothing)'}"


def _sentence(outcome: Outcome) -> str:
    limit = f"; allowed: {outcome.limit}" if outcome.limit else ""
    return f"{outcome.name or outcome.rule.replace('_', ' ')}: {outcome.found}{limit}"


def _changes(found: Judgement) -> list[str]:
    """What differs from the last admitted dataset, a line a column; nothing for small differences."""
    if found.previous is None:
        return []
    lines = []
    for column in found.columns:
        changes = []
        if column.new_share:
            named = ", ".join(column.new_values) or "not shown"
            changes.append(f"{percent(column.new_share)} of the values are new: {named}")
        if column.missing is not None and column.missing_before is not None:
            before, now = percent(column.missing_before), percent(column.missing)
            if before != now:
                changes.append(f"missing {before} → {now}")
        if changes:
            lines.append(f"{column.name}: {'; '.join(changes)}")
    return [f"beside {found.previous.file}, the last dataset:", *(f"  {line}" for line in lines)] if lines else []


def _safe(text: str) -> str:
    return escape(visible(text))

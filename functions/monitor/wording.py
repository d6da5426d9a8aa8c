"""What a person is told about a window: what changed, by how much, what it costs, what was done, what to do."""

from __future__ import annotations

from interlock.figures import number
from interlock.stats.drift.found import ColumnDrift
from interlock.windows import Outcome, WindowResult

_SHOWN = 3


def alert(outcome: Outcome, result: WindowResult) -> tuple[str, str]:
    """Subject and text."""
    start, end = f"{result.start:%Y-%m-%d %H:%M}", f"{result.end:%Y-%m-%d %H:%M}"
    window = f"Window: {start} to {end} UTC, {result.drift.rows:,} predictions.\n"
    report = f"Report: {result.report.uri}\n" if result.report else ""
    look = f"{report}Look: interlock report {result.model} --stage monitor --open"
    who = f"{result.model} (version {result.version})"
    if outcome.action == "resolved":
        text = f"{who}: {outcome.reason}.\n{window}There is nothing to do.\n{look}"
        return f"{result.model}: the drift is over", text
    if outcome.action == "warn":
        text = f"{who}: {outcome.reason}.\n{window}{_changes(result, 'warn')}There is nothing to do yet.\n{look}"
        return f"{result.model}: traffic has begun to move", text
    if outcome.action == "retrain":
        done = f"a retraining was requested ({outcome.reason})"
        todo = "nothing; the new version serves only if it passes the gate"
    else:
        done, todo = f"no retraining was requested, because {outcome.reason}", outcome.remedy
    subject, opening = _headline(who, result)
    return subject, f"{opening}{window}{_changes(result, 'drift')}{_cost(result)}Done: {done}.\nTo do: {todo}.\n{look}"


def _headline(who: str, result: WindowResult) -> tuple[str, str]:
    performed = result.performed
    if performed is not None and performed.state == "concept":
        return f"{result.model}: what it has learned no longer holds", f"{who}: {performed.reason}.\n"
    if performed is not None and performed.state == "dropped":
        worse = f"{who} has become worse: {performed.reason}.\n"
        return f"{result.model}: {performed.metric} has dropped", worse
    subject = f"{result.model}: traffic has drifted in {result.drift.extent}"
    return subject, f"{who} gets other traffic than it was trained on.\n"


def _changes(result: WindowResult, state: str) -> str:
    """The three columns that matter most, then what is not of one column."""
    drift = result.drift
    moved = [column for column in drift.columns if column.state == state]
    lines = [f"- {_change(column)}" for column in moved[:_SHOWN]]
    if len(moved) > _SHOWN:
        lines.append(f"- and {len(moved) - _SHOWN} more")
    if drift.together and drift.together.state == state:
        lines.append(f"- {drift.together.reason}")
    lines += [
        f"- where {part.column} is {part.value} ({part.rows:,} predictions): {part.reason}"
        for part in drift.segments
        if part.state == state
    ]
    return "What changed most:\n" + "".join(f"{line}\n" for line in lines) if lines else ""


def _cost(result: WindowResult) -> str:
    """What it probably costs, in the metric by which the model is watched."""
    performed = result.performed
    if performed is None or performed.metric not in performed.holdout:
        return ""
    name, before = performed.metric, performed.holdout[performed.metric]
    if (realised := performed.realised.get(name)) is not None:
        told = f"{number(realised.value)} by {performed.labelled:,} labels"
        return f"Cost: {name} {told}, {number(before)} on the holdout.\n"
    if (estimated := performed.estimated.get(name)) is not None:
        return (
            f"Cost: {name} probably {number(estimated.value)} ({number(estimated.low)} to {number(estimated.high)},"
            f" estimated without labels), {number(before)} on the holdout.\n"
        )
    return f"Cost: {name} is not known: it has too few labels, and cannot be estimated without.\n"


def _change(column: ColumnDrift) -> str:
    """A drifted column in one line: the bin that moved most, then the statistics behind the verdict."""
    moved = column.moved
    if moved is None:
        return f"{column.column}: {column.reason}"
    name, before, now = moved
    return f"{column.column}: '{name}' from {before:.0%} to {now:.0%} of the values; {column.reason}"

"""What a person is told about a window: what changed, by how much, what was done, what to do."""

from __future__ import annotations

from interlock.stats.drift.column import ColumnDrift
from monitor.result import Outcome, WindowResult

_SHOWN = 3


def alert(outcome: Outcome, result: WindowResult) -> tuple[str, str]:
    """Subject and text."""
    start, end = f"{result.start:%Y-%m-%d %H:%M}", f"{result.end:%Y-%m-%d %H:%M}"
    window = f"Window: {start} to {end} UTC, {result.drift.rows:,} predictions.\n"
    report = f"Report: {result.report.uri}\n" if result.report else ""
    look = f"{report}Look: interlock report {result.model} --stage monitor --open"
    if outcome.action == "resolved":
        text = f"{result.model} (version {result.version}): {outcome.reason}.\n{window}There is nothing to do.\n{look}"
        return f"{result.model}: the drift is over", text
    drifted = [column for column in result.drift.columns if column.state == "drift"]
    changes = "".join(f"- {_change(column)}\n" for column in drifted[:_SHOWN])
    more = f"- and {len(drifted) - _SHOWN} more\n" if len(drifted) > _SHOWN else ""
    if result.drift.together and result.drift.together.state == "drift":
        more += f"- {result.drift.together.reason}\n"
    more += "".join(
        f"- where {part.column} is {part.value} ({part.rows:,} predictions): {part.reason}\n"
        for part in result.drift.segments
        if part.state == "drift"
    )
    if outcome.action == "retrain":
        done = f"a retraining was requested ({outcome.reason})"
        todo = "nothing; the new version serves only if it passes the gate"
    else:
        done, todo = f"no retraining was requested, because {outcome.reason}", outcome.remedy
    text = (
        f"{result.model} (version {result.version}) gets other traffic than it was trained on.\n{window}"
        f"What changed most:\n{changes}{more}Done: {done}.\nTo do: {todo}.\n{look}"
    )
    return f"{result.model}: traffic has drifted in {result.drift.extent}", text


def _change(column: ColumnDrift) -> str:
    """A drifted column in one line: the bin that moved most, then the statistics behind the verdict."""
    moved = column.moved
    if moved is None:
        return f"{column.column}: {column.reason}"
    name, before, now = moved
    return f"{column.column}: '{name}' from {before:.0%} to {now:.0%} of the values; {column.reason}"

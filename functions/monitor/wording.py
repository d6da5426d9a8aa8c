"""What a person is told about a window: what changed, by how much, what was done, what to do."""

from __future__ import annotations

from monitor.result import Outcome, WindowResult

_SHOWN = 3


def alert(outcome: Outcome, result: WindowResult) -> tuple[str, str]:
    """Subject and text."""
    drifted = [column for column in result.drift.columns if column.state == "drift"]
    report = f"\nReport: {result.report.uri}" if result.report else ""
    window = f"{result.start:%Y-%m-%d %H:%M} to {result.end:%Y-%m-%d %H:%M} UTC, {result.drift.rows:,} predictions"
    if outcome.action == "resolved":
        return (
            f"{result.model}: drift is over",
            f"{result.model} (version {result.version}): {outcome.reason}.\nWindow: {window}.{report}",
        )
    lines = "\n".join(f"- {column.column}: {column.reason}" for column in drifted[:_SHOWN])
    more = f"\n- and {len(drifted) - _SHOWN} more" if len(drifted) > _SHOWN else ""
    done = (
        "A retraining was requested; it is released only if it passes the gate."
        if outcome.action == "retrain"
        else f"No retraining was requested: {outcome.reason}."
    )
    text = (
        f"{result.model} (version {result.version}) gets other traffic than it was trained on.\nWindow: {window}.\n"
        f"What changed most:\n{lines}{more}\nDone: {done}{report}\n"
        f"Look: interlock report {result.model} --stage monitor"
    )
    return f"{result.model}: traffic has drifted in {len(drifted)} of {len(result.drift.columns)} columns", text

"""The policy in plain terms: what a window leads to. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile

from interlock.spec import Monitoring, Retrain
from interlock.windows import Outcome, Stretch, WindowResult

_UPLOAD = "upload newer labelled data, then `interlock check`; a retraining follows by itself"
_BY_HAND = "`interlock train` trains now, whatever the brakes say"


@dataclass(frozen=True)
class Past:
    """What a decision depends on beside the window itself.

    `jobs` are (when it ended, what it cost in US dollars); `new_datasets` are admitted and not yet trained on;
    `refused` is how many runs the gate has refused since it last let one pass.
    """

    outcomes: tuple[Outcome, ...] = ()
    jobs: tuple[tuple[datetime, float], ...] = ()
    new_datasets: tuple[str, ...] = ()
    refused: int = 0


def decide(result: WindowResult, past: Past, policy: Monitoring, now: datetime) -> Outcome:
    """Decide about one window."""
    outcome = Outcome(
        model=result.model,
        window=result.window,
        at=now,
        state=result.state,
        performance=result.performed.state if result.performed else "unknown",
        action="none",
        reason=_plain(result),
        stretch=_stretch(result),
    )
    before = sorted((item for item in past.outcomes if item.judged), key=lambda item: item.at, reverse=True)
    bad_before = list(takewhile(lambda item: item.bad, before))
    if outcome.bad:
        decided = _bad(outcome, result, past, policy, len(bad_before) + 1)
        return decided.model_copy(update={"held": decided.held or _just_told(outcome, bad_before)})
    quiet = policy.tell.quiet(now.hour)
    if outcome.state == "stable" and bad_before:
        # Nobody hears of the end of what nobody was told.
        known = any(not item.held for item in bad_before)
        like = f"the traffic looks like the training data of version {result.version} ({result.drift.rows:,} rows)"
        return outcome.model_copy(update={"action": "resolved", "reason": like, "held": not known})
    if outcome.state == "warn" and policy.tell.warnings:
        return outcome.model_copy(update={"action": "warn", "held": quiet})
    return outcome


def _stretch(result: WindowResult) -> Stretch | None:
    if not result.full or result.checked_at is None:
        return None
    return Stretch(
        version=result.version,
        start=result.start,
        end=result.end,
        rows=result.drift.rows,
        checked_at=result.checked_at,
    )


def _just_told(outcome: Outcome, bad_before: list[Outcome]) -> bool:
    """Whether the same check has told of a bad window just before this one: of many at once, a person hears once."""
    check = outcome.stretch.checked_at if outcome.stretch else None
    return any(item.stretch and item.stretch.checked_at == check and not item.held for item in bad_before)


def _bad(outcome: Outcome, result: WindowResult, past: Past, policy: Monitoring, in_a_row: int) -> Outcome:
    brake = _brake(outcome, past, policy.retrain, in_a_row)
    if brake is None:
        new = len(past.new_datasets)
        reason = f"{_plain(result)}; {new} newer {'dataset' if new == 1 else 'datasets'} to train on"
        return outcome.model_copy(update={"action": "retrain", "reason": reason})
    reason, remedy = brake
    held = in_a_row < policy.tell.after_windows or policy.tell.quiet(outcome.at.hour)
    return outcome.model_copy(update={"action": "alert", "reason": reason, "remedy": remedy, "held": held})


def _plain(result: WindowResult) -> str:
    drift, performed = result.drift, result.performed
    worse = performed.reason if performed and performed.state in {"dropped", "concept"} else ""
    match result.state:
        case "silent":
            said = "nobody called in this window"
        case "too_few" if result.wanted is not None and not result.full:
            said = f"{drift.rows:,} of the {result.wanted:,} predictions of a window have come"
        case "too_few":
            said = f"{drift.rows:,} rows are too few to judge"
        case "drift":
            said = f"{drift.extent} drifted"
        case "warn":
            moved = sum(column.state == "warn" for column in drift.columns)
            said = f"{moved} of {len(drift.columns)} columns have begun to move, not far enough to act"
        case "stable":
            said = f"nothing that matters differs from the training data ({drift.rows:,} rows)"
    return f"{said}; {worse}" if worse else said


def _brake(outcome: Outcome, past: Past, policy: Retrain, in_a_row: int) -> tuple[str, str] | None:
    """Why a retraining is not requested, and what a person can do; None when it is."""
    now = outcome.at
    worse = outcome.performance in {"dropped", "concept"}
    if not (policy.on_drift and outcome.state == "drift") and not (policy.on_performance and worse):
        cause = "a loss of performance" if worse else "drift"
        return f"model.yaml says that {cause} does not retrain", "look at the report; `interlock train` trains now"
    if in_a_row < policy.after_windows:
        why = f"this is bad window {in_a_row} in a row, and model.yaml waits for {policy.after_windows}"
        return why, f"the next check goes on counting; {_BY_HAND}"
    if not past.new_datasets:
        return "the champion has been trained on all the data there is, and the same rows cannot help", _UPLOAD
    asked = sorted(item.at for item in past.outcomes if item.action == "retrain")
    cooldown = timedelta(hours=policy.cooldown_hours) * 2**past.refused
    free_at = asked[-1] + cooldown if asked else now
    if free_at > now:
        why = f"one was requested at {asked[-1]:%Y-%m-%d %H:%M} UTC and the cool-down ends {free_at:%Y-%m-%d %H:%M} UTC"
        if past.refused:
            times = "once" if past.refused == 1 else f"{past.refused} times"
            why += f", longer because the gate has refused a new version {times}"
            return why, "read the gate's report: more of the same data may not help; " + _BY_HAND
        return why, f"the first check after the cool-down asks again if the drift stays; {_BY_HAND}"
    today = sum(at.date() == now.date() for at in asked)
    if today >= policy.max_per_day:
        why = f"model.yaml allows {policy.max_per_day} a day (UTC), and {today} were requested today"
        return why, f"tomorrow's check asks again if the drift stays; {_BY_HAND}"
    return _money(past, policy, now)


def _money(past: Past, policy: Retrain, now: datetime) -> tuple[str, str] | None:
    spent = sum(cost for at, cost in past.jobs if (at.year, at.month) == (now.year, now.month))
    # The next one will cost about what the last one did.
    _, expected = max(past.jobs, default=(now, 0.0))
    allowed = policy.budget_usd_per_month
    if spent + expected <= allowed:
        return None
    why = f"the month's trainings cost ${spent:.2f}, another about ${expected:.2f}; model.yaml allows ${allowed:.2f}"
    return why, f"raise monitoring.retrain.budget_usd_per_month in model.yaml and deploy; {_BY_HAND}"

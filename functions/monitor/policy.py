"""The policy in plain terms: what a window leads to. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from interlock.spec import Retrain
from monitor.result import Outcome, WindowResult

_UPLOAD = "upload newer labelled data, then `interlock check`; a retraining follows by itself"
_BY_HAND = "`interlock train` trains now, whatever the brakes say"


@dataclass(frozen=True)
class Past:
    """What a decision depends on beside the window itself.

    `jobs` are (when it ended, what it cost in US dollars); `new_datasets` are admitted and not yet trained on.
    """

    outcomes: tuple[Outcome, ...] = ()
    jobs: tuple[tuple[datetime, float], ...] = ()
    new_datasets: tuple[str, ...] = ()


def decide(result: WindowResult, past: Past, policy: Retrain, now: datetime) -> Outcome:
    """Decide about one window."""
    action, reason, remedy = "none", _plain(result), ""
    # Windows that say nothing, and those that only warn, neither begin a drift nor end one.
    judged = [item for item in past.outcomes if item.state in {"drift", "stable"}]
    before = max(judged, key=lambda item: item.at, default=None)
    if result.state == "drift":
        brake = _brake(past, policy, now)
        if brake is None:
            new = len(past.new_datasets)
            action, reason = "retrain", f"{reason}; {new} newer {'dataset' if new == 1 else 'datasets'} to train on"
        else:
            action, (reason, remedy) = "alert", brake
    elif result.state == "stable" and before is not None and before.state == "drift":
        action = "resolved"
        reason = f"the traffic looks like the training data of version {result.version} ({result.drift.rows:,} rows)"
    return Outcome(
        model=result.model,
        window=result.window,
        at=now,
        state=result.state,
        action=action,
        reason=reason,
        remedy=remedy,
    )


def _plain(result: WindowResult) -> str:
    drift = result.drift
    match result.state:
        case "silent":
            return "nobody called in this window"
        case "too_few":
            return f"{drift.rows:,} rows are too few to judge"
        case "drift":
            return f"{drift.extent} drifted"
        case "warn":
            moved = sum(column.state == "warn" for column in drift.columns)
            return f"{moved} of {len(drift.columns)} columns have begun to move, not far enough to act"
        case "stable":
            return f"nothing that matters differs from the training data ({drift.rows:,} rows)"


def _brake(past: Past, policy: Retrain, now: datetime) -> tuple[str, str] | None:
    """Why a retraining is not requested, and what a person can do; None when it is."""
    if not policy.on_drift:
        return "model.yaml says that drift does not retrain", "look at the report; `interlock train` trains now"
    if not past.new_datasets:
        return "the champion has been trained on all the data there is, and the same rows cannot help", _UPLOAD
    asked = sorted(item.at for item in past.outcomes if item.action == "retrain")
    free_at = asked[-1] + timedelta(hours=policy.cooldown_hours) if asked else now
    if free_at > now:
        why = f"one was requested at {asked[-1]:%Y-%m-%d %H:%M} UTC and the cool-down ends {free_at:%Y-%m-%d %H:%M} UTC"
        return why, f"the first check after the cool-down asks again if the drift stays; {_BY_HAND}"
    today = sum(at.date() == now.date() for at in asked)
    if today >= policy.max_per_day:
        why = f"model.yaml allows {policy.max_per_day} a day (UTC), and {today} were requested today"
        return why, f"tomorrow's check asks again if the drift stays; {_BY_HAND}"
    spent = sum(cost for at, cost in past.jobs if (at.year, at.month) == (now.year, now.month))
    # The next one will cost about what the last one did.
    _, expected = max(past.jobs, default=(now, 0.0))
    allowed = policy.budget_usd_per_month
    if spent + expected > allowed:
        why = (
            f"the month's trainings cost ${spent:.2f}, another about ${expected:.2f}; model.yaml allows ${allowed:.2f}"
        )
        return why, f"raise monitoring.retrain.budget_usd_per_month in model.yaml and deploy; {_BY_HAND}"
    return None

"""The policy in plain terms: what a window leads to. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from interlock.spec import Retrain
from monitor.result import Outcome, WindowResult


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
    action, reason = "none", _plain(result)
    judged = [item for item in past.outcomes if item.state in {"drift", "stable", "warn"}]
    before = max(judged, key=lambda item: item.at, default=None)
    if result.state == "drift":
        held_back = _brake(past, policy, now)
        action = "alert" if held_back else "retrain"
        reason = held_back or f"{_plain(result)}; {len(past.new_datasets)} newer datasets to train on"
    elif result.state == "stable" and before is not None and before.state == "drift":
        action, reason = "resolved", f"the traffic looks like the training data again ({result.drift.rows} rows)"
    return Outcome(model=result.model, window=result.window, at=now, state=result.state, action=action, reason=reason)


def _plain(result: WindowResult) -> str:
    if result.state == "silent":
        return "nobody called in this window"
    if result.state == "too_few":
        return f"{result.drift.rows} rows are too few to judge"
    if result.state == "drift":
        return f"{len(result.drift.drifted)} of {len(result.drift.columns)} columns drifted"
    return f"nothing that matters differs from the training data ({result.drift.rows} rows)"


def _brake(past: Past, policy: Retrain, now: datetime) -> str | None:
    """Why a retraining is not requested, when it is not."""
    if not policy.on_drift:
        return "model.yaml says that drift does not retrain"
    if not past.new_datasets:
        return (
            "there is no labelled data that the champion has not been trained on: training on the same rows again "
            "cannot help against drift; upload newer data"
        )
    asked = sorted(item.at for item in past.outcomes if item.action == "retrain")
    free_at = asked[-1] + timedelta(hours=policy.cooldown_hours) if asked else now
    if free_at > now:
        return (
            f"the last retraining was requested at {asked[-1]:%Y-%m-%d %H:%M}; the cool-down ends {free_at:%H:%M} UTC"
        )
    today = [at for at in asked if at.date() == now.date()]
    if len(today) >= policy.max_per_day:
        return f"{len(today)} retrainings were requested today; model.yaml allows {policy.max_per_day}"
    month = [cost for at, cost in past.jobs if (at.year, at.month) == (now.year, now.month)]
    # The next one will cost about what the last one did.
    expected = past.jobs[-1][1] if past.jobs else 0.0
    if sum(month) + expected > policy.budget_usd_per_month:
        return (
            f"trainings of this month cost ${sum(month):.2f}, one more about ${expected:.2f}; "
            f"model.yaml allows ${policy.budget_usd_per_month:.2f} a month"
        )
    return None

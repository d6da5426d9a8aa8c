"""How the live release may change: pure, one revision at a time."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from interlock.errors import Conflict
from interlock.records import Candidate, LiveRelease
from interlock.spec import Release

STARTED, BEGUN, PROMOTED = "release started", "step begun", "model promoted"
TAKEN_BACK, FAILED_PROBE, NO_WINNER = "model rolled back", "probe failed", "no winner"
PAUSED, RESUMED, PUT_RIGHT = "release paused", "release resumed", "record put right"
# Versions that ended so are not brought back by an approval that was told before.
GONE = {TAKEN_BACK, NO_WINNER}


def started(
    live: LiveRelease | None, candidate: Candidate, model: str, plan: Release, by: str, reason: str, at: datetime
) -> LiveRelease | None:
    """The candidate beside the champion, to be probed; None when it is there already.

    A newer version takes the place of an older challenger; an older one does not come back by itself.
    """
    on_its_way = live.challenger if live else None
    if live is not None and candidate.version in {item.version for item in (live.champion, on_its_way) if item}:
        return None
    if on_its_way is not None and on_its_way.version > candidate.version:
        return None
    if on_its_way is not None:
        reason = f"{reason}; it takes the place of version {on_its_way.version}"
    return LiveRelease(
        model=model,
        revision=live.revision + 1 if live else 1,
        champion=live.champion if live else None,
        previous=live.previous if live else None,
        challenger=candidate,
        mode=plan.mode,
        key=plan.key,
        split=f"{at:%Y%m%dT%H%M%S}-v{candidate.version}",
        plan=plan,
        state="probing",
        action=STARTED,
        version=candidate.version,
        changed_at=at,
        changed_by=by,
        reason=reason,
    )


def is_old_news(live: LiveRelease | None, version: int, told: datetime) -> bool:
    """Whether an approval was told before the release last changed, and that change went beyond its version.

    Events come late and twice: the approval of a version that has been followed by a newer one, or was taken back,
    must not bring it back. Approving it anew is told later, and does.
    """
    if live is None or told > live.changed_at:
        return False
    gone = {live.version} if live.action in GONE else set()
    return version in gone or (live.champion is not None and version < live.champion.version)


def probed(live: LiveRelease, by: str, at: datetime) -> LiveRelease:
    """After the probe: the first step, or everything at once where there is no champion to compare with."""
    shares = live.plan.shares if live.plan else ()
    if live.champion is None or not shares:
        return promoted(live, by, "the probe passed", at)
    return _next(
        live, BEGUN, live.version, by, f"the probe passed; {_said(shares[0])}", at,
        share=shares[0], step=0, began=at, state="baking",
    )  # fmt: skip


def advanced(live: LiveRelease, by: str, reason: str, report: str | None, at: datetime) -> LiveRelease:
    """The next step's share, or the whole traffic after the last one."""
    shares = live.plan.shares if live.plan else ()
    if live.step + 1 >= len(shares):
        return promoted(live, by, reason, at, report)
    share = shares[live.step + 1]
    return _next(
        live, BEGUN, live.version, by, f"{reason}; {_said(share)}", at,
        share=share, step=live.step + 1, began=at, state="baking", report=report,
    )  # fmt: skip


def promoted(live: LiveRelease, by: str, reason: str, at: datetime, report: str | None = None) -> LiveRelease:
    """The challenger as champion.

    Raises:
        Conflict: there is no challenger.
    """
    challenger = _challenger(live)
    return _next(
        live, PROMOTED, challenger.version, by, reason, at,
        champion=challenger, previous=live.champion, report=report, **_ALONE,
    )  # fmt: skip


def withdrawn(
    live: LiveRelease, action: str, by: str, reason: str, at: datetime, report: str | None = None
) -> LiveRelease:
    """Without the challenger; the champion answers all.

    Raises:
        Conflict: there is no challenger.
    """
    return _next(live, action, _challenger(live).version, by, reason, at, report=report, **_ALONE)


def rolled_back(
    live: LiveRelease | None, model: str, by: str, reason: str, at: datetime, version: int | None = None
) -> LiveRelease:
    """The challenger taken back; where there is none, or `version` is the champion, that one, for the one before it.

    Raises:
        Conflict: there is nothing to go back to.
    """
    if live is None or (live.champion is None and live.challenger is None):
        raise Conflict(f"nothing serves for '{model}'", remedy="`interlock status` shows what does.")
    if live.challenger is not None and version in {None, live.challenger.version}:
        return withdrawn(live, TAKEN_BACK, by, reason, at)
    assert live.champion is not None  # noqa: S101 - one of the two is there, and a version is one of them
    if live.previous is None:
        raise Conflict(
            f"version {live.champion.version} of '{model}' is the first: there is nothing to go back to",
            remedy="Register another version first: `interlock train`.",
        )
    return _next(
        live, TAKEN_BACK, live.champion.version, by, reason, at,
        champion=live.previous, previous=live.champion, **_ALONE,
    )  # fmt: skip


def paused(live: LiveRelease, by: str, reason: str, at: datetime) -> LiveRelease:
    """The share stays as it is, and no step is taken until somebody resumes; a bad challenger is still taken back.

    Raises:
        Conflict: no release is baking.
    """
    if live.state != "baking":
        raise Conflict(f"no release of '{live.model}' is baking: it is {live.state}")
    return _next(live, PAUSED, live.version, by, reason, at, state="paused")


def resumed(live: LiveRelease, by: str, reason: str, at: datetime) -> LiveRelease:
    """The step bakes anew.

    Raises:
        Conflict: no release is paused.
    """
    if live.state != "paused":
        raise Conflict(f"no release of '{live.model}' is paused: it is {live.state}")
    return _next(live, RESUMED, live.version, by, reason, at, state="baking", began=at)


def put_right(last: LiveRelease, by: str, reason: str, at: datetime) -> LiveRelease:
    """The last revision that was written as it should be, once more: over a record that somebody changed by hand."""
    return _next(last, PUT_RIGHT, last.champion.version if last.champion else last.version, by, reason, at)


# What a release leaves behind: one version, all of the traffic.
_ALONE: dict[str, Any] = {
    "challenger": None, "mode": "all", "share": 0.0, "key": None, "split": "", "plan": None, "step": 0, "began": None,
    "state": "live",
}  # fmt: skip


def _next(
    live: LiveRelease, action: str, version: int | None, by: str, reason: str, at: datetime, **changes: Any
) -> LiveRelease:
    return live.model_copy(
        update={
            "revision": live.revision + 1,
            "action": action,
            "version": version,
            "report": None,
            "changed_at": at,
            "changed_by": by,
            "reason": reason,
            **changes,
        }
    )


def _challenger(live: LiveRelease) -> Candidate:
    if live.challenger is None:
        raise Conflict(f"no release of '{live.model}' is under way", remedy="`interlock release status` shows what is.")
    return live.challenger


def _said(share: float) -> str:
    return f"it answers {share:.3g} of the calls" if share else "it is compared and answers nobody"

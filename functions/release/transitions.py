"""How the live release may change: pure, one revision at a time."""

from __future__ import annotations

from datetime import datetime

from interlock.errors import Conflict
from interlock.records import Candidate, LiveRelease


def promoted(
    live: LiveRelease | None, candidate: Candidate, model: str, by: str, reason: str, at: datetime
) -> LiveRelease | None:
    """The candidate as champion, to be probed; None when it is champion already."""
    if live is not None and live.champion is not None and live.champion.version == candidate.version:
        return None
    return LiveRelease(
        model=model,
        revision=live.revision + 1 if live else 1,
        champion=candidate,
        previous=live.champion if live else None,
        state="probing",
        changed_at=at,
        changed_by=by,
        reason=reason,
    )


def is_old_news(live: LiveRelease | None, version: int, told: datetime) -> bool:
    """Whether an approval was told before the release last changed, and that change went beyond its version.

    Events come late and twice: the approval of a version that has been followed by a newer one, or was rolled back,
    must not bring it back. Approving it anew is told later, and does.
    """
    if live is None or live.champion is None or told > live.changed_at:
        return False
    gone = live.previous.version if live.previous else None
    return version < live.champion.version or version == gone


def confirmed(live: LiveRelease, by: str, at: datetime) -> LiveRelease:
    """The probed champion as live."""
    return _next(live, live.champion, live.previous, by, "the probe passed", at)


def restored(live: LiveRelease, by: str, reason: str, at: datetime) -> LiveRelease:
    """The champion before, back; nothing serves when there was none."""
    return _next(live, live.previous, None, by, reason, at)


def rolled_back(live: LiveRelease | None, model: str, by: str, reason: str, at: datetime) -> LiveRelease:
    """The champion before, back because somebody said so.

    Raises:
        Conflict: there is none to go back to.
    """
    if live is None or live.champion is None:
        raise Conflict(f"nothing serves for '{model}'", remedy="`interlock status` shows what does.")
    if live.previous is None:
        raise Conflict(
            f"version {live.champion.version} of '{model}' is the first: there is nothing to go back to",
            remedy="Register another version first: `interlock train`.",
        )
    return _next(live, live.previous, live.champion, by, reason, at)


def _next(
    live: LiveRelease, champion: Candidate | None, previous: Candidate | None, by: str, reason: str, at: datetime
) -> LiveRelease:
    return LiveRelease(
        model=live.model,
        revision=live.revision + 1,
        champion=champion,
        previous=previous,
        state="live",
        changed_at=at,
        changed_by=by,
        reason=reason,
    )

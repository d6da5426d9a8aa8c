"""The live release as it is stored: read, and changed by one conditional write that the ledger tells of."""

from __future__ import annotations

from collections.abc import Iterator

from interlock.aws.ledger import Ledger
from interlock.aws.state import State
from interlock.errors import RevisionChanged
from interlock.ledger import Decision
from interlock.records import LiveRelease

_LIVE = "live"
_KEPT = "revision#"


def revisions(state: State, model: str, limit: int | None = None) -> Iterator[LiveRelease]:
    """The revisions as they were written, the newest first."""
    return state.query(LiveRelease, _pk(model), _KEPT, newest_first=True, limit=limit)


def revision(state: State, model: str, number: int) -> LiveRelease | None:
    """One revision as it was written."""
    return state.get(LiveRelease, _pk(model), f"{_KEPT}{number:08}")


def change(
    state: State, ledger: Ledger, before: LiveRelease | None, after: LiveRelease, *, force: bool = False
) -> None:
    """Write the next revision over the one it was made from, and its entry in the ledger.

    Whoever dies between the two leaves the entry to `release.tend`, which finds revisions that have none. `force`
    writes over whatever is there: a record that somebody changed by hand.

    Raises:
        RevisionChanged: somebody else was faster; nothing was written.
    """
    expected = before.revision if before else None
    kept = f"{_KEPT}{after.revision:08}"
    if not state.replace_revision(
        _pk(after.model), _LIVE, after, revision=after.revision, expected=expected, kept=kept, force=force
    ):
        raise RevisionChanged(f"the live release of '{after.model}' is no longer at revision {expected}")
    ledger.append(decision(after))


def decision(live: LiveRelease) -> Decision:
    """The ledger's entry of a revision: who, what, why, and who serves from then on."""
    subject = next((item for item in (live.challenger, live.champion, live.previous) if _is(item, live.version)), None)
    return Decision(
        model=live.model,
        key=f"revision:{live.revision}",
        stage="release",
        action=live.action,
        subject=f"version {live.version}",
        actor=live.changed_by,
        evidence={
            "revision": live.revision,
            "changed_at": live.changed_at.isoformat(),
            "reason": live.reason[:500],
            "champion": live.champion.version if live.champion else None,
            "challenger": live.challenger.version if live.challenger else None,
            "mode": live.mode if live.challenger else None,
            "share": live.share if live.challenger else None,
            "package": subject.package_arn if subject else None,
            "served_sha256": subject.served.sha256 if subject else None,
            "report": live.report,
        },
    )


def _is(candidate: object, version: int | None) -> bool:
    return getattr(candidate, "version", None) == version


def _pk(model: str) -> str:
    return f"model#{model}"

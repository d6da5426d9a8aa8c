"""The live release as it is stored: read, and changed by one conditional write."""

from __future__ import annotations

from interlock.aws.state import State
from interlock.errors import RevisionChanged
from interlock.records import LiveRelease


def read(state: State, model: str) -> LiveRelease | None:
    """What serves now."""
    return state.get(LiveRelease, f"model#{model}", "live")


def change(state: State, before: LiveRelease | None, after: LiveRelease) -> None:
    """Write the next revision over the one it was made from.

    Raises:
        RevisionChanged: somebody else was faster; nothing was written.
    """
    expected = before.revision if before else None
    pk = f"model#{after.model}"
    if not state.replace_revision(pk, "live", after, revision=after.revision, expected=expected):
        raise RevisionChanged(f"the live release of '{after.model}' is no longer at revision {expected}")

"""What happened to a model: read newest first, as far back as a page shows, and no further."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import islice, takewhile
from typing import Literal, NamedTuple

from interlock.aws.ledger import Ledger
from interlock.aws.state import State
from interlock.ledger import Entry
from interlock.records import CheckedWindow

# A page reads no more of each, however long a model has lived.
WINDOWS, ENTRIES = 1000, 3000
_RUN = re.compile(r"\d{8}-\d{6}-")
_ENDS: dict[str, Literal["registered", "refused", "failed"]] = {
    "model registered": "registered",
    "model rejected": "refused",
    "training failed": "failed",
}


class History(NamedTuple):
    """The windows, oldest first, and the decisions other than those about windows, newest first.

    `cut` says that there is more than was read.
    """

    windows: tuple[CheckedWindow, ...]
    entries: tuple[Entry, ...]
    cut: bool

    @property
    def begins(self) -> bool:
        """Whether the first decision of all is among those that were read."""
        return bool(self.entries) and self.entries[-1].sequence == 1


class Run(NamedTuple):
    """A training from its beginning to the gate's word or its failure. `version` is there once it is registered."""

    run: str
    began: datetime
    ended: datetime
    end: Literal["registered", "refused", "failed"]
    version: str
    entry: Entry


def read(state: State, ledger: Ledger, model: str, since: datetime | None = None) -> History:
    """A model's history since a moment, or as far back as is read at all."""
    newest = state.query(CheckedWindow, f"model#{model}", "window#", newest_first=True)
    found = list(islice(takewhile(lambda window: since is None or window.end >= since, newest), WINDOWS))
    decided = takewhile(lambda entry: since is None or entry.at >= since, ledger.newest_first(model, without="monitor"))
    entries = list(islice(decided, ENTRIES))
    return History(
        windows=tuple(reversed(found)),
        entries=tuple(entries),
        cut=len(found) == WINDOWS or len(entries) == ENTRIES,
    )


def runs(entries: Iterable[Entry]) -> list[Run]:
    """The trainings that ended, in the order of the entries."""
    return [found for entry in entries if (found := run_of(entry)) is not None]


def run_of(entry: Entry) -> Run | None:
    """The training whose end an entry tells of; a run's id says when it began (`interlock.keys.run_id`)."""
    decision = entry.decision
    end = _ENDS.get(decision.action)
    registered = end == "registered"
    run = str(decision.evidence.get("run", "")) if registered else decision.subject
    if end is None or not _RUN.match(run):
        return None
    began = datetime.strptime(run[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    return Run(
        run=run,
        began=min(began, entry.at),
        ended=entry.at,
        end=end,
        version=decision.subject.removeprefix("version ") if registered else "",
        entry=entry,
    )

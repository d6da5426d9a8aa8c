"""How many calls a step has had, kept from look to look, so that a minute reads only the captures that are new.

What is kept of a call is a hash of its request id, its version and whether it failed: a capture that comes twice, late,
in another order, or again in a compacted file counts once.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Literal

from interlock import keys
from interlock.aws.objects import Objects
from interlock.aws.state import State
from interlock.database import connect
from interlock.records import LiveRelease, ObjectRef
from interlock.schema import Model
from interlock.spec import ModelId
from interlock.sql import text
from release.traffic import CAPTURES, FAILURES, MEMORY, table

# Objects written so long before the last look are looked at again: the clocks of S3 and of this function differ.
MARGIN = timedelta(minutes=5)
# Captures of a day come within this time; what is later counts when the step is judged.
_LATE = timedelta(hours=2)


class Tally(Model):
    """A step's calls and failures by version, as of `looked_at`; `seen` is what is kept of each call.

    `fresh`: the last look found calls, failures or labels that the one before had not.
    """

    schema_version: Literal[1] = 1
    model: ModelId
    release: str
    began: datetime
    looked_at: datetime
    calls: dict[int, int] = {}
    failures: dict[int, int] = {}
    seen: ObjectRef | None = None
    fresh: bool = True


def count(data: Objects, state: State, live: LiveRelease, now: datetime, scratch: Path) -> Tally:
    """Count what came since the last look and keep it; whoever dies in between leaves the look before."""
    began = live.began
    assert began is not None  # noqa: S101 - a step that bakes has begun
    place = f"model#{live.model}", "tally"
    before = state.get(Tally, *place)
    if before is None or (before.release, before.began) != (live.split, began):
        before = Tally(model=live.model, release=live.split, began=began, looked_at=began)
    since = max(began, before.looked_at - MARGIN)
    first = max(began, before.looked_at - MARGIN - _LATE).date()

    def new(key: Callable[[str, date, str], str]) -> list[str]:
        days = [first + timedelta(days=more) for more in range((now.date() - first).days + 1)]
        return [item for day in days for item in data.keys(key(live.model, day, ""), since=since)]

    captured, failed, labelled = (new(key) for key in (keys.captures, keys.failures, keys.labels))
    after = before.model_copy(update={"looked_at": now, "fresh": bool(labelled)})
    if captured or failed:
        after = _added(data, after, live, captured, failed, scratch)
    state.put(*place, after)
    return after


def _added(
    data: Objects, before: Tally, live: LiveRelease, captured: list[str], failed: list[str], scratch: Path
) -> Tally:
    """The tally with what these files hold."""
    con = connect(MEMORY, scratch, threads=None)
    con.execute("CREATE TABLE seen (call UBIGINT, version INTEGER, failed BOOLEAN)")
    if before.seen is not None:
        path = data.get_file(before.seen, scratch / "seen.parquet")
        con.execute(f"INSERT INTO seen FROM read_parquet({text(str(path))})")
    ((known,),) = con.execute("SELECT count(*) FROM seen").fetchall()
    # Calls that named a version themselves were not drawn for it.
    drawn = " AND unit IS NOT NULL" if live.share else ""
    for name, columns, found, fails, only in (
        ("captured", CAPTURES, captured, "false", drawn),
        ("failed_calls", FAILURES, failed, "true", ""),
    ):
        files = [data.download(key, scratch / key.replace("/", "_")) for key in found]
        listed = ", ".join(text(str(path)) for path in files)
        table(con, name, columns, f"read_parquet([{listed}], union_by_name=true)" if files else "")
        con.execute(
            f"INSERT INTO seen SELECT DISTINCT hash(request_id), version, {fails} FROM {name} WHERE time > ?{only}"  # noqa: S608
            f" AND (hash(request_id), version, {fails}) NOT IN (SELECT (call, version, failed) FROM seen)",
            [before.began.replace(tzinfo=None)],
        )
    counts = con.execute("SELECT version, failed, count(*) FROM seen GROUP BY ALL").fetchall()
    total = sum(rows for *_, rows in counts)
    if total == known:
        return before
    target = scratch / "seen-now.parquet"
    con.execute(f"COPY seen TO {text(str(target))} (FORMAT parquet, COMPRESSION zstd)")
    seen = data.put_file(keys.release_tally(live.model, live.split), target, "application/vnd.apache.parquet")
    return before.model_copy(
        update={
            "calls": {version: rows for version, fails, rows in counts if not fails},
            "failures": {version: rows for version, fails, rows in counts if fails},
            "seen": seen,
            "fresh": True,
        }
    )

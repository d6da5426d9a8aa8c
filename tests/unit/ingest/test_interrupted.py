"""Every step of ingest killed at each of its writes, and run again: all ends as if nothing had happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from interlock.keys import upload
from interlock.records import Dataset, ObjectRef
from tests.unit.ingest.made import INTEGER, column, model, rows
from tests.unit.ingest.world import World
from tests.unit.killed import Killed, watch

GOOD = b"n,s,y\n" + b"".join(b"%d,a,1\n" % i for i in range(20)) + b"x,b,1\n"
BAD = b"n,s,y\n" + b"x,a,1\n" * 5
SET = {name: b"n,s,y\n" + b"".join(b"%d,%s,1\n" % (i, name.encode()) for i in range(9)) for name in "ab"}
WRITES = {
    "objects": ("put", "put_file"),
    "state": ("put", "put_new", "acquire"),
    "ledger": ("append",),
    "bus": ("publish",),
    "alerts": ("send",),
}
UPLOADS: dict[str, Callable[[World], dict[str, Any]]] = {
    "admitted": lambda world: world.upload(GOOD),
    "rejected": lambda world: world.upload(BAD),
    "a repeat": lambda world: world.upload(GOOD, "incoming/small/again.csv"),
    "a refresh": lambda world: world.upload(GOOD.replace(b"a", b"c"), "incoming/small/refresh/all.csv"),
    "a set": lambda world: world.upload_set(SET),
}


@contextmanager
def killed_at(world: World, patch: pytest.MonkeyPatch, number: int) -> Iterator[list[str]]:
    """Die before the write of that number; before the next one is after this one."""
    with patch.context() as undone:
        yield watch(undone, world, WRITES, number)


def fresh(patch: pytest.MonkeyPatch) -> World:
    world = World(patch, model(column("n", INTEGER), column("s"), max_bad_row_share=0.1))
    # Something that a refresh can take the place of, and a repeat repeats.
    world.run(world.upload(GOOD, "incoming/small/first.csv"), "e0")
    return world


def outcome(world: World, event: dict[str, Any], folder: Path) -> dict[str, Any]:
    """All that counts of what was written, without times."""

    def read(file: ObjectRef) -> list[Any]:
        parts = (world.objects.get_file(ref, folder / "rows.parquet") for ref in world.objects.listed(file))
        return [row for path in parts for row in rows(path)]

    def timeless(dataset: Dataset) -> dict[str, Any]:
        return {
            "id": dataset.id,
            "claim": dataset.claim,
            "rows": (dataset.rows, dataset.bad_rows, dataset.train_rows, dataset.holdout_rows),
            "mode": dataset.mode,
            "values": [read(dataset.train), read(dataset.holdout)],
            # Old versions expire.
            "current": all(
                world.objects.describe(file.key) == file for file in (dataset.train, dataset.holdout, dataset.profile)
            ),
        }

    return {
        "datasets": sorted((timeless(dataset) for dataset in world.datasets), key=lambda item: item["claim"]),
        "state": sorted(key for key in world.state.items),
        "ledger": [
            (item.decision.key, item.decision.action, item.decision.subject) for item in world.ledger.entries("small")
        ],
        "told": {(type(event).__name__, event.model) for event in world.bus.published},
        "alerts": {subject for subject, _ in world.alerts.sent},
        "status": world.claim(upload(**event).claim).status,
    }


@pytest.mark.parametrize("kind", UPLOADS)
def test_killed_at_any_write_and_run_again_is_as_undisturbed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    world = fresh(monkeypatch)
    with killed_at(world, monkeypatch, 0) as writes:
        event = UPLOADS[kind](world)
        before = len(writes)
        world.run(event, "e1")
    expected, count = outcome(world, event, tmp_path), len(writes) - before
    assert count >= 8
    for number in range(1, count + 1):
        world = fresh(monkeypatch)
        event = UPLOADS[kind](world)
        with killed_at(world, monkeypatch, number) as writes, pytest.raises(Killed):
            world.run(event, "e1")
        # Step Functions' execution ends with its function, or a person stops it; then it is started again.
        world.executions.ended.add("e1")
        world.run(event, "e2")
        assert outcome(world, event, tmp_path) == expected, f"killed at write {number} of {count}: {writes[-1]}"

"""Releases that die at any of their writes, tried again or not: a champion works, and the ledger tells how it came."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from release import tend
from release.confirm import confirm
from release.record import revisions
from release.restore import put_back
from release.rollback import take_back
from release.steer import steer
from release.telling import tell
from tests.unit.killed import Killed, watch
from tests.unit.release.world import HOUR, World, make, sigmoid

Steps = list[Callable[[World], Any]]
WRITES = {"state": ("put", "replace_revision"), "ledger": ("append",), "bus": ("publish",), "alerts": ("send",)}


def confirmed(world: World) -> None:
    """The workflow hands on the revision that was proposed, whatever has been written since."""
    revision = next(item.revision for item in revisions(world.state, "flats") if item.state == "probing")
    confirm("flats", 2, revision, "confirm", world.state, world.ledger, world.bus)


def restored(world: World) -> None:
    after = put_back(world.state, world.ledger, "flats", 2, "ProbeFailed: differs", "restore")
    if after is not None:
        tell(world.state, world.bus, world.alerts, after, world.now())


def asked(world: World) -> None:
    world.call(60)


def baked(world: World) -> None:
    world.tend()


def rolled_back(world: World) -> None:
    take_back(world.state, world.ledger, "flats", "a person", "complaints", 2)


def promoted(world: World) -> None:
    if world.live.challenger is not None:
        steer(world.state, world.ledger, world.bus, "flats", "promote", "a person", "good")


def proposed(file: bytes) -> Callable[[World], Any]:
    def step(world: World) -> None:
        world.propose(world.register(2, file), "one", world.now())

    return step


# What is done in turn, and who is champion when all of it was done.
STORIES: dict[str, tuple[Steps, int]] = {
    "a good version bakes and is promoted": ([proposed(sigmoid(1.01)), confirmed, asked, baked], 2),
    "a version that does not hold its probe": ([proposed(sigmoid(1.01)), restored], 1),
    "a version that crashes on load": ([proposed(b"no model"), confirmed, asked, baked], 1),
    "a person promotes and rolls back": ([proposed(sigmoid(1.01)), confirmed, promoted, rolled_back], 1),
}


@pytest.mark.parametrize("again", [True, False], ids=["tried again", "left to the clock"])
@pytest.mark.parametrize("story", STORIES)
def test_killed_at_any_write(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], story: str, again: bool
) -> None:
    steps, expected = STORIES[story]

    def run(killed_at: int) -> tuple[World, list[str]]:
        """The story with its death at a write; answers the world after it, and the writes there were."""
        with monkeypatch.context() as patch:
            world = make(patch, capsys, mode="canary", steps=[0.5], min_calls=20)
            counting = pytest.MonkeyPatch()
            writes = watch(counting, world, WRITES, killed_at)
            for step in steps:
                try:
                    step(world)
                except Killed:
                    counting.undo()
                    # Another process goes on, which knows nothing of what this one knew.
                    tend._TOLD.clear()
                    if not again:
                        break
                    step(world)
            counting.undo()
            settle(world)
            working(world, expected if again else None)
        return world, writes

    _, writes = run(0)
    assert len(writes) >= 5
    for number in range(1, len(writes) + 1):
        run(number)


def settle(world: World) -> None:
    """The clock's minutes and hours until nothing is under way, callers calling."""
    for _ in range(8):
        world.tend(tend.ABANDONED)
        if world.live.state == "live":
            break
        world.call(50)
    world.tend(HOUR)


def working(world: World, champion: int | None) -> None:
    assert (world.live.state, world.live.challenger) == ("live", None)
    assert world.champion in ({1, 2} if champion is None else {champion})
    assert {item["version"] for item in world.call(10)} == {world.champion}
    world.ledger_is_true()
    assert len({item.evidence["revision"] for item in told(world)}) == len(told(world))


def told(world: World) -> list[Any]:
    return [entry.decision for entry in world.ledger.entries("flats")]

"""Days on which releases go wrong: each ends with a working champion and a true ledger."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from interlock.aws.live import live_release
from interlock.errors import ChecksumMismatch, Conflict, DependencyUnavailable, Refused
from interlock.events import ModelApproved, ModelRolledBack
from interlock.records import LiveRelease
from release import alarm, tend
from release.confirm import confirm
from release.propose import check_unchanged
from release.restore import put_back
from release.rollback import take_back
from release.steer import steer
from release.tend import ABANDONED
from release.transitions import PUT_RIGHT
from serve.live import Live
from serve.loaded import Memory
from tests.unit.release.world import World, make, sigmoid
from tests.unit.serve.world import Stored

MINUTE = timedelta(minutes=1)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> World:
    return make(monkeypatch, capsys, mode="canary", steps=[0.5], min_calls=20)


def works(world: World, champion: int) -> None:
    """Callers are answered by this version and no other, and the ledger tells what happened."""
    assert (world.live.state, world.champion, world.live.challenger) == ("live", champion, None)
    assert {item["version"] for item in world.call(10)} == {champion}
    world.tend(MINUTE)
    world.ledger_is_true()


def test_two_releases_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Version 3 is proposed between version 2's reading and its writing."""
    two, three = world.register(2, sigmoid(1.01)), world.register(3, sigmoid(1.02))
    between(world, monkeypatch, lambda: world.propose(three))
    assert world.propose(two) is None
    assert world.live.challenger is not None
    assert world.live.challenger.version == 3
    confirm("flats", 3, world.live.revision, "confirm", world.state, world.ledger, world.bus)
    steer(world.state, world.ledger, world.bus, "flats", "promote", "a person", "good")
    works(world, 3)


def test_a_release_during_a_rollback(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person takes version 2 back while it is being promoted: the person is heard."""
    world.release(2, sigmoid(1.01))
    promote = lambda: steer(world.state, world.ledger, world.bus, "flats", "promote", "somebody else", "good")  # noqa: E731
    between(world, monkeypatch, promote)
    after = take_back(world.state, world.ledger, "flats", "a person", "complaints")
    assert (after.version, after.champion.version if after.champion else None) == (2, 1)
    works(world, 1)


def test_a_rollback_during_a_release(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.release(2, sigmoid(1.01))
    steer(world.state, world.ledger, world.bus, "flats", "promote", "a person", "good")
    three = world.register(3, sigmoid(1.02))
    between(world, monkeypatch, lambda: take_back(world.state, world.ledger, "flats", "a person", "complaints"))
    revision = world.propose(three)
    assert (world.champion, revision) == (1, world.live.revision)
    put_back(world.state, world.ledger, "flats", 3, "ProbeFailed: differs", "restore")
    works(world, 1)


def test_the_workflow_dies_after_proposing(world: World) -> None:
    world.propose(world.register(2, sigmoid(1.01)))
    assert world.tend(ABANDONED - MINUTE) == "probing"
    assert world.tend(2 * MINUTE) == "abandoned"
    assert isinstance(world.bus.published[-1], ModelRolledBack)
    works(world, 1)


def test_the_workflow_dies_between_the_record_and_the_ledger(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    two = world.register(2, sigmoid(1.01))
    with monkeypatch.context() as patch:
        patch.setattr(world.ledger, "append", killed)
        with pytest.raises(DependencyUnavailable):
            world.propose(two)
    # Its retry goes on with the revision that it wrote, and the clock writes the entry.
    revision = world.propose(two)
    assert revision == world.live.revision
    world.tend(MINUTE)
    world.ledger_is_true()
    assert world.ledger.actions("flats")[-1] == "release started"


def test_the_workflow_dies_while_confirming(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    revision = world.propose(world.register(2, sigmoid(1.01)))
    assert revision is not None
    with monkeypatch.context() as patch:
        patch.setattr(world.bus, "publish", killed)
        patch.setattr(world.ledger, "append", killed)
        with pytest.raises(DependencyUnavailable):
            confirm("flats", 2, revision, "confirm", world.state, world.ledger, world.bus)
    assert confirm("flats", 2, revision, "confirm", world.state, world.ledger, world.bus).state == "baking"
    take_back(world.state, world.ledger, "flats", "a person", "enough")
    works(world, 1)


def test_the_clock_dies_after_taking_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.release(2, b"no model")
    world.tend(2 * MINUTE)
    world.call(60)
    with monkeypatch.context() as patch:
        patch.setattr(world.ledger, "append", killed)
        with pytest.raises(DependencyUnavailable):
            world.tend(MINUTE)
    works(world, 1)
    assert world.ledger.actions("flats")[-1] == "model rolled back"


@pytest.mark.parametrize("dies", ["event", "alert", "mark"])
def test_what_nobody_was_told_of_is_told_by_the_clock_and_once(
    world: World, monkeypatch: pytest.MonkeyPatch, dies: str
) -> None:
    world.release(2, b"no model")
    world.call(60)
    doors = {"event": (world.bus, "publish"), "alert": (world.alerts, "send"), "mark": (world.state, "put")}
    door, method = doors[dies]
    with monkeypatch.context() as patch:
        put = world.state.put
        if dies == "mark":
            patch.setattr(door, method, lambda *at: killed() if at[1].startswith("told#") else put(*at))
        else:
            patch.setattr(door, method, killed)
        with pytest.raises(DependencyUnavailable):
            world.tend(MINUTE)
    # A function that starts anew knows nothing of the minute before.
    tend._TOLD.clear()
    for _ in range(4):
        world.tend(MINUTE)
    subjects = [subject for subject, _ in world.alerts.sent]
    assert subjects == ["flats: version 2 was taken back"] * (2 if dies == "mark" else 1)
    assert sum(isinstance(event, ModelRolledBack) for event in world.bus.published) == (1 if dies == "event" else 2)
    works(world, 1)


def test_a_rollback_that_is_asked_for_twice_is_done_once(world: World) -> None:
    world.release(2, sigmoid(1.01))
    steer(world.state, world.ledger, world.bus, "flats", "promote", "a person", "good")
    asked = (world.state, world.ledger, "flats", "a person", "complaints", 2)
    first = take_back(*asked)
    assert (first.version, world.champion) == (2, 1)
    assert take_back(*asked).revision == first.revision
    # Without naming it, the same would have brought version 2 back.
    works(world, 1)
    with pytest.raises(Conflict, match="version 7 of 'flats' is not on its way and does not serve"):
        take_back(world.state, world.ledger, "flats", "a person", "why", 7)


def test_a_rollback_of_the_champion_is_none_of_what_came_meanwhile(world: World) -> None:
    world.release(2, sigmoid(1.01))
    steer(world.state, world.ledger, world.bus, "flats", "promote", "a person", "good")
    world.release(3, sigmoid(1.02))
    take_back(world.state, world.ledger, "flats", "a person", "complaints about 2", 2)
    works(world, 1)


@pytest.mark.parametrize("how", ["another champion", "a larger share", "no JSON", "nothing", "another revision"])
def test_the_record_is_changed_by_hand(world: World, how: str) -> None:
    world.release(2, sigmoid(1.01))
    steer(world.state, world.ledger, world.bus, "flats", "promote", "a person", "good")
    world.tend(MINUTE)
    place = ("model#flats", "live")
    record = LiveRelease.from_json(world.state.items[place].document)
    item = world.state.items[place]
    match how:
        case "another champion":
            changed = record.model_copy(update={"champion": record.previous}).to_json()
        case "a larger share":
            changed = record.model_copy(update={"share": 1.0}).to_json()
        case "another revision":
            changed = record.model_copy(update={"revision": 99}).to_json()
        case _:
            changed = "{"
    world.state.items[place] = type(item)(changed, revision=item.revision)
    if how == "nothing":
        del world.state.items[place]
    world.tend(MINUTE)
    assert world.live.action == PUT_RIGHT
    assert "changed by hand" in world.alerts.sent[-1][0]
    works(world, 2)


def test_an_altered_file_is_never_proposed(world: World) -> None:
    two = world.register(2, sigmoid(1.01))
    key = "models/flats/r2/model.onnx"
    world.artefacts.versions[key, world.artefacts.newest[key]] += b"x"
    with pytest.raises(ChecksumMismatch):
        world.propose(two)
    works(world, 1)


def test_a_file_altered_while_it_bakes(world: World) -> None:
    world.release(2, sigmoid(1.01))
    key = "models/flats/r2/model.onnx"
    world.artefacts.versions[key, world.artefacts.newest[key]] += b"x"
    assert {item["version"] for item in world.call(60)} == {1}
    assert world.tend(MINUTE).startswith("fail")
    works(world, 1)


def test_the_same_approval_twice_and_late(world: World) -> None:
    two = world.register(2, sigmoid(1.01))
    told = world.now()
    revision = world.propose(two, "one", told)
    assert revision is not None
    assert world.propose(two, "two", told) is None
    assert world.propose(two, "one", told) == revision
    confirm("flats", 2, revision, "confirm", world.state, world.ledger, world.bus)
    take_back(world.state, world.ledger, "flats", "a person", "complaints")
    assert world.propose(two, "three", told) is None
    works(world, 1)


@pytest.mark.parametrize("promoted", [False, True])
def test_servings_alarm_takes_a_fresh_release_back(world: World, promoted: bool) -> None:
    world.release(2, sigmoid(1.01))
    if promoted:
        steer(world.state, world.ledger, world.bus, "flats", "promote", "a person", "good")
    assert alarm.take_back(world.state, world.ledger, "flats", "serve-errors", world.now() - MINUTE) is None
    after = alarm.take_back(world.state, world.ledger, "flats", "serve-errors", world.now())
    assert after is not None
    assert after.changed_by == "alarm serve-errors"
    assert alarm.take_back(world.state, world.ledger, "flats", "serve-errors", world.now()) is None
    works(world, 1)


def test_an_old_release_is_not_blamed_for_an_alarm(world: World) -> None:
    world.release(2, sigmoid(1.01))
    steer(world.state, world.ledger, world.bus, "flats", "promote", "a person", "good")
    world.later += alarm.FRESH
    assert alarm.take_back(world.state, world.ledger, "flats", "serve-errors", world.now()) is None
    works(world, 2)


def test_a_paused_release_takes_no_step_but_is_still_taken_back(world: World) -> None:
    world.release(2, sigmoid(1.01))
    world.call(80)
    steer(world.state, world.ledger, world.bus, "flats", "pause", "a person", "wait for the others")
    assert world.tend().startswith("paused")
    assert (world.live.state, world.live.share) == ("paused", 0.5)
    with pytest.raises(Conflict):
        steer(world.state, world.ledger, world.bus, "flats", "pause", "a person", "again")
    steer(world.state, world.ledger, world.bus, "flats", "resume", "a person", "go on")
    assert "more calls" in world.tend()
    key = "models/flats/r2/model.onnx"
    world.artefacts.versions[key, world.artefacts.newest[key]] += b"x"
    world.serving = Live(Stored(world.state, world.artefacts), Memory(10**9), lambda: None)
    steer(world.state, world.ledger, world.bus, "flats", "pause", "a person", "something is odd")
    world.call(60)
    assert world.tend(MINUTE).startswith("fail")
    works(world, 1)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"seen": "0" * 16}, "changed since"),
        ({"champion": 7}, "was approved while version 7 served"),
    ],
)
def test_an_approval_of_what_has_changed_since_is_refused(world: World, change: dict[str, Any], word: str) -> None:
    two = world.register(2, sigmoid(1.01))
    given = ModelApproved(
        model="flats", package_arn=two.arn, approved_by="a person", comment="fine", seen=two.digest, champion=1
    )
    check_unchanged(two, given, live_release(world.state, "flats"))
    with pytest.raises(Refused, match=word):
        check_unchanged(two, given.model_copy(update=change), live_release(world.state, "flats"))


def test_sixteen_instances_are_never_more_than_ten_seconds_behind(world: World) -> None:
    """Each has read the record at another moment; a quarter of them is asked rarely."""
    clock = [0.0]
    stored = Stored(world.state, world.artefacts)
    instances = [Live(stored, Memory(10**9), lambda: None, lambda: clock[0]) for _ in range(16)]
    changed_at, oldest, slowest, step = 0.0, 0, 0.0, 0.1
    for tick in range(1200):
        clock[0] = tick * step
        if tick in {300, 700, 950}:
            changed_at, oldest = clock[0], world.live.revision
            if tick == 700:
                take_back(world.state, world.ledger, "flats", "a person", "why")
            else:
                world.release(2 if tick == 300 else 3, sigmoid(1.01))
        for number, instance in enumerate(instances):
            if tick % (31 if number < 4 else 1 + number % 5):
                continue
            if instance.release("flats").revision <= oldest:
                slowest = max(slowest, clock[0] - changed_at)
    print(f"the last answer under an older revision came {slowest:.1f} s after the change")
    assert 0 < slowest <= 10


def killed(*_: Any) -> None:
    raise DependencyUnavailable("the function was killed here")


def between(world: World, monkeypatch: pytest.MonkeyPatch, act: Callable[[], Any]) -> None:
    """Do something just before the next change of the record is written."""
    write, done = world.state.replace_revision, []

    def interrupted(*given: Any, **more: Any) -> bool:
        if not done:
            done.append(True)
            act()
        return write(*given, **more)

    monkeypatch.setattr(world.state, "replace_revision", interrupted)

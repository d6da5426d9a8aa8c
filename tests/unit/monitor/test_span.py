"""Windows by number of predictions: each prediction is judged once, whatever comes late, twice, or dies half-way."""

import re
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from interlock.windows import WindowResult
from monitor import compact
from tests.unit.context import Context
from tests.unit.monitor.world import AT, HOUR, World, captured, make, model, people

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
BY_NUMBER = model(window={"predictions": 500})


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = make(monkeypatch, BY_NUMBER)
    world.release()
    return world


def calls(
    world: World, count: int, since: Any = AT - 12 * HOUR, *, name: str = "c", rows: int = 10, **fixed: Any
) -> None:
    """So many calls of some rows each, a minute apart; the log's subscription brings twenty at a time."""
    for first in range(0, count, 20):
        lines = [
            line
            for place in range(first, min(first + 20, count))
            for line in captured(people(rows, seed=place, **fixed), since + place * MINUTE, 1, f"{name}{place}")
        ]
        world.deliver([(f"{name}{first}-{place}", line) for place, line in enumerate(lines)])


def whole_check(world: World, at: Any = AT) -> list[WindowResult]:
    """The workflow: judged and decided, again as long as the next window is full."""
    found = []
    for _ in range(10):
        checked = world.check(at)
        world.decide(checked)
        found.append(world.result(checked))
        if not checked["more"]:
            return found
    raise AssertionError("it does not end")


def report(world: World, found: WindowResult) -> str:
    assert found.report is not None
    return re.sub(r"\s+", " ", world.data.get(found.report).decode())


def test_a_window_is_judged_when_it_is_full_and_not_before(world: World) -> None:
    calls(world, 49)
    (waiting,) = whole_check(world)
    assert (waiting.state, waiting.drift.rows, waiting.full) == ("too_few", 490, False)
    assert "490 predictions; a window needs 500" in report(world, waiting)
    assert world.outcomes()[0].reason == "490 of the 500 predictions of a window have come"
    calls(world, 1, AT, name="last")
    (full,) = whole_check(world, AT + HOUR)
    assert (full.state, full.drift.rows, full.end) == ("stable", 500, AT)
    assert full.window == "20260302T060000000000-v1"


def test_every_full_window_is_judged_in_one_check_and_no_prediction_twice(world: World) -> None:
    calls(world, 120)
    found = whole_check(world)
    assert [item.drift.rows for item in found] == [500, 500]
    assert found[1].start == found[0].end
    (waiting,) = whole_check(world, AT + HOUR)
    assert (waiting.drift.rows, waiting.start) == (200, found[1].end)
    calls(world, 30, AT, name="more")
    (third,) = whole_check(world, AT + 2 * HOUR)
    assert (third.drift.rows, third.start) == (500, found[1].end)


def test_a_request_is_not_cut(world: World) -> None:
    calls(world, 3, rows=350)
    first, waiting = whole_check(world)[0], whole_check(world, AT + HOUR)[-1]
    assert (first.drift.rows, waiting.drift.rows) == (700, 350)


def test_windows_within_one_second_have_names_of_their_own(world: World) -> None:
    for place in range(2):
        world.answer(people(500, seed=place), at=AT - HOUR + timedelta(milliseconds=place), request=f"r{place}")
    found = whole_check(world)
    assert [item.drift.rows for item in found] == [500, 500]
    assert len({item.window for item in found}) == 2
    assert len([key for key in world.state.items if key[1].startswith("window#")]) == 2


def test_what_was_captured_twice_counts_once(world: World) -> None:
    calls(world, 49)
    rows = people(10, seed=0)
    world.deliver([(f"again-{place}", line) for place, line in enumerate(captured(rows, AT - 12 * HOUR, 1, "c0"))])
    assert whole_check(world)[0].drift.rows == 490


def test_late_captures_are_in_no_window_and_told(world: World) -> None:
    calls(world, 50)
    (first,) = whole_check(world)
    world.answer(people(7, seed=9), at=first.end - SECOND, request="late")
    calls(world, 50, AT, name="more")
    (second,) = whole_check(world, AT + 2 * HOUR)
    assert (second.drift.rows, second.late, second.start) == (500, 7, first.end)
    assert "Captured too late for their window" in report(world, second)


def test_the_newest_calls_are_waited_with_until_the_log_has_brought_those_before(world: World) -> None:
    world.answer(people(600, seed=1), at=AT - 30 * SECOND)
    assert whole_check(world)[0].state == "silent"
    assert whole_check(world, AT + MINUTE)[0].drift.rows == 600


def test_a_check_that_dies_before_it_decides_is_made_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    calls(world, 60)
    first = world.check()
    again = world.check(AT + HOUR)
    assert again["window"] == first["window"]
    with monkeypatch.context() as context:
        context.setattr(world.ledger, "append", killed)
        with pytest.raises(RuntimeError):
            world.decide(again)
    # The decision stands, and so the window is not judged again; it is told by the next check.
    assert world.ledger.actions("loans") == []
    (waiting,) = whole_check(world, AT + 2 * HOUR)
    assert (waiting.drift.rows, waiting.full) == (100, False)
    assert world.ledger.actions("loans") == ["window stable: none", "window too_few: none"]
    assert all(item.told for item in world.outcomes())


def test_an_alert_that_died_half_way_is_sent_by_the_next_check(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    calls(world, 50, age=90)
    checked = world.check()
    with monkeypatch.context() as context:
        context.setattr(world.alerts, "send", killed)
        with pytest.raises(RuntimeError):
            world.decide(checked)
    assert world.alerts.sent == []
    whole_check(world, AT + HOUR)
    whole_check(world, AT + 2 * HOUR)
    assert [subject for subject, _ in world.alerts.sent] == ["loans: traffic has drifted in 2 of 8 columns"]


def test_two_checks_at_once_judge_the_same_window(world: World) -> None:
    calls(world, 60)
    one, two = world.check(AT), world.check(AT + SECOND)
    assert one["window"] == two["window"]
    world.decide(one)
    world.decide(two)
    assert len(world.outcomes()) == len(world.ledger.chains["loans"]) == 1


def test_of_many_bad_windows_in_one_check_a_person_hears_once(world: World) -> None:
    calls(world, 200, age=90)
    assert [item.state for item in whole_check(world)] == ["drift"] * 4
    assert len(world.alerts.sent) == 1
    assert [item.held for item in world.outcomes()] == [False, True, True, True]
    calls(world, 50, AT, name="next day", age=90)
    whole_check(world, AT + 2 * HOUR)
    assert len(world.alerts.sent) == 2
    calls(world, 50, AT + 3 * HOUR, name="over")
    whole_check(world, AT + 5 * HOUR)
    assert world.alerts.sent[-1][0] == "loans: the drift is over"


def test_another_version_begins_with_its_own_predictions(world: World) -> None:
    calls(world, 60)
    whole_check(world)
    world.release(version=2)
    for place in range(50):
        world.answer(people(10, seed=place), at=AT + place * MINUTE, version=2, request=f"new{place}")
    (found,) = whole_check(world, AT + 2 * HOUR)
    assert (found.version, found.drift.rows) == (2, 500)
    # Back to the one before: it goes on where it was.
    world.release(version=1)
    (waiting,) = whole_check(world, AT + 3 * HOUR)
    assert (waiting.version, waiting.drift.rows) == (1, 100)


def test_no_prediction_is_waited_with_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    world = make(monkeypatch, model(window={"predictions": 500, "hours": 12}))
    world.release()
    calls(world, 40, AT - 20 * HOUR)
    calls(world, 20, AT - 10 * HOUR, name="new")
    assert whole_check(world)[0].drift.rows == 200


def test_nobody_called_and_a_file_cut_short(world: World) -> None:
    assert whole_check(world)[0].state == "silent"
    calls(world, 50)
    broken = next(iter(world.data.keys("captures/")))
    world.data.put(broken.replace(".parquet", "-half.parquet"), b"PAR1 and then nothing")
    (found,) = whole_check(world, AT + HOUR)
    assert (found.drift.rows, found.unreadable) == (500, 1)


def test_compacting_in_between_changes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compact, "deployed", lambda _model: BY_NUMBER)
    monkeypatch.setattr(compact, "Objects", lambda _bucket: world.data)
    calls(world, 60)
    before = world.check()
    assert compact.handler({"model": "loans", "at": AT.isoformat()}, Context())["files"] == 3
    assert world.result(world.check()).drift == world.result(before).drift


def test_a_window_that_would_never_be_judged_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"of 100 predictions none is judged: drift\.min_rows is 200"):
        model(window={"predictions": 100})


def killed(*_: object) -> None:
    raise RuntimeError("killed")

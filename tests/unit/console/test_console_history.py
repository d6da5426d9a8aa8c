"""What a model's pages are made of: its history as far back as is asked, on one axis."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console import charts, history, timeline
from console.timeline import Axis
from tests.unit.console.past import DAY, MINUTE, Life, census, lived
from tests.unit.console.world import World, window

UNTIL = datetime(2026, 3, 1, 12, tzinfo=UTC)
MODEL = "census-income"


@pytest.fixture(scope="module")
def life() -> Life:
    return lived(World(), UNTIL, windows=60, versions=6)


def test_it_reads_as_far_back_as_is_asked_and_no_further(life: Life) -> None:
    everything = history.read(life.world.state, life.world.ledger, MODEL)
    assert len(everything.windows) == 60
    assert not everything.cut
    since = UNTIL - 10 * DAY
    found = history.read(life.world.state, life.world.ledger, MODEL, since)
    assert [item.end for item in found.windows] == [UNTIL - day * DAY for day in range(10, -1, -1)]
    assert found.entries
    assert min(entry.at for entry in found.entries) >= since
    assert found.entries == everything.entries[: len(found.entries)]


def test_it_says_when_there_is_more_than_a_page_reads(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "WINDOWS", 20)
    found = history.read(life.world.state, life.world.ledger, MODEL)
    assert found.cut
    assert len(found.windows) == 20
    assert found.windows[-1].end == UNTIL


def test_a_training_is_known_from_its_beginning_to_its_end(life: Life) -> None:
    runs = history.runs(history.read(life.world.state, life.world.ledger, MODEL).entries)
    assert {run.end for run in runs} >= {"registered", "refused"}
    assert all(run.ended - run.began == 20 * MINUTE for run in runs)
    assert [run.version for run in runs if run.version] == [str(number) for number in range(life.version, 0, -1)]


def test_lanes_are_in_the_order_of_a_models_life_and_lie_on_the_axis(life: Life) -> None:
    found = history.read(life.world.state, life.world.ledger, MODEL)
    on = timeline.axis(found, UNTIL, None)
    lanes = timeline.lanes(found, on)
    assert [lane.name for lane in lanes] == ["Data", "Trainings", "Gate", "Releases", "Drift", "Performance"]
    for lane in lanes:
        assert all(0 < mark.x <= 100 for mark in lane.marks)
        assert all(0 < bar.x <= bar.x + bar.width <= 100.01 for bar in lane.bars)
    assert [mark.tone for mark in lanes[0].marks].count("bad") == 1
    assert "1 rejected" in lanes[0].said


def test_the_versions_that_served_follow_each_other_without_a_gap(life: Life) -> None:
    found = history.read(life.world.state, life.world.ledger, MODEL)
    on = timeline.axis(found, UNTIL, None)
    bars = timeline.lanes(found, on)[3].bars
    assert bars[0].x + bars[0].width == pytest.approx(100, abs=0.02)
    for later, earlier in pairwise(bars):
        assert earlier.x + earlier.width == pytest.approx(later.x, abs=0.02)
    assert life.live is not None
    assert life.live.champion is not None
    assert bars[0].label == f"v{life.live.champion.version}"


def test_what_served_before_the_first_decision_that_is_read_is_known_by_the_windows(life: Life) -> None:
    found = history.read(life.world.state, life.world.ledger, MODEL, UNTIL - 9 * DAY)
    bars = timeline.lanes(found, timeline.axis(found, UNTIL, UNTIL - 9 * DAY))[3].bars
    assert (bars[-1].x, bars[-1].label) == (0, f"v{found.windows[0].version}")
    silent = timeline.lanes(found._replace(entries=()), timeline.axis(found, UNTIL, UNTIL - 9 * DAY))[3].bars
    assert [(bar.x, bar.width) for bar in silent] == [(0, 100)]


def test_the_axis_of_a_young_model_begins_with_its_first_upload_not_with_its_first_windows_day() -> None:
    world = World()
    young = Life(world, census(), np.random.default_rng(1), {})
    young.upload(UNTIL - 20 * MINUTE)
    world.check(window(MODEL, hours=0.1))
    found = history.read(world.state, world.ledger, MODEL)
    assert found.begins
    on = timeline.axis(found, UNTIL, None)
    assert timedelta(0) < (UNTIL - 20 * MINUTE) - on.start < MINUTE
    assert timeline.lanes(found, on)[4].bars[0].x == 0


def test_windows_that_ended_alike_are_one_bar() -> None:
    states = ["stable"] * 3 + ["drift"] * 2 + ["stable"]
    windows = tuple(
        window(hours=24.0 * (len(states) - place), state=state, window=f"w{place}")
        for place, state in enumerate(states)
    )
    found = history.History(windows, (), cut=False)
    bars = timeline.lanes(found, timeline.axis(found, UNTIL, None))[4].bars
    assert [(bar.tone, bar.href) for bar in bars] == [
        ("good", "/windows/w2"), ("bad", "/windows/w4"), ("good", "/windows/w5"),
    ]  # fmt: skip
    assert "3 windows" in bars[0].title


@given(st.integers(0, 2**31), st.floats(61, 3e8))
def test_any_axis_has_few_ticks_in_order(start: int, seconds: float) -> None:
    begun = datetime.fromtimestamp(start, UTC)
    ticks = Axis(begun, begun + timedelta(seconds=seconds)).ticks()
    assert len(ticks) <= 8
    assert all(0 <= tick.x <= 100 for tick in ticks)
    assert all(one.x < other.x for one, other in pairwise(ticks))


def test_a_model_that_has_just_begun_has_an_axis() -> None:
    nothing = history.History((), (), cut=False)
    on = timeline.axis(nothing, UNTIL, None)
    assert on.end - on.start > timedelta(minutes=1)
    assert on.ticks()
    assert charts.performance((), on) is None
    assert charts.figures((), [], 0.2, on)["at"] == []
    assert charts.indices((), ["size"], 0.2, on)[0].lines["index"].path == ""


def test_a_line_breaks_where_nothing_is_known_and_a_single_point_is_seen() -> None:
    windows = [window(hours=24.0 * back, **({"estimated": None} if back == 2 else {})) for back in range(4, 0, -1)]
    on = Axis(UNTIL - 5 * DAY, UNTIL)
    found = charts.performance(windows, on)
    assert found is not None
    path = found.lines["estimated"].path
    assert path.count("M") == 2
    assert path.endswith("h0")
    assert found.lines["estimated"].band.count("Z") == 2


def test_a_drawn_line_is_thinned_out_and_keeps_its_worst_value() -> None:
    windows = [window(hours=1000.0 - place, columns={"size": 0.9 if place == 500 else 0.01}) for place in range(1000)]
    on = Axis(UNTIL - 50 * DAY, UNTIL)
    path = charts.indices(windows, ["size"], 0.2, on)[0].lines["index"].path
    points = [tuple(map(float, point.split())) for point in re.split("[ML]", path)[1:]]
    assert len(points) <= 300
    assert min(y for _, y in points) == 0.0
    performance = charts.performance(windows, on)
    assert performance is not None
    assert performance.lines["estimated"].path.count("L") < 300


def test_windows_with_too_few_rows_have_no_index() -> None:
    windows = [window(hours=24, columns={"size": 3.0}, state="too_few"), window(columns={"size": 0.01})]
    on = Axis(UNTIL - 5 * DAY, UNTIL)
    assert charts.figures(windows, ["size"], 0.2, on)["index"] == [[None, 0.01]]
    assert charts.indices(windows, ["size"], 0.2, on)[0].top == "0.25"


def test_figures_are_as_long_as_the_windows(life: Life) -> None:
    found = history.read(life.world.state, life.world.ledger, MODEL)
    figures = charts.figures(found.windows, list(life.columns), 0.2, timeline.axis(found, UNTIL, None))
    lengths = {len(figures[name]) for name in ("at", "window", "version", "holdout")}
    lengths |= {len(series) for name in ("estimated", "realised") for series in figures[name]}
    lengths |= {len(series) for series in figures["index"]}
    assert lengths == {60}
    assert len(figures["index"]) == len(life.columns)

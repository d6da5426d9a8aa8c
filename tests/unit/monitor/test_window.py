"""A window of traffic, judged: from captured predictions to the verdict and its report."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from interlock import keys
from interlock.contract import Column, ColumnType
from interlock.errors import NotServing
from interlock.records import ObjectRef
from tests.unit.monitor.world import AT, HOUR, World, captured, make, model, people, reference


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = make(monkeypatch, model())
    world.release()
    return world


def states(world: World, checked: dict[str, object]) -> dict[str, str]:
    return {column.column: column.state for column in world.result(checked).drift.columns}


def test_the_same_people_are_stable_in_every_column(world: World) -> None:
    world.answer(people(1500, seed=2))
    checked = world.check()
    assert checked["verdict"] == "stable"
    assert checked["window"] == "20260302T060000-v1"
    found = states(world, checked)
    assert set(found) == {"age", "amount", "job", "member", "origin", "income", "vetted", "(score)"}
    assert set(found.values()) == {"stable"}
    assert world.result(checked).drift.rows == 1500


def test_older_people_drift_in_age_and_in_the_score_and_in_nothing_else(world: World) -> None:
    world.answer(people(800, seed=3, age=lambda row: row["age"] + 15))
    checked = world.check()
    result = world.result(checked)
    assert checked["verdict"] == "drift"
    assert set(result.drift.drifted) == {"age", "(score)"}
    age = next(column for column in result.drift.columns if column.column == "age")
    assert age.moved is not None
    assert age.moved[0].startswith("from ")
    assert (round(age.moved[1], 1), round(age.moved[2], 1)) == (0.1, 0.5)


def test_too_few_rows_are_never_an_alarm(world: World) -> None:
    world.answer(people(199, seed=4, age=99))
    checked = world.check()
    assert checked["verdict"] == "too_few"
    assert world.result(checked).drift.drifted == ()
    assert "Too few predictions to judge" in report(world, checked)


def test_nobody_called(world: World) -> None:
    checked = world.check()
    assert checked["verdict"] == "silent"
    assert "Nobody called" in report(world, checked)


def test_calls_outside_the_window_are_not_in_it(world: World) -> None:
    world.answer(people(5, seed=5), at=AT - timedelta(hours=24), request="at its open end")
    world.answer(people(6, seed=5), at=AT - timedelta(hours=24) + timedelta(seconds=1), request="first")
    world.answer(people(7, seed=5), at=AT, request="at its closed end")
    world.answer(people(8, seed=5), at=AT + timedelta(seconds=1), request="after")
    assert world.result(world.check()).drift.rows == 13


def test_a_request_that_was_captured_twice_counts_once(world: World) -> None:
    rows = people(300, seed=6)
    world.answer(rows, request="r")
    # The same lines in another batch of the log become another file.
    before = set(world.data.keys("captures/"))
    world.deliver([(f"again-{place}", line) for place, line in enumerate(captured(rows, AT - HOUR, 1, "r"))])
    assert set(world.data.keys("captures/")) > before
    assert world.result(world.check()).drift.rows == 300


def test_only_the_serving_version_counts_after_a_release_in_the_window(world: World) -> None:
    world.answer(people(700, seed=7, age=80), version=1, request="old")
    world.release(version=2)
    world.answer(people(400, seed=8), version=2, request="new")
    checked = world.check()
    result = world.result(checked)
    assert (checked["verdict"], result.drift.rows, result.version) == ("stable", 400, 2)
    assert checked["window"].endswith("-v2")


def test_a_window_with_one_category(world: World) -> None:
    world.answer(people(500, seed=9, job="baker"))
    checked = world.check()
    assert world.result(checked).drift.drifted == ("job",)
    found = world.result(checked).drift.columns[0]
    assert found.moved is not None
    assert found.moved[0] == "baker"
    assert found.moved[2] == 1.0


def test_a_category_that_training_never_saw(world: World) -> None:
    world.answer(people(500, seed=10) + people(15, seed=11, job="astronaut"), request="r")
    result = world.result(world.check())
    assert result.drift.drifted == ("job",)
    assert "never seen in training" in result.drift.columns[0].reason


def test_a_column_without_any_value(world: World) -> None:
    world.answer(people(500, seed=12, amount=None))
    result = world.result(world.check())
    assert result.drift.drifted == ("amount",)
    column = result.drift.columns[0]
    assert (column.missing_now, column.moved) == (1.0, None)
    assert "missing 100.0%" in column.reason


def test_one_category_and_no_value_are_no_alarm_where_training_had_the_same(world: World) -> None:
    world.reference = reference(people(3000, seed=1, job="baker", member=True, amount=None))
    world.release(version=2)
    world.answer(people(800, seed=2, job="baker", member=True, amount=None), version=2)
    checked = world.check()
    assert checked["verdict"] == "stable"
    assert set(states(world, checked).values()) == {"stable"}
    assert "nan" not in report(world, checked)


def test_an_empty_text_is_a_missing_value_as_it_is_for_the_model(world: World) -> None:
    world.answer(people(1000, seed=13, job="", origin=""))
    columns = {column.column: column for column in world.result(world.check()).drift.columns}
    assert (columns["job"].missing_now, columns["job"].new_share) == (1.0, 0.0)
    assert (columns["origin"].missing_now, columns["origin"].new_share) == (1.0, 0.0)


def test_restricted_columns_drift_without_being_named(world: World) -> None:
    world.answer(
        people(900, seed=14, origin="zanzibar", income=lambda row: row["income"] + 1000, vetted=lambda row: False)
    )
    checked = world.check()
    assert set(world.result(checked).drift.drifted) == {"origin", "income", "vetted"}
    columns = {column.column: column for column in world.result(checked).drift.columns}
    assert columns["origin"].new_share == 1.0
    assert columns["origin"].bins == ("group 1", "group 2", "group 3", "(other)")
    assert columns["income"].bins[0] == "range 1"
    everything = report(world, checked) + json.dumps(columns["origin"].model_dump()) + world.result(checked).to_json()
    for value in ("zanzibar", "norway", "sweden", "estonia"):
        assert value not in everything


def test_a_restricted_boolean_is_counted_in_its_own_group(world: World) -> None:
    world.answer(people(900, seed=15))
    columns = {column.column: column for column in world.result(world.check()).drift.columns}
    assert columns["vetted"].state == "stable"
    assert columns["vetted"].now[0] == pytest.approx(0.8, abs=0.05)


def test_a_column_that_older_captures_lack_or_hold_otherwise(world: World, tmp_path: Path) -> None:
    world.answer(people(400, seed=16), version=1)
    other = tmp_path / "old.parquet"
    duckdb.connect().execute(
        f"COPY (SELECT TIMESTAMP '2026-03-02 01:00:00' AS time, 'x' AS request_id, 0::INTEGER AS row,"
        f" 0::INTEGER AS version, 0::INTEGER AS revision, 'yes' AS label, 0.5::DOUBLE AS score,"
        f" 'young' AS in_age, 'norway' AS in_origin, 1 AS in_gone) TO '{other}' (FORMAT parquet)"
    )
    world.data.put(keys.captures("loans", AT.date(), "old.parquet"), other.read_bytes())
    checked = world.check()
    assert checked["verdict"] == "stable"
    assert states(world, checked)["age"] == "stable"
    assert states(world, checked)["origin"] == "stable"


def test_the_same_time_gives_the_same_window_and_verdict(world: World) -> None:
    world.answer(people(800, seed=17, age=70))
    first, second = world.check(), world.check()
    assert first["window"] == second["window"]
    without_address = {"report": None}
    assert world.result(first).model_copy(update=without_address) == world.result(second).model_copy(
        update=without_address
    )
    assert len(list(world.data.keys("reports/loans/monitor/"))) == 2


def test_a_time_in_another_zone_is_the_same_time(world: World) -> None:
    world.answer(people(300, seed=18))
    there = datetime.fromisoformat("2026-03-02T07:00:00+01:00")
    assert there == AT.astimezone(UTC)
    assert world.check(there)["window"] == world.check(AT)["window"]


def test_nothing_serves_yet(world: World) -> None:
    del world.state.items["model#loans", "live"]
    with pytest.raises(NotServing, match="no version of 'loans' serves yet"):
        world.check()


def test_one_line_of_metrics_with_the_columns_as_properties(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.answer(people(500, seed=19, job="baker"))
    world.check()
    line = next(json.loads(text) for text in capsys.readouterr().out.splitlines() if '"_aws"' in text)
    told = line["_aws"]["CloudWatchMetrics"][0]
    assert {metric["Name"] for metric in told["Metrics"]} == {"Drift", "RowsChecked", "ShareDrifted"}
    assert sorted(sorted(names) for names in told["Dimensions"]) == [["model", "service"], ["service"]]
    assert (line["Drift"], line["RowsChecked"], line["ShareDrifted"]) == ([1.0], [500.0], [12.5])
    assert line["columns"]["job"]["state"] == "drift"
    assert line["columns"]["age"]["state"] == "stable"


def test_the_report_shows_what_drifted_first_and_escapes_what_came_from_data(world: World) -> None:
    world.answer(people(800, seed=20, age=lambda row: row["age"] + 15), at=AT - 2 * HOUR)
    html = report(world, world.check())
    assert html.index("Drift in 2 of 8 columns") < html.index("age") < html.index("(score)") < html.index("member")
    assert "<script" not in html
    assert "http://" not in html
    assert "https://" not in html


def report(world: World, checked: dict[str, object]) -> str:
    stored = world.result(checked).report
    assert stored is not None
    return world.data.get(stored).decode()


def test_a_new_column_of_the_contract_that_neither_training_nor_captures_have(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.answer(people(600, seed=21))
    known = model()
    columns = (*known.contract.columns, Column(name="height", type=ColumnType.NUMBER))
    newer = known.model_copy(update={"contract": known.contract.model_copy(update={"columns": columns})})
    monkeypatch.setattr("monitor.drift.deployed", lambda _model: newer)
    checked = world.check()
    assert checked["verdict"] == "stable"
    assert "height" not in states(world, checked)


def test_a_clock_that_is_fast_puts_a_call_into_the_window_of_its_time(world: World) -> None:
    world.answer(people(300, seed=22), at=AT + timedelta(hours=26), request="fast")
    assert world.check()["verdict"] == "silent"
    assert world.result(world.check(AT + timedelta(hours=30))).drift.rows == 300


def test_two_checks_at_once_write_the_same_window(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.answer(people(600, seed=23))
    first: list[dict[str, object]] = []
    put = world.data.put

    def meanwhile(key: str, body: bytes, content_type: str = "application/octet-stream") -> ObjectRef:
        if not first:
            first.append({})
            first[0] = world.check()
        return put(key, body, content_type)

    monkeypatch.setattr(world.data, "put", meanwhile)
    second = world.check()
    assert second["window"] == first[0]["window"]
    assert world.result(second).drift == world.result(first[0]).drift

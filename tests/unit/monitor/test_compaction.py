"""Many small capture files become few, and no prediction is lost or counted twice whatever dies."""

from pathlib import Path

import duckdb
import pytest

from monitor import compact
from monitor.fetching import fetch
from tests.unit.context import Context
from tests.unit.monitor.world import AT, HOUR, World, make, model, people


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = make(monkeypatch, model())
    monkeypatch.setattr(compact, "deployed", lambda _model: model())
    monkeypatch.setattr(compact, "Objects", lambda _bucket: made.data)
    made.release()
    for place in range(12):
        made.answer(people(50, seed=place), request=f"r{place}")
    return made


def compacted(world: World) -> int:
    files: int = compact.handler({"model": "loans", "at": AT.isoformat()}, Context())["files"]
    return files


def captures(world: World) -> list[str]:
    return list(world.data.keys("captures/"))


def test_a_days_files_become_one_and_the_check_finds_the_same(world: World) -> None:
    before = world.result(world.check()).drift
    assert compacted(world) == 12
    (only,) = captures(world)
    assert "/compact-600-" in only
    assert world.result(world.check()).drift == before
    assert compacted(world) == 0


def test_later_files_join_the_compacted_one(world: World) -> None:
    compacted(world)
    world.answer(people(50, seed=99), request="late")
    assert compacted(world) == 2
    assert len(captures(world)) == 1
    assert world.result(world.check()).drift.rows == 650


def test_what_the_log_brings_again_after_it_counts_once(world: World, tmp_path: Path) -> None:
    def distinct() -> bool:
        (folder := tmp_path / str(len(captures(world)))).mkdir()
        return fetch(world.data, "loans", AT - 24 * HOUR, AT, folder).distinct

    assert not distinct()
    compacted(world)
    assert distinct(), "the one file that compaction made holds nothing twice, which nobody has to look for"
    world.answer(people(50, seed=3), request="r3")
    assert not distinct()
    assert world.result(world.check()).drift.rows == 600


def test_a_death_between_writing_and_removing_counts_nothing_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed = []

    def dies(key: str) -> None:
        if removed:
            raise RuntimeError("killed")
        removed.append(key)
        world.data.newest.pop(key)

    with monkeypatch.context() as context:
        context.setattr(world.data, "delete", dies)
        with pytest.raises(RuntimeError, match="killed"):
            compacted(world)
    assert len(captures(world)) == 12
    assert world.result(world.check()).drift.rows == 600
    assert compacted(world) == 12
    assert len(captures(world)) == 1
    assert world.result(world.check()).drift.rows == 600


def test_a_file_that_cannot_be_read_stays_where_it_is(world: World) -> None:
    broken = captures(world)[0].replace(".parquet", "-half.parquet")
    world.data.put(broken, b"PAR1 and then nothing")
    compacted(world)
    assert broken in captures(world)
    assert len(captures(world)) == 2


def test_only_the_days_of_the_window_are_touched(world: World) -> None:
    world.answer(people(5, seed=1), at=AT - 100 * HOUR, request="a")
    world.answer(people(5, seed=2), at=AT - 100 * HOUR, request="b")
    compacted(world)
    assert len([key for key in captures(world) if "day=2026-02-26" in key]) == 2


def test_columns_that_changed_between_files_do_not_stop_it(world: World, tmp_path: Path) -> None:
    old = tmp_path / "old.parquet"
    duckdb.connect().sql(
        "SELECT TIMESTAMP '2026-03-02 01:00:00' AS time, 'x' AS request_id, 0::INTEGER AS row, 0::INTEGER AS version,"
        " 0::INTEGER AS revision, 'yes' AS label, 0.5::DOUBLE AS score, 'young' AS in_age"
    ).write_parquet(str(old))
    world.data.put(captures(world)[0].replace(".parquet", "-old.parquet"), old.read_bytes())
    assert compacted(world) == 13
    assert world.result(world.check()).drift.rows == 600

"""The rows of a window as they are read: several threads, several readings, one order."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pytest

from monitor.traffic import Array, Traffic

AT = datetime(2026, 3, 2, 6, tzinfo=UTC)
ROWS = 150_000


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Two days' captures, in many row groups, whose values say nothing about their order."""
    paths = [tmp_path / f"{day}.parquet" for day in (1, 2)]
    for day, path in enumerate(paths):
        duckdb.execute(
            f"COPY (SELECT TIMESTAMP '2026-03-01 12:00:00' + INTERVAL ({day * ROWS} + i) MILLISECOND AS time,"
            f" 'r' || ({day * ROWS} + i) AS request_id, 0 AS row, 1 AS version, hash({day * ROWS} + i) % 1000 AS in_n,"
            f" 't' || hash({day * ROWS} + i) % 1000 AS in_t FROM range({ROWS}) t(i))"
            f" TO '{path}' (FORMAT parquet, ROW_GROUP_SIZE 4096)"
        )
    return paths


def together(traffic: Traffic, chosen: str) -> Array:
    return np.concatenate([chunk["v"] for chunk in traffic.chunks(f"{chosen} AS v")])


@pytest.mark.parametrize("doubled", [False, True])
def test_every_reading_gives_the_rows_in_the_same_order(files: list[Path], tmp_path: Path, doubled: bool) -> None:
    listed = [*files, files[0]] if doubled else files
    traffic = Traffic(listed, 1, AT - timedelta(hours=24), AT, tmp_path, distinct=not doubled)
    assert traffic.rows == 2 * ROWS
    numbers, texts = together(traffic, "in_n"), together(traffic, "in_t")
    assert [f"t{number}" for number in numbers] == texts.tolist()
    taken = together(traffic, traffic.sampled(10_000))
    sample = traffic.sample("in_t AS v", 10_000)["v"]
    assert 9000 < len(sample) < 11_000
    assert sample.tolist() == texts[taken].tolist()

"""A dataset's two files: every good row, in its order and once, read alike by others; and who is held out for ever."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pytest

from ingest import records
from ingest.dataset import Dataset
from interlock.contract import ColumnType
from interlock.holdout import held_out, identity
from interlock.models import DeployedModel
from interlock.spec import Holdout
from interlock.sql import quoted, text
from tests.unit.ingest.made import INTEGER, NUMBER, column, judged, model, rows


def as_first_written(by: DeployedModel) -> str:
    """Whether a row is held out, in the words of version 0.1; rows have been held out by it."""
    spec = by.spec.holdout
    written = ", ".join(
        f"coalesce(strlen(CAST({quoted(name)} AS VARCHAR)) || ':', '-'), CAST({quoted(name)} AS VARCHAR)"
        for name in identity(by)
    )
    digest = f"sha256(concat({text(spec.key)}, chr(31), {written}))"
    return f"CAST('0x' || substr({digest}, 1, 8) AS UBIGINT) < {int(spec.fraction * 2**32)}"


def values_of_all_kinds(con: duckdb.DuckDBPyConnection, count: int) -> None:
    """A table `every` of any bits as numbers, dates, times and texts, and of what is written in a way of its own."""
    random = np.random.default_rng(11)
    bits = random.integers(-(2**63), 2**63 - 1, count)
    doubles = np.where(random.random(count) < 0.5, bits.view(np.float64), np.round(random.normal(0, 1000, count), 3))
    doubles[:8] = (0.0, -0.0, 1e15, 1e16, 1e-4, 1e-5, 5e-324, 1.7976931348623157e308)
    doubles[~np.isfinite(doubles)] = 0.1
    texts = np.array(["", "-", "1:a", "a'b", "é", "日本", "\x1f", "\n", '"', "x" * 70, "😀" * 40])
    columns: dict[str, Any] = {
        "i": bits >> random.integers(0, 63, count),
        "x": doubles,
        "b": random.random(count) < 0.5,
        "d": random.integers(-719_162, 2_932_896, count).astype(np.int32),
        "t": random.integers(-62_135_596_800, 253_402_300_799, count) * 1_000_000
        + random.choice([0, 1, 120, 500_000, 999_999], count),
        "s": random.choice(texts, count),
    }
    frame = pl.DataFrame(columns).with_columns(pl.col("d").cast(pl.Date), pl.col("t").cast(pl.Datetime("us")))
    frame = frame.with_columns(
        pl.when(pl.Series(random.random(count) < 0.9)).then(pl.col(name)).alias(name) for name in columns
    )
    path = Path(con.execute("SELECT current_setting('temp_directory')").fetchall()[0][0]) / "every.parquet"
    frame.write_parquet(path)
    con.execute(f"CREATE TABLE every AS FROM read_parquet('{path}')")


def test_no_row_ever_changes_sides(tmp_path: Path) -> None:
    kinds = (
        ("i", INTEGER), ("x", NUMBER), ("b", ColumnType.BOOLEAN), ("d", ColumnType.DATE), ("t", ColumnType.TIMESTAMP),
        ("s", ColumnType.STRING),
    )  # fmt: skip
    wide = model(*(column(name, kind) for name, kind in kinds))
    keyed = [wide, *(model(*(column(*item) for item in kinds), primary_key=(name,)) for name, _ in kinds)]
    with duckdb.connect(config={"temp_directory": str(tmp_path)}) as con:
        values_of_all_kinds(con, 20_000)
        for by in keyed:
            for fraction in (1e-10, 0.003, 0.25, 0.5, 1 - 2**-32):
                spec = by.spec.model_copy(update={"holdout": Holdout(key="k'1", fraction=fraction)})
                now = by.model_copy(update={"spec": spec})
                moved, out = con.execute(
                    f"SELECT count_if(({held_out(now)}) IS DISTINCT FROM ({as_first_written(now)})),"
                    f" count_if({held_out(now)}) FROM every"
                ).fetchall()[0]
                assert moved == 0
                assert by is not wide or abs(out / 20_000 - fraction) < 0.02


@pytest.mark.parametrize("threads", [1, 2])
def test_every_good_row_is_there_once_and_in_its_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    monkeypatch.setattr(records, "_BLOCK", 4_000)
    by = model(column("n", INTEGER), column("s"), column("d", ColumnType.DATE), null_tokens=("",))
    lines = [
        f"{'x' if row % 7 == 0 else row},{'' if row % 5 == 0 else f'kind {row % 11}'},2024-02-{1 + row % 29:02d},1.5"
        for row in range(5_000)
    ]
    answer = judged(("n,s,d,y\n" + "\n".join(lines)).encode(), by, tmp_path, threads=threads)
    good = [row for row in range(5_000) if row % 7]
    found = {name: pl.read_parquet(answer.files[name]) for name in ("train", "holdout")}
    assert {name: len(frame) for name, frame in found.items()} == {
        "train": answer.train_rows,
        "holdout": answer.holdout_rows,
    }
    for name, frame in reversed(found.items()):
        assert frame["n"].is_sorted()
        assert frame.rows() == rows(answer.files[name])
        with duckdb.connect() as con:
            groups, bloomed = con.execute(
                "SELECT count(*), count(bloom_filter_offset)"
                f" FROM parquet_metadata('{answer.files[name]}') WHERE path_in_schema = 's'"
            ).fetchall()[0]
            # More than the short header of a list tells.
            assert groups > 15
            # By its statistics and its Bloom filters, where they lie now, a reader leaves out row groups.
            for kind in ("kind 3", "kind 99"):
                chosen = con.execute(f"SELECT n FROM '{answer.files[name]}' WHERE s = '{kind}'").fetchall()
                assert chosen == frame.filter(pl.col("s") == kind).select("n").rows()
            excluded = con.execute(f"FROM parquet_bloom_probe('{answer.files[name]}', 's', 'kind 99')").fetchall()
            assert bloomed - 2 <= sum(out for *_, out in excluded) <= bloomed
    assert bloomed
    assert sorted(pl.concat(found.values())["n"].to_list()) == good


@pytest.mark.parametrize("fraction", [1e-9, 1 - 1e-9])
def test_one_of_the_files_may_have_no_row(tmp_path: Path, fraction: float) -> None:
    by = model(column("s"))
    spec = by.spec.model_copy(update={"holdout": Holdout(key="k", fraction=fraction)})
    answer = judged(b"s,y\na,1\nb,2\n", by.model_copy(update={"spec": spec}), tmp_path)
    full, empty = ("train", "holdout") if fraction < 0.5 else ("holdout", "train")
    assert rows(answer.files[full]) == [("a", 1.0), ("b", 2.0)]
    assert pl.read_parquet(answer.files[full]).schema == pl.read_parquet(answer.files[empty]).schema
    assert rows(answer.files[empty]) == pl.read_parquet(answer.files[empty]).rows() == []
    assert {answer.train_rows, answer.holdout_rows} == {2, 0}


@pytest.mark.parametrize("parts", [1, 3, 40])
@pytest.mark.parametrize("writer", ["polars", ", ROW_GROUP_SIZE 2048", ", PARQUET_VERSION v2"])
def test_files_of_anyone_are_joined_by_their_footers(tmp_path: Path, writer: str, parts: int) -> None:
    random = np.random.default_rng(parts)
    dataset, whole = Dataset(tmp_path), []
    for part in range(parts):
        count = 0 if part % 4 == 1 else int(random.integers(1, 5_000))
        frame = pl.DataFrame(
            {"a": random.integers(0, 1 << 40, count), "s": random.choice(["x", "yy", "é"], count)},
            schema={"a": pl.Int64, "s": pl.String},
        )
        block = tmp_path / f"block-{part}"
        block.mkdir()
        frame.write_parquet(block / "train.parquet", row_group_size=1_000)
        if writer != "polars":
            (block / "train.parquet").rename(block / "rows.parquet")
            duckdb.execute(f"COPY (FROM '{block}/rows.parquet') TO '{block}/train.parquet' (FORMAT parquet{writer})")
        shutil.copy(block / "train.parquet", block / "holdout.parquet")
        dataset.add(block)
        whole.append(frame)
    assert {path.name for path in tmp_path.iterdir()} == {"good-train.parquet", "good-holdout.parquet"}
    files, *counts = dataset.close()
    expected = pl.concat(whole)
    assert counts == [len(expected)] * 2
    for path in files.values():
        assert pl.read_parquet(path).equals(expected)
        assert rows(path) == expected.rows()
        chosen = pl.scan_parquet(path).filter(pl.col("a") > 1 << 39, pl.col("s") == "é").collect()
        assert chosen.equals(expected.filter(pl.col("a") > 1 << 39, pl.col("s") == "é"))

"""Parquet by ranges: judged as the same file here, with never more than a piece of it on this machine."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingest import parquet, pieces, rules, source
from ingest.engine import Judged, judge
from ingest.footer import Footer
from interlock.aws import ranges
from interlock.aws.ranges import RangedObject
from interlock.contract import ColumnType
from tests.unit.ingest.made import INTEGER, NUMBER, column, judged, model, problems, rows

ROWS = 50_000
BY = model(
    *(column("n", INTEGER, required=True, unique=True), column("s", pattern="^[a-z]+$")),
    *(column("d", ColumnType.DATE), column("t", ColumnType.TIMESTAMP), column("b", ColumnType.BOOLEAN)),
)
QUERY = (
    "SELECT CASE WHEN i % 97 = 0 THEN NULL WHEN i % 89 = 0 THEN 1 ELSE i END AS n, CASE WHEN i % 101 = 0 THEN 'Ä'"
    " || i ELSE translate(md5(i::VARCHAR), '0123456789', 'ghijklmnop') END AS s, DATE '2024-01-01' + (i % 900)::INT"
    " AS d, TIMESTAMP '2024-01-01' + to_seconds(i) AS t, i % 3 = 0 AS b,"
    f" CASE WHEN i % 103 = 0 THEN 'nan'::DOUBLE ELSE i / 7 END AS y FROM range({ROWS}) AS r(i) ORDER BY i"
)


def by_duckdb(folder: Path) -> bytes:
    with duckdb.connect() as con:
        con.execute(f"COPY ({QUERY}) TO '{folder}/made' (FORMAT parquet, ROW_GROUP_SIZE 2048)")
    return (folder / "made").read_bytes()


def by_polars(_folder: Path) -> bytes:
    with duckdb.connect() as con:
        found = con.execute(QUERY).fetchnumpy()
    out = io.BytesIO()
    frame = pl.DataFrame({name: pl.Series(values.tolist()) for name, values in found.items()})
    frame.write_parquet(out, row_group_size=3000, statistics=True)
    return out.getvalue()


def by_ranges(body: bytes, folder: Path, name: str = "ranged") -> tuple[Judged, str, int]:
    """The judgement, the hash of what was read, and the most bytes that lay on the disk."""
    work = folder / f"{name}-work"
    work.mkdir()
    here = []

    def looked_at(con: Any, path: Path, *about: Any) -> Any:
        here.append(sum(item.stat().st_blocks * 512 for item in {path, *work.glob("rows-*"), *work.glob("upload*")}))
        return parquet.rows_of(con, path, *about)

    upload = RangedObject(lambda first, end: body[first:end], "b", "k", "v", len(body))
    with pytest.MonkeyPatch.context() as patch, upload:
        patch.setattr(source, "rows_of", looked_at)
        return judge(upload, BY, work, memory_mb=512), upload.ref().sha256, max(here, default=0)


def told(answer: Judged) -> tuple[object, ...]:
    """What a judgement says; sums of decimals depend on where the blocks end."""
    assert answer.profile is not None
    counts = {name: (found.count, found.missing) for name, found in answer.profile.numbers.items()}
    found = [answer.files[name].read_bytes() for name in ("bad_rows", "violations")]
    kept = [rows(answer.files[name]) for name in ("train", "holdout")]
    return (answer.rows, answer.bad_rows, answer.findings, counts, *found, *kept)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of some row groups and ranges of less than one."""
    monkeypatch.setattr(pieces, "_PIECE", 200_000)
    monkeypatch.setattr(ranges, "_RANGE", 20_000)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("write", [by_duckdb, by_polars])
def test_a_file_read_by_ranges_is_judged_as_the_same_file_here(tmp_path: Path, write: Callable[[Path], bytes]) -> None:
    body = write(tmp_path)
    here = judged(body, BY, tmp_path, "here")
    found, digest, most = by_ranges(body, tmp_path)
    assert here.rows == ROWS
    assert told(found) == told(here)
    assert digest == hashlib.sha256(body).hexdigest()
    # One piece of 200 kB and a row group.
    assert 0 < most < 400_000


@pytest.mark.usefixtures("small")
def test_wide_rows_come_fewer_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = by_duckdb(tmp_path)
    whole = told(judged(body, BY, tmp_path, "whole"))
    monkeypatch.setattr(parquet, "_BYTES", 500_000)
    sizes = []
    made = parquet.ParquetTable.__init__
    monkeypatch.setattr(
        parquet.ParquetTable,
        "__init__",
        lambda table, con, found, contract: (sizes.append(len(found[0].there)), made(table, con, found, contract))[1],
    )
    assert told(judged(body, BY, tmp_path, "parts")) == whole
    assert max(sizes) < ROWS / 4
    assert sum(sizes) == ROWS


def test_row_groups_that_lie_in_another_order_than_their_rows_are_brought_here(tmp_path: Path) -> None:
    body = by_duckdb(tmp_path)
    size = int.from_bytes(body[-8:-4], "little")
    footer = body[-8 - size : -8]
    groups = [footer[low:high] for low, high in Footer(footer)._groups]
    turned = footer.replace(b"".join(groups), b"".join([*groups[::-1]]))
    turned_file = body[: -8 - size] + turned + body[-8:]
    found, digest, most = by_ranges(turned_file, tmp_path)
    assert told(found) == told(judged(turned_file, BY, tmp_path, "here"))
    assert found.rows == ROWS
    assert digest == hashlib.sha256(turned_file).hexdigest()
    assert most >= len(body)


def test_what_does_not_fit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = by_duckdb(tmp_path)
    usage = type("Usage", (), {"free": 100_000})
    monkeypatch.setattr(pieces.shutil, "disk_usage", lambda _folder: usage)
    found, *_ = by_ranges(body, tmp_path)
    assert problems(found) == [rules.TOO_LARGE.id]
    assert "row groups of" in found.problems[0].found


@pytest.mark.parametrize("cut", [slice(0, -3), slice(0, 3000), slice(0, 11), slice(4)])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, cut: slice) -> None:
    found, *_ = by_ranges(by_duckdb(tmp_path)[cut], tmp_path)
    assert problems(found) == [rules.UNREADABLE.id]


def test_moments_beyond_four_digits_of_a_year_are_of_no_type(tmp_path: Path) -> None:
    by = model(column("d", ColumnType.DATE), column("t", ColumnType.TIMESTAMP))
    with duckdb.connect() as con:
        con.execute(
            "COPY (SELECT unnest([DATE '9999-12-31', DATE '10000-01-01', 'infinity'::DATE, DATE '0001-01-01']) AS d,"
            " unnest([TIMESTAMP '9999-12-31 23:59:59.999999', TIMESTAMP '10000-01-01', NULL,"
            f" TIMESTAMP '0001-01-01']) AS t, 1 AS y) TO '{tmp_path}/made' (FORMAT parquet)"
        )
    answer = judged((tmp_path / "made").read_bytes(), by, tmp_path)
    assert {item.column: [example.row for example in item.examples] for item in answer.findings} == {
        "d": [2, 3],
        "t": [2],
    }
    lines = answer.files["bad_rows"].read_text().splitlines()
    assert lines[1:] == [
        '2,"d: type; t: type","10000-01-01","10000-01-01 00:00:00","1"',
        '3,"d: type","infinity",,"1"',
    ]


# Lists and maps of more elements than a lifetime can count, and a number without an end.
@example(b"\x19\xf7" + b"\xff" * 8 + b"\x3f", 0)
@example(b"\x1b" + b"\xff" * 8 + b"\x3f\x77", 0)
@example(b"\x1b" + b"\xff" * 8 + b"\x3f\x11", 0)
@example(b"\x15" + b"\x80" * 1_000_000, 0)
@given(st.binary(max_size=200), st.integers(min_value=0))
def test_bytes_that_are_no_footer_are_told(noise: bytes, place: int) -> None:
    out = io.BytesIO()
    pl.DataFrame({"n": [1, 2], "s": ["a", None]}).write_parquet(out)
    whole = out.getvalue()[-8 - int.from_bytes(out.getvalue()[-8:-4], "little") : -8]
    assert Footer(whole).of(0, 1, 2)[:-8] == whole
    at = place % len(whole)
    for data in (noise, whole[:at], whole[:at] + noise + whole[at:]):
        # Nothing else is raised.
        with contextlib.suppress(ValueError):
            Footer(data)


@settings(max_examples=40)
@example([math.nan, -math.nan, -math.inf, -0.0])
@given(
    st.lists(st.floats(width=64) | st.floats(-1e6, 1e6).map(lambda value: round(value, 2)), min_size=1, max_size=200)
)
def test_a_bad_number_is_written_as_the_engine_writes_it(values: list[float]) -> None:
    with duckdb.connect() as con, tempfile.TemporaryDirectory() as folder:
        con.execute("CREATE TABLE t (n BIGINT, y DOUBLE, w VARCHAR)")
        con.execute("INSERT INTO t SELECT unnest(range(len($1))), unnest($1), NULL", [values])
        con.execute("UPDATE t SET w = CAST(y AS VARCHAR)")
        con.execute(f"COPY (SELECT n, y FROM t ORDER BY n) TO '{folder}/t' (FORMAT parquet)")
        # What is no number has no sign either.
        written = [text.replace("-nan", "nan") for (text,) in con.execute("SELECT w FROM t ORDER BY n").fetchall()]
        by = model(column("n", INTEGER, minimum=1 << 62), column("y", NUMBER, minimum=1.0, maximum=-1.0))
        answer = judged((Path(folder) / "t").read_bytes(), by, Path(folder))
        with answer.files["violations"].open(newline="") as file:
            told = {int(item["row"]): item["value"] for item in csv.DictReader(file) if item["column"] == "y"}
    assert [told[row].lstrip("'") for row in range(1, len(values) + 1)] == written

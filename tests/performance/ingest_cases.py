"""One way to validate the reference data, in a process of its own: `ingest_cases.py CASE FILE OUT`.

Each finds the rows that break the same 25 rules (12 not-null, 6 ranges, 3 lists, 2 patterns, 1 uniqueness, dates) and
writes which they are (from 0); the floors only read. Imports stand where they are used, for they are part of the time.
"""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from typing import Any

COUNTRIES, PLANS, FLAGS = ["NL", "DE", "FR", "US", "GB", "IN", "JP"], ["free", "basic", "pro", "team"], [0, 1]
EMAIL, SKU = r"^[a-z0-9._%+-]+@[a-z0-9.-]+\.[a-z]{2,}$", r"^SK-[0-9]{4}-[A-F]$"
RANGES = {"age": (0, 120), "qty": (1, 10_000), "income": (0.0, 1e7), "score": (0.0, 1.0), "temp": (-60.0, 80.0)}
COLUMNS = ["id", "age", "qty", "income", "score", "temp", "country", "plan", "email", "sku", "signup", "flag"]
WHOLE, DECIMAL = {"id", "age", "qty", "flag"}, {"income", "score", "temp"}
FIRST, LAST = dt.date(2020, 1, 1), dt.date(2026, 12, 31)


def duckdb_source(path: Path) -> str:
    kinds = {
        name: "BIGINT" if name in WHOLE else "DOUBLE" if name in DECIMAL else "DATE" if name == "signup" else "VARCHAR"
        for name in COLUMNS
    }
    if path.suffix == ".parquet":
        return f"read_parquet('{path}', file_row_number=true)"
    return f"read_csv('{path}', header=true, auto_detect=false, delim=',', columns={kinds})"


def floor(path: Path, _out: Path) -> None:
    """DuckDB's plain typed read of every cell."""
    import duckdb

    duckdb.sql(f"SELECT {', '.join(f'count({name})' for name in COLUMNS)} FROM {duckdb_source(path)}").fetchall()


def plain_duckdb(path: Path, out: Path) -> None:
    import duckdb

    conditions = [f"{name} IS NULL" for name in COLUMNS]
    conditions += [f"{name} NOT BETWEEN {low} AND {high}" for name, (low, high) in RANGES.items()]
    conditions += [f"country NOT IN {tuple(COUNTRIES)}", f"plan NOT IN {tuple(PLANS)}", "flag NOT IN (0, 1)"]
    conditions += [f"NOT regexp_matches(email, '{EMAIL}')", f"NOT regexp_matches(sku, '{SKU}')"]
    conditions += [f"signup NOT BETWEEN DATE '{FIRST}' AND DATE '{LAST}'"]
    number = "file_row_number" if path.suffix == ".parquet" else "row_number() OVER () - 1"
    con = duckdb.connect()
    wrong = ", ".join(f"coalesce({condition}, false) AS c{place}" for place, condition in enumerate(conditions))
    con.execute(f"CREATE TABLE m AS SELECT {number} AS nth, id, {wrong} FROM {duckdb_source(path)}")
    anything = " OR ".join(f"c{place}" for place in range(len(conditions)))
    con.execute(
        f"COPY (SELECT nth AS row FROM m WHERE {anything} UNION SELECT nth FROM (SELECT nth, row_number() OVER"
        f" (PARTITION BY id ORDER BY nth) AS time FROM m) WHERE time > 1) TO '{out}' (FORMAT parquet)"
    )


def polars_frame(path: Path) -> Any:
    import polars as pl

    kinds = {
        name: pl.Int64
        if name in WHOLE
        else pl.Float64
        if name in DECIMAL
        else pl.Date
        if name == "signup"
        else pl.String
        for name in COLUMNS
    }
    return pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path, schema=kinds)


def plain_polars(path: Path, out: Path) -> None:
    import polars as pl

    wrong = [pl.col(name).is_null() for name in COLUMNS]
    wrong += [~pl.col(name).is_between(low, high) for name, (low, high) in RANGES.items()]
    wrong += [~pl.col("country").is_in(COUNTRIES), ~pl.col("plan").is_in(PLANS), ~pl.col("flag").is_in(FLAGS)]
    wrong += [~pl.col("email").str.contains(EMAIL), ~pl.col("sku").str.contains(SKU)]
    wrong += [~pl.col("signup").is_between(FIRST, LAST), ~pl.col("id").is_first_distinct()]
    frame = polars_frame(path)
    bad = frame.select(row=pl.any_horizontal(*(condition.fill_null(value=False) for condition in wrong)).arg_true())
    bad.write_parquet(out)


def pandera(path: Path, out: Path) -> None:
    import os

    os.environ["PANDERA_VALIDATION_DEPTH"] = "SCHEMA_AND_DATA"
    import pandera.polars as pa
    import polars as pl
    from pandera.polars import Check, Column

    frame = polars_frame(path)
    kinds = frame.schema
    checks: dict[str, Any] = {name: Check.in_range(low, high) for name, (low, high) in RANGES.items()}
    checks |= {"country": Check.isin(COUNTRIES), "plan": Check.isin(PLANS), "flag": Check.isin(FLAGS)}
    checks |= {"email": Check.str_matches(EMAIL), "sku": Check.str_matches(SKU), "signup": Check.in_range(FIRST, LAST)}
    schema = pa.DataFrameSchema(
        {name: Column(kinds[name], checks.get(name), nullable=False, unique=name == "id") for name in COLUMNS}
    )
    try:
        schema.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        error.failure_cases.select(pl.col("index").alias("row")).drop_nulls().unique().write_parquet(out)


def dataframely(path: Path, out: Path) -> None:
    import dataframely as dy
    import polars as pl

    class Schema(dy.Schema):
        id = dy.Int64(nullable=False)
        age = dy.Int64(nullable=False, min=0, max=120)
        qty = dy.Int64(nullable=False, min=1, max=10_000)
        income = dy.Float64(nullable=False, min=0, max=1e7)
        score = dy.Float64(nullable=False, min=0, max=1)
        temp = dy.Float64(nullable=False, min=-60, max=80)
        country = dy.String(nullable=False, check=lambda column: column.is_in(COUNTRIES))
        plan = dy.String(nullable=False, check=lambda column: column.is_in(PLANS))
        email = dy.String(nullable=False, regex=EMAIL)
        sku = dy.String(nullable=False, regex=SKU)
        signup = dy.Date(nullable=False, min=FIRST, max=LAST)
        flag = dy.Int64(nullable=False, check=lambda column: column.is_in(FLAGS))

        @dy.rule()
        def id_once(cls) -> pl.Expr:  # noqa: N805 - the decorator makes it a class's method
            return pl.col("id").is_first_distinct()

    _, failed = Schema.filter(polars_frame(path))
    failed.invalid().write_parquet(out)


def interlock(path: Path, out: Path, *, admit: bool = False) -> None:
    """The engine with everything it finds and writes: violations, quarantine and profile, and the dataset (`admit`)."""
    root = Path(__file__).parents[2]
    sys.path[:0] = [str(root), str(root / "functions"), str(root / "layers/core")]
    from ingest.engine import judge
    from tests.performance.ingest_model import MODEL

    out.mkdir(parents=True)
    judge(path, MODEL, out, memory_mb=256, admit=admit)


def interlock_admit(path: Path, out: Path) -> None:
    interlock(path, out, admit=True)


if __name__ == "__main__":
    globals()[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
    # Its largest memory, in KB. What the kernel tells a parent is at least what the parent itself had at the start.
    print(next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line))

"""Writes the reference data of ingest's benchmark from a seed: `ingest_data.py FOLDER [ROWS]`.

Twelve columns (4 whole numbers, 3 decimals, 1 date, 4 texts); about 1% of the cells are bad, half of them missing and
half out of the contract, and 0.25% of the rows repeat an earlier id. Written as CSV and as Parquet.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt

ROWS = 2_000_000
# Rows that are made together, so that any number of them needs the same memory.
PIECE = 500_000
HEADER = b"id,age,qty,income,score,temp,country,plan,email,sku,signup,flag\n"
COUNTRIES = ("NL", "DE", "FR", "US", "GB", "IN", "JP")
PLANS = ("free", "basic", "pro", "team")
# What stands in a bad cell that is not missing; a bad date is always missing.
_WRONG = {
    "age": 300,
    "qty": -5,
    "income": -1.0,
    "score": 1.5,
    "temp": 999.0,
    "country": "ZZ",
    "plan": "gold",
    "email": "not-an-email",
    "sku": "SK_12",
    "flag": 7,
    "signup": None,
}


def piece(seed: int, first: int, rows: int) -> dict[str, npt.NDArray[np.generic]]:
    """Columns of rows `first` … of the data that this seed means; a missing value is masked."""
    random = np.random.default_rng((seed, first))
    ids = first + 10_000_000 + random.permutation(rows)
    twice = np.flatnonzero(random.random(rows) < 0.0025)
    twice = twice[twice > 0]
    ids[twice] = ids[twice - 1]
    columns: dict[str, npt.NDArray[np.generic]] = {
        "id": ids,
        "age": random.integers(18, 90, rows),
        "qty": random.integers(1, 1000, rows),
        "income": np.round(random.lognormal(10.5, 0.6, rows), 2),
        "score": np.round(random.random(rows), 6),
        "temp": np.round(random.normal(20, 8, rows), 3),
        "country": random.choice(np.array(COUNTRIES), rows),
        "plan": random.choice(np.array(PLANS), rows, p=[0.5, 0.25, 0.2, 0.05]),
        "email": np.array(
            [f"user{number}@ex{number % 97}.com" for number in random.integers(0, 5_000_000, rows).tolist()]
        ),
        "sku": np.array(
            [
                f"SK-{number:04d}-{letter}"
                for number, letter in zip(
                    random.integers(0, 9999, rows).tolist(), random.choice(list("ABCDEF"), rows).tolist(), strict=True
                )
            ]
        ),
        "signup": np.datetime64("2023-01-01") + random.integers(0, 900, rows).astype("timedelta64[D]"),
        "flag": random.integers(0, 2, rows),
    }
    for name, wrong in _WRONG.items():
        bad = random.random(rows) < 0.01
        missing = bad & (random.random(rows) < 0.5 if wrong is not None else True)
        values = columns[name]
        if wrong is not None:
            values = np.where(bad, np.array(wrong, dtype=values.dtype if values.dtype.kind != "U" else "U24"), values)
        columns[name] = np.ma.array(values, mask=missing)
    return columns


def csv_of(columns: dict[str, npt.NDArray[np.generic]]) -> bytes:
    """The rows as CSV."""
    texts = []
    for values in columns.values():
        written = [str(value) for value in np.ma.getdata(values).tolist()]
        for place in np.flatnonzero(np.ma.getmaskarray(values)).tolist():
            written[place] = ""
        texts.append(written)
    return ("\n".join(map(",".join, zip(*texts, strict=True))) + "\n").encode()


def pieces(seed: int, rows: int) -> Iterator[bytes]:
    """The whole file as CSV, piece by piece."""
    yield HEADER
    for first in range(0, rows, PIECE):
        yield csv_of(piece(seed, first, min(PIECE, rows - first)))


def write(folder: Path, rows: int, seed: int = 7) -> tuple[Path, Path]:
    """Both files, once."""
    csv, parquet = folder / f"reference-{rows}.csv", folder / f"reference-{rows}.parquet"
    if not parquet.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with csv.open("wb") as file:
            file.writelines(pieces(seed, rows))
        kinds = "'BIGINT','BIGINT','BIGINT','DOUBLE','DOUBLE','DOUBLE','VARCHAR','VARCHAR','VARCHAR','VARCHAR','DATE'"
        with duckdb.connect(config={"threads": 1}) as con:
            con.execute(
                f"COPY (FROM read_csv('{csv}', types=[{kinds},'BIGINT'], header=true)) TO '{parquet}.draft'"
                " (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 131072)"
            )
        Path(f"{parquet}.draft").rename(parquet)
    return csv, parquet


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else ROWS)

"""The keys of rows, of one column or several."""

from __future__ import annotations

import numpy as np

from ingest.parsing import Positions
from ingest.tables import Table
from ingest.uniqueness import Keys


def keys_of(table: Table, key: tuple[int, ...]) -> tuple[Positions, Keys]:
    """The rows that have a value in each of these columns, and their keys."""
    there = np.logical_and.reduce([table.columns[index].there for index in key])
    rows = np.flatnonzero(there)
    values = table.columns[key[0]].values
    if len(key) == 1 and values is not None:
        # Minus zero is zero.
        plain = values[rows] + 0.0 if values.dtype.kind == "f" else values[rows].astype(np.int64)
        return rows, Keys.of(plain)
    # The length in front of each part keeps adjacent ones apart.
    parts = " || ".join(f"strlen({part}) || ':' || {part}" for part in (_key_text(table, index) for index in key))
    present = " AND ".join(f"v{index} IS NOT NULL" for index in key)
    found = table.con.execute(
        f"SELECT nth, CAST(k >> 64 AS UBIGINT) AS high, CAST(k & 18446744073709551615 AS UBIGINT) AS low FROM"  # noqa: S608
        f" (SELECT nth, md5_number({parts}) AS k FROM {table.relation([f'v{index}' for index in key])} WHERE {present})"
    ).fetchnumpy()
    return rows, Keys(found["high"], found["low"])


def _key_text(table: Table, index: int) -> str:
    values = table.columns[index].values
    decimal = values is not None and values.dtype.kind == "f"
    return f"CAST(v{index}{' + 0.0' if decimal else ''} AS VARCHAR)"

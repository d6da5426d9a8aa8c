"""The good rows: kept block by block, then written as the two files of a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.parsing import Mask
from ingest.tables import Table
from interlock.holdout import held_out
from interlock.models import DeployedModel
from interlock.sql import quoted, text

if TYPE_CHECKING:
    import duckdb


def keep(table: Table, model: DeployedModel, bad: Mask, target: Path) -> None:
    """Write a block's good rows, and which of them are held out; quickly, for they are read once more."""
    names = model.contract.names
    relation = table.relation([f"v{index}" for index in range(len(names))], bad if bad.any() else None)
    named = ", ".join(f"v{index} AS {quoted(name)}" for index, name in enumerate(names))
    table.con.execute(
        f"COPY (SELECT *, {held_out(model)} AS interlock_held_out FROM (SELECT {named} FROM {relation}))"  # noqa: S608
        f" TO {text(str(target))} (FORMAT parquet, COMPRESSION lz4)"
    )


def join(con: duckdb.DuckDBPyConnection, parts: Sequence[Path], target: Path, *, held: bool) -> int:
    """Join kept blocks to one file of the rows that are held out, or of the others, in their order; answers how many.

    `con` works in this thread alone: that is what keeps the order.
    """
    listed = ", ".join(text(str(part)) for part in parts)
    answer = con.execute(
        "COPY (SELECT * EXCLUDE (interlock_held_out) FROM"  # noqa: S608
        f" read_parquet([{listed}]) WHERE {'' if held else 'NOT '}interlock_held_out)"
        f" TO {text(str(target))} (FORMAT parquet, COMPRESSION zstd)"
    ).fetchall()
    return int(answer[0][0])

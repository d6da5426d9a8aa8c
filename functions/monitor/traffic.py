"""A window's captured predictions, as they lie in the capture files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy.typing as npt

from interlock.database import connect
from interlock.sql import text

Array = npt.NDArray[Any]
# Rows that are in memory at once.
_CHUNK = 500_000


class Traffic:
    """A version's predictions in (start, end], each once, over the files that hold them.

    Several threads may ask at once: each question has a cursor of its own.
    """

    def __init__(
        self,
        files: Sequence[Path],
        version: int,
        start: datetime,
        end: datetime,
        scratch: Path,
        memory_mb: int = 1024,
        *,
        distinct: bool = False,
    ) -> None:
        """As `interlock.database.connect`; `distinct` files are known to hold each prediction once."""
        self._con = connect(memory_mb, scratch, threads=None)
        # The files lie on this machine, whose own cache they are in.
        self._con.execute("SET enable_external_file_cache = false")
        condition = (
            f"version = {version} AND time > TIMESTAMP '{start.replace(tzinfo=None)}'"
            f" AND time <= TIMESTAMP '{end.replace(tzinfo=None)}'"
        )
        # A model's columns, and their types, may have changed since older captures of the window were written.
        self._parts = [
            f"(SELECT * FROM read_parquet([{_listed(part)}], union_by_name=true) WHERE {condition})"  # noqa: S608
            for part in self._in_chunks(files)
        ]
        every = f"(SELECT * FROM read_parquet([{_listed(files)}], union_by_name=true) WHERE {condition})"  # noqa: S608
        self.columns = {name for name, *_ in self._con.execute(f"DESCRIBE {every[1:-1]}").fetchall()}
        if not distinct and self._doubled(every):
            self._con.execute(f"CREATE TABLE traffic AS SELECT DISTINCT ON (request_id, row) * FROM {every}")  # noqa: S608
            every = "traffic"
        (self.rows,) = self._con.execute(f"SELECT count(*) FROM {every}").fetchall()[0]  # noqa: S608
        if every == "traffic":
            self._parts = [
                f"(SELECT * FROM traffic WHERE rowid >= {first} AND rowid < {first + _CHUNK})"  # noqa: S608
                for first in range(0, self.rows, _CHUNK)
            ]
        self._every = every

    def _doubled(self, every: str) -> bool:
        """Whether a prediction may be there twice: equal hashes are rare, unless the log came twice."""
        seen = self.numpy("hash(request_id, row) AS seen", every)["seen"]
        seen.sort()
        return bool((seen[1:] == seen[:-1]).any())

    def chunks(self, chosen: str, condition: str = "true") -> Iterator[dict[str, Array]]:
        """The chosen columns, some hundred thousand rows at a time; their order is the same, whatever is chosen."""
        for part in self._parts:
            yield self.numpy(chosen, f"{part} WHERE {condition}")

    def counts(self, column: str, condition: str = "true") -> dict[Any, int]:
        """How often each value of an expression came."""
        query = f"SELECT {column}, count(*) FROM {self._every} WHERE {condition} GROUP BY 1"  # noqa: S608
        with self._con.cursor() as con:
            return dict(con.execute(query).fetchall())

    def sampled(self, rows: int) -> str:
        """The condition that takes about this many rows, evenly and always the same."""
        return f"hash(time, row) % {max(1, self.rows // rows)} = 0"

    def sample(self, chosen: str, rows: int) -> dict[str, Array]:
        """The chosen columns of the rows that are `sampled`, in the order of `chunks`."""
        return self.numpy(chosen, f"{self._every} WHERE {self.sampled(rows)}")

    def numpy(self, chosen: str, source: str) -> dict[str, Array]:
        """The chosen columns of a source; where there is no value, they are masked."""
        with self._con.cursor() as con:
            found: dict[str, Array] = con.execute(f"SELECT {chosen} FROM {source}").fetchnumpy()  # noqa: S608
        return found

    def _in_chunks(self, files: Sequence[Path]) -> list[list[Path]]:
        parts: list[list[Path]] = [[]]
        held = 0
        for path in files:
            query = f"SELECT num_rows FROM parquet_file_metadata({text(str(path))})"  # noqa: S608
            (rows,) = self._con.execute(query).fetchall()[0]
            if held and held + rows > _CHUNK:
                parts.append([])
                held = 0
            parts[-1].append(path)
            held += rows
        return parts


def _listed(files: Sequence[Path]) -> str:
    return ", ".join(text(str(path)) for path in files)

"""Parquet to score, and predictions as Parquet: read and written by the data engine, its own words never repeated."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from interlock.contract import Dialect
from interlock.database import damaged
from interlock.sql import quoted, text
from interlock.streams import Fault
from serve.protocol.signature import Tensor
from serve.score import cells
from serve.score.documents import Form, Layout, unreadable
from serve.score.reading import BLOCK, PIECE_ROWS, Block, Columns, Cut

_WHOLE = {
    *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"),
    *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"),
}
# Kinds of columns that hold a datatype's values as they are; every other is read through its text, as ingest does.
_SAME = {"INT64": _WHOLE, "FP32": {"DOUBLE", *_WHOLE}, "BOOL": {"BOOLEAN"}, "BYTES": {"VARCHAR"}}
# What a number or a truth can be as text, and a token for what is missing could mean.
_WORDS = {"nan", "inf", "-inf", "infinity", "-infinity", "true", "false"}
_NESTED = ("STRUCT", "MAP", "UNION", "VARIANT")


class ParquetFile:
    """A file on this machine."""

    def __init__(self, con: duckdb.DuckDBPyConnection, path: Path, columns: Columns) -> None:
        """Look at its columns.

        Raises:
            InvalidUpload: they are not those that the model takes, or the file is damaged.
        """
        self._con, self._columns = con, columns
        self._source = f"read_parquet({text(str(path))}, binary_as_string=true, file_row_number=true)"
        with damaged(unreadable):
            described = con.execute(f"DESCRIBE SELECT * EXCLUDE (file_row_number) FROM {self._source}").fetchall()  # noqa: S608
            ((self.rows,),) = con.execute(f"SELECT count(*) FROM {self._source}").fetchall()  # noqa: S608
        self._kinds: dict[str, str] = {name: kind for name, kind, *_ in described}
        columns.check(list(self._kinds))
        self.keys = {name: self._kinds[name] for name in columns.keys if name in self._kinds}
        self._used = sorted({*columns.inputs, *self.keys} & self._kinds.keys())
        found = {name: self._kinds[name] for name in self._used}
        if nested := [name for name, kind in found.items() if kind.endswith("]") or kind.startswith(_NESTED)]:
            raise unreadable(Fault.UNREADABLE, f"nested columns cannot be scored: {', '.join(nested)}")
        self.layout = Layout(form=Form.PARQUET, columns=tuple(self._used))

    def blocks(self, first_row: int) -> Iterator[Block]:
        """Its rows in their order, streamed.

        Raises:
            InvalidUpload: it is damaged further on.
        """
        inputs = list(zip(self._columns.inputs, self._columns.tensors, strict=True))
        reads = [self._read(name, tensor) for name, tensor in inputs]
        keys = [f"CAST({quoted(name)} AS VARCHAR)" for name in self.keys]
        chosen = ", ".join([*(expression for expression, _ in reads), *keys])
        with damaged(unreadable):
            cursor = self._con.cursor().execute(f"SELECT {chosen} FROM {self._source}")  # noqa: S608
            while some := cursor.fetchmany(BLOCK):
                found = list(map(list, zip(*some, strict=True)))
                values = [one(column) for column, (_, one) in zip(found, reads, strict=False)]
                yield Block(list(range(first_row, first_row + len(some))), None, values, found[len(reads) :])
                first_row += len(some)

    def pieces(self, path: Path) -> Iterator[Cut]:
        """Write rows, as far as they are used, to a file, and others in their place for the next piece.

        Raises:
            InvalidUpload: it is damaged further on.
        """
        names = ", ".join(map(quoted, self._used))
        for first in range(0, self.rows, PIECE_ROWS):
            with damaged(unreadable):
                self._con.execute(
                    f"COPY (SELECT {names} FROM {self._source} WHERE file_row_number >= {first}"  # noqa: S608
                    f" AND file_row_number < {first + PIECE_ROWS}) TO {text(str(path))} (FORMAT parquet)"
                )
            yield Cut(path, first + 1, 1)

    def write(self, kinds: Mapping[str, str], rows: Path, path: Path) -> None:
        """Write rows (a file of JSON, an object a line) to a Parquet file with columns of these kinds."""
        declared = ", ".join(f"{quoted(name)}: {text(kind)}" for name, kind in kinds.items())
        self._con.execute(
            f"COPY (SELECT * FROM read_json({text(str(rows))}, format='newline_delimited', columns={{{declared}}}))"  # noqa: S608
            f" TO {text(str(path))} (FORMAT parquet, COMPRESSION zstd)"
        )

    def _read(self, name: str, tensor: Tensor) -> tuple[str, cells.Read]:
        """An input as SQL, and what makes of it values that the door takes."""
        if name not in self._kinds:
            return "NULL", list
        kind, contract = self._kinds[name], self._columns.contract
        tokens = cells.tokens(tensor.name, contract)
        meant = any(token.lower() in _WORDS or any(sign.isdigit() for sign in token) for token in tokens)
        if kind in _SAME[tensor.datatype] and kind != "VARCHAR" and not meant:
            return quoted(name), _finite if kind == "DOUBLE" else list
        return f"CAST({quoted(name)} AS VARCHAR)", cells.reader(tensor, contract, Dialect())


def join(con: duckdb.DuckDBPyConnection, parts: Sequence[Path], path: Path) -> None:
    """Write the rows of several files, in their order, to one."""
    listed = ", ".join(text(str(part)) for part in parts)
    con.execute(
        f"COPY (SELECT * FROM read_parquet([{listed}])) TO {text(str(path))} (FORMAT parquet, COMPRESSION zstd)"  # noqa: S608
    )


def _finite(column: Sequence[Any]) -> list[Any]:
    """What is not a number is none to the door either, though it could be fed as a missing one."""
    return [value if value is None or math.isfinite(value) else str(value) for value in column]

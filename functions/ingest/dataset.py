"""The good rows: written block by block as row groups, of which the two files of a dataset are made as they come."""

from __future__ import annotations

import shutil
from pathlib import Path

from ingest import arrow
from ingest.footer import MAGIC, footer_of
from ingest.parsing import Mask
from ingest.tables import Table
from interlock.holdout import held_out
from interlock.models import DeployedModel
from interlock.sql import quoted, text

# The files' rows.
_FILES = {"train": "NOT marks.held_out", "holdout": "marks.held_out"}


def keep(table: Table, model: DeployedModel, bad: Mask, folder: Path) -> None:
    """Write a block's good rows into a new folder: a file of those that are held out, one of the others, in order."""
    names = model.contract.names
    relation = table.relation([f"v{index}" for index in range(len(names))], bad if bad.any() else None)
    named = ", ".join(f"v{index} AS {quoted(name)}" for index, name in enumerate(names))
    rows = f"(SELECT {named} FROM {relation})"  # noqa: S608
    # Decided once, for both files.
    held = table.con.execute(f"SELECT {held_out(model)} AS held_out FROM {rows}").fetchnumpy()["held_out"]  # noqa: S608
    marks = arrow.Relation(len(held), [arrow.numbers("held_out", held)])
    table.con.register("marks", marks)
    folder.mkdir()
    for name, which in _FILES.items():
        table.con.execute(
            f"COPY (SELECT block.* FROM {rows} AS block POSITIONAL JOIN marks WHERE {which})"  # noqa: S608
            f" TO {text(str(folder / f'{name}.parquet'))} (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 2)"
        )
    marks.release()


class Dataset:
    """Joins kept blocks to `train.parquet` and `holdout.parquet`, which are there when they are whole."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = {name: _Rows(folder / f"good-{name}.parquet") for name in _FILES}

    def add(self, block: Path) -> None:
        """The next block in the file's order; its folder is removed."""
        for name, rows in self._files.items():
            rows.add((block / f"{name}.parquet").read_bytes())
        shutil.rmtree(block)

    def close(self) -> tuple[dict[str, Path], int, int]:
        """End both files: where they are, how many rows there are to train on, and how many are held out."""
        files = {name: rows.close(self._folder / f"{name}.parquet") for name, rows in self._files.items()}
        return files, self._files["train"].rows, self._files["holdout"].rows


class _Rows:
    """A file that grows by the row groups of others of the same columns."""

    def __init__(self, draft: Path) -> None:
        self.rows = 0
        self._groups, self._listed = 0, bytearray()
        self._draft = draft
        self._draft.write_bytes(MAGIC)

    def add(self, part: bytes) -> None:
        """All of another file."""
        self._footer, end = footer_of(part)
        with self._draft.open("ab") as file:
            self._listed += self._footer.moved(file.tell() - len(MAGIC))
            file.write(part[len(MAGIC) : end])
        self.rows += self._footer.rows
        self._groups += self._footer.groups

    def close(self, path: Path) -> Path:
        """End the file, and give it its name."""
        with self._draft.open("ab") as file:
            file.write(self._footer.listing(self._groups, bytes(self._listed), self.rows))
        return self._draft.rename(path)

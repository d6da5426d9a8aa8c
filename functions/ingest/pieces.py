"""A Parquet file as files that the engine can open, of which never more than a piece is on this machine.

Its footer is read first, then the file from its beginning to its end, once. Each few row groups become a file of their
own, in which they lie where they lay, between holes that take no room, with a footer that names them alone.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ingest import rules
from ingest.failure import WholeFile
from ingest.footer import MAGIC, TAIL, Footer
from ingest.streams import LocalFile, Peeked, Upload, refused
from interlock.database import damaged
from interlock.sql import text

if TYPE_CHECKING:
    import duckdb

_CHUNK = 1 << 20
# Bytes of the row groups of a piece, at least; less than is read ahead.
_PIECE = 16 << 20
_LARGEST_FOOTER = 64 << 20


@dataclass(frozen=True)
class _Group:
    """A row group: its rows and its bytes, `end` not included."""

    rows: int
    begin: int
    end: int


def pieces(
    con: duckdb.DuckDBPyConnection, upload: Upload, stream: Peeked, scratch: Path, *, packed: bool
) -> tuple[Path, Iterator[Path]]:
    """A file with the footer, and the files with the rows, in order; each is there until the next one is asked for.

    What is packed, or has its row groups in another order than its rows, is brought here as a whole.

    Raises:
        WholeFile: it is cut off, or does not fit beside the files of the answer; later, while reading, the same.
    """
    if isinstance(upload, LocalFile) and not packed:
        return upload.path, iter([upload.path])
    room = shutil.disk_usage(scratch).free // 2
    if not packed:
        body = _footer(upload)
        path = scratch / "footer.parquet"
        with path.open("wb") as file:
            file.seek(upload.size - len(body) - TAIL)
            file.write(body + len(body).to_bytes(4, "little") + MAGIC)
        groups = _groups(con, path, upload.size - len(body) - TAIL)
        if groups is not None:
            return path, _pieces(stream, _apart(body), groups, scratch, room)
    path = scratch / "upload.parquet"
    with path.open("wb") as file:
        while chunk := stream.read(_CHUNK):
            if file.tell() + len(chunk) > room:
                raise WholeFile(rules.TOO_LARGE, f"such a Parquet file may have {room / 1e6:,.0f} MB here")
            file.write(chunk)
    return path, iter([path])


def _footer(upload: Upload) -> bytes:
    tail = upload.part(max(0, upload.size - TAIL), upload.size)
    length = int.from_bytes(tail[:4], "little")
    if not tail.endswith(MAGIC) or length > upload.size - TAIL - len(MAGIC):
        raise WholeFile(rules.UNREADABLE, "it begins like Parquet and is cut off or damaged (no footer)")
    if length > _LARGEST_FOOTER:
        found = f"its footer has {length / 1e6:,.0f} MB; allowed: {_LARGEST_FOOTER / 1e6:,.0f} MB"
        raise WholeFile(rules.TOO_LARGE, found)
    return upload.part(upload.size - TAIL - length, upload.size - TAIL)


def _apart(body: bytes) -> Footer:
    try:
        return Footer(body)
    except ValueError:
        raise WholeFile(rules.UNREADABLE, "it begins like Parquet and is damaged (its footer)") from None


def _groups(con: duckdb.DuckDBPyConnection, path: Path, end: int) -> list[_Group] | None:
    """The row groups up to the footer at `end`; None when they do not follow each other."""
    # Some writers leave the place of a dictionary that is not there at 0.
    begin = "least(data_page_offset, coalesce(nullif(dictionary_page_offset, 0), data_page_offset))"
    with damaged(refused):
        found = con.execute(
            f"SELECT any_value(row_group_num_rows), min({begin}), max({begin} + total_compressed_size)"  # noqa: S608
            f" FROM parquet_metadata({text(str(path))}) GROUP BY row_group_id ORDER BY row_group_id"
        ).fetchall()
    groups = [_Group(*row) for row in found]
    begins = [len(MAGIC), *(group.begin for group in groups), end]
    ends = [len(MAGIC), *(group.end for group in groups)]
    ordered = all(one <= two for one, two in pairwise(begins))
    return groups if ordered and all(one <= two for one, two in zip(ends, begins[1:], strict=True)) else None


def _pieces(stream: Peeked, footer: Footer, groups: list[_Group], scratch: Path, room: int) -> Iterator[Path]:
    first, place = 0, 0
    while first < len(groups):
        begin, last = groups[first].begin, first + 1
        while last < len(groups) and groups[last - 1].end - begin < _PIECE:
            last += 1
        end = groups[last - 1].end
        if end - begin > room:
            found = f"row groups of {(end - begin) / 1e6:,.0f} MB; allowed: {room / 1e6:,.0f} MB"
            raise WholeFile(rules.TOO_LARGE, found)
        path = scratch / f"rows-{first}.parquet"
        with path.open("wb") as file:
            _copy(stream, begin - place, None)
            file.seek(begin)
            _copy(stream, end - begin, file)
            file.write(footer.of(first, last, sum(group.rows for group in groups[first:last])))
        yield path
        path.unlink()
        first, place = last, end


def _copy(stream: Peeked, size: int, file: BinaryIO | None) -> None:
    """Read so many bytes, into a file if there is one."""
    while size and (chunk := stream.read(min(size, _CHUNK))):
        size -= len(chunk)
        if file is not None:
            file.write(chunk)

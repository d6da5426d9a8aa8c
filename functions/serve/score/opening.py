"""Opens a file to score, wherever it lies: text is read as it comes, Parquet is brought to scratch before."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from interlock.database import connect
from interlock.streams import Fault, File, Stream, is_parquet, unpacked
from serve.score.documents import unreadable
from serve.score.reading import Columns, Text, open_text

if TYPE_CHECKING:
    from serve.score.parquet import ParquetFile

_CHUNK = 1 << 20


def opened(file: File, columns: Columns, scratch: Path, memory_mb: int) -> Text | ParquetFile:
    """Recognise a file by its bytes.

    Raises:
        InvalidUpload: it cannot be scored as a whole.
    """
    stream, _ = unpacked(file, unreadable)
    if not is_parquet(stream):
        return open_text(stream, columns)
    from serve.score.parquet import ParquetFile

    return ParquetFile(connect(memory_mb, scratch), _brought(stream, scratch), columns)


def _brought(stream: Stream, scratch: Path) -> Path:
    """Parquet is read from its end, and its reader wants a file.

    Raises:
        InvalidUpload: it does not fit beside the files of the answer.
    """
    target, room = scratch / "asked.parquet", shutil.disk_usage(scratch).free // 2
    with target.open("wb") as file:
        while chunk := stream.read(_CHUNK):
            if file.tell() + len(chunk) > room:
                raise unreadable(Fault.TOO_LARGE, f"a Parquet file may have {room / 1e6:,.0f} MB here")
            file.write(chunk)
    return target

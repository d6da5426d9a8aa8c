"""Makes few large files of many small ones: a day's captures of a model."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

from interlock import keys
from interlock.aws.objects import Objects
from interlock.database import connect
from interlock.sql import text
from monitor.fetching import compacted, whole

FORMAT = "FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880"
# A file of so many rows is left alone; so many small files are taken at a time.
_LARGE = 500_000
_BATCH = 1000


def compact(data: Objects, model: str, day: date, memory_mb: int = 1024) -> int:
    """Put a day's small files together; answers how many went into larger ones.

    The larger file is written before the small ones go. A death in between, or two of these at once, leave rows twice,
    which the next compaction and every check take once; no row is ever missing. A file that cannot be read stays.
    """
    small = [key for key in data.keys(keys.captures(model, day, "")) if compacted(key) < _LARGE]
    gone = 0
    for start in range(0, len(small), _BATCH):
        batch = small[start : start + _BATCH]
        if len(batch) < 2:
            break
        scratch = Path(tempfile.mkdtemp(prefix="compact-"))
        try:
            gone += _together(data, model, day, batch, scratch, memory_mb)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return gone


def _together(data: Objects, model: str, day: date, batch: list[str], scratch: Path, memory_mb: int) -> int:
    fetched = dict(_fetched(data, batch, scratch))
    if len(fetched) < 2:
        return 0
    listed = ", ".join(text(str(path)) for path in fetched.values())
    target = scratch / "compact.parquet"
    with connect(memory_mb, scratch, threads=None) as con:
        (rows,) = con.execute(
            f"COPY (SELECT DISTINCT ON (request_id, row) * FROM read_parquet([{listed}], union_by_name=true)"  # noqa: S608
            f" ORDER BY time, request_id, row) TO {text(str(target))} ({FORMAT})"
        ).fetchall()[0]
    digest = hashlib.sha256("\n".join(sorted(fetched)).encode()).hexdigest()[:32]
    name = keys.captures(model, day, f"compact-{rows}-{digest}.parquet")
    data.put_file(name, target, "application/vnd.apache.parquet")
    for key in fetched:
        if key != name:
            data.delete(key)
    return len(fetched)


def _fetched(data: Objects, batch: list[str], scratch: Path) -> Iterator[tuple[str, Path]]:
    """The readable files of a batch; small objects take longer to ask for than to read, so several at once."""
    paths = [scratch / f"{place}.parquet" for place in range(len(batch))]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(data.download, batch, paths))
    for key, path in zip(batch, paths, strict=True):
        if whole(path):
            yield key, path

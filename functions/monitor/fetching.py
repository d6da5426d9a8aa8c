"""Brings a window's captured predictions from S3."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from interlock import keys
from interlock.aws.objects import Objects
from interlock.observability import logger
from interlock.sql import text

_COMPACT = re.compile(r"/compact-(\d+)-[0-9a-f]{32}\.parquet$")


@dataclass(frozen=True)
class Fetched:
    """The window's capture files, and how many more there are that cannot be read.

    `distinct`: no prediction is in them twice, because each day's are one file that compaction has made.
    """

    files: tuple[Path, ...]
    unreadable: int = 0
    distinct: bool = False


def fetch(data: Objects, model: str, start: datetime, end: datetime, scratch: Path) -> Fetched:
    """Bring the window's capture files here; a capture is filed under the day of its prediction."""
    found, unreadable, distinct = [], 0, True
    day = start.date()
    while day <= end.date():
        listed = list(data.keys(keys.captures(model, day, "")))
        distinct &= not listed or (len(listed) == 1 and compacted(listed[0]) > 0)
        for place, key in enumerate(listed):
            path = data.download(key, scratch / f"{day}-{place}.parquet")
            if whole(path):
                found.append(path)
            else:
                unreadable += 1
                path.unlink()
                logger.warning("a capture file cannot be read", extra={"key": key})
        day += timedelta(days=1)
    return Fetched(tuple(found), unreadable, distinct)


def compacted(key: str) -> int:
    """How many rows a compacted file has by its name; 0 of one that the log's subscription has written."""
    found = _COMPACT.search(key)
    return int(found[1]) if found else 0


def whole(path: Path) -> bool:
    """Whether a file is Parquet from its first byte to its last; one that was cut short lacks its end."""
    try:
        duckdb.execute(f"DESCRIBE SELECT * FROM read_parquet({text(str(path))})").fetchall()  # noqa: S608
    except duckdb.Error:
        return False
    return True

"""Brings a window's captured predictions from S3."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from interlock import keys
from interlock.aws.objects import Objects
from interlock.observability import logger
from interlock.sql import text


@dataclass(frozen=True)
class Fetched:
    """The window's capture files, and how many more there are that cannot be read."""

    files: tuple[Path, ...]
    unreadable: int = 0


def fetch(data: Objects, model: str, start: datetime, end: datetime, scratch: Path) -> Fetched:
    """Bring the window's capture files here; a capture is filed under the day of its prediction."""
    found, unreadable = [], 0
    day = start.date()
    while day <= end.date():
        for place, key in enumerate(data.keys(keys.captures(model, day, ""))):
            path = data.download(key, scratch / f"{day}-{place}.parquet")
            if whole(path):
                found.append(path)
            else:
                unreadable += 1
                path.unlink()
                logger.warning("a capture file cannot be read", extra={"key": key})
        day += timedelta(days=1)
    return Fetched(tuple(found), unreadable)


def whole(path: Path) -> bool:
    """Whether a file is Parquet from its first byte to its last; one that was cut short lacks its end."""
    try:
        duckdb.execute(f"DESCRIBE SELECT * FROM read_parquet({text(str(path))})").fetchall()  # noqa: S608
    except duckdb.Error:
        return False
    return True

"""Keeps what was imported out of the collector's way, and the memory of one block for the next one."""

from __future__ import annotations

import ctypes
import gc
import sys

# malloc.h of glibc.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_KEPT = 1 << 30


def keep() -> None:
    """Call before the first block: what was imported stays, and so does what is freed, in one place for all threads.

    The collector need not look at modules again, least of all twice when the process ends; but DuckDB, once imported,
    would report then what it could not give back. glibc gives large pieces back to the system, which hands them out
    again page by page and cleared: a fifth of the time that ingest's arrays take. Another C library does as it does.
    """
    if "duckdb" not in sys.modules:
        gc.freeze()
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENA_MAX, 1)
        mallopt(_MMAP_THRESHOLD, _KEPT)
        mallopt(_TRIM_THRESHOLD, _KEPT)

"""Keeps the memory of one block for the next one."""

from __future__ import annotations

import ctypes

# malloc.h of glibc.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_KEPT = 1 << 30


def keep() -> None:
    """Let the C library hold on to what is freed, in one place for all threads.

    glibc gives large pieces back to the system, which hands them out again page by page and cleared: a fifth of the
    time that ingest's arrays take. Another C library does as it does.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENA_MAX, 1)
        mallopt(_MMAP_THRESHOLD, _KEPT)
        mallopt(_TRIM_THRESHOLD, _KEPT)

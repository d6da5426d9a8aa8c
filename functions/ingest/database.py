"""DuckDB, opened when it is first asked: most CSV files are judged without it, and importing it takes a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, cast

from interlock.database import connect

if TYPE_CHECKING:
    import duckdb


class _Lazy:
    """A connection that is made with its first use, and in all else is one."""

    def __init__(self, make: Callable[[], duckdb.DuckDBPyConnection]) -> None:
        self._make, self._lock = make, Lock()
        self._made: duckdb.DuckDBPyConnection | None = None

    def cursor(self) -> _Lazy:
        """Another one to the same database, which is not made yet either."""
        return _Lazy(lambda: self._now().cursor())

    def close(self) -> None:
        """End what was begun."""
        if self._made is not None:
            self._made.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._now(), name)

    def _now(self) -> duckdb.DuckDBPyConnection:
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made


@contextmanager
def database(memory_mb: int, scratch: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory, which may use so much of it and then the scratch folder."""
    lazy = _Lazy(lambda: connect(memory_mb, scratch))
    try:
        yield cast("duckdb.DuckDBPyConnection", lazy)
    finally:
        lazy.close()

"""DuckDB, opened when it is first asked: most CSV files are judged without it, and importing it takes a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, cast

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

    def make() -> duckdb.DuckDBPyConnection:
        import duckdb

        con = duckdb.connect(
            config={
                "memory_limit": f"{memory_mb}MB",
                # Each of our threads works for itself: that keeps the rows of a block in their order.
                "threads": 1,
                "temp_directory": str(scratch / "spill"),
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            }
        )
        # A moment without a zone is UTC, wherever this runs.
        con.execute("SET GLOBAL TimeZone = 'UTC'")
        return con

    lazy = _Lazy(make)
    try:
        yield cast("duckdb.DuckDBPyConnection", lazy)
    finally:
        lazy.close()

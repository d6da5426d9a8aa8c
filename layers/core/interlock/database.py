"""DuckDB as every function opens it. Imported where it is used: not every layer has it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from interlock.streams import Fault, Refuse

if TYPE_CHECKING:
    import duckdb


def connect(memory_mb: int, scratch: Path, threads: int | None = 1) -> duckdb.DuckDBPyConnection:
    """A database in memory, which may use so much of it and then the scratch folder; it fetches nothing.

    One thread keeps rows in their order wherever they go; None are as many as there are processors, which keep it from
    a file or a table to an answer, and not on the way into a table.
    """
    import duckdb

    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": f"{memory_mb}MB",
        "temp_directory": str(scratch / "spill"),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    con = duckdb.connect(config=config if threads is None else config | {"threads": threads})
    # A moment without a zone is UTC, wherever this runs.
    con.execute("SET GLOBAL TimeZone = 'UTC'")
    # Files are local; and each of the eight threads that would read them ahead, when it idles, gives what the whole
    # process has freed back to the system.
    con.execute("SET GLOBAL disable_parquet_prefetching = true")
    return con


@contextmanager
def damaged(refuse: Refuse) -> Iterator[None]:
    """What the engine cannot read of a Parquet file is the file's fault; its own words may hold values: not repeated.

    What `refuse` makes of it is raised in place of the engine's error.
    """
    import duckdb

    try:
        yield
    except (duckdb.OutOfMemoryException, duckdb.InterruptException):
        raise
    except duckdb.Error as error:
        found = f"it begins like Parquet and is cut off or damaged ({type(error).__name__})"
        if "not valid UTF8" in str(error):
            found = "it is Parquet, and a text in it is not UTF-8"
        raise refuse(Fault.UNREADABLE, found) from None

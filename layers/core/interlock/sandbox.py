"""Runs the sql rules of a contract: one query, over the uploaded rows alone, to one number.

A contract is not always written by whoever's permissions run it, and a verdict is for ever. So a query is read before
it runs and may hold only what depends on the rows: one SELECT over the table (no other table, file or table function;
no recursion), functions that give the same for the same (no time, no chance, no setting, no catalogue), none that
makes much out of little. It then runs in a connection of its own that sees one table, no other file, no network, no
extension and no way to change a setting, within a memory limit and a time limit.

Only here and in ingest is DuckDB imported, and only when a contract has such rules.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interlock.contract import STORED_TYPES, Contract
from interlock.sql import quoted, text

if TYPE_CHECKING:
    import duckdb

_NODES = {"SELECT_NODE", "SET_OPERATION_NODE"}
_SOURCES = {"BASE_TABLE", "JOIN", "SUBQUERY", "EMPTY", "EXPRESSION_LIST"}
_EXPRESSIONS = {
    *("BETWEEN", "CASE", "CAST", "COLLATE", "COLUMN_REF", "COMPARISON", "CONJUNCTION", "CONSTANT", "FUNCTION"),
    *("LAMBDA", "LAMBDA_REF", "OPERATOR", "STAR", "SUBQUERY", "TYPE", "WINDOW"),
}
# What SQL reads as a value of the moment or of the session where no column has that name.
_WORDS = {
    *("current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"),
    *("user", "session_user", "current_user", "current_role", "current_catalog", "current_schema"),
}
# Pure, and yet no business of a rule: about the engine, or much out of little.
_NOT_THESE = {
    *("current_localtime", "current_localtimestamp", "version", "stats", "error"),
    *("json_serialize_sql", "json_deserialize_sql", "json_serialize_plan", "parse_duckdb_log_message", "invoke"),
    *("repeat", "lpad", "rpad", "printf", "format", "list_resize", "array_resize", "range", "generate_series", "bar"),
    *("replicate", "enum_range", "enum_first", "enum_last", "enum_range_boundary"),
}
# Of the engine's macros, those that are about values.
_MACROS = {
    *("nullif", "if", "ifnull", "split_part", "date_add", "fdiv", "fmod", "days_in_month", "geomean"),
    *("geometric_mean", "wavg", "weighted_avg", "list_sum", "list_avg", "list_min", "list_max", "list_count"),
}
# A name for a part of the query that is nothing of the engine's catalogue and no file.
_OWN_NAME = re.compile(r"(?!(duckdb|pg|sqlite|pragma|information_schema)_?)[a-z_][a-z0-9_]*")
# Not listed among the functions, for the parser knows them itself.
_KNOWN_TO_THE_PARSER = {"count_star", "unnest"}


@dataclass(frozen=True)
class Answer:
    """A query's number; None, and what kept it from giving one. `hidden` when a restricted column is read."""

    value: float | None = None
    problem: str = ""
    hidden: bool = False


def ready(query: str, table: str, column: str | None = None) -> str:
    """The query with the standard's placeholders (`${table}`, `{column}` and their other names) filled in."""
    names = dict.fromkeys(("table", "object", "model", "schema"), quoted(table))
    if column is not None:
        names |= dict.fromkeys(("column", "property", "field"), quoted(column))
    return re.sub(r"\$?\{(\w+)\}", lambda found: names.get(found[1], found[0]), query)


def problems(query: str, contract: Contract) -> list[str]:
    """Why the query is refused; nothing when it may run over this contract's table.

    `query` has its placeholders filled in.
    """
    import duckdb

    with duckdb.connect(config=_CLOSED) as con:
        if refused := _refusals(con, query, contract):
            return refused
        con.execute(_empty(contract))
        try:
            described = con.execute(f"DESCRIBE {query}").fetchall()
        except duckdb.Error as error:
            return [str(error).split("\n", maxsplit=1)[0]]
    if len(described) != 1 or not re.match(_NUMERIC, described[0][1]):
        kinds = ", ".join(f"{name} {kind}" for name, kind, *_ in described)
        return [f"it must give one number or boolean, and gives {kinds}"]
    return []


def answer(
    query: str, contract: Contract, rows: Sequence[Path], *, memory_mb: int = 512, seconds: float = 30.0
) -> Answer:
    """The query's answer over Parquet files that hold the contract's columns.

    What the engine says about a failure is not repeated: it may quote a value.
    """
    import duckdb

    limits = {"memory_limit": f"{memory_mb}MB"}
    with duckdb.connect(config={**_CLOSED, **limits}) as con:
        if refused := _refusals(con, query, contract):
            return Answer(problem=f"the query is refused: {refused[0]}")
        hidden = _reads_restricted(con, query, contract)
        # The engine makes these files known before it closes itself.
        con.execute(f"SET allowed_paths = [{', '.join(text(str(path)) for path in rows)}]")
        con.execute("SET enable_external_access = false")
        con.execute(_view(contract, rows) if rows else _empty(contract))
        con.execute("SET lock_configuration = true")
        clock = threading.Timer(seconds, con.interrupt)
        clock.start()
        try:
            found = con.execute(query).fetchmany(2)
        except duckdb.InterruptException:
            return Answer(problem=f"the query took longer than {seconds:g} seconds", hidden=hidden)
        except duckdb.OutOfMemoryException:
            return Answer(problem=f"the query needs more than {memory_mb} MB", hidden=hidden)
        except duckdb.Error as error:
            return Answer(problem=f"the query failed on these rows ({type(error).__name__})", hidden=hidden)
        finally:
            clock.cancel()
    if len(found) != 1 or len(found[0]) != 1:
        return Answer(problem="the query did not give one row with one value", hidden=hidden)
    if found[0][0] is None:
        return Answer(problem="the query gave no value (NULL)", hidden=hidden)
    if not isinstance(found[0][0], int | float | Decimal):
        return Answer(problem="the query gave no number", hidden=hidden)
    return Answer(value=float(found[0][0]), hidden=hidden)


_NUMERIC = r"(?i)(BOOLEAN|U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DECIMAL|DOUBLE|FLOAT)"
_CLOSED: dict[str, str | bool | int | float | list[str]] = {
    "threads": 1,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "max_temp_directory_size": "0B",
}


def _refusals(con: duckdb.DuckDBPyConnection, query: str, contract: Contract) -> list[str]:
    (serialized,) = con.execute("SELECT json_serialize_sql(?)", [query]).fetchone() or ("",)
    read: dict[str, Any] = json.loads(serialized)
    if read["error"]:
        return [f"it cannot be read as one SELECT: {read['error_message']}"]
    if len(read["statements"]) != 1:
        return [f"it holds {len(read['statements'])} statements; one SELECT is run"]
    known = {
        name
        for (name,) in con.execute(
            "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type IN ('scalar', 'aggregate',"
            " 'window') AND stability = 'CONSISTENT' AND function_name NOT LIKE '\\_\\_internal%' ESCAPE '\\'"
        ).fetchall()
    }
    allowed = (known | _MACROS | _KNOWN_TO_THE_PARSER) - _NOT_THESE
    tree = read["statements"][0]
    named = {
        str(entry["key"]).casefold() for node in _dicts(tree) for entry in (node.get("cte_map") or {}).get("map", ())
    }
    if taken := sorted(name for name in named if not _OWN_NAME.fullmatch(name)):
        return [f"a part of the query cannot be called {taken[0]}"]
    tables = {contract.table.casefold(), *named}
    words = _WORDS - {name.casefold() for name in contract.names}
    return list(dict.fromkeys(found for node in _dicts(tree) if (found := _refusal(node, allowed, tables, words))))


def _refusal(node: Mapping[str, Any], functions: set[str], tables: set[str], words: set[str]) -> str | None:
    """Why one part of the query is refused."""
    kind, name = node.get("type"), str(node.get("function_name") or "").lower()
    if node.get("sample") is not None:
        return "a sample is not allowed: it would differ from run to run"
    if "class" in node:
        if node["class"] not in _EXPRESSIONS:
            return f"{str(node['class']).lower().replace('_', ' ')} is not allowed"
        if name and (name not in functions or node.get("schema") or node.get("catalog")):
            return f"the function {name} is not allowed"
        single = node["column_names"][0].casefold() if len(node.get("column_names", ())) == 1 else ""
        return f"{single} is not of the rows" if single in words else None
    if kind == "BASE_TABLE":
        path = node["qualified_name"]["path"]
        mine = len(path) == 1 and path[0].casefold() in tables and node.get("at_clause") is None
        return None if mine else f"the table {'.'.join(path)} is not the uploaded one"
    if "from_table" in node or "union_by_name" in node or str(kind).endswith("_NODE"):
        return None if kind in _NODES else f"{str(kind).lower().replace('_', ' ')} is not allowed"
    if "sample" in node and "alias" in node and kind not in _SOURCES:
        return f"{str(kind).lower().replace('_', ' ')} is not allowed as a table"
    return None


def _reads_restricted(con: duckdb.DuckDBPyConnection, query: str, contract: Contract) -> bool:
    """Whether a restricted column takes part: the query has a star, or does not work without them."""
    import duckdb

    if not any(column.restricted for column in contract.columns):
        return False
    (serialized,) = con.execute("SELECT json_serialize_sql(?)", [query]).fetchone() or ("",)
    if any(node.get("class") == "STAR" for node in _dicts(json.loads(serialized))):
        return True
    open_columns = tuple(column for column in contract.columns if not column.restricted)
    if not open_columns:
        return True
    con.execute(_empty(contract.model_copy(update={"columns": open_columns})))
    try:
        con.execute(f"EXPLAIN {query}")
    except duckdb.Error:
        return True
    finally:
        con.execute(f"DROP TABLE {quoted(contract.table)}")
    return False


def _empty(contract: Contract) -> str:
    columns = ", ".join(f"{quoted(column.name)} {STORED_TYPES[column.type]}" for column in contract.columns)
    return f"CREATE TABLE {quoted(contract.table)} ({columns})"


def _view(contract: Contract, rows: Sequence[Path]) -> str:
    names = ", ".join(map(quoted, contract.names))
    files = ", ".join(text(str(path)) for path in rows)
    return f"CREATE VIEW {quoted(contract.table)} AS SELECT {names} FROM read_parquet([{files}])"  # noqa: S608 - quoted


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    """Every part of the query's tree."""
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from _dicts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _dicts(item)

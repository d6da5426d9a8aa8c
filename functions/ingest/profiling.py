"""The profile of the judged rows, counted by the engine."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import duckdb

from interlock.contract import Column, ColumnType, Contract
from interlock.stats.profile import GAMMA, MAX_CATEGORIES, TINY, NumberProfile, Profile, TextProfile

_LOG_GAMMA = math.log(GAMMA)
_AS_NUMBER = {
    ColumnType.INTEGER: "CAST({} AS DOUBLE)",
    ColumnType.NUMBER: "{}",
    ColumnType.DATE: "CAST(date_diff('day', DATE '1970-01-01', {}) AS DOUBLE)",
    ColumnType.TIMESTAMP: "epoch({})",
}


def profile(con: duckdb.DuckDBPyConnection, contract: Contract, table: str, rows: int, salt: str) -> Profile:
    """Profile the typed columns `v0`, `v1` … of a table; `salt` hides the texts of restricted columns."""
    numbers, texts = {}, {}
    for index, column in enumerate(contract.columns):
        if column.type in _AS_NUMBER and column.restricted:
            # Bounds and bins of numbers would be values.
            count, missing = _one(con, f"SELECT count(v{index}), count(*) - count(v{index}) FROM {table}")  # noqa: S608
            texts[column.name] = TextProfile(count=count, missing=missing, other=count)
        elif column.type in _AS_NUMBER:
            numbers[column.name] = _numbers(con, f"({_AS_NUMBER[column.type].format(f'v{index}')})", table)
        else:
            texts[column.name] = _texts(con, f"CAST(v{index} AS VARCHAR)", table, column, salt)
    return Profile(rows=rows, numbers=numbers, texts=texts)


def _numbers(con: duckdb.DuckDBPyConnection, value: str, table: str) -> NumberProfile:
    count, missing, low, high, zero = _one(
        con,
        f"SELECT count({value}), count(*) - count({value}), min({value}), max({value}), "  # noqa: S608
        f"count(*) FILTER (abs({value}) < {TINY}) FROM {table}",
    )
    if not count:
        return NumberProfile(missing=missing)
    # In units of the largest one, or the squares of huge values would leave the type's range.
    unit = max(abs(low), abs(high)) or 1.0
    mean, spread = _one(con, f"SELECT avg({value} / {unit!r}), var_pop({value} / {unit!r}) FROM {table}")  # noqa: S608
    bucket = f"CAST(ceil(ln(abs({value})) / {_LOG_GAMMA!r}) AS INTEGER)"
    found = con.execute(
        f"SELECT sign({value}), {bucket}, count(*) FROM {table} WHERE abs({value}) >= {TINY} GROUP BY 1, 2"  # noqa: S608
    ).fetchall()
    return NumberProfile(
        count=count,
        missing=missing,
        minimum=low,
        maximum=high,
        mean=mean * unit,
        m2=spread * count * unit * unit,
        zero=zero,
        positive={index: number for sign, index, number in found if sign > 0},
        negative={index: number for sign, index, number in found if sign < 0},
    )


def _texts(con: duckdb.DuckDBPyConnection, value: str, table: str, column: Column, salt: str) -> TextProfile:
    count, missing, shortest, longest = _one(
        con,
        f"SELECT count({value}), count(*) - count({value}), min(length({value})), max(length({value})) FROM {table}",  # noqa: S608
    )
    found = con.execute(
        f"SELECT {value}, count(*) FROM {table} WHERE {value} IS NOT NULL"  # noqa: S608
        f" GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {MAX_CATEGORIES}"
    ).fetchall()
    # A restricted column keeps how many there are of each, not which they are.
    names = [masked(name, salt) if column.restricted else name for name, _ in found]
    categories = dict(zip(names, (number for _, number in found), strict=True))
    return TextProfile(
        count=count,
        missing=missing,
        categories=categories,
        other=count - sum(categories.values()),
        shortest=None if column.restricted else shortest,
        longest=None if column.restricted else longest,
    )


def masked(value: str, salt: str) -> str:
    """A stand-in for a restricted text: the same for the same text, so that counts can be added."""
    return "#" + hashlib.sha256(f"{salt}\x1f{value}".encode()).hexdigest()[:8]


def _one(con: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    answer = con.execute(query).fetchone()
    assert answer is not None  # noqa: S101 - an aggregate always answers
    return answer

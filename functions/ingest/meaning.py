"""What values that were not read from texts mean for a column of the contract, and how they go to the engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ingest import arrow, parsing
from ingest.parsing import Mask, Values
from interlock.contract import Column, ColumnType

_DAY = 86_400_000_000
# The years 1 to 9999, in days since 1970.
_FIRST_DAY, _LAST_DAY = (int(np.datetime64(day, "D").astype(np.int64)) for day in ("0001-01-01", "9999-12-31"))


def meant(column: Column, read: arrow.Column) -> Values:
    """What the file's values mean: numbers are finite, and years have four digits."""
    values, there = read.values, read.there
    match column.type:
        case ColumnType.NUMBER:
            values = values.astype(np.float64)
            there = there & np.isfinite(values)
        case ColumnType.DATE:
            there = there & (values >= _FIRST_DAY) & (values <= _LAST_DAY)
        case ColumnType.TIMESTAMP:
            there = there & (values >= _FIRST_DAY * _DAY) & (values < (_LAST_DAY + 1) * _DAY)
    return Values(~read.there, there, values)


def from_engine(column: Column, found: Any) -> parsing.Read:
    """The engine's answer as values and which are there."""
    there = ~np.ma.getmaskarray(found)
    values = np.ma.getdata(found)
    if column.moment:
        values = values.astype("datetime64[us]").astype(np.int64)
        there &= (values >= _FIRST_DAY * _DAY) & (values < (_LAST_DAY + 1) * _DAY)
        values = values // _DAY if column.type is ColumnType.DATE else values
    if column.type is ColumnType.BOOLEAN:
        values = values.astype(bool)
    return values, there


def as_field(name: str, column: Column, values: npt.NDArray[Any], there: Mask) -> arrow.Field:
    """A column's values as the engine takes them."""
    if column.type is ColumnType.DATE:
        return arrow.days(name, values, there)
    if column.type is ColumnType.TIMESTAMP:
        return arrow.moments(name, values, there)
    return arrow.numbers(name, values, there)

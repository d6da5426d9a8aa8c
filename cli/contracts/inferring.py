"""Writes a first contract from what a file shows: rules as YAML, the evidence for each as a comment."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date

import yaml

from cli.contracts.observing import Observed, Seen
from interlock.contract import ColumnType

# A list of values is a rule when each came often enough that others would have shown.
_MOST_LISTED, _TIMES_EACH = 30, 20
# A column in which nothing repeats is a key only with enough rows to have repeated.
_ROWS_OF_A_KEY = 20
_PERSONAL = re.compile(
    r"(^|_)(e?mail|phone|mobile|ssn|iban|passport|birth|birthday|dob|address|street|surname|first_?name|last_?name|"
    r"full_?name|gender|sex|race|ethnicity|religion|nationality)(_|$)",
    re.IGNORECASE,
)
_LIKE_DATA = re.compile(r"[+-]?[\d.,:/-]*\d[\d.,:/-]*")
_KEY = re.compile(r"(^|_)(id|key|uuid|no|nr|number|code)$", re.IGNORECASE)


# What is written beside each setting of how a file is written.
_SAID = {
    "csvEncoding": "The file is not UTF-8. Nothing in it says what else it is: look at the letters beyond ASCII.",
    "csvDelimiter": "Other marks than , ; | and tab are not found out.",
    "csvDecimal": "Its numbers have decimal commas.",
    "csvThousands": "And points between their thousands.",
}


def contract_yaml(found: Observed, name: str, listed: Sequence[str] = ()) -> str:
    """The contract as YAML with comments.

    Args:
        found: what the file shows.
        name: the contract's id.
        listed: columns whose values are listed however many they are (a target's classes).
    """
    return "\n".join([*_head(found, name), *_columns(found, listed)]) + "\n"


def key_of(found: Observed) -> str | None:
    """The column that identifies a row, when one does by its values and its name."""
    unique = [column.name for column in found.columns if _unique(found, column)]
    return next((name for name in unique if _KEY.search(_words(name))), None)


def personal(column: Seen) -> bool:
    """Whether a column looks as if it told who somebody is, or what nobody should be judged by."""
    return bool(_PERSONAL.search(_words(column.name))) or column.named_format == "email"


def _words(name: str) -> str:
    """The name with _ between its words, also where capitals, blanks or points part them."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|\W", "_", name)


def _head(found: Observed, name: str) -> Iterator[str]:
    yield f"# Written from {_scalar(found.path.name)}: {found.rows:,} rows. Beside each rule stands what was seen;"
    yield "# bounds are that, widened. Say what must be true, and take out what only happened to be so."
    if any(_LIKE_DATA.fullmatch(column.name) for column in found.columns):
        yield "# The first line was taken for the columns' names. If it is data, name the columns here in their"
        yield "# order, and say `csvHeader: false` beside nullTokens."
    yield "apiVersion: v3.1.0"
    yield "kind: DataContract"
    yield f"id: {_scalar(name)}"
    yield "version: 1.0.0"
    yield "status: draft"
    yield "schema:"
    yield f"  - name: {_scalar(name.replace('-', '_'))}"
    yield "    physicalType: file"
    yield "    customProperties:"
    yield "      # An upload in which more rows than this share are bad is refused as a whole."
    yield "      - property: maxBadRowShare"
    yield "        value: 0.01"
    yield "      # What a missing value looks like in the file."
    yield "      - property: nullTokens"
    yield f"        value: {_scalar(list(found.null_tokens))}"
    for setting, value in found.dialect.items():
        yield f"      # {_SAID[setting]}"
        yield f"      - property: {setting}"
        yield f"        value: {_scalar(value)}"
    yield "    quality:"
    yield "      # A tenth of what was seen: fewer rows are told, and admitted."
    yield "      - metric: rowCount"
    yield f"        mustBeGreaterOrEqualTo: {max(1, found.rows // 10)}"
    yield "        severity: warning"
    yield "    properties:"


def _columns(found: Observed, listed: Sequence[str]) -> Iterator[str]:
    key = key_of(found)
    for column in found.columns:
        closed = personal(column)
        yield f"      - name: {_scalar(column.name)}"
        yield f"        logicalType: {column.type}"
        if closed:
            yield "        # Looks personal: its values appear in no report, log or capture. Else write internal."
            yield "        classification: restricted"
        yield from _presence(found, column)
        if column.name == key:
            yield f"        # {column.distinct:,} different values in {column.present:,} rows."
            yield "        primaryKey: true"
        elif _unique(found, column) and column.type in {ColumnType.INTEGER, ColumnType.STRING}:
            yield f"        # {column.distinct:,} different values in {column.present:,} rows: unique, if it must be."
            yield "        # unique: true"
        values = _values(column, always=column.name in listed)
        if values:
            yield from _list(column, values, closed=closed)
        else:
            yield from _options(column, closed=closed, counting=_unique(found, column))


def _presence(found: Observed, column: Seen) -> Iterator[str]:
    share = column.missing / found.rows
    yield f"        # {column.missing:,} of {found.rows:,} missing{f' ({share:.1%})' if column.missing else ''}."
    if not column.missing:
        yield "        required: true"


def _list(column: Seen, values: Sequence[tuple[str, int]], *, closed: bool) -> Iterator[str]:
    rare, rows = values[-1]
    rarest = "the rarest" if closed else f"the rarest, {_scalar(rare)},"
    yield f"        # {len(values)} different values; {rarest} came {rows:,} times."
    yield "        quality:"
    yield "          - metric: invalidValues"
    yield "            mustBe: 0"
    yield "            arguments:"
    yield f"              validValues: {_scalar([_typed(column, value) for value, _ in values])}"


def _options(column: Seen, *, closed: bool, counting: bool) -> Iterator[str]:
    options: dict[str, object] = {}
    evidence = ""
    match column.type:
        case ColumnType.INTEGER | ColumnType.NUMBER if column.lowest is not None and column.highest is not None:
            # The next numbers are other ones, and larger.
            options = {} if counting else _bounds(column)
            evidence = f"{column.lowest} to {column.highest}, median {column.median}"
        case ColumnType.DATE if column.lowest is not None:
            options = {"format": column.date_format} if column.date_format else {}
            options["minimum"] = f"{date.fromisoformat(column.lowest).year:04}-01-01"
            evidence = f"{column.lowest} to {column.highest}"
        case ColumnType.TIMESTAMP if column.lowest is not None:
            evidence = f"{column.lowest} to {column.highest}"
        case ColumnType.STRING if column.longest is not None:
            options = _form(column)
            evidence = f"{column.distinct:,} different texts of {column.shortest} to {column.longest} characters"
    if evidence and not (closed and column.type is not ColumnType.STRING):
        yield f"        # {evidence}."
    if options:
        yield f"        logicalTypeOptions: {_scalar(options)}"


def _unique(found: Observed, column: Seen) -> bool:
    return column.distinct == column.present == found.rows >= _ROWS_OF_A_KEY


def _values(column: Seen, *, always: bool) -> tuple[tuple[str, int], ...]:
    if always and column.type in {ColumnType.STRING, ColumnType.INTEGER}:
        return column.listed
    few = 0 < column.distinct <= _MOST_LISTED and column.present >= _TIMES_EACH * column.distinct
    return column.listed if column.type is ColumnType.STRING and few else ()


def _bounds(column: Seen) -> dict[str, object]:
    """What was seen, widened by a tenth and rounded outwards; 0 stays an end when nothing is on its other side."""
    read = int if column.type is ColumnType.INTEGER else float
    low, high = read(column.lowest or 0), read(column.highest or 0)
    slack = high / 10 - low / 10
    minimum = 0 if low >= 0 and low - slack < high / 2 else _outwards(low - slack, math.floor)
    maximum = 0 if high <= 0 and high + slack > low / 2 else _outwards(high + slack, math.ceil)
    bounds = {"minimum": minimum, "maximum": maximum}
    # Beyond a double's last digits there is no rounder number.
    held = {"minimum": minimum <= low, "maximum": high <= maximum}
    return {name: read(bound) for name, bound in bounds.items() if held[name] and math.isfinite(bound)}


def _outwards(value: float, rounded: Callable[[float], int]) -> float:
    """Two digits of it."""
    if value == 0 or not math.isfinite(value):
        return value
    step = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    return float(f"{rounded(value / step) * step:.12g}") if step else value


def _form(column: Seen) -> dict[str, object]:
    if column.named_format:
        return {"format": column.named_format}
    if pattern := _pattern(column.shapes):
        return {"pattern": pattern}
    return {"maxLength": int(_outwards(2.0 * (column.longest or 1), math.ceil))}


def _pattern(shapes: Sequence[str]) -> str | None:
    """One pattern for all forms, when they differ in the length of their parts only."""
    runs = [[(mark, len(list(group))) for mark, group in itertools.groupby(shape)] for shape in shapes]
    orders = {tuple(mark for mark, _ in run) for run in runs}
    if len(orders) != 1 or not all(mark.isascii() and mark.isprintable() for mark in next(iter(orders))):
        return None
    marks = next(iter(orders))
    # Words have the shape of a capital and small letters: no form of a code.
    if "9" not in marks and len(marks) < 3:
        return None
    parts = []
    for place, mark in enumerate(marks):
        lengths = [run[place][1] for run in runs]
        one = {"A": "[A-Z]", "a": "[a-z]", "9": "[0-9]"}.get(mark, re.escape(mark))
        low, high = min(lengths), max(lengths)
        parts.append(one + ("" if low == high == 1 else f"{{{low}}}" if low == high else f"{{{low},{high}}}"))
    return "^" + "".join(parts) + "$"


def _typed(column: Seen, value: str) -> object:
    return int(value) if column.type is ColumnType.INTEGER else value


def _scalar(value: object) -> str:
    """A value as YAML in one line."""
    written = yaml.safe_dump(value, default_flow_style=True, width=math.inf, allow_unicode=True, sort_keys=False)
    return written.removesuffix("...\n").strip()

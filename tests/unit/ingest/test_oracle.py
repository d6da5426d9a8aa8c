"""The engine finds what a reader finds that looks at one row after the other, for any contract and any file."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest import records as module
from interlock.contract import Column, ColumnType, Contract, Limit, Metric, Operator, QualityRule, Severity
from interlock.formats import TEXT_FORMATS
from interlock.models import DeployedModel
from tests.unit.ingest.made import judged, model, rows

# `make test-long` looks ten times as long.
EXAMPLES = 700 if os.environ.get("INTERLOCK_LONG") else 70
STRING, INTEGER, NUMBER, BOOLEAN = ColumnType.STRING, ColumnType.INTEGER, ColumnType.NUMBER, ColumnType.BOOLEAN
DATE, TIMESTAMP = ColumnType.DATE, ColumnType.TIMESTAMP
TOKENS = ("", "NA", "missing value")
POOL = {
    INTEGER: [
        *("0", "7", "-7", "+7", "007", "7.0", "7.", "7.5", ".0", "1e3", " 7", "7 ", "-", "+", "--7", "٣"),
        *("1_000", "12345678", "123456789", "-1234567890123456", "12345678901234567", "9223372036854775807"),
        *("9223372036854775808", "-9223372036854775808", "-9223372036854775809"),
        *("99999999999999999999999999",),
    ],
    NUMBER: [
        *("0", "-0", "7", "7.25", "-7.25", "+.5", ".5", "5.", ".", "-.", "1.2.3", "1e3", "1E-3", "1e"),
        *("1e400", "-1e400", "1e-400", "NaN", "nan", "inf", "-Infinity", "0.1", "0.123456789012345"),
        *("123456.789", "12345678.12345678", "1234567.1234567", "999999999999999", "9999999999999999"),
        *("1.7976931348623157e308", " 1", "1 ", "0x10"),
    ],
    BOOLEAN: ["true", "TRUE", "False", "1", "0", "yes", "t", "2", " true"],
    DATE: [
        *("2024-02-29", "2023-02-29", "1900-02-29", "2000-02-29", "2024-1-5", "2024-13-01", "2024-00-10"),
        *("2024-01-00", "2024-01-32", "9999-12-31", "12024-01-01", "1000-01-01", " 2024-01-01"),
        *("2024/01/01", "2024-01-01x", "20240101", "0000-01-01", "0001-01-01", "0999-12-31"),
    ],
    TIMESTAMP: [
        *("2024-02-29T10:00", "2024-02-29 10:00:00", "2024-02-29T10:00:00Z", "2024-02-29T23:59:59.999999"),
        *("2023-02-29T10:00", "2024-02-29T10:00:00+02:00", "2024-02-29T10:00:00-0930"),
        *("2024-03-01T00:30:00+01", "2024-02-29 25:00:00", "2024-02-29T10:60:00", "2024-02-29T10:00:61"),
        *("2024-02-29", "2024-02-29t10:00:00", "2024-02-29T10:00:00.5Z", "0000-01-01T00:00", "0001-01-01T00:00"),
        *("2024-02-29T10:00+23:59", "2024-02-29T10:00+24", "2024-02-29T10:00-15:60", "9999-12-31T23:59:59-05:00"),
        *("0001-01-01T00:00+01", "9999-12-31T23:59:59.999999"),
    ],
    STRING: [
        *("a", "abc", "é", "日本語テキスト", "😀", "a,b", 'a"b', '"', '""', "a\nb", "a\r\nb", " ", "=1+1", "null"),
        *("NULL", "x" * 13, "abcdefgh", "abcdefghi", "missing value ", "na", "123"),
        *("7f1c1e6e-6f6b-4b53-9d1a-0d3c1f2b9a10", "a@b.de", "1.2.3.4", "\t", "a;b", "\ufeffa", "e\u0301"),
    ],
}
LISTED = {
    **dict.fromkeys((INTEGER, NUMBER), ("7", "12345678")),
    BOOLEAN: ("true",),
    DATE: ("2024-02-29",),
    TIMESTAMP: ("2024-02-29T10:00",),
    STRING: ("a", "é", "abcdefghi"),
}
SEVERITIES = st.sampled_from([Severity.ERROR, Severity.WARNING, Severity.INFO])
Row = list[str]
Violation = tuple[int, str, str]


@st.composite
def columns(draw: st.DrawFn, name: str) -> Column:
    kind = draw(st.sampled_from(list(ColumnType)))
    maybe: Callable[[Any], Any] = lambda strategy: draw(st.none() | strategy)  # noqa: E731
    rules: dict[str, Any] = {
        "required": draw(st.booleans()),
        "unique": draw(st.booleans()),
        "severity": draw(SEVERITIES),
        "missing_tokens": draw(st.sampled_from([(), ("7",), ("abc",)])),
    }
    if kind in {INTEGER, NUMBER}:
        bound = st.integers(-10, 10) if kind is INTEGER else st.floats(-10, 10)
        rules |= {key: maybe(bound) for key in ("minimum", "maximum", "exclusive_minimum", "exclusive_maximum")}
        rules["allowed"] = maybe(st.just(("7", "12345678")))
    if kind is INTEGER:
        rules["multiple_of"] = maybe(st.sampled_from([1, 2, 7]))
    if kind is DATE:
        rules |= {key: maybe(st.just("2024-02-29")) for key in ("earliest", "latest", "after", "before")}
        rules["allowed"] = maybe(st.just(LISTED[DATE]))
    if kind is TIMESTAMP:
        rules |= {key: maybe(st.just("2024-02-29T10:00:00")) for key in ("earliest", "latest", "after", "before")}
        rules["allowed"] = maybe(st.just(LISTED[TIMESTAMP]))
        rules["timezone"] = maybe(st.booleans())
    if kind is STRING:
        rules |= {"min_length": maybe(st.integers(0, 3)), "max_length": maybe(st.integers(1, 9))}
        rules["pattern"] = maybe(st.sampled_from(["^[a-z]+$", "b", "^.?$", "[0-9]{3}"]))
        rules["allowed"] = maybe(st.just(("a", "abc", "é", "abcdefghi")))
        rules["format"] = maybe(st.sampled_from(["uuid", "email", "ipv4"]))
    return Column(name=name, type=kind, **rules)


@st.composite
def contracts(draw: st.DrawFn) -> DeployedModel:
    names = [f"c{place}" for place in range(draw(st.integers(1, 4)))]
    made = [draw(columns(name)) for name in names]
    kinds = {column.name: column.type for column in made}
    none, few = Limit(operator=Operator.MUST_BE, value=(0,)), Limit(operator=Operator.MUST_BE_LESS_THAN, value=(2,))
    quality = []
    for place, metric in enumerate(draw(st.lists(st.sampled_from(list(Metric)[:4]), max_size=2))):
        on = draw(st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True))
        if metric is not Metric.DUPLICATE_VALUES:
            on = on[:1]
        quality.append(
            QualityRule(
                id=f"q{place}",
                metric=metric,
                columns=tuple(on),
                limits=(draw(st.sampled_from([none, few])),),
                severity=draw(SEVERITIES),
                allowed=LISTED[kinds[on[0]]] if metric is Metric.INVALID_VALUES and draw(st.booleans()) else None,
            )
        )
    if len({kinds[name] for name in names[:2]}) == 1 and len(names) > 1 and draw(st.booleans()):
        relation = draw(st.sampled_from(["<", "<=", "=", "!=", ">=", ">"]))
        quality.append(
            QualityRule(id="qc", metric=Metric.COMPARE, columns=tuple(names[:2]), limits=(none,), relation=relation)
        )
    key = tuple(names[:2]) if draw(st.booleans()) else ()
    return model(*made, quality=tuple(quality), primary_key=key, null_tokens=TOKENS)


@st.composite
def tables(draw: st.DrawFn, by: DeployedModel) -> list[Row]:
    def cell(column: Column) -> st.SearchStrategy[str]:
        free = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=6)
        return st.sampled_from([*TOKENS, *POOL[column.type], *POOL[column.type]]) | (
            free if column.type is STRING else st.sampled_from(POOL[STRING][:4])
        )

    return draw(st.lists(st.tuples(*map(cell, by.contract.columns)).map(list), min_size=1, max_size=12))


def value_of(column: Column, text: str) -> Any:
    """What a text means; None when it is not of the type."""
    match column.type:
        case ColumnType.INTEGER:
            whole = int(text.partition(".")[0]) if re.fullmatch(r"[+-]?\d+(\.0*)?", text, re.ASCII) else None
            return whole if whole is not None and -(2**63) <= whole < 2**63 else None
        case ColumnType.NUMBER:
            written = re.fullmatch(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", text, re.ASCII)
            return float(text) if written and math.isfinite(float(text)) else None
        case ColumnType.BOOLEAN:
            return {"true": True, "1": True, "false": False, "0": False}.get(text.lower())
        case ColumnType.DATE:
            return (
                _parsed(lambda: date.fromisoformat(text)) if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII) else None
            )
        case ColumnType.TIMESTAMP:
            form = r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)(Z|[+-](?:[01]\d|2[0-3])(?::?[0-5]\d)?)?"
            found = re.fullmatch(form, text, re.ASCII)
            if found is None:
                return None
            moment = _parsed(lambda: datetime.fromisoformat(f"{found[1]}T{found[2]}"))
            zone = (found[3] or "Z").replace("Z", "+00").replace(":", "")
            offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:5] or 0)) * (-1 if zone[0] == "-" else 1)
            return None if moment is None else _parsed(lambda: moment - offset)
    return text


def _parsed(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except (ValueError, OverflowError):
        return None


def broken(column: Column, text: str | None, value: Any) -> Iterator[str]:
    """The column's own rules that a cell breaks."""
    if text is None:
        yield from ["required"] if column.required else []
        return
    if value is None:
        yield "type"
        return
    low = [(column.minimum, "<"), (column.exclusive_minimum, "<="), (column.earliest, "<"), (column.after, "<=")]
    high = [(column.maximum, ">"), (column.exclusive_maximum, ">="), (column.latest, ">"), (column.before, ">=")]
    for rule, bounds in (("minimum", low), ("maximum", high)):
        if any(bound is not None and compared(value, sign, _bound(column, bound)) for bound, sign in bounds):
            yield rule
    if column.multiple_of is not None and value % column.multiple_of:
        yield "multiple_of"
    if column.type is STRING:
        yield from _broken_by_text(column, value)
    if column.timezone is not None and bool(re.search(r"(Z|[+-]\d\d(:?\d\d)?)$", text)) is not column.timezone:
        yield "timezone"
    if column.allowed is not None and value not in [value_of(column, item) for item in column.allowed]:
        yield "allowed"


def _broken_by_text(column: Column, text: str) -> Iterator[str]:
    longest = math.inf if column.max_length is None else column.max_length
    if not (column.min_length or 0) <= len(text) <= longest:
        yield "length"
    if column.pattern is not None and not re.search(column.pattern.replace("$", r"\Z"), text):
        yield "pattern"
    if column.format is not None:
        form = TEXT_FORMATS[column.format]
        if not re.fullmatch(form.pattern, text, re.ASCII) or len(text) > form.longest:
            yield "format"


def _bound(column: Column, bound: Any) -> Any:
    return value_of(column, bound) if isinstance(bound, str) else bound


def compared(one: Any, sign: str, two: Any) -> bool:
    return bool(
        {"<": one < two, "<=": one <= two, "=": one == two, "!=": one != two, ">=": one >= two, ">": one > two}[sign]
    )


def oracle(
    table: list[Row], by: DeployedModel
) -> tuple[set[Violation], set[int], dict[str, int], list[dict[str, Any]]]:
    """Violations (row, rule, column), the bad rows, the quality rules' counts, and every row's values."""
    contract = by.contract
    found: set[Violation] = set()
    bad: set[int] = set()
    counts = {rule.id: 0 for rule in contract.quality}
    seen: dict[str, set[tuple[Any, ...]]] = {}
    every = []

    def violated(row: int, rule: str, column: str, severity: Severity) -> None:
        found.add((row, rule, column))
        bad.update([row] if severity is Severity.ERROR else [])

    def repeated(name: str, key: tuple[Any, ...]) -> bool:
        if None in key:
            return False
        known = seen.setdefault(name, set())
        again = key in known
        known.add(key)
        return again

    for row, cells in enumerate(table, 1):
        texts = {
            column.name: None if cell in {*TOKENS, *column.missing_tokens} else cell
            for column, cell in zip(contract.columns, cells, strict=True)
        }
        values = {
            column.name: None if (text := texts[column.name]) is None else value_of(column, text)
            for column in contract.columns
        }
        every.append(values)
        for column in contract.columns:
            for rule in broken(column, texts[column.name], values[column.name]):
                violated(row, rule, column.name, column.severity_of(rule))
            if column.unique and repeated(column.name, (values[column.name],)):
                violated(row, "unique", column.name, column.severity_of("unique"))
        if contract.primary_key and repeated("key", tuple(values[name] for name in contract.primary_key)):
            violated(row, "primary_key", "", Severity.ERROR)
        for quality in contract.quality:
            if _offends(quality, contract, texts, values, repeated):
                counts[quality.id] += 1
                rule = {"nullValues": "required", "missingValues": "required", "invalidValues": "invalid"}
                rule |= {"duplicateValues": "duplicate", "compare": "compare"}
                column_name = quality.columns[0] if len(quality.columns) == 1 else ""
                violated(row, rule[quality.metric], column_name, quality.row_severity)
    return found, bad, counts, every


def _offends(
    rule: QualityRule, contract: Contract, texts: dict[str, str | None], values: dict[str, Any], repeated: Any
) -> bool:
    first = rule.columns[0]
    match rule.metric:
        case Metric.NULL_VALUES | Metric.MISSING_VALUES:
            return texts[first] is None
        case Metric.INVALID_VALUES:
            column = contract.column(first)
            if texts[first] is None:
                return False
            listed = None if rule.allowed is None else [value_of(column, item) for item in rule.allowed]
            return values[first] is None or (listed is not None and values[first] not in listed)
        case Metric.COMPARE:
            one, two = (values[name] for name in rule.columns)
            return one is not None and two is not None and not compared(one, rule.relation or "", two)
    return bool(repeated(rule.id, tuple(values[name] for name in rule.columns)))


def as_csv(table: list[Row], by: DeployedModel) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([by.contract.names, *table])
    return out.getvalue().encode()


def as_json(table: list[Row], by: DeployedModel) -> bytes:
    lines = (json.dumps(dict(zip(by.contract.names, row, strict=True)), ensure_ascii=False) for row in table)
    return "\n".join(lines).encode()


def as_parquet(table: list[Row], by: DeployedModel) -> bytes:
    with duckdb.connect() as con, tempfile.TemporaryDirectory() as folder:
        names = by.contract.names
        con.execute(f"CREATE TABLE t ({', '.join(f'{name} VARCHAR' for name in names)})")
        con.executemany(f"INSERT INTO t VALUES ({', '.join('?' for _ in names)})", table)
        con.execute(f"COPY t TO '{folder}/t' (FORMAT parquet)")
        return (Path(folder) / "t").read_bytes()


@pytest.mark.parametrize("written", [as_csv, as_json, as_parquet])
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_is_found_is_what_a_row_by_row_reader_finds(
    written: Callable[[list[Row], DeployedModel], bytes], data: st.DataObject
) -> None:
    by = data.draw(contracts())
    # The model's target is always there and always good.
    table = [[*row[:-1], str(place)] for place, row in enumerate(data.draw(tables(by)))]
    block = data.draw(st.sampled_from([50, 300, 4 << 20]))
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BLOCK", block)
        answer = judged(written(table, by), by, Path(folder))
        listed = []
        if "violations" in answer.files:
            with answer.files["violations"].open(newline="") as file:
                listed = [(int(item["row"]), item["rule"], item["column"]) for item in csv.DictReader(file)]
        kept = {name: rows(answer.files[name]) for name in ("train", "holdout") if name in answer.files}
    expected, bad, counts, values = oracle(table, by)
    assert set(listed) == expected
    assert answer.counts == counts
    assert (answer.rows, answer.bad_rows) == (len(table), len(bad))
    assert answer.admitted == (len(bad) < len(table))
    if answer.admitted:
        good = [tuple(item.values()) for row, item in enumerate(values, 1) if row not in bad]
        assert sorted(map(repr, kept["train"] + kept["holdout"])) == sorted(map(repr, good))

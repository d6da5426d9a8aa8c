"""What a contract says is read, whatever form the standard lets it have."""

from __future__ import annotations

import contextlib
import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from interlock.contract import ColumnType, Contract, Dialect, Limit, Metric, Operator, QualityRule, Severity, Unit
from interlock.errors import InvalidContract
from interlock.odcs import parts, read_contract
from tests.unit.odcs.written import column, contract, custom, rule, sql


def test_everything_that_is_enforced_is_read() -> None:
    read = read_contract(
        contract(
            column(name="k2", logicalType="integer", primaryKey=True, primaryKeyPosition=2),
            column(name="k1", primaryKey=True, primaryKeyPosition=1, classification="Confidential"),
            column(
                name="n", logicalType="integer", logicalTypeOptions={"minimum": 1, "exclusiveMaximum": 5}, unique=True
            ),
            column(name="x", logicalType="number", logicalTypeOptions={"exclusiveMinimum": 0, "maximum": 0.5}),
            column(name="s", logicalTypeOptions={"minLength": 1, "maxLength": 9, "pattern": "^a"}, required=True),
            column(name="d", logicalType="date", logicalTypeOptions={"format": "dd.MM.yyyy"}),
            column(name="v", quality=[rule("invalidValues", arguments={"validValues": ["x", 5]}, severity="warning")]),
            column(name="p", quality=[rule("invalidValues", arguments={"pattern": "[0-9]"}), rule("duplicateValues")]),
            column(name="q", quality=[rule("nullValues", unit="percent"), {"type": "text", "description": "be nice"}]),
            column(name="e", logicalType="boolean", enum=[{"value": True, "label": "yes"}]),
            quality=[{"type": "library", "metric": "rowCount", "mustBeBetween": [10, 20]}],
            customProperties=[
                {"property": "maxBadRowShare", "value": 0.1},
                {"property": "nullTokens", "value": ["", "?", -999]},
            ],
        )
    )
    columns = {item.name: item for item in read.columns}
    assert (read.id, read.version, read.primary_key) == ("c", "1.2.3", ("k1", "k2"))
    assert (read.min_rows, read.max_rows, read.max_bad_row_share) == (10, 20, 0.1)
    assert read.null_tokens == ("", "?", "-999")
    assert columns["k1"].restricted
    assert columns["k1"].required
    assert (columns["n"].minimum, columns["n"].exclusive_maximum, columns["n"].unique) == (1, 5, True)
    assert (columns["x"].exclusive_minimum, columns["x"].maximum) == (0, 0.5)
    assert (columns["s"].min_length, columns["s"].max_length, columns["s"].pattern) == (1, 9, "^a")
    assert columns["d"].format == "dd.MM.yyyy"
    assert (columns["v"].allowed, columns["v"].severity_of("allowed")) == (("x", "5"), Severity.WARNING)
    assert columns["v"].severity_of("type") is columns["v"].severity_of("required") is Severity.ERROR
    assert (columns["p"].pattern, columns["p"].unique) == ("[0-9]", True)
    assert columns["q"].required
    assert (columns["e"].type, columns["e"].allowed) == (ColumnType.BOOLEAN, ("true",))
    assert not columns["n"].restricted


def test_options_of_every_type_are_read() -> None:
    read = read_contract(
        contract(
            column(logicalTypeOptions={"format": "uuid"}, physicalName="A 1"),
            column(name="i", logicalType="integer", logicalTypeOptions={"format": "u8", "minimum": -5, "maximum": 9}),
            column(name="f", logicalType="number", logicalTypeOptions={"format": "f64", "multipleOf": 0.5}),
            column(
                name="d",
                logicalType="date",
                logicalTypeOptions={"minimum": "2024-02-29", "exclusiveMaximum": "2030-01-01", "format": "dd.MM.yyyy"},
            ),
            column(
                name="t",
                logicalType="timestamp",
                logicalTypeOptions={
                    "exclusiveMinimum": "2024-01-01T12:00:00+02:00",
                    "maximum": "2025-01-01",
                    "timezone": True,
                    "defaultTimezone": "Etc/UTC",
                },
            ),
        )
    )
    text, integer, number, day, time = read.columns
    assert (text.format, text.physical_name, text.in_file, integer.in_file) == ("uuid", "A 1", "A 1", "i")
    assert (integer.minimum, integer.maximum) == (0, 9)
    assert (number.minimum, number.multiple_of) == (None, 0.5)
    assert (day.earliest, day.before, day.latest, day.after) == ("2024-02-29", "2030-01-01", None, None)
    assert (time.after, time.latest, time.timezone) == ("2024-01-01T10:00:00", "2025-01-01T00:00:00", True)


def test_yaml_reads_an_unquoted_moment_and_so_do_we() -> None:
    options = yaml.safe_load("{minimum: 2024-02-29, maximum: 2025-01-01}")
    read = read_contract(contract(column(logicalType="date", logicalTypeOptions=options))).columns[0]
    assert (read.earliest, read.latest) == ("2024-02-29", "2025-01-01")
    options = yaml.safe_load("{minimum: 2024-01-01T12:00:00+02:00}")
    read = read_contract(contract(column(logicalType="timestamp", logicalTypeOptions=options))).columns[0]
    assert read.earliest == "2024-01-01T10:00:00"


def test_a_rule_that_allows_none_is_the_columns_own_with_its_severity() -> None:
    read = read_contract(
        contract(
            column(
                required=True,
                quality=[
                    rule("nullValues"),
                    rule("duplicateValues", severity="info", unit="percent"),
                    {"metric": "invalidValues", "mustBeLessThan": 1, "arguments": {"pattern": "a"}},
                    {"rule": "validValues", "mustBeLessOrEqualTo": 0, "arguments": {"validValues": ["a"]}},
                ],
            )
        )
    )
    only = read.columns[0]
    assert (only.required, only.unique, only.pattern, only.allowed) == (True, True, "a", ("a",))
    assert only.severities == {"unique": Severity.INFO}
    assert read.quality == ()


def test_a_second_rule_of_a_kind_and_one_with_a_tolerance_stand_beside_the_columns_own() -> None:
    read = read_contract(
        contract(
            column(
                enum=[{"value": "x"}],
                quality=[
                    rule("invalidValues", arguments={"validValues": ["x", "y"]}, severity="warning", name="wide, warn"),
                    {"metric": "nullValues", "mustBeLessThan": 5, "unit": "percent", "id": "few-nulls"},
                    rule("missingValues", mustBe=3, arguments={"missingValues": [None, "", "N/A"]}),
                    rule("invalidValues", arguments={"pattern": "^x", "validValues": ["x"]}),
                    {"metric": "nullValues", "mustBeLessThan": 7, "severity": "info"},
                    {"metric": "nullValues", "mustBeGreaterThan": 7},
                ],
            )
        )
    )
    only = read.columns[0]
    assert (only.allowed, only.missing_tokens) == (("x",), ("", "N/A"))
    by = {rule.id: rule for rule in read.quality}
    assert list(by) == [
        *("wide-warn", "few-nulls", "missingValues-a", "invalidValues-a", "nullValues-a", "nullValues-a-2"),
    ]
    assert all(rule.columns == ("a",) and rule.by_row for rule in read.quality)
    assert (by["wide-warn"].allowed, by["wide-warn"].row_severity) == (("x", "y"), Severity.WARNING)
    assert (by["few-nulls"].unit, by["few-nulls"].allows_none) == (Unit.PERCENT, False)
    assert (by["few-nulls"].severity, by["few-nulls"].row_severity) == (Severity.ERROR, Severity.INFO)
    assert (by["invalidValues-a"].pattern, by["invalidValues-a"].allowed) == ("^x", ("x",))
    assert by["invalidValues-a"].row_severity is Severity.ERROR


def test_rules_of_the_table_are_read() -> None:
    read = read_contract(
        contract(
            column(
                name="s",
                logicalType="date",
                quality=[custom({"metric": "freshness", "mustBeLessThan": 2}, unit="days")],
            ),
            column(name="e", logicalType="date"),
            column(
                name="c",
                quality=[custom({"metric": "newCategories", "mustBeLessThan": 1, "batches": 3}, unit="percent")],
            ),
            column(name="q", quality=[sql("SELECT max(${column}) FROM ${table}", mustBeGreaterThan=-1)]),
            quality=[
                {"metric": "rowCount", "mustBeGreaterThan": 5, "mustBeLessThan": 9},
                {"metric": "rowCount", "mustNotBe": 7, "severity": "warning"},
                {"metric": "duplicateValues", "mustBe": 0, "arguments": {"properties": ["s", "c"]}},
                custom({"metric": "compare", "left": "s", "relation": "<=", "right": "e"}, name="starts first"),
                custom({"metric": "rowCountChange", "mustBeBetween": [-50, 100]}, unit="percent", severity="warning"),
                {"type": "text", "description": "be nice"},
            ],
        )
    )
    assert (read.min_rows, read.max_rows) == (6, 8)
    by = {rule.id: rule for rule in read.quality}
    assert list(by) == [
        *("rowCount", "duplicateValues-s-c", "starts-first", "rowCountChange"),
        *("freshness-s", "newCategories-c", "sql-q"),
    ]
    assert by["duplicateValues-s-c"].columns == ("s", "c")
    assert by["starts-first"].columns == ("s", "e")
    assert (by["starts-first"].relation, by["starts-first"].allows_none) == ("<=", True)
    assert by["rowCount"].limits == (Limit(operator=Operator.MUST_NOT_BE, value=(7,)),)
    assert by["rowCountChange"].batches == 5
    assert (by["newCategories-c"].batches, by["newCategories-c"].by_row) == (3, False)
    assert by["sql-q"].query == 'SELECT max("q") FROM "t"'
    assert (by["freshness-s"].unit, by["freshness-s"].metric) == (Unit.DAYS, Metric.FRESHNESS)


def test_dates_and_times_of_a_list_are_read_as_bounds_are() -> None:
    day = {"logicalType": "date", "logicalTypeOptions": {"format": "dd.MM.yyyy"}}
    read = read_contract(
        contract(
            column(**day, enum=[{"value": date(2024, 2, 29)}, {"value": "2024-03-01"}]),
            column(name="b", logicalType="timestamp", enum=[{"value": "2024-02-29T10:00:00+01:00"}]),
            column(
                name="c",
                logicalType="timestamp",
                quality=[rule("invalidValues", arguments={"validValues": [datetime(2024, 2, 29, 10)]})],  # noqa: DTZ001 - as YAML reads it
            ),
        )
    )
    assert [item.allowed for item in read.columns] == [
        ("2024-02-29", "2024-03-01"),
        ("2024-02-29T09:00:00",),
        ("2024-02-29T10:00:00",),
    ]


@pytest.mark.parametrize(
    ("operator", "value", "passes", "fails"),
    [
        ("mustBe", 3, [3], [2, 4]),
        ("mustNotBe", 3, [2, 4], [3]),
        ("mustBeGreaterThan", 3, [4], [3, 2]),
        ("mustBeGreaterOrEqualTo", 3, [3, 4], [2]),
        ("mustBeLessThan", 3, [2], [3, 4]),
        ("mustBeLessOrEqualTo", 3, [2, 3], [4]),
        ("mustBeBetween", (3, 5), [3, 4, 5], [2, 6]),
        ("mustNotBeBetween", (3, 5), [2, 6], [3, 4, 5]),
    ],
)
def test_every_operator_of_the_standard_means_what_it_says(
    operator: str, value: Any, passes: list[float], fails: list[float]
) -> None:
    listed = list(value) if isinstance(value, tuple) else value
    rules = [{"type": "sql", "query": "SELECT 1", operator: listed}]
    (read,) = read_contract(contract(column(quality=rules))).quality
    assert [read.limits[0].holds(item) for item in (*passes, *fails)] == [True] * len(passes) + [False] * len(fails)


def test_the_dialect_is_read_and_none_when_nothing_is_said() -> None:
    said = {
        "csvDelimiter": ";",
        "csvDecimal": ",",
        "csvThousands": ".",
        "csvEncoding": "ISO-8859-1",
        "csvHeader": False,
    }
    custom_properties = [{"property": name, "value": value} for name, value in said.items()]
    read = read_contract(contract(customProperties=custom_properties)).dialect
    assert read == Dialect(delimiter=";", decimal=",", thousands=".", encoding="latin-1", header=False)
    assert read_contract(contract()).dialect is None


@pytest.mark.parametrize("version", ["v3.0.0", "v3.0.2", "v3.1.0", "v3.2.0", "v3.9.1"])
def test_every_v3_is_read(version: str) -> None:
    assert read_contract(contract() | {"apiVersion": version}).id == "c"


def test_a_part_of_the_standard_is_in_the_tables() -> None:
    import open_data_contract_standard.model as standard

    known = {
        "OpenDataContractStandard": parts.DOCUMENT,
        "SchemaObject": parts.SCHEMA,
        "SchemaProperty": parts.PROPERTY,
        "DataQuality": parts.RULE,
    }
    for name, table in known.items():
        fields = getattr(standard, name).model_fields
        assert {field.alias or key for key, field in fields.items()} <= set(table), name
    schema = json.loads((Path(standard.__file__).parent / "schema.json").read_text("utf-8"))
    types = set(schema["$defs"]["SchemaBaseProperty"]["properties"]["logicalType"]["enum"])
    assert types == {*ColumnType, *parts.TYPES_REFUSED}
    metrics = set(schema["$defs"]["DataQualityLibrary"]["properties"]["metric"]["enum"])
    assert metrics <= set(Metric)
    for case in schema["$defs"]["SchemaBaseProperty"]["allOf"][1:]:
        about = case["if"].get("anyOf", [case["if"]])
        for kind in {item["properties"]["logicalType"]["const"] for item in about} & set(ColumnType):
            options = case["then"]["properties"]["logicalTypeOptions"]["properties"]
            assert set(options) == set(parts.OPTIONS[ColumnType(kind)]), kind


def test_what_only_describes_is_free_to_be_there() -> None:
    document = contract(column(description="d", businessName="b", tags=["t"], examples=["x"], classification="public"))
    document |= {
        "name": "n",
        "description": {"purpose": "p"},
        "team": {"name": "x"},
        "price": {"priceAmount": 1},
        "servers": [{"server": "s", "type": "s3"}],
        "support": [{"channel": "c"}],
        "tags": ["t"],
        "slaProperties": [{"property": "retention", "value": 3}],
        "customProperties": [{"property": "anotherTool", "value": 1}],
    }
    assert read_contract(document).columns[0].description == "d"


@pytest.mark.parametrize("position", [None, -1])
def test_a_key_without_positions_is_in_the_order_of_its_columns(position: int | None) -> None:
    keys = [column(name=name, primaryKey=True, primaryKeyPosition=position) for name in ("z", "a")]
    assert read_contract(contract(*keys)).primary_key == ("z", "a")


LIMITS = st.lists(
    st.one_of(
        st.builds(
            lambda operator, value: (operator, value),
            st.sampled_from([operator for operator in Operator if "Between" not in operator]),
            st.one_of(st.integers(-2, 5), st.sampled_from([0.5, 1.5, 2.5])).map(lambda value: (value,)),
        ),
        st.builds(
            lambda operator, pair: (operator, tuple(sorted(pair))),
            st.sampled_from([operator for operator in Operator if "Between" in operator]),
            st.tuples(st.integers(-2, 5), st.integers(-2, 5)),
        ),
    ),
    min_size=1,
    max_size=2,
)


@given(LIMITS)
@example([(Operator.MUST_NOT_BE, (1,)), (Operator.MUST_BE_LESS_OR_EQUAL_TO, (1.5,))])
def test_allowing_none_is_to_hold_for_no_violation_and_for_no_number_of_them(limits: list[Any]) -> None:
    read = [Limit(operator=operator, value=value) for operator, value in limits]
    rule = QualityRule(id="r", metric=Metric.NULL_VALUES, columns=("a",), limits=tuple(read))
    assert rule.allows_none == (rule.holds(0) and not any(rule.holds(rows) for rows in range(1, 50)))
    assert not rule.model_copy(update={"metric": Metric.ROW_COUNT}).allows_none


ANYTHING = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-3, 3),
        st.floats(),
        st.text(max_size=3),
        st.dates(),
        st.sampled_from(["2024-02-29", "integer", "a", "^a"]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=3), inner, max_size=2)),
    max_leaves=4,
)


def some(names: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(names), ANYTHING, max_size=3)


@settings(max_examples=300, deadline=None)
@given(
    kind=st.sampled_from([*ColumnType, "time", None]),
    options=some([*{option for known in parts.OPTIONS.values() for option in known}, "odd"]),
    rules=st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "type": st.sampled_from(["library", "sql", "custom", "text"]),
                "metric": st.sampled_from([*Metric, "odd"]),
                "arguments": some(["validValues", "pattern", "missingValues", "properties", "odd"]),
                "mustBe": ANYTHING,
                "mustBeLessThan": st.floats(),
                "unit": st.sampled_from([*Unit, "odd"]),
                "severity": st.sampled_from([*Severity, "odd"]),
                "query": st.just("SELECT 1"),
                "engine": st.just("interlock"),
                "implementation": some(["metric", "left", "right", "relation", "batches", "mustBe"]),
            },
        ),
        max_size=2,
    ),
    enum=st.none() | st.lists(st.fixed_dictionaries({"value": ANYTHING}), max_size=2),
    setting=st.tuples(st.sampled_from([*parts.SETTINGS, "odd"]), ANYTHING),
)
def test_whatever_stands_where_the_standard_lets_anything_stand_is_read_or_refused(
    kind: str | None, options: Any, rules: Any, enum: Any, setting: tuple[str, Any]
) -> None:
    document = contract(
        column(logicalType=kind, logicalTypeOptions=options, quality=rules, enum=enum),
        quality=rules,
        customProperties=[{"property": setting[0], "value": setting[1]}],
    )
    with contextlib.suppress(InvalidContract):
        read = read_contract(document)
        assert Contract.from_json(read.to_json()) == read


def test_the_column_that_says_whose_row_it_is() -> None:
    mark = {"customProperties": [{"property": "subjectKey", "value": True}, {"property": "owner", "value": "us"}]}
    assert read_contract(contract(column(), column(name="who", **mark))).subject == "who"
    assert read_contract(contract(column())).subject is None
    with pytest.raises(InvalidContract, match="one column is the subject key, not a, b"):
        read_contract(contract(column(**mark), column(name="b", **mark)))
    for wrong in ({"property": "subjectkey", "value": True}, {"property": "subjectKey", "value": "yes"}):
        with pytest.raises(InvalidContract, match="the mark is `subjectKey: true`"):
            read_contract(contract(column(customProperties=[wrong])))

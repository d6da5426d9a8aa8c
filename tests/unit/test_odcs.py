"""What the contract says is enforced or refused, with the place and the remedy; nothing is silently ignored."""

from __future__ import annotations

import contextlib
import copy
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.contract import ColumnType, Contract, Dialect, Limit, Metric, Operator, QualityRule, Severity, Unit
from interlock.errors import InvalidContract, InvalidSpec
from interlock.folder import model_folders, read_model
from interlock.odcs import parts, read_contract

MODELS = Path(__file__).parents[2] / "models"


def rule(metric: str, **more: Any) -> dict[str, Any]:
    return {"metric": metric, "mustBe": 0} | more


def contract(*properties: dict[str, Any], **schema: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": "c",
        "version": "1.2.3",
        "status": "active",
        "schema": [{"name": "t", "properties": list(properties) or [column()]} | schema],
    }


def custom(implementation: Any, **more: Any) -> dict[str, Any]:
    return {"type": "custom", "engine": "interlock", "implementation": implementation} | more


def sql(query: str, **more: Any) -> dict[str, Any]:
    return {"type": "sql", "query": query, "mustBe": 0} | more


def column(**more: Any) -> dict[str, Any]:
    return {"name": "a", "logicalType": "string"} | more


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
            column(name="q", quality=[sql("SELECT max(${column}) FROM ${table}", mustBeBetween=[1, 2])]),
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


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"logicalType": "object"}, "logicalType: is 'object' (an upload is one flat table), read are string, integer"),
        ({"logicalType": None}, "logicalType: is None"),
        (
            {"logicalTypeOptions": {"multipleOf": 0}, "logicalType": "integer"},
            "multiple_of",
        ),
        ({"logicalTypeOptions": {"minimum": 2}}, "minimum: is not enforced for string; enforced: format, maxLength"),
        ({"logicalTypeOptions": {"format": "password"}}, "'password': any text can be a password"),
        ({"logicalTypeOptions": {"format": "phone"}}, "'phone': is not known; enforced are uuid, email"),
        ({"logicalTypeOptions": {"timezone": True}}, "timezone: is not enforced for string"),
        ({"logicalType": "integer", "logicalTypeOptions": {"format": "u64"}}, "does not fit a column of 64 bits"),
        ({"logicalType": "number", "logicalTypeOptions": {"format": "i8"}}, "enforced are f32, f64"),
        ({"logicalType": "number", "logicalTypeOptions": {"minimum": "2"}}, "minimum: is '2', no bound"),
        ({"logicalType": "date", "logicalTypeOptions": {"minimum": 2024}}, "minimum: 2024 is no date"),
        ({"logicalType": "date", "logicalTypeOptions": {"maximum": "2023-02-29"}}, "'2023-02-29' is no date in ISO"),
        ({"logicalType": "timestamp", "logicalTypeOptions": {"minimum": "noon"}}, "'noon' is no timestamp"),
        (
            {"logicalType": "timestamp", "logicalTypeOptions": {"defaultTimezone": "Europe/Berlin"}},
            "a time without a zone is UTC",
        ),
        (
            {"logicalType": "timestamp", "logicalTypeOptions": {"timezone": True, "format": "yyyy"}},
            "timezone: true and a format do not go together",
        ),
        ({"logicalType": "time"}, "'time' (no column type holds a time of day"),
        ({"logicalType": "vector"}, "'vector' (one column a dimension"),
        ({"relationships": [{"to": "x.y"}]}, "relationships: is not enforced: other tables are not known"),
        ({"encryptedName": "b"}, "encryptedName: is not enforced: encrypted values"),
        ({"logicalTypeOptions": {"maxLength": "many"}}, "max_length"),
        ({"logicalType": "date", "logicalTypeOptions": {"format": "MMM yy"}}, "'MMM yy' is not understood at 'M yy'"),
        ({"logicalType": "number", "logicalTypeOptions": {"maximum": float("inf")}}, "maximum: is inf, no bound"),
        ({"logicalTypeOptions": {"pattern": "(a"}}, "cannot be read"),
        ({"logicalTypeOptions": {"pattern": "a(?=b)"}}, "(?=, which the engine (RE2) does not read"),
        ({"logicalTypeOptions": {"pattern": r"(a)\1"}}, "holds \\1"),
        ({"logicalTypeOptions": {"pattern": r"[\u00e9]"}}, "holds \\u"),
        ({"logicalTypeOptions": {"pattern": "a{2000}"}}, "holds {2000"),
        ({"logicalType": "integer", "quality": [rule("invalidValues", arguments={"pattern": "1"})]}, "strings only"),
        ({"partitioned": True}, "partitioned: is not enforced: an upload is not partitioned; take it out"),
        ({"requird": True}, "requird: is not enforced: there is no such part here"),
        ({"items": {}}, "items: is not enforced"),
        ({"quality": [{"metric": "nullValues"}]}, "quality[0](nullValues): says no limit: one of mustBe,"),
        ({"quality": [rule("nullValues", mustBe="few")]}, "mustBe: is 'few', not a number"),
        ({"quality": [rule("nullValues", mustBe=True)]}, "mustBe: is True, not a number"),
        ({"quality": [rule("nullValues", mustBeBetween=[3, 1])]}, "two numbers, the smaller first"),
        ({"quality": [rule("nullValues", unit="share")]}, "unit: is 'share'; nullValues is counted in percent, rows"),
        ({"quality": [rule("nullValues", severity="fatal")]}, "severity: fatal is unknown; error, warning, info"),
        ({"quality": [rule("nullValues", arguments={"missingValues": [""]})]}, "missingValues: is not enforced"),
        ({"quality": [rule("missingValues", arguments={"missingValues": "x"})]}, "is 'x', not a list"),
        ({"quality": [rule("missingValues", arguments={"missingValues": [False]})]}, "write it in quotes"),
        ({"quality": [rule("invalidValues")]}, "arguments: needs validValues or pattern"),
        ({"quality": [rule("duplicateValues", arguments={"properties": ["a"]})]}, "properties: is not enforced"),
        ({"quality": [rule("rowCount")]}, "rowCount is enforced on the table, not on a column"),
        ({"quality": [rule("medianValue")]}, "the metric 'medianValue' is not enforced"),
        ({"quality": [rule("nullValues", mustbe=3)]}, "mustbe: is not enforced: there is no such part here"),
        ({"quality": [{"type": "sql", "mustBe": 0}]}, "quality[0](sql).query: is missing"),
        ({"quality": [{"type": "sql", "query": "SELECT 1"}]}, "says no limit"),
        ({"quality": [{"type": "magic", "mustBe": 0}]}, "type: is 'magic'; enforced are library, sql and custom"),
        ({"quality": [{"type": "custom", "engine": "soda", "implementation": "x"}]}, "the engine 'soda' is not"),
        ({"quality": [custom("x")]}, "implementation: must be a mapping"),
        ({"quality": [custom({"metric": "rowCount", "mustBe": 3})]}, "the metric 'rowCount' is not enforced"),
        ({"quality": [custom({"metric": "freshness", "mustBe": 3}, unit="days")]}, "that of a date or timestamp"),
        (
            {"logicalType": "date", "quality": [custom({"metric": "freshness", "mustBe": 3})]},
            "unit: is ''; freshness is counted in days, hours, minutes",
        ),
        (
            {"logicalType": "date", "quality": [custom({"metric": "freshness"}, unit="days")]},
            "implementation: says no limit",
        ),
        (
            {
                "logicalType": "date",
                "classification": "secret",
                "quality": [custom({"metric": "freshness", "mustBeLessThan": 3}, unit="days")],
            },
            "would tell a value of a restricted column",
        ),
        (
            {"logicalType": "integer", "quality": [custom({"metric": "newCategories", "mustBe": 0})]},
            "categories are those of a string or boolean",
        ),
        (
            {"quality": [custom({"metric": "newCategories", "mustBe": 0, "batch": 3})]},
            "implementation.batch: is not known",
        ),
        ({"quality": [custom({"metric": "newCategories", "mustBe": 0, "batches": 0})]}, "batches: Input should be"),
        ({"quality": [rule("invalidValues", arguments={"validValues": [True]})]}, "write it in quotes"),
        ({"quality": [rule("invalidValues", arguments={"validValues": [None]})]}, "write it in quotes"),
        ({"logicalType": "integer", "enum": [{"value": "x"}]}, "'x' is not of the type integer"),
        ({"customProperties": [{"property": "maxBadRowShare", "value": 1}]}, "belongs into schema[0].customProperties"),
        ({"name": ""}, "name"),
        ({"name": "interlock_row"}, "begin with interlock_"),
    ],
)
def test_what_a_column_asks_for_and_is_not_enforced_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidContract) as refused:
        read_contract(contract(column() | changes))
    assert said in refused.value.message
    assert refused.value.next_step


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.update(apiVersion="v2.2.0"), "apiVersion: is 'v2.2.0', v3.x is read"),
        (lambda d: d.update(schema=[]), "schema: holds 0 objects"),
        (lambda d: d.update(schema=d["schema"] * 2), "schema: holds 2 objects"),
        (lambda d: d.update(quality=[]), "document.quality: is not enforced"),
        (lambda d: d.update(slaProperties=[{"property": "latency", "value": 1}]), "slaProperties[0](latency): is not"),
        (
            lambda d: d.update(customProperties=[{"property": "maxBadRowshare", "value": 1}]),
            "document.customProperties[0]: maxBadRowshare belongs into schema[0]",
        ),
        (
            lambda d: d["schema"][0].update(customProperties=[{"property": "maxBadRows", "value": 1}]),
            "'maxBadRows' is unknown; known: maxBadRowShare, nullTokens, csvDelimiter",
        ),
        (
            lambda d: d["schema"][0].update(customProperties=[{"property": "maxBadRowShare", "value": 7}]),
            "max_bad_row_share: Input should be less than or equal to 1",
        ),
        (
            lambda d: d["schema"][0].update(customProperties=[{"property": "nullTokens", "value": [None]}]),
            "write it in quotes",
        ),
        (lambda d: d["schema"][0].update(quality=[rule("duplicateValues")]), "arguments: needs properties"),
        (lambda d: d["schema"][0].update(quality=[rule("nullValues")]), "is enforced on a column, not on the table"),
        (
            lambda d: d["schema"][0].update(quality=[rule("duplicateValues", arguments={"properties": ["z"]})]),
            "names unknown columns: z",
        ),
        (
            lambda d: d["schema"][0].update(quality=[{"metric": "rowCount", "mustBeBetween": [1]}]),
            "mustBeBetween takes two numbers",
        ),
        (
            lambda d: d["schema"][0].update(quality=[{"metric": "rowCount", "mustBe": 5, "unit": "percent"}]),
            "rowCount is counted in rows",
        ),
        (
            lambda d: d["schema"][0].update(quality=[custom({"metric": "compare", "left": "a", "right": "a"})]),
            "compare needs its relation",
        ),
        (
            lambda d: d["schema"][0].update(
                quality=[custom({"metric": "compare", "left": "a", "relation": "=>", "right": "a"})]
            ),
            "relation: String should match",
        ),
        (
            lambda d: d["schema"][0].update(
                properties=[column(), column(name="b", logicalType="date")],
                quality=[custom({"metric": "compare", "left": "a", "relation": "<", "right": "b"})],
            ),
            "compares a string with a date",
        ),
        (
            lambda d: d["schema"][0].update(quality=[rule("rowCount", id="x", mustNotBe=3), sql("SELECT 1", id="x")]),
            "quality rules with the same id: x",
        ),
        (
            lambda d: d["schema"][0].update(customProperties=[{"property": "csvDelimiter", "value": "||"}]),
            "schema[0].customProperties(csvDelimiter): String should have at most 1 character",
        ),
        (
            lambda d: d["schema"][0].update(customProperties=[{"property": "csvEncoding", "value": "ebcdic"}]),
            "customProperties(csvEncoding)",
        ),
        (
            lambda d: d["schema"][0].update(
                customProperties=[
                    {"property": "csvDecimal", "value": ","},
                    {"property": "csvThousands", "value": ","},
                ]
            ),
            "must be different characters",
        ),
        (lambda d: d["schema"][0].update(relationships=[]), "relationships: is not enforced: other tables"),
        (
            lambda d: d["schema"][0].update(properties=[column(), column(name="b", physicalName="A")]),
            "named twice (upper and lower case",
        ),
        (lambda d: d["schema"][0]["properties"].append(column(name="A")), "named twice (upper and lower case"),
    ],
)
def test_what_a_contract_asks_for_and_is_not_enforced_is_refused(change: Any, said: str) -> None:
    document = contract()
    change(document)
    with pytest.raises(InvalidContract) as refused:
        read_contract(document)
    assert said in refused.value.message


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(InvalidContract) as refused:
        read_contract(contract(column(items={}), column(name="b", logicalType="map"), rubbish=1))
    lines = refused.value.message.splitlines()
    assert len(lines) == 4
    assert "schema[0].properties[1](b).logicalType" in refused.value.message


@pytest.mark.parametrize(
    "pattern", [r"^[a-z(?=]+$", r"\(\?=", r"a+?b*", r"(?i)a", r"(?P<x>a)", r"[*+]+", r"\\1", r"a{2,3}", "x{,5}"]
)
def test_patterns_that_are_read_are_read_by_the_engine_too(pattern: str) -> None:
    assert read_contract(contract(column(logicalTypeOptions={"pattern": pattern}))).columns[0].pattern == pattern
    with duckdb.connect() as con:
        con.execute("SELECT regexp_matches('a', ?)", [pattern])


@pytest.mark.parametrize(
    "pattern", ["(?=a)", "(?!a)", "(?<=a)", "(?<!a)", "(?>a)", "(?#a)", r"(a)\1", r"a\Z", r"\u0041", "a{1001}"]
)
def test_patterns_that_are_refused_would_fail_in_the_engine(pattern: str) -> None:
    with pytest.raises(InvalidContract):
        read_contract(contract(column(logicalTypeOptions={"pattern": pattern})))
    with duckdb.connect() as con, pytest.raises(duckdb.Error):
        con.execute("SELECT regexp_matches('a', ?)", [pattern])


@pytest.mark.parametrize("folder", model_folders(MODELS), ids=lambda folder: folder.name)
def test_the_models_of_this_repository_are_read(folder: Path) -> None:
    assert read_model(folder).id == folder.name


@pytest.fixture
def census(tmp_path: Path) -> Path:
    folder = tmp_path / "census-income"
    folder.mkdir()
    for name in ("contract.yaml", "model.yaml"):
        (folder / name).write_text((MODELS / "census-income" / name).read_text("utf-8"), "utf-8")
    return folder


def edit(file: Path, **changes: Any) -> None:
    document = copy.deepcopy(yaml.safe_load(file.read_text("utf-8")))
    file.write_text(yaml.safe_dump(document | changes), "utf-8")


def test_a_folder_is_read_and_refused_with_file_and_place(census: Path) -> None:
    read = read_model(census)
    assert read.classes == ("<=50K", ">50K")
    assert read.contract.null_tokens == ("", "?")
    edit(census / "model.yaml", id="other")
    with pytest.raises(InvalidSpec, match="id is 'other', the folder is 'census-income'"):
        read_model(census)


@pytest.mark.parametrize(
    ("file", "changes", "error", "said"),
    [
        (
            "model.yaml",
            {"target": {"column": "pay", "kind": "regression"}},
            InvalidSpec,
            "'pay' is not in the contract",
        ),
        ("model.yaml", {"features": ["age", "rank"]}, InvalidSpec, "features not in the contract: rank"),
        ("model.yaml", {"gate": {"metrics": {}}}, InvalidSpec, "gate.metrics"),
        ("model.yaml", {"training": {"script": "train.py"}}, InvalidSpec, "'train.py' is not in the folder"),
        ("model.yaml", {"rubbish": 1}, InvalidSpec, "rubbish: Extra inputs are not permitted"),
        ("contract.yaml", {"kind": 7}, InvalidContract, "is not ODCS"),
        ("contract.yaml", {"apiVersion": "v2.0.0"}, InvalidContract, "v3.x is read"),
    ],
)
def test_a_wrong_folder_says_where(
    census: Path, file: str, changes: dict[str, Any], error: type[Exception], said: str
) -> None:
    edit(census / file, **changes)
    with pytest.raises(error) as refused:
        read_model(census)
    assert said in str(refused.value)
    assert file in str(refused.value)


def test_files_that_are_missing_or_no_yaml_are_told(census: Path) -> None:
    (census / "contract.yaml").write_text("a: [", "utf-8")
    with pytest.raises(InvalidContract, match=r"contract\.yaml"):
        read_model(census)
    (census / "contract.yaml").unlink()
    with pytest.raises(InvalidContract, match="is missing"):
        read_model(census)


def test_a_folder_that_cannot_be_an_id_is_refused(tmp_path: Path) -> None:
    (tmp_path / "Census_Income").mkdir()
    (tmp_path / "Census_Income/model.yaml").write_text("", "utf-8")
    with pytest.raises(InvalidSpec, match="Census_Income"):
        model_folders(tmp_path)


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

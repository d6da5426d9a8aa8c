"""What a contract asks for and is not enforced is refused, with the place and the remedy."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest

from interlock.errors import InvalidContract
from interlock.odcs import read_contract
from tests.unit.odcs.written import column, contract, custom, rule, sql


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
        ({"logicalTypeOptions": {"maxLength": "many"}}, "maxLength: is 'many', no number of characters"),
        ({"logicalTypeOptions": {"minLength": -1}}, "minLength: is -1, no number of characters"),
        ({"logicalTypeOptions": {"minLength": 3, "maxLength": 2}}, "nothing lies between 3 and 2"),
        (
            {"logicalType": "integer", "logicalTypeOptions": {"minimum": 3, "exclusiveMaximum": 3}},
            "nothing lies between 3 and 3",
        ),
        (
            {"logicalType": "date", "logicalTypeOptions": {"minimum": "2025-01-01", "maximum": "2024-01-01"}},
            "nothing lies between 2025-01-01 and 2024-01-01",
        ),
        ({"logicalType": "date", "logicalTypeOptions": {"format": "HH:mm"}}, "'HH:mm' says no day"),
        ({"logicalType": "timestamp", "logicalTypeOptions": {"format": ""}}, "'' says no day"),
        ({"required": "no"}, "required: is 'no', not true or false"),
        ({"primaryKey": "false"}, "primaryKey: is 'false', not true or false"),
        ({"primaryKeyPosition": 1}, "primaryKeyPosition: the column is not of the key; say primaryKey: true"),
        ({"enum": []}, "enum: holds no value"),
        ({"enum": [{"label": "x"}]}, "enum: YAML reads an unquoted word as None"),
        ({"logicalType": "date", "enum": [{"value": "29.02.2024"}]}, "'29.02.2024' is no date in ISO 8601"),
        ({"logicalType": "timestamp", "enum": [{"value": 5}]}, "5 is no timestamp in ISO 8601"),
        ({"logicalType": "integer", "enum": [{"value": 2**63}]}, "'9223372036854775808' does not fit the type integer"),
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
        (
            {"quality": [rule("nullValues", type="text")]},
            "quality[0](nullValues).mustBe: is not enforced in a rule of type text; take it out",
        ),
        ({"quality": [{"type": "text", "odd": 1}]}, "quality[0](text).odd: is not enforced"),
        ({"quality": [sql("SELECT 0", metric="nullValues")]}, "metric: is not enforced in a rule of type sql"),
        ({"quality": [rule("nullValues", query="SELECT 0")]}, "query: is not enforced in a rule of type library"),
        (
            {"quality": [custom({"metric": "newCategories", "mustBe": 0}, arguments={"a": 1})]},
            "arguments: is not enforced in a rule of type custom",
        ),
        ({"quality": [rule("nullValues", rule="rowCount")]}, "rule: is another name of metric"),
        (
            {"quality": [{"metric": "nullValues", "mustBeGreaterThan": 9, "mustBeLessThan": 5}]},
            "quality[0](nullValues): no number keeps all of these limits",
        ),
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
        ({"logicalType": "integer", "enum": [{"value": "x"}]}, "'x' does not fit the type integer"),
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
            "schema[0].customProperties[0](maxBadRowShare): is 7, not a share from 0 to 1",
        ),
        (
            lambda d: d["schema"][0].update(
                customProperties=[{"property": "csvDecimal", "value": mark} for mark in (".", ",")]
            ),
            "schema[0].customProperties[1](csvDecimal): is said twice",
        ),
        (lambda d: d.pop("version"), "version: is missing; every dataset records it"),
        (lambda d: d.update(kind="DataProduct"), "kind: is 'DataProduct', a DataContract is read"),
        (
            lambda d: d["schema"][0].update(customProperties=[{"property": "nullTokens", "value": [None]}]),
            "write it in quotes",
        ),
        (lambda d: d["schema"][0].update(quality=[rule("duplicateValues")]), "arguments: needs properties"),
        (lambda d: d["schema"][0].update(quality=[rule("nullValues")]), "is enforced on a column, not on the table"),
        (
            lambda d: d["schema"][0].update(quality=[rule("duplicateValues", arguments={"properties": ["z"]})]),
            "schema[0].quality[0](duplicateValues): names unknown columns: z",
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
            "schema[0].quality[0](custom): compares a column of type string with one of type date",
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

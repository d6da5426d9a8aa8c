"""What the contract says is enforced or refused, with the place and the remedy; nothing is silently ignored."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from interlock.contract import ColumnType, Severity
from interlock.errors import InvalidContract, InvalidSpec
from interlock.folder import model_folders, read_model
from interlock.odcs import read_contract

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
    assert (columns["v"].allowed, columns["v"].severity) == (("x", "5"), Severity.WARNING)
    assert (columns["p"].pattern, columns["p"].unique) == ("[0-9]", True)
    assert columns["q"].required
    assert (columns["e"].type, columns["e"].allowed) == (ColumnType.BOOLEAN, ("true",))
    assert not columns["n"].restricted


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
        ({"logicalType": "object"}, "logicalType: is 'object', read are string, integer"),
        ({"logicalType": None}, "logicalType: is None"),
        (
            {"logicalTypeOptions": {"multipleOf": 2}, "logicalType": "integer"},
            "multipleOf: is not enforced for integer",
        ),
        ({"logicalTypeOptions": {"minimum": 2}}, "minimum: is not enforced for string; enforced: maxLength"),
        ({"logicalTypeOptions": {"format": "email"}}, "format: is not enforced for string"),
        ({"logicalTypeOptions": {"maxLength": "many"}}, "max_length"),
        ({"logicalType": "date", "logicalTypeOptions": {"format": "MMM yy"}}, "'MMM yy' is not understood at 'M yy'"),
        ({"logicalType": "number", "logicalTypeOptions": {"maximum": float("inf")}}, "maximum is inf, no bound"),
        ({"logicalTypeOptions": {"pattern": "(a"}}, "cannot be read"),
        ({"logicalTypeOptions": {"pattern": "a(?=b)"}}, "(?=, which the engine (RE2) does not read"),
        ({"logicalTypeOptions": {"pattern": r"(a)\1"}}, "holds \\1"),
        ({"logicalTypeOptions": {"pattern": r"[\u00e9]"}}, "holds \\u"),
        ({"logicalTypeOptions": {"pattern": "a{2000}"}}, "holds {2000"),
        ({"logicalType": "integer", "quality": [rule("invalidValues", arguments={"pattern": "1"})]}, "strings only"),
        ({"physicalName": "A1"}, "physicalName: is not read"),
        ({"partitioned": True}, "partitioned: is not enforced; take it out"),
        ({"requird": True}, "requird: is not enforced; take it out"),
        ({"items": {}}, "items: is not enforced"),
        ({"quality": [rule("nullValues", mustBe=3)]}, "quality[0](nullValues): is not enforced; enforced on a column"),
        ({"quality": [{"metric": "nullValues", "mustBeLessThan": 5}]}, "is not enforced"),
        ({"quality": [rule("nullValues", mustBeLessThan=5)]}, "is not enforced"),
        ({"quality": [{"type": "sql", "query": "SELECT 1", "mustBe": 0}]}, "quality[0](sql): is not enforced"),
        ({"quality": [{"type": "custom", "engine": "soda", "implementation": "x"}]}, "is not enforced"),
        ({"quality": [rule("invalidValues", arguments={"validValues": ["a"], "pattern": "a"})]}, "is not enforced"),
        ({"quality": [rule("nullValues", severity="info")]}, "severity info is unknown"),
        (
            {"required": True, "quality": [rule("duplicateValues", severity="warning")]},
            "either all of a column's rules",
        ),
        ({"quality": [rule("invalidValues", arguments={"validValues": [True]})]}, "write it in quotes"),
        ({"quality": [rule("invalidValues", arguments={"validValues": [None]})]}, "write it in quotes"),
        ({"logicalType": "integer", "enum": [{"value": "x"}]}, "'x' is not of the type integer"),
        (
            {"enum": [{"value": "x"}], "quality": [rule("invalidValues", arguments={"validValues": ["y"]})]},
            "said twice",
        ),
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
            "'maxBadRows' is unknown; known: maxBadRowShare, nullTokens",
        ),
        (
            lambda d: d["schema"][0].update(customProperties=[{"property": "maxBadRowShare", "value": 7}]),
            "max_bad_row_share: Input should be less than or equal to 1",
        ),
        (
            lambda d: d["schema"][0].update(customProperties=[{"property": "nullTokens", "value": [None]}]),
            "write it in quotes",
        ),
        (lambda d: d["schema"][0].update(quality=[rule("duplicateValues")]), "enforced on the table: rowCount"),
        (
            lambda d: d["schema"][0].update(quality=[{"metric": "rowCount", "mustBeLessThan": 5, "mustNotBe": 3}]),
            "is not enforced; enforced on the table",
        ),
        (
            lambda d: d["schema"][0].update(quality=[{"metric": "rowCount", "mustBeBetween": [1]}]),
            "mustBeBetween: is [1], not a number of rows",
        ),
        (
            lambda d: d["schema"][0].update(quality=[{"metric": "rowCount", "mustBe": 5, "severity": "warning"}]),
            "always rejected; say error",
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

"""Contracts judged by the standard's own command: it reads what we read and write, and comes to the same verdict."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from cli.contracts import scaffolding, trying
from interlock.contract import Severity
from interlock.folder import read_contract_file
from interlock.records import CheckStatus

ROOT = Path(__file__).parents[2]
JUDGE = ROOT / ".interlock/envs/datacontract/bin/python"

ROWS = "n,x,s,d,k\n1,0.5,ab,2024-01-01,1\n2,1.5,cd,2024-02-29,2\n3,,ef,2024-02-29,3\n"


def column(name: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "logicalType": kind} | more


def quality(metric: str, **more: Any) -> dict[str, Any]:
    return {"metric": metric} | more


def sql(query: str, **more: Any) -> dict[str, Any]:
    return {"type": "sql", "query": query} | more


# name: (rules of n, x, s and d; rules of the table; whether the rows pass)
CASES: dict[str, tuple[dict[str, dict[str, Any]], list[dict[str, Any]], str]] = {
    "nothing is asked": ({}, [], "passed"),
    "a subject key is marked": ({"n": {"customProperties": [{"property": "subjectKey", "value": True}]}}, [], "passed"),
    "required, there": ({"n": {"required": True}}, [], "passed"),
    "required, missing": ({"x": {"required": True}}, [], "failed"),
    "minimum, kept": ({"n": {"logicalTypeOptions": {"minimum": 1}}}, [], "passed"),
    "minimum, not kept": ({"n": {"logicalTypeOptions": {"minimum": 2}}}, [], "failed"),
    "maximum, not kept": ({"x": {"logicalTypeOptions": {"maximum": 1}}}, [], "failed"),
    "maximum, kept by a missing value": ({"x": {"logicalTypeOptions": {"maximum": 1.5}}}, [], "passed"),
    "exclusive maximum, not kept": ({"n": {"logicalTypeOptions": {"exclusiveMaximum": 3}}}, [], "failed"),
    "lengths, kept": ({"s": {"logicalTypeOptions": {"minLength": 2, "maxLength": 2}}}, [], "passed"),
    "length, not kept": ({"s": {"logicalTypeOptions": {"minLength": 3}}}, [], "failed"),
    "pattern, kept": ({"s": {"logicalTypeOptions": {"pattern": "^[a-f]{2}$"}}}, [], "passed"),
    "pattern, not kept": ({"s": {"logicalTypeOptions": {"pattern": "^a"}}}, [], "failed"),
    "pattern, anywhere": ({"s": {"logicalTypeOptions": {"pattern": "b|d|f"}}}, [], "passed"),
    "unique, kept": ({"n": {"unique": True}}, [], "passed"),
    "unique, not kept": ({"d": {"unique": True}}, [], "failed"),
    "repeated values, few enough": ({"d": {"quality": [quality("duplicateValues", mustBeLessThan=2)]}}, [], "passed"),
    "repeated values, too many": ({"d": {"quality": [quality("duplicateValues", mustBeLessThan=1)]}}, [], "failed"),
    "null values, none": ({"n": {"quality": [quality("nullValues", mustBe=0)]}}, [], "passed"),
    "null values, some": ({"x": {"quality": [quality("nullValues", mustBe=0)]}}, [], "failed"),
    "null values, told": ({"x": {"quality": [quality("nullValues", mustBe=0, severity="warning")]}}, [], "warning"),
    "valid values, kept": (
        {"s": {"quality": [quality("invalidValues", mustBe=0, arguments={"validValues": ["ab", "cd", "ef"]})]}},
        [],
        "passed",
    ),
    "valid values, not kept": (
        {"s": {"quality": [quality("invalidValues", mustBe=0, arguments={"validValues": ["ab", "cd"]})]}},
        [],
        "failed",
    ),
    "missing values, few enough": ({"x": {"quality": [quality("nullValues", mustBeLessThan=2)]}}, [], "passed"),
    "missing values, too many": ({"x": {"quality": [quality("nullValues", mustBeLessThan=1)]}}, [], "failed"),
    "missing values, of a hundred few enough": (
        {"x": {"quality": [quality("nullValues", mustBeLessThan=34, unit="percent")]}},
        [],
        "passed",
    ),
    "missing values, of a hundred too many": (
        {"x": {"quality": [quality("nullValues", mustBeLessOrEqualTo=33, unit="percent")]}},
        [],
        "failed",
    ),
    "invalid values, few enough": (
        {"s": {"quality": [quality("invalidValues", mustBeLessThan=3, arguments={"pattern": "^a"})]}},
        [],
        "passed",
    ),
    "invalid values, too many": (
        {
            "s": {
                "quality": [quality("invalidValues", mustBeBetween=[0, 1], arguments={"validValues": ["ab"]})],
                "physicalName": "s",
            }
        },
        [],
        "failed",
    ),
    "missing values, by a token": (
        {"s": {"quality": [quality("missingValues", mustBe=0, arguments={"missingValues": ["ef"]})]}},
        [],
        "failed",
    ),
    "rows, enough": ({}, [quality("rowCount", mustBeGreaterThan=2)], "passed"),
    "rows, both ends counted in": ({}, [quality("rowCount", mustBeBetween=[3, 5])], "passed"),
    "rows, too many": ({}, [quality("rowCount", mustBeLessThan=3)], "failed"),
    "rows, not this number": ({}, [quality("rowCount", mustNotBe=3)], "failed"),
    "rows, not between": ({}, [quality("rowCount", mustNotBeBetween=[1, 4], severity="warning")], "warning"),
    "columns together, once": (
        {},
        [quality("duplicateValues", mustBe=0, arguments={"properties": ["n", "k"]})],
        "passed",
    ),
    "columns together, twice": (
        {},
        [quality("duplicateValues", mustBe=0, arguments={"properties": ["d"]})],
        "failed",
    ),
    "a query that holds": ({}, [sql("SELECT max(n) FROM {table}", mustBe=3)], "passed"),
    "a query that does not": ({"x": {"quality": [sql("SELECT max({column}) FROM {table}", mustBe=3)]}}, [], "failed"),
    "a key, once": ({"k": {"primaryKey": True}}, [], "passed"),
}


def contract(folder: Path, number: int, server: dict[str, str], columns: dict[str, Any], table: list[Any]) -> Path:
    kinds = {"n": "integer", "x": "number", "s": "string", "d": "date", "k": "integer"}
    document = {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": "c",
        "version": "1.0.0",
        "status": "active",
        "servers": [{"server": "here", "type": "local", **server}],
        "schema": [
            {
                "name": "t",
                "quality": table,
                "properties": [column(name, kind, **columns.get(name, {})) for name, kind in kinds.items()],
            }
        ],
    }
    path = folder / f"{number}.yaml"
    path.write_text(yaml.safe_dump(document), "utf-8")
    return path


def told(paths: list[Path], server: str | None) -> list[dict[str, Any]]:
    """What datacontract-cli says of these contracts' form, or of the data behind a server of theirs."""
    ran = subprocess.run(
        [JUDGE, Path(__file__).with_name("datacontract_judge.py")],
        input=json.dumps({"contracts": [str(path) for path in paths], "server": server}),
        capture_output=True,
        text=True,
        check=True,
    )
    answers: list[dict[str, Any]] = json.loads(ran.stdout.splitlines()[-1])
    return answers


def ours(path: Path, file: Path) -> str:
    found = trying.judgement(trying.alone(read_contract_file(path)), file)
    if found.verdict == "reject":
        return "failed"
    warned = any(item.severity is Severity.WARNING for item in found.findings) or any(
        outcome.status is CheckStatus.WARN for outcome in found.outcomes
    )
    return "warning" if warned else "passed"


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_the_verdict_is_the_same(form: str, tmp_path: Path) -> None:
    file = tmp_path / f"rows.{form}"
    (tmp_path / "rows.csv").write_text(ROWS, "utf-8")
    if form == "parquet":
        with duckdb.connect() as con:
            con.execute(f"COPY (FROM read_csv('{tmp_path}/rows.csv')) TO '{file}' (FORMAT parquet)")
    server = {"path": str(file), "format": form} | ({"delimiter": ","} if form == "csv" else {})
    cases = CASES if form == "csv" else {name: CASES[name] for name in list(CASES)[1::6]}
    paths = [
        contract(tmp_path, number, server, columns, table) for number, (columns, table, _) in enumerate(cases.values())
    ]
    theirs = told(paths, "here")
    for (name, (_, _, expected)), path, said in zip(cases.items(), paths, theirs, strict=True):
        assert (name, said["result"], ours(path, file)) == (name, expected, expected), said["checks"]


def test_it_reads_every_contract_that_we_write(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(ROWS + "".join(f"{row},{row / 3},x{row},2024-03-01,{row}\n" for row in range(9, 40)), "utf-8")
    made = scaffolding.scaffold(file, tmp_path / "models", "made", "x").folder / "contract.yaml"
    own = contract(
        tmp_path,
        1,
        {"path": str(file), "format": "csv"},
        {
            "d": {
                "quality": [
                    {
                        "type": "custom",
                        "engine": "interlock",
                        "unit": "days",
                        "implementation": {"metric": "freshness", "mustBeLessThan": 3},
                    }
                ]
            }
        },
        [
            {
                "type": "custom",
                "engine": "interlock",
                "implementation": {"metric": "compare", "left": "n", "relation": "<=", "right": "k"},
            }
        ],
    )
    assert len(read_contract_file(own).quality) == 2
    repository = list(ROOT.glob("models/*/contract.yaml"))
    for path, said in zip([made, own, *repository], told([made, own, *repository], None), strict=True):
        assert said["result"] == "passed", (path, said)

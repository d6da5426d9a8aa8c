"""Contracts on the user's machine, through the command: written from data, checked, tried, compared."""

from __future__ import annotations

import csv
import gzip
import json
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cli import main
from cli.contracts import trying
from cli.contracts.inferring import contract_yaml
from cli.contracts.observing import observe
from interlock.contract import ColumnType, Contract
from interlock.errors import InvalidUpload
from interlock.folder import read_contract_file, read_model
from interlock.kind import Kind
from interlock.odcs import read_contract

CENSUS = Path(__file__).parents[3] / "models/census-income"
Command = Callable[..., tuple[int, str]]


@pytest.fixture
def interlock(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `interlock …` where no cloud is; answers exit code and output."""
    monkeypatch.setattr("cli.target.LocalCloud.load", lambda: None)
    # What --json and an error turn is turned back.
    monkeypatch.setattr("cli.view.console.stderr", False)

    def run(*words: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["interlock", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out if "--json" in words else said.out + said.err

    return run


def table(path: Path, rows: int = 200, **columns: Callable[[int], object]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows([make(row) for make in columns.values()] for row in range(rows))
    return path


def mixed(path: Path) -> Path:
    return table(
        path,
        customer_id=lambda row: 5000 + row,
        email=lambda row: f"p{row}@example.org",
        plz=lambda row: f"0{1000 + row}",
        score=lambda row: "NA" if row % 10 == 0 else f"{row / 7 - 9:.3f}",
        flag=lambda row: row % 3 == 0,
        born=lambda row: f"{row % 28 + 1:02}.03.19{60 + row % 30}",
        seen_at=lambda row: f"2024-03-{row % 28 + 1:02}T08:00:00Z",
        code=lambda row: f"AB-{row * 7}",
        city=lambda row: ["Bonn", "Köln", "", "São Paulo"][row % 4],
        note=lambda row: f"text, no. {row}{' again' * (row % 3)}" if row % 2 else "",
        y=lambda row: row % 2,
    )


def test_a_contract_is_inferred_with_types_forms_lists_and_bounds(tmp_path: Path) -> None:
    written = contract_yaml(observe(mixed(tmp_path / "mixed.csv")), "mixed")
    read = read_contract(yaml.safe_load(written))
    by = {column.name: column for column in read.columns}
    assert {name: column.type.value for name, column in by.items()} == {
        "customer_id": "integer",
        "email": "string",
        "plz": "string",
        "score": "number",
        "flag": "boolean",
        "born": "date",
        "seen_at": "timestamp",
        "code": "string",
        "city": "string",
        "note": "string",
        "y": "integer",
    }
    assert read.primary_key == ("customer_id",)
    assert read.null_tokens == ("", "NA")
    assert (by["email"].format, by["email"].restricted) == ("email", True)
    assert by["plz"].pattern == "^[0-9]{5}$"
    assert by["code"].pattern is not None
    assert by["born"].format == "dd.MM.yyyy"
    assert by["city"].allowed == ("Bonn", "Köln", "São Paulo")
    assert (by["note"].allowed, by["note"].pattern) == (None, None)
    assert [name for name, column in by.items() if not column.required] == ["score", "city", "note"]
    assert by["score"].minimum is not None
    assert by["score"].maximum is not None
    assert by["score"].minimum < -8.8 < 19.5 < by["score"].maximum
    # The next keys are larger.
    assert by["customer_id"].maximum is None


def test_the_evidence_stands_beside_each_rule_and_is_hidden_where_it_is_personal(tmp_path: Path) -> None:
    file = table(
        tmp_path / "people.csv",
        gender=lambda row: ["f", "m", "x"][row % 3],
        birth=lambda row: f"19{10 + row % 90}-01-01",
        age=lambda row: 20 + row % 50,
    )
    written = contract_yaml(observe(file), "people")
    assert "# 20 to 69, median 44." in written or "# 20 to 69, median 45." in written
    assert "# 3 different values; the rarest came 66 times." in written
    assert "1910-01-01 to" not in written
    assert "# 0 of 200 missing." in written


@pytest.mark.parametrize("key", ["customer_id", "customerId", "Customer Id", "customer.id", "Id"])
@pytest.mark.parametrize("personal", ["last_name", "lastName", "Last Name"])
def test_a_key_and_what_is_personal_are_known_however_their_words_are_parted(
    key: str, personal: str, tmp_path: Path
) -> None:
    columns = {key: lambda row: f"k{row}", personal: lambda row: "xyz"[row % 3], "idea": lambda row: 900 - row}
    read = read_contract(yaml.safe_load(contract_yaml(observe(table(tmp_path / "x.csv", **columns)), "x")))
    assert read.primary_key == (key,)
    assert [column.name for column in read.columns if column.restricted] == [personal]


VALUES = {
    "integers": st.integers(-(2**63), 2**63 - 1).map(str),
    "numbers": st.floats(allow_nan=False, allow_infinity=False).map(repr),
    "dates": st.dates().map(str),
    "booleans": st.sampled_from(["true", "false", "TRUE"]),
    "codes": st.from_regex(r"[A-Z]{2}-[0-9]{1,4}", fullmatch=True),
    "words": st.sampled_from(["red", "green", "blue", "?", "NA", "null"]),
    "texts": st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=8),
    "uuids": st.uuids().map(str),
}


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_what_is_inferred_from_a_file_admits_every_row_of_it(data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=4))
    row = st.tuples(*(st.one_of(VALUES[kind], st.just("")) for kind in kinds))
    rows = data.draw(st.lists(row, min_size=1, max_size=40))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "some.csv"
        with file.open("w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out, quoting=csv.QUOTE_ALL)
            writer.writerow([f"c{index}" for index in range(len(kinds))])
            writer.writerows(rows)
        read = read_contract(yaml.safe_load(contract_yaml(observe(file), "some")))
        found = trying.judgement(trying.alone(read), file)
    assert [(item.rule, item.column, item.examples) for item in found.findings] == []
    assert found.rows == len(rows)


@pytest.mark.parametrize(
    ("body", "encoding", "kinds", "said"),
    [
        (
            "nr;preis;menge;am\n" + "".join(f"{n};{n}.{n:03},5;1.{n:03};{n}.03.2024\n" for n in range(10, 30)),
            "utf-8",
            ["integer", "number", "integer", "date"],
            {"decimal": ",", "thousands": "."},
        ),
        ('a,b\n1,"0,25"\n2,"NA"\n', "utf-8", ["integer", "number"], {"decimal": ","}),
        # Three digits may be thousands, and points are decimals already: nothing is guessed.
        ('a,b\n1,"1,500"\n2,"2,000"\n', "utf-8", ["integer", "string"], {}),
        ('a,b\n1.5,"1,5"\n2.25,"2,5"\n', "utf-8", ["number", "string"], {}),
        ("id;größe\n1;é\n2;ß\n", "latin-1", ["integer", "string"], {"encoding": "windows-1252"}),
        ("id\tx\n1\té\n2\t日本\n", "utf-16", ["integer", "string"], {}),
        ("\ufeffid,x\n1,a\n", "utf-8", ["integer", "string"], {}),
        ("id, x \n1,a\n", "utf-8", ["integer", "string"], {}),
    ],
)
def test_how_a_file_is_written_is_seen_and_said(
    body: str, encoding: str, kinds: list[str], said: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "x.csv"
    file.write_bytes(body.encode(encoding))
    read = read_contract(yaml.safe_load(contract_yaml(observe(file), "x")))
    assert [column.type.value for column in read.columns] == kinds
    assert (read.dialect.model_dump(exclude_defaults=True) if read.dialect else {}) == said
    found = trying.judgement(trying.alone(read), file)
    assert (found.rows, found.bad_rows) == (body.strip().count("\n"), 0)


def test_a_first_line_that_looks_like_data_is_pointed_out(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text("1,1.5,a\n2,2.5,b\n", "utf-8")
    assert "The first line was taken for the columns' names" in contract_yaml(observe(file), "x")
    file.write_text("n,x,a\n2,2.5,b\n", "utf-8")
    assert "The first line was taken" not in contract_yaml(observe(file), "x")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"id,ID\n1,2\n", "stand twice in the header: ID, id"),
        (b"id,,x\n1,2,3\n", "column 2 of 3 has no name"),
        (b"id,x\r1,2\r", "carriage returns alone"),
        (b"PK\x03\x04 and more", "an Excel workbook"),
        (b"\x89PNG\r\n\x1a\n\0\0", "it is binary"),
        (gzip.compress(b"id,x\n1,2\n")[:-4], "the gzip stream is cut off"),
    ],
)
def test_what_the_engine_refuses_is_not_inferred_from(body: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(body)
    with pytest.raises(InvalidUpload, match=re.escape(said)):
        observe(tmp_path / "x.csv")


@pytest.mark.parametrize("form", ["parquet", "jsonl", "csv.gz"])
def test_every_form_that_is_uploaded_is_observed(form: str, tmp_path: Path) -> None:
    file = tmp_path / f"x.{form}"
    rows = "SELECT range AS n, range / 4 AS x, 'k' || range AS s, DATE '2024-01-01' AS d, range = 1 AS b FROM range(50)"
    with duckdb.connect() as con:
        match form:
            case "parquet":
                con.execute(f"COPY ({rows}) TO '{file}' (FORMAT parquet)")
            case "jsonl":
                con.execute(f"COPY ({rows}) TO '{file}' (FORMAT json)")
            case _:
                con.execute(f"COPY ({rows}) TO '{tmp_path}/x.csv' (HEADER)")
                file.write_bytes(gzip.compress((tmp_path / "x.csv").read_bytes()))
    found = observe(file)
    assert found.rows == 50
    kinds = [column.type for column in found.columns]
    assert kinds == [ColumnType(name) for name in ("integer", "number", "string", "date", "boolean")]


def test_a_file_that_shows_nothing_says_why(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("a,b\n")
    with pytest.raises(InvalidUpload, match="has no rows"):
        observe(tmp_path / "empty.csv")
    with duckdb.connect() as con:
        con.execute(f"COPY (SELECT [1, 2] AS l) TO '{tmp_path}/nested.parquet'")
    with pytest.raises(InvalidUpload, match="nested columns cannot be judged: l"):
        observe(tmp_path / "nested.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and nothing")
    with pytest.raises(InvalidUpload, match=r"broken\.parquet"):
        observe(tmp_path / "broken.parquet")


@pytest.mark.parametrize(
    ("target", "kind", "classes", "positive"),
    [
        ("label", Kind.BINARY, ("no", "yes"), "yes"),
        ("flag", Kind.BINARY, ("false", "true"), "true"),
        ("digit", Kind.BINARY, ("0", "1"), "1"),
        ("colour", Kind.MULTICLASS, ("blue", "green", "red"), None),
        ("amount", Kind.REGRESSION, (), None),
    ],
)
def test_a_model_is_scaffolded_ready_to_deploy(
    target: str, kind: Kind, classes: tuple[str, ...], positive: str | None, interlock: Command, tmp_path: Path
) -> None:
    file = table(
        tmp_path / "My Data.csv",
        id=lambda row: row,
        amount=lambda row: row * 1.25,
        colour=lambda row: ["red", "green", "blue"][row % 3],
        flag=lambda row: "true" if row % 5 == 0 else "false",
        digit=lambda row: int(row % 7 == 0),
        free=lambda row: f"{row} words {'and more ' * (row % 5)}",
        surname=lambda row: f"Name{row % 9}",
        label=lambda row: "yes" if row % 4 else "no",
    )
    words = [] if target == "label" else ["--target", target]
    code, out = interlock("--json", "model", "new", file, "--models", tmp_path / "models", *words)
    assert code == 0, out
    assert json.loads(out) == {"folder": f"{tmp_path}/models/my-data", "target": target, "kind": kind}
    model = read_model(tmp_path / "models/my-data")
    assert (model.target.name, model.spec.target.kind, model.spec.target.positive) == (target, kind, positive)
    assert tuple(sorted(model.classes)) == classes
    assert {"id", target, "free", "surname"}.isdisjoint(column.name for column in model.features)
    code, out = interlock("contract", "test", "my-data", file, "--models", tmp_path / "models")
    assert (code, "admitted: 200 rows, 0 bad" in out) == (0, True)
    code, out = interlock("contract", "check", "--models", tmp_path / "models")
    assert code == 0, out


def test_scaffolding_refuses_what_it_would_overwrite_or_cannot_predict(interlock: Command, tmp_path: Path) -> None:
    file = table(tmp_path / "d.csv", a=lambda row: row, free=lambda row: f"{row} {row * 7}")
    (tmp_path / "models/there").mkdir(parents=True)
    for words, said in (
        (["--name", "There_"], "cannot be a model's name"),
        (["--name", "there"], "is there already"),
        (["--target", "b"], "Its columns: a, free."),
        ([], "too many classes"),
    ):
        code, out = interlock("model", "new", file, "--models", tmp_path / "models", *words)
        assert code == 2
        assert said in " ".join(out.split())
    odd = table(tmp_path / "odd.csv", interlock_row=lambda row: row, y=lambda row: row % 2)
    code, out = interlock("model", "new", odd, "--models", tmp_path / "models")
    assert code == 2
    assert "names that begin with interlock_ are Interlock's own" in " ".join(out.split())
    assert not (tmp_path / "models/odd").exists()
    assert list((tmp_path / "models/there").iterdir()) == []
    assert not (tmp_path / "models/d").exists()


def test_a_contract_is_printed_or_written_and_never_over_another(interlock: Command, tmp_path: Path) -> None:
    file = mixed(tmp_path / "mixed.csv")
    code, out = interlock("contract", "infer", file, "--name", "m")
    assert code == 0
    assert read_contract(yaml.safe_load(out)).id == "m"
    target = tmp_path / "contract.yaml"
    assert interlock("contract", "infer", file, "--out", target)[0] == 0
    assert read_contract_file(target).id == "mixed"
    code, out = interlock("contract", "infer", file, "--out", target)
    assert (code, "is there already" in out) == (2, True)


@pytest.fixture
def census(tmp_path: Path) -> Path:
    folder = tmp_path / "census-income"
    folder.mkdir()
    for name in ("contract.yaml", "model.yaml"):
        (folder / name).write_text((CENSUS / name).read_text("utf-8"), "utf-8")
    return folder


@pytest.mark.parametrize(
    ("file", "old", "new", "marked", "said"),
    [
        ("contract.yaml", "maximum: 120", "maximun: 120", "maximun", "properties[0](age).logicalTypeOptions.maximun"),
        ("contract.yaml", "metric: rowCount", "metric: rowcount", "rowcount", "the metric 'rowcount' is not enforced"),
        ("contract.yaml", "property: nullTokens", "property: nulltokens", "nulltokens", "is unknown; known:"),
        ("contract.yaml", "logicalType: number", "logicalType: money", "logicalType: money", "is 'money'"),
        ("contract.yaml", "kind: DataContract", "kind: [DataContract]", "kind:", "kind: Input should be"),
        ("contract.yaml", "  - name: people", "  - name: people\n  odd", "odd", "could not find expected"),
        (
            "contract.yaml",
            "        required: true",
            "        required: true\n        required: false",
            "false",
            "stands twice",
        ),
        ("model.yaml", "max_gap: 0.15", "max_gap: 7", "max_gap", "gate.fairness.0.max_gap"),
        ("model.yaml", "column: income", "column: salary", "column: salary", "'salary' is not in the contract"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(
    file: str, old: str, new: str, marked: str, said: str, census: Path, interlock: Command
) -> None:
    text = (census / file).read_text("utf-8")
    assert old in text
    (census / file).write_text(text.replace(old, new, 1), "utf-8")
    lines = (census / file).read_text("utf-8").splitlines()
    code, out = interlock("--json", "contract", "check", census)
    (wrong,) = json.loads(out)
    assert code == 2
    assert wrong["file"] == str(census / file)
    assert said in wrong["message"]
    # YAML's reader notices some things a line later.
    assert any(marked in line for line in lines[max(0, wrong["line"] - 2) : wrong["line"]]), wrong
    code, out = interlock("contract", "check", census)
    assert f"{census / file}:{wrong['line']}: " in out.replace("\n", "")


def test_a_query_that_would_fail_is_told_with_its_line(census: Path, interlock: Command) -> None:
    text = (census / "contract.yaml").read_text("utf-8")
    rule = '      - {type: sql, query: "SELECT max(agee) FROM ${table}", mustBeLessThan: 130}\n'
    (census / "contract.yaml").write_text(text.replace("    quality:\n", "    quality:\n" + rule, 1), "utf-8")
    code, out = interlock("--json", "contract", "check", census / "contract.yaml")
    (wrong,) = json.loads(out)
    assert (code, wrong["line"]) == (2, 1 + text[: text.index("    quality:\n")].count("\n") + 1)
    assert "agee" in wrong["message"]


def test_a_file_is_judged_as_an_upload_would_be(census: Path, interlock: Command, tmp_path: Path) -> None:
    lines = gzip.decompress((CENSUS / "data/part-1.csv.gz").read_bytes()).decode().splitlines()[:501]
    bad = [lines[0], *lines[1:], lines[1].replace("39,", "17.5,", 1), lines[2].replace("<=50K", "poor")]
    file = tmp_path / "part.csv"
    file.write_text("\n".join(bad) + "\n", "utf-8")
    code, out = interlock("contract", "test", census, file)
    assert code == 0
    assert "admitted: 502 rows, 2 bad" in out
    assert "row 501: 17.5" in out
    code, out = interlock("--json", "contract", "test", census / "contract.yaml", file)
    found = json.loads(out)
    assert (code, found["verdict"], found["bad_rows"]) == (0, "admit", 2)
    file.write_text("\n".join([lines[0], *[lines[1].replace("39,", "x,", 1)] * 200]) + "\n", "utf-8")
    code, out = interlock("contract", "test", census, file)
    assert (code, "rejected: 200 rows, 200 bad" in out) == (5, True)


def test_two_contracts_are_compared_row_by_row(census: Path, interlock: Command, tmp_path: Path) -> None:
    file = table(
        tmp_path / "d.csv",
        rows=100,
        n=lambda row: row,
        s=lambda row: "ab"[row % 2],
    )

    def contract(name: str, **of_n: Any) -> Path:
        document = {
            "apiVersion": "v3.1.0",
            "kind": "DataContract",
            "id": "d",
            "version": name,
            "schema": [
                {
                    "name": "d",
                    "customProperties": [{"property": "maxBadRowShare", "value": 0.2}],
                    "properties": [
                        {"name": "n", "logicalType": "integer", "logicalTypeOptions": of_n},
                        {"name": "s", "logicalType": "string"},
                    ],
                }
            ],
        }
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(document), "utf-8")
        return path

    old, new = contract("old", minimum=10), contract("new", maximum=59)
    code, out = interlock("--json", "contract", "diff", old, new, "--file", file)
    (found,) = json.loads(out)
    assert (code, found["before"], found["after"]) == (0, "admitted", "rejected")
    assert found["newly_bad"] == {"n: maximum": 40}
    assert found["newly_good"] == {"n: minimum": 10}
    assert found["bad_rows"] == list(range(61, 101))
    assert found["good_rows"] == list(range(1, 11))
    assert "40 of 100 rows are bad" in found["problems"][0]
    code, out = interlock("contract", "diff", old, new, "--file", file)
    assert "admitted → rejected" in out
    assert "n: maximum" in out
    code, out = interlock("contract", "diff", old, old, "--file", file)
    assert "the same rows, the same verdict" in out


def test_a_comparison_without_a_cloud_or_a_contract_says_what_to_do(interlock: Command, tmp_path: Path) -> None:
    code, out = interlock("contract", "diff", "nobody")
    assert code == 2
    assert "Name a model, its folder, or a contract's file." in " ".join(out.split())
    code, out = interlock("contract", "diff", CENSUS)
    assert code != 0
    assert "does not run" in out


def test_a_contract_alone_is_no_model_and_can_still_be_tried(tmp_path: Path) -> None:
    by = Contract(id="c", version="1", columns=read_contract_file(CENSUS / "contract.yaml").columns[:1])
    file = table(tmp_path / "d.csv", age=lambda row: 20 + row % 60)
    assert trying.judgement(trying.alone(by), file).verdict == "admit"

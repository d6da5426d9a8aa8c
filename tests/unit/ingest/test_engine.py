"""The engine finds what a reader finds that looks at one row after the other."""

from __future__ import annotations

import csv
import hashlib
import io
import math
import re
import tempfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import rules
from interlock.contract import Column, ColumnType, Severity
from interlock.holdout import held_out, identity
from interlock.models import DeployedModel
from interlock.spec import Holdout
from tests.unit.ingest.made import INTEGER, NUMBER, column, found, judged, model, rows

TABLE = model(
    column("id", INTEGER, unique=True, required=True),
    column("k1"),
    column("k2", INTEGER, minimum=-2, exclusive_maximum=1000),
    column("x", NUMBER, exclusive_minimum=-1.5, maximum=5),
    column("b", ColumnType.BOOLEAN),
    column("d", ColumnType.DATE),
    column("e", ColumnType.DATE, format="dd.MM.yyyy"),
    column("t", ColumnType.TIMESTAMP),
    column("s", min_length=2, max_length=3, pattern='^[a-zé=\n"]+$'),
    column("c", INTEGER, allowed=("5", "7")),
    column("w", required=True, allowed=("abc", "é"), severity=Severity.WARNING),
    primary_key=("k1", "k2"),
    null_tokens=("", "NA"),
)
POOL = [
    *("", "NA", "5", "05", "+5", "5.0", "5.5", "-3", "7", "1e3", ".5", "1e400", "1.7e308", "NaN", "inf", " 5"),
    *("999999999999999999999", "true", "FALSE", "1", "yes", "abc", "é", "ab\nc", 'a"b', "=1+1", "a,b", "abcd"),
    *("2024-02-29", "2023-02-29", "2024-1-5", "29.02.2024"),
    *("2024-02-29T10:00", "2024-02-29 25:00", "2024-02-29T10:00:00.5+02:00"),
]
COLUMNS = TABLE.contract.columns


def held(values: tuple[str, ...], key: str, fraction: float) -> bool:
    """Whether a row is held out, as the definition says."""
    written = "".join(f"{len(value.encode())}:{value}" for value in values)
    digest = hashlib.sha256(f"{key}\x1f{written}".encode()).hexdigest()
    return int(digest[:8], 16) < int(fraction * 2**32)


def value_of(item: Column, text: str) -> Any:
    """The value a text means; None when it means none."""
    try:
        match item.type:
            case ColumnType.INTEGER:
                whole = int(text.partition(".")[0]) if re.fullmatch(r"[+-]?\d+(\.0*)?", text) else None
                return whole if whole is not None and -(2**63) <= whole < 2**63 else None
            case ColumnType.NUMBER:
                number = float(text) if text == text.strip() and "_" not in text else math.nan
                return number if math.isfinite(number) else None
            case ColumnType.BOOLEAN:
                return {"true": True, "1": True, "false": False, "0": False}.get(text.lower())
            case ColumnType.DATE:
                form = "%d.%m.%Y" if item.format else "%Y-%m-%d"
                moment = datetime.strptime(text, form)  # noqa: DTZ007 - only a date
                return moment if moment.strftime(form) == text else None
            case ColumnType.TIMESTAMP:
                return datetime.fromisoformat(text) if len(text) > 10 else None
            case _:
                return text
    except ValueError:
        return None


def broken(item: Column, text: str | None) -> set[str]:
    if text is None:
        return {"required"} if item.required else set()
    value = value_of(item, text)
    if value is None:
        return {"type"}
    wrong = {
        "minimum": (item.minimum is not None and value < item.minimum)
        or (item.exclusive_minimum is not None and value <= item.exclusive_minimum),
        "maximum": (item.maximum is not None and value > item.maximum)
        or (item.exclusive_maximum is not None and value >= item.exclusive_maximum),
        "length": item.min_length is not None and not item.min_length <= len(value) <= (item.max_length or 0),
        "pattern": item.pattern is not None and not re.search(item.pattern.replace("$", r"\Z"), value),
        "allowed": item.allowed is not None and str(value) not in item.allowed,
    }
    return {rule for rule, holds in wrong.items() if holds}


def oracle(table: list[list[str]], by: DeployedModel) -> set[tuple[int, str, str]]:
    """(row, rule, column) of every violation."""
    expected: set[tuple[int, str, str]] = set()
    ids, keys = set(), set()
    for row, texts in enumerate(table, 1):
        known = [None if text in by.contract.null_tokens else text for text in texts]
        for item, text in zip(by.contract.columns, known, strict=True):
            expected |= {(row, rule, item.name) for rule in broken(item, text)}
        values = {
            item.name: None if text is None else value_of(item, text)
            for item, text in zip(by.contract.columns, known, strict=True)
        }
        if values["id"] in ids:
            expected.add((row, "unique", "id"))
        ids |= {values["id"]} - {None}
        key = (values["k1"], values["k2"])
        if None not in key:
            if key in keys:
                expected.add((row, "primary_key", ""))
            keys.add(key)
    return expected


def written(table: list[list[str]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([TABLE.contract.names, *table])
    return out.getvalue().encode()


@settings(max_examples=40, deadline=None)
@given(
    table=st.lists(
        st.lists(st.sampled_from(POOL), min_size=len(COLUMNS), max_size=len(COLUMNS)), min_size=1, max_size=20
    )
)
def test_violations_are_those_of_a_row_by_row_reader(table: list[list[str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        answer = judged(written(table), TABLE, Path(folder))
        listed = []
        if "violations" in answer.files:
            with answer.files["violations"].open(newline="") as file:
                listed = [(int(item["row"]), item["rule"], item["column"]) for item in csv.DictReader(file)]
        quarantined = {}
        if "bad_rows" in answer.files:
            with answer.files["bad_rows"].open(newline="") as file:
                quarantined = {int(item[0]): item[2:] for item in list(csv.reader(file))[1:]}
    expected = oracle(table, TABLE)
    assert set(listed) == expected
    assert len(listed) == len(set(listed))
    bad = {row for row, rule, name in expected if name != "w" or rule == "type"}
    # The bad rows as they came, and no other.
    assert quarantined == {row: table[row - 1] for row in bad}
    assert (answer.rows, answer.bad_rows) == (len(table), len(bad))
    assert answer.admitted == (len(bad) < len(table))


@settings(max_examples=25, deadline=None)
@given(
    values=st.lists(
        st.tuples(
            st.integers(-(2**63), 2**63 - 1),
            st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=5),
        ),
        min_size=1,
        max_size=20,
        unique_by=lambda pair: pair[0],
    )
)
def test_rows_are_held_out_as_the_definition_says(values: list[tuple[int, str]]) -> None:
    by = model(column("n", INTEGER), column("s"), null_tokens=("",))
    assert identity(by) == ("n", "s")
    body = "n,s,y\n" + "".join(f'{n},"{s.replace(chr(34), chr(34) * 2)}",1\n' for n, s in values)
    with tempfile.TemporaryDirectory() as folder:
        answer = judged(body.encode(), by, Path(folder))
        train, holdout = (rows(answer.files[name]) for name in ("train", "holdout"))
    expected = {(n, s, 1.0): held((str(n), s), "k", 0.25) for n, s in values}
    assert sorted(holdout) == sorted(row for row, held in expected.items() if held)
    assert sorted(train) == sorted(row for row, held in expected.items() if not held)
    assert (answer.train_rows, answer.holdout_rows) == (len(train), len(holdout))


def test_missing_and_adjacent_values_are_told_apart_in_the_holdout() -> None:
    pairs = [("a", None), (None, "a"), ("a", ""), ("aa", ""), ("a", "a"), ("-", None), ("1:a", None)]
    by = model(column("n"), column("s"))
    keyed = (Holdout(key=f"k{i}", fraction=0.5) for i in range(64))
    conditions = [held_out(by.model_copy(update={"spec": by.spec.model_copy(update={"holdout": h})})) for h in keyed]
    with duckdb.connect() as con:
        con.execute("CREATE TABLE pairs (n VARCHAR, s VARCHAR)")
        con.executemany("INSERT INTO pairs VALUES (?, ?)", pairs)
        drawn = con.execute(f"SELECT {', '.join(conditions)} FROM pairs").fetchall()
    assert len(set(drawn)) == len(pairs)


def test_a_corrected_label_or_another_order_moves_no_row(tmp_path: Path) -> None:
    by = model(column("s"))
    before = judged(b"s,y\n" + b"".join(b"%d,1\n" % i for i in range(200)), by, tmp_path, "one")
    after = judged(b"y,s\n" + b"".join(b"2,%d\n" % i for i in reversed(range(200))), by, tmp_path, "two")
    held = [{row[0] for row in rows(answer.files["holdout"])} for answer in (before, after)]
    assert held[0] == held[1]
    assert 30 < len(held[0]) < 70


def test_good_rows_keep_type_order_and_meaning(tmp_path: Path) -> None:
    by = model(
        column("row", INTEGER), column("held_out"), column("bad", ColumnType.BOOLEAN), column("d", ColumnType.DATE)
    )
    body = b"row,held_out,bad,d,y\n" + b"".join(b'%d,"x,%d",TRUE,2024-02-29,1.5\n' % (i, i) for i in range(60))
    answer = judged(body, by, tmp_path)
    kept = rows(answer.files["train"])
    assert [row[0] for row in kept] == sorted(row[0] for row in kept)
    assert {row[1:] for row in kept} == {(f"x,{row[0]}", True, date(2024, 2, 29), 1.5) for row in kept}
    assert len(kept) + len(rows(answer.files["holdout"])) == 60


def test_the_share_of_bad_rows_decides(tmp_path: Path) -> None:
    body = b"n,y\n" + b"x,1\n" * 2 + b"1,1\n" * 18
    lenient, strict = (
        model(column("n", INTEGER), max_bad_row_share=0.1),
        model(column("n", INTEGER), max_bad_row_share=0.09),
    )
    admitted = judged(body, lenient, tmp_path, "lenient")
    assert admitted.admitted
    assert {"train", "holdout", "bad_rows", "violations"} == set(admitted.files)
    refused = judged(body, strict, tmp_path, "strict")
    assert [problem.rule for problem in refused.problems] == [rules.BAD_ROW_SHARE.id]
    assert "2 of 20 rows are bad (10.0%); allowed: 9.0%" in refused.problems[0].found
    # What was found is written down all the same.
    assert {"bad_rows", "violations"} == set(refused.files)
    none = judged(b"n,y\nx,1\nz,1\n", model(column("n", INTEGER), max_bad_row_share=1.0), tmp_path, "none")
    assert [problem.found for problem in none.problems] == ["all 2 rows are bad: none would be left"]


@pytest.mark.parametrize(
    ("bounds", "refused"), [({"min_rows": 3}, False), ({"min_rows": 4}, True), ({"max_rows": 2}, True)]
)
def test_row_count(tmp_path: Path, bounds: dict[str, int], refused: bool) -> None:
    answer = judged(b"s,y\na,1\nb,1\nc,1\n", model(column("s"), **bounds), tmp_path)
    assert [problem.rule for problem in answer.problems] == ([rules.ROW_COUNT.id] if refused else [])


def test_values_of_restricted_columns_stay_out_of_what_is_read(tmp_path: Path) -> None:
    by = model(
        column("name", restricted=True, max_length=5),
        column("pay", NUMBER, restricted=True, minimum=100_000),
        column("since", ColumnType.DATE, restricted=True),
    )
    answer = judged(
        b"name,pay,since,y\nSchmidtke,54321,2001-02-03,1\nOk,123456,2002-03-04,2\nhm,oops54321,x,3\n", by, tmp_path
    )
    told = (
        answer.files["violations"].read_text()
        + repr(answer.findings)
        + (answer.profile.to_json() if answer.profile else "")
    )
    for secret in ("Schmidtke", "54321", "123456", "2001-02-03", "2002-03-04", "Ok", "oops"):
        assert secret not in told
    # The quarantine is as closed as the upload and keeps them.
    assert "Schmidtke,54321" in answer.files["bad_rows"].read_text()


def test_a_header_that_is_missing_shows_no_values(tmp_path: Path) -> None:
    by = model(column("name", restricted=True))
    answer = judged(b"Schmidtke,1\nMeier,2\n", by, tmp_path)
    assert [problem.rule for problem in answer.problems] == [rules.MISSING_COLUMN.id]
    assert "Schmidtke" not in answer.problems[0].found
    assert "is the header missing?" in answer.problems[0].found


def test_a_formula_is_harmless_where_it_is_read_and_whole_where_it_is_mended(tmp_path: Path) -> None:
    answer = judged(b"n,y\n=1+cmd|' /C calc'!A0,1\n-7x,1\n1,1\n", model(column("n", INTEGER)), tmp_path)
    listed = answer.files["violations"].read_text()
    assert "'=1+cmd" in listed
    assert "'-7x" in listed
    assert "1,\"n: type\",=1+cmd|' /C calc'!A0,1\n" in answer.files["bad_rows"].read_text()


def test_a_long_value_is_shown_as_cut_and_kept_whole(tmp_path: Path) -> None:
    long = "é" * 300
    answer = judged(f"s,y\n{long},1\na,1\n".encode(), model(column("s", allowed=("a",))), tmp_path)
    cut = "é" * 199 + "…"
    assert [example.value for example in answer.findings[0].examples] == [cut]
    assert cut in answer.files["violations"].read_text().splitlines()[1]
    assert long in answer.files["bad_rows"].read_text()


def test_a_warning_is_told_and_keeps_the_row(tmp_path: Path) -> None:
    by = model(column("s", allowed=("a",), severity=Severity.WARNING))
    answer = judged(b"s,y\na,1\nb,2\n", by, tmp_path)
    assert found(answer) == {("allowed", "s"): [2]}
    assert answer.bad_rows == 0
    assert "bad_rows" not in answer.files
    assert len(rows(answer.files["train"]) + rows(answer.files["holdout"])) == 2


def test_a_value_that_cannot_be_kept_is_never_only_a_warning(tmp_path: Path) -> None:
    by = model(column("n", INTEGER, maximum=5, severity=Severity.WARNING))
    answer = judged(b"n,y\n7,1\nx,2\n", by, tmp_path)
    assert {item.rule: item.severity for item in answer.findings} == {
        "maximum": Severity.WARNING,
        "type": Severity.ERROR,
    }
    assert answer.bad_rows == 1


def test_huge_numbers_have_a_profile(tmp_path: Path) -> None:
    body = b"x,y\n" + b"1.7e308,1\n-1.7e308,1\n1e-300,1\n" * 5
    answer = judged(body, model(column("x", NUMBER)), tmp_path)
    assert answer.profile is not None
    assert answer.profile.numbers["x"].maximum == 1.7e308
    assert answer.profile.to_json()


def test_rows_keep_their_identity_over_many_row_groups_and_two_threads(tmp_path: Path) -> None:
    by = model(
        column("id", INTEGER, unique=True, required=True), column("a", INTEGER, maximum=96), column("s", pattern="^z")
    )
    planted = {7: "x", 122_880: "x", 122_881: "x", 200_000: "7", 299_999: "x"}
    lines = (
        f"{planted.get(row, row)},{97 if row % 50_000 == 0 else row % 97},z{row},{row}" for row in range(1, 300_001)
    )
    answer = judged(("id,a,s,y\n" + "\n".join(lines)).encode(), by, tmp_path)
    with answer.files["violations"].open(newline="") as file:
        listed = {(int(item["row"]), item["rule"], item["column"]) for item in csv.DictReader(file)}
    # Row 7 has no number, so that the 7 of row 200,000 is the first of its kind.
    assert listed == {(row, "type", "id") for row, text in planted.items() if text == "x"} | {
        (row, "maximum", "a") for row in range(50_000, 300_001, 50_000)
    }
    for name in ("train", "holdout"):
        numbers = [int(row[3]) for row in rows(answer.files[name])]
        assert numbers == sorted(numbers)
        assert all(row[2] == f"z{int(row[3])}" for row in rows(answer.files[name])[::1000])


@pytest.mark.parametrize(
    ("ruled", "good", "bad", "rule"),
    [
        (column("c", INTEGER, multiple_of=5), ["0", "-10", "5.0"], ["3", "-7"], "multiple_of"),
        (column("c", INTEGER, multiple_of=2.5), ["5", "-10"], ["2"], "multiple_of"),
        (column("c", NUMBER, multiple_of=0.01), ["0.07", "1e3", "-19.99"], ["0.071"], "multiple_of"),
        (column("c", INTEGER, maximum=2**53 + 1), [str(2**53 + 1)], [str(2**53 + 2)], "maximum"),
        (column("c", ColumnType.DATE, earliest="2024-02-29"), ["2024-02-29"], ["2024-02-28"], "minimum"),
        (column("c", ColumnType.DATE, before="2024-02-29"), ["2024-02-28"], ["2024-02-29"], "maximum"),
        (
            column("c", ColumnType.TIMESTAMP, after="2024-01-01T10:00:00", timezone=True),
            ["2024-01-01T12:00:01+02:00"],
            ["2024-01-01T12:00:00+02:00"],
            "minimum",
        ),
        (
            column("c", ColumnType.TIMESTAMP, timezone=True),
            ["2024-01-01T12:00Z", "2024-01-01 12:00:00-03"],
            ["2024-01-01T12:00:00"],
            "timezone",
        ),
        (column("c", ColumnType.TIMESTAMP, timezone=False), ["2024-01-01T12:00:00"], ["2024-01-01T12:00Z"], "timezone"),
        (column("c", format="ipv4"), ["1.2.3.4"], ["1.2.3.400", "a 1.2.3.4"], "format"),
        (column("c", missing_tokens=("N/A",), pattern="^a"), ["a", "N/A"], ["N/a"], "pattern"),
    ],
)
def test_every_rule_of_a_column_takes_the_good_and_finds_the_bad(
    ruled: Column, good: list[str], bad: list[str], rule: str, tmp_path: Path
) -> None:
    by = model(ruled, column("k"))
    body = "c,k,y\n" + "".join(f"{value},x,{number}\n" for number, value in enumerate(["", *good, *bad]))
    answer = judged(body.encode(), by, tmp_path)
    assert found(answer) == {(rule, "c"): [*range(len(good) + 2, len(good) + len(bad) + 2)]}


def test_each_rule_of_a_column_has_its_severity(tmp_path: Path) -> None:
    by = model(column("s", required=True, allowed=("a",), unique=True, severities={"allowed": Severity.INFO}))
    answer = judged(b"s,y\na,1\nb,2\na,3\n,4\n", by, tmp_path)
    assert {item.rule: item.severity for item in answer.findings} == {
        "allowed": Severity.INFO,
        "unique": Severity.ERROR,
        "required": Severity.ERROR,
    }
    assert answer.bad_rows == 2

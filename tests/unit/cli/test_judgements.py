"""A judgement on the terminal."""

from __future__ import annotations

from typing import Any

import pytest

from cli import judgements
from ingest.findings import Example, Finding, Problem
from ingest.judgement import ColumnReport, Judgement, Outcome, Previous
from interlock.contract import ColumnType, Severity
from interlock.records import CheckStatus, Origin
from tests.unit.ingest.made import NOW, REF, judgement


def said(found: Judgement, capsys: pytest.CaptureFixture[str]) -> str:
    judgements.show(found)
    return capsys.readouterr().out


def finding(rule: str, count: int, value: str, severity: Severity = Severity.ERROR) -> Finding:
    example = Example(row=7, line=8, value=value)
    return Finding(
        rule=rule, column="age", severity=severity, count=count, condition="c", remedy="r", examples=(example,)
    )


def test_a_good_file_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(judgement(), capsys) == "  admitted: 1,200 rows, 0 bad; 900 to train on, 300 held out\n"


def test_what_is_wrong_is_told_the_worst_first(capsys: pytest.CaptureFixture[str]) -> None:
    found = judgement(
        verdict="reject",
        bad_rows=30,
        problems=(Problem(rule="bad_row_share", found="30 of 40", condition="too many", remedy="mend them"),),
        findings=(finding("length", 50, "x", Severity.WARNING), finding("type", 2, "y"), finding("minimum", 9, "-1")),
        outcomes=(
            Outcome(rule="freshness", status=CheckStatus.WARN, found="3 days old", limit="2 days"),
            Outcome(rule="row_count", status=CheckStatus.PASS, found="1,200 rows"),
        ),
        files={"bad_rows": REF},
        origin=Origin(claim="fedcba9876543210", key="incoming/small/first.csv", admitted=True),
    )
    text = said(found, capsys)
    wanted = ["rejected", "mended rows of first.csv", "Too many: 30 of 40. Mend them.", "freshness: 3 days old"]
    wanted += ["minimum", "row 7: -1", "type", "length (warning)", "interlock quarantine show 0123456789abcdef"]
    places = [text.index(part) for part in wanted]
    assert places == sorted(places)
    assert "1,200 rows\n" not in text


def test_of_several_values_only_the_row_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    example = Example(row=2, line=3, value=None)
    key = Finding(
        rule="primary_key",
        column=None,
        severity=Severity.ERROR,
        count=1,
        condition="c",
        remedy="r",
        examples=(example,),
    )
    text = said(judgement(rows=1, findings=(key, key.model_copy(update={"rule": "required", "column": "n"}))), capsys)
    assert "admitted: 1 row, 0 bad" in text
    assert [line.split()[-1] for line in text.splitlines() if "primary_key" in line] == ["2"]
    assert "row 2: (nothing)" in text


def test_what_changed_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    previous = Previous(dataset="d", claim="c", file="before.csv", rows=10, admitted_at=NOW)
    about: dict[str, Any] = {"type": ColumnType.STRING, "summary": ""}
    columns = (
        ColumnReport(name="same", missing=0.1, missing_before=0.1, **about),
        ColumnReport(name="place", missing=0.5, missing_before=0.0, new_share=0.25, new_values=("Süd",), **about),
        ColumnReport(name="name", restricted=True, missing=0, missing_before=0, new_share=1.0, **about),
    )
    text = said(judgement(previous=previous, columns=columns), capsys)
    assert "beside before.csv" in text
    assert "place: 25.0% of the values are new: Süd; missing 0.0% → 50.0%" in text
    assert "name: 100.0% of the values are new: not shown" in text
    assert "same" not in text


def test_data_cannot_write_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    evil = "\x1b[2J\u202e[red]x"
    found = judgement(
        problems=(Problem(rule="r", found=evil, condition=evil, remedy=evil),),
        findings=(finding("type", 1, evil),),
        origin=Origin(claim="c", key=evil, admitted=True),
        outcomes=(Outcome(rule="o", name=evil, status=CheckStatus.FAIL, found=evil, limit=evil),),
    )
    text = said(found, capsys)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert text.count("[red]x") == text.count("\\x1b[2J\\u202e") == 8

"""Whole files, and files beside the datasets before, held against the contract's quality rules."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.quality import Before, Measured, answers, outcomes, problems
from interlock.contract import Column, ColumnType, Contract
from interlock.odcs import read_contract
from interlock.records import CheckStatus
from interlock.sandbox import Answer
from interlock.stats.profile import NumberProfile, Profile, TextProfile

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)


def contract(*of_the_table: dict[str, Any], **of_a_column: list[dict[str, Any]]) -> Contract:
    types = {"day": "date", "moment": "timestamp", "number": "integer"}
    return read_contract(
        {
            "apiVersion": "v3.1.0",
            "kind": "DataContract",
            "id": "c",
            "version": "1",
            "schema": [
                {
                    "name": "t",
                    "quality": list(of_the_table),
                    "properties": [
                        {"name": name, "logicalType": types.get(name, "string"), "quality": of_a_column.get(name, [])}
                        for name in ("kind", "day", "moment", "number")
                    ],
                }
            ],
        }
    )


def custom(unit: str = "rows", severity: str = "error", **implementation: Any) -> dict[str, Any]:
    return {
        "type": "custom",
        "engine": "interlock",
        "unit": unit,
        "severity": severity,
        "implementation": implementation,
    }


def profile(rows: int = 10, kinds: dict[str, int] | None = None, other: int = 0, **maximum: float) -> Profile:
    return Profile(
        rows=rows,
        numbers={name: NumberProfile(count=1, maximum=value, minimum=0) for name, value in maximum.items()},
        texts={"kind": TextProfile(count=rows, categories=kinds or {}, other=other)},
    )


def measured(rows: int = 10, of: Profile | None = None, **more: Any) -> Measured:
    return Measured(**{"rows": rows, "counts": {}, "profile": of, "answers": {}, "uploaded_at": NOON} | more)


@pytest.mark.parametrize(
    ("rule", "count", "status", "found"),
    [
        ({"mustBeLessThan": 3}, 2, "pass", "2 of 40 rows (5%) have no kind"),
        ({"mustBeLessThan": 3}, 3, "fail", "3 of 40 rows (7.5%) have no kind"),
        ({"mustBeLessThan": 3, "severity": "warning"}, 3, "warn", "3 of 40 rows (7.5%) have no kind"),
        ({"mustBeLessThan": 3, "severity": "info"}, 3, "warn", "3 of 40 rows (7.5%) have no kind"),
        ({"mustBeLessOrEqualTo": 7.5, "unit": "percent"}, 3, "pass", "3 of 40 rows (7.5%) have no kind"),
        ({"mustBeLessThan": 7.5, "unit": "percent"}, 3, "fail", "3 of 40 rows (7.5%) have no kind"),
        ({"mustBeBetween": [1, 2]}, 0, "fail", "0 of 40 rows (0%) have no kind"),
        ({"mustNotBe": 2}, 2, "fail", "2 of 40 rows (5%) have no kind"),
    ],
)
def test_a_tolerance_is_held_against_the_rows_of_the_file(
    rule: dict[str, Any], count: int, status: str, found: str
) -> None:
    by = contract(kind=[{"metric": "nullValues", "id": "few"} | rule])
    (outcome,) = outcomes(by, measured(40, counts={"few": count}), [])
    assert (outcome.rule, outcome.status, outcome.found) == ("few", status, found)
    assert outcome.remedy
    rejected = problems(by, [outcome])
    assert [problem.rule for problem in rejected] == (["few"] if status == "fail" else [])
    if rejected:
        assert found in rejected[0].found
        assert outcome.limit in rejected[0].found


def test_limits_are_told_as_people_say_them() -> None:
    by = contract(
        {"metric": "rowCount", "mustNotBeBetween": [3, 4]},
        custom("percent", metric="rowCountChange", mustBeBetween=[-50, 100]),
        day=[custom("days", metric="freshness", mustBeLessOrEqualTo=2)],
        number=[{"type": "sql", "query": "SELECT 1", "mustBeGreaterOrEqualTo": 0.5, "mustBeLessThan": 2000}],
    )
    found = outcomes(by, measured(answers={"sql-number": Answer(1)}), [])
    assert [outcome.limit for outcome in found] == [
        "not between 3 and 4 rows",
        "between -50 and 100%",
        "at most 2 days",
        "at least 0.5 and less than 2,000",
    ]


def test_what_every_metric_offends_is_told() -> None:
    by = contract(
        {"metric": "duplicateValues", "mustBeLessThan": 9, "arguments": {"properties": ["kind", "day"]}},
        custom(metric="compare", left="day", relation="<", right="day", mustBeLessThan=9),
        kind=[{"metric": "invalidValues", "mustBeLessThan": 9, "arguments": {"pattern": "a"}}],
    )
    counts = dict.fromkeys(("duplicateValues-kind-day", "compare-day-day", "invalidValues-kind"), 1)
    assert [outcome.found for outcome in outcomes(by, measured(counts=counts), [])] == [
        "1 of 10 rows (10%) repeat the kind and day of an earlier row",
        "1 of 10 rows (10%) have a day that is not < day",
        "1 of 10 rows (10%) have a kind that is not valid",
    ]


@pytest.mark.parametrize(
    ("column", "unit", "newest", "age", "found"),
    [
        ("day", "days", datetime(2024, 2, 28, tzinfo=UTC), 2.5, "the newest day is 2024-02-28, 2.5 days before"),
        ("moment", "hours", datetime(2024, 3, 1, 10, 30, tzinfo=UTC), 1.5, "is 2024-03-01 10:30 UTC, 1.5 hours before"),
        ("moment", "minutes", datetime(2024, 3, 1, 12, 5, tzinfo=UTC), -5, "2024-03-01 12:05 UTC, 5 minutes after"),
    ],
)
def test_freshness_is_from_the_newest_value_to_the_upload(
    column: str, unit: str, newest: datetime, age: float, found: str
) -> None:
    by = contract(**{column: [custom(unit, metric="freshness", mustBeLessThan=2)]})
    seconds = newest.timestamp()
    of = profile(**{column: seconds / 86_400 if column == "day" else seconds})
    (outcome,) = outcomes(by, measured(of=of), [])
    assert outcome.value == pytest.approx(age)
    assert outcome.status is (CheckStatus.PASS if age < 2 else CheckStatus.FAIL)
    assert found in outcome.found


def test_a_file_without_any_date_is_not_fresh() -> None:
    by = contract(day=[custom("days", metric="freshness", mustBeLessThan=2)])
    for of in (None, profile()):
        (outcome,) = outcomes(by, measured(of=of), [])
        assert (outcome.status, outcome.value, outcome.found) == (CheckStatus.FAIL, None, "no row has a day")
    (outcome,) = outcomes(by, measured(of=profile(day=1e9)), [])
    assert (outcome.status, "beyond every calendar" in outcome.found) == (CheckStatus.PASS, True)


@pytest.mark.parametrize(
    ("rows", "before", "unit", "value", "found"),
    [
        (150, [100], "percent", 50, "150 rows, 50% more than the dataset before (100)"),
        (50, [100, 10, 1000], "percent", -50, "50 rows, 50% fewer than the median of the last 3 datasets (100)"),
        (50, [100, 40], "rows", -20, "50 rows, 20 rows fewer than the median of the last 2 datasets (70)"),
        (100, [100], "rows", 0, "100 rows, as the dataset before"),
    ],
)
def test_the_number_of_rows_is_held_against_the_last_datasets(
    rows: int, before: list[int], unit: str, value: float, found: str
) -> None:
    by = contract(custom(unit, metric="rowCountChange", mustBeBetween=[-30, 30], batches=3))
    past = [Before(rows=item, profile=profile()) for item in (*before, *([7] if len(before) == 3 else []))]
    (outcome,) = outcomes(by, measured(rows), past)
    assert (outcome.value, outcome.found) == (value, found)
    assert outcome.status is (CheckStatus.PASS if abs(value) <= 30 else CheckStatus.FAIL)


def test_the_first_dataset_is_compared_with_nothing() -> None:
    by = contract(
        custom(metric="rowCountChange", mustBe=0), kind=[custom("percent", metric="newCategories", mustBeLessThan=1)]
    )
    found = outcomes(by, measured(of=profile(kinds={"a": 10})), [])
    assert [outcome.status for outcome in found] == [CheckStatus.TOO_FEW] * 2
    assert problems(by, found) == []


KINDS = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 20), min_size=1)


@given(KINDS, st.lists(KINDS, min_size=1, max_size=4), st.integers(1, 3))
def test_new_categories_are_those_of_none_of_the_last_datasets(
    now: dict[str, int], past: list[dict[str, int]], batches: int
) -> None:
    by = contract(kind=[custom("percent", metric="newCategories", mustBe=0, batches=batches)])
    rows = [name for name, count in now.items() for _ in range(count)]
    known = {name for kinds in past[:batches] for name in kinds}
    before = [Before(rows=sum(kinds.values()), profile=profile(sum(kinds.values()), kinds)) for kinds in past]
    (outcome,) = outcomes(by, measured(of=profile(len(rows), now)), before)
    assert outcome.value == pytest.approx(100 * sum(name not in known for name in rows) / len(rows))
    assert (outcome.status is CheckStatus.PASS) == set(rows).issubset(known)


def test_categories_that_are_too_many_to_know_are_not_judged() -> None:
    by = contract(kind=[custom(metric="newCategories", mustBe=0)])
    full, cut = profile(kinds={"a": 10}), profile(kinds={"b": 5}, other=5)
    for now, past in ((full, cut), (cut, full)):
        (outcome,) = outcomes(by, measured(of=now), [Before(10, past)])
        assert outcome.status is CheckStatus.TOO_FEW
    unknown_then = Before(10, Profile(rows=10))
    (outcome,) = outcomes(by, measured(of=full), [unknown_then])
    assert outcome.status is CheckStatus.TOO_FEW
    (outcome,) = outcomes(by, measured(of=None), [unknown_then])
    assert outcome.status is CheckStatus.FAIL


def test_a_query_is_answered_over_the_good_rows(tmp_path: Path) -> None:
    by = contract({"type": "sql", "id": "q", "query": "SELECT max(number) FROM ${table}", "mustBeLessThan": 10})
    file = tmp_path / "rows.parquet"
    with duckdb.connect() as con:
        con.execute(
            f"COPY (SELECT 'a' AS kind, DATE '2024-01-01' AS day, now()::TIMESTAMP AS moment, 7 AS number) TO '{file}'"
        )
    (outcome,) = outcomes(by, measured(answers=answers(by, [file])), [])
    assert (outcome.status, outcome.value, outcome.found) == (CheckStatus.PASS, 7, "7")
    (outcome,) = outcomes(by, measured(answers=answers(by, [])), [])
    assert (outcome.status, outcome.found) == (CheckStatus.FAIL, "the query gave no value (NULL)")


def test_a_query_over_a_restricted_column_tells_no_number(tmp_path: Path) -> None:
    pay = Column(name="pay", type=ColumnType.INTEGER, restricted=True)
    rules = contract({"type": "sql", "id": "q", "query": "SELECT max(pay) FROM ${table}", "mustBeLessThan": 10}).quality
    by = Contract(id="c", version="1", table="t", columns=(pay,), quality=rules)
    file = tmp_path / "rows.parquet"
    with duckdb.connect() as con:
        con.execute(f"COPY (SELECT 987654 AS pay) TO '{file}'")
    (outcome,) = outcomes(by, measured(answers=answers(by, [file])), [])
    assert (outcome.status, outcome.value) == (CheckStatus.FAIL, None)
    assert "987" not in outcome.to_json() + problems(by, [outcome])[0].to_json()


def test_a_rule_that_allows_none_is_a_matter_of_its_rows() -> None:
    by = contract(custom(metric="compare", left="day", relation="<", right="day"))
    assert outcomes(by, measured(), []) == ()

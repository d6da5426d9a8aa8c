"""Rules about whole files through the steps of ingest: what they reject, tell and compare with."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ingest.judgement import Judgement
from interlock.contract import ColumnType, Limit, Metric, Operator, QualityRule, Severity, Unit
from interlock.records import CheckStatus, ClaimStatus, ObjectRef
from tests.unit.ingest.made import INTEGER, column, model
from tests.unit.ingest.world import World


def rule(metric: Metric, operator: Operator, *value: float, **more: Any) -> QualityRule:
    limits = (Limit(operator=operator, value=value),)
    return QualityRule(**{"id": metric.value, "metric": metric, "limits": limits} | more)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    rules = (
        rule(Metric.SQL, Operator.MUST_BE_LESS_THAN, 100, query='SELECT max("n") FROM "upload"'),
        rule(Metric.ROW_COUNT_CHANGE, Operator.MUST_BE_BETWEEN, -50, 50, unit=Unit.PERCENT, severity=Severity.WARNING),
        rule(Metric.NEW_CATEGORIES, Operator.MUST_BE_LESS_OR_EQUAL_TO, 10, unit=Unit.PERCENT, columns=("s",)),
        rule(Metric.FRESHNESS, Operator.MUST_BE_LESS_THAN, 3, unit=Unit.DAYS, columns=("d",)),
    )
    return World(
        monkeypatch,
        model(column("n", INTEGER), column("s"), column("d", ColumnType.DATE), quality=rules, max_bad_row_share=0.5),
    )


def rows(count: int = 20, texts: str = "ab", highest: int = 50, age: int = 0) -> bytes:
    day = f"{datetime.now(UTC) - timedelta(days=age):%Y-%m-%d}"
    lines = [f"{highest if row == 0 else row},{texts[row % len(texts)]},{day},{row}" for row in range(count)]
    return ("n,s,d,y\n" + "\n".join(lines) + "\n").encode()


def judged(world: World, body: bytes, name: str) -> Judgement:
    upload = world.upload(body, f"incoming/small/{name}.csv")
    subject = world.step("claim", **upload, execution=name)
    answer = world.step("validate", **upload, **subject)
    found = Judgement.from_json(world.objects.get(ObjectRef.model_validate(answer["result"])))
    world.step(
        "admit" if answer["verdict"] == "admit" else "reject", **subject, execution=name, result=answer["result"]
    )
    return found


def statuses(found: Judgement) -> dict[str, str]:
    return {outcome.rule: outcome.status.value for outcome in found.outcomes}


def test_the_first_upload_has_nothing_to_compare_with_and_the_next_one_has(world: World) -> None:
    assert statuses(judged(world, rows(), "first")) == {
        "sql": "pass",
        "rowCountChange": "too_few",
        "newCategories": "too_few",
        "freshness": "pass",
    }
    second = judged(world, rows(40, "abc"), "second")
    assert statuses(second) == {"sql": "pass", "rowCountChange": "warn", "newCategories": "fail", "freshness": "pass"}
    assert second.verdict == "reject"
    assert [problem.rule for problem in second.problems] == ["newCategories"]
    assert (second.rows, second.train_rows, second.holdout_rows) == (40, 0, 0)
    assert world.claim(second.claim).status is ClaimStatus.REJECTED
    assert "have a s never seen before" in world.alerts.sent[-1][1]
    # A rejected upload is none of those that later ones are compared with, and none of its good rows is kept.
    assert statuses(judged(world, rows(21, "ac"), "third"))["newCategories"] == "fail"
    assert not any(key.startswith(f"datasets/small/{second.claim}/") for key in world.objects.newest)


@pytest.mark.parametrize(
    ("body", "said"),
    [(rows(highest=100), "query: 100; allowed: less than 100"), (rows(age=9), "days before the upload; allowed: less")],
)
def test_a_rule_about_the_file_rejects_it(body: bytes, said: str, world: World) -> None:
    found = judged(world, body, "first")
    assert found.verdict == "reject"
    (problem,) = found.problems
    assert said in problem.found
    assert problem.remedy
    assert not world.datasets


def test_a_query_sees_the_good_rows_alone(world: World) -> None:
    found = judged(world, rows() + b"x,a,2024-01-01,3\n999999999999999999999,a,,4\n", "first")
    assert (found.verdict, found.bad_rows) == ("admit", 2)
    (query,) = [outcome for outcome in found.outcomes if outcome.rule == "sql"]
    assert (query.status, query.value) == (CheckStatus.PASS, 50)


@pytest.mark.parametrize(
    ("most", "severity", "verdict", "status"),
    [(3, Severity.ERROR, "admit", "pass"), (2, Severity.ERROR, "reject", "fail"), (2, Severity.INFO, "admit", "warn")],
)
def test_rows_within_a_tolerance_are_kept_and_listed(
    most: int, severity: Severity, verdict: str, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = rule(Metric.NULL_VALUES, Operator.MUST_BE_LESS_OR_EQUAL_TO, most, columns=("s",), severity=severity)
    pair = rule(Metric.DUPLICATE_VALUES, Operator.MUST_BE, 0, columns=("n", "s"), id="once")
    order = rule(Metric.COMPARE, Operator.MUST_BE, 0, columns=("n", "m"), relation="<=", severity=Severity.WARNING)
    columns = (column("n", INTEGER), column("s"), column("m", INTEGER))
    world = World(monkeypatch, model(*columns, quality=(few, pair, order), max_bad_row_share=0.5))
    body = b"n,s,m,y\n1,,1,1\n2,,2,2\n3,,3,3\n4,a,3,4\n5,a,5,5\n5,a,6,6\n5,b,6,7\n6,a,,8\n"
    found = judged(world, body, "first")
    assert (found.verdict, found.bad_rows, statuses(found)) == (verdict, 1, {"nullValues": status})
    listed = {item.quality: (item.rule, item.severity, [one.row for one in item.examples]) for item in found.findings}
    assert listed == {
        "nullValues": ("required", Severity.INFO, [1, 2, 3]),
        "once": ("duplicate", Severity.ERROR, [6]),
        "compare": ("compare", Severity.WARNING, [4]),
    }


def test_a_query_is_not_asked_about_an_upload_that_is_rejected_anyway(world: World) -> None:
    found = judged(world, rows() + b"x,a,,3\n" * 30, "first")
    assert [problem.rule for problem in found.problems] == ["bad_row_share"]
    assert statuses(found)["sql"] == "too_few"


def test_outcomes_are_in_the_document_and_on_the_page(world: World) -> None:
    found = judged(world, rows(highest=100), "first")
    page = world.objects.get(found.files["report"]).decode()
    assert "less than 100" in page
    assert json.loads(found.to_json())["outcomes"][0]["limit"] == "less than 100"

"""Many files judged one by one are judged as the one file that they would be together."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from typing import Any

import pytest

from ingest.judgement import Judgement
from interlock.contract import Limit, Metric, Operator, QualityRule, Severity
from interlock.errors import InvalidUpload
from interlock.records import ClaimStatus, Dataset, FileList, ObjectRef
from interlock.stats.profile import Profile
from tests.unit.ingest.made import INTEGER, NUMBER, column, model, rows
from tests.unit.ingest.world import World

HEADER = b"id,n,s,y\n"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    columns = (column("id", INTEGER, required=True), column("n", INTEGER), column("s"), column("y", NUMBER))
    return World(monkeypatch, model(*columns, primary_key=("id",), max_bad_row_share=0.2, min_rows=40))


def lines(first: int, count: int, *, bad: int = 0) -> list[bytes]:
    return [
        b"%d,%s,s%d,%d\n" % (i, b"x" if i - first < bad else b"%d" % i, i % 3, i) for i in range(first, first + count)
    ]


def three() -> dict[str, list[bytes]]:
    return {"a.csv": lines(0, 20), "b.csv": lines(20, 20, bad=2), "c.csv": lines(40, 20)}


def files(found: dict[str, list[bytes]]) -> dict[str, bytes]:
    return {name: HEADER + b"".join(body) for name, body in found.items()}


def judgement(world: World, claim: str) -> Judgement:
    return Judgement.from_json(world.objects.read(f"reports/small/ingest/{claim}/report.json"))


def good_rows(world: World, dataset: Dataset, tmp_path: Any) -> dict[str, list[Any]]:
    return {
        name: [
            row
            for number, ref in enumerate(world.objects.listed(getattr(dataset, name)))
            for row in rows(world.objects.get_file(ref, tmp_path / f"{name}-{number}.parquet"))
        ]
        for name in ("train", "holdout")
    }


@pytest.mark.parametrize("doubled", [False, True])
def test_a_set_is_judged_as_the_one_file_it_would_be(world: World, tmp_path: Any, doubled: bool) -> None:
    found = three()
    if doubled:
        # Keys of earlier files, one of a row that is bad, one twice in its own file as well.
        found["b.csv"] += [b"3,3,a,1\n"]
        found["c.csv"] += [b"21,1,a,1\n", b"5,1,a,1\n", b"5,1,a,1\n", b"45,1,a,1\n"]
    one = world.run(world.upload(HEADER + b"".join(line for body in found.values() for line in body)))
    many = world.run(world.upload_set(files(found)), "e2")
    assert many["outcome"] == "admitted"
    whole, parts = (next(item for item in world.datasets if item.id == answer["dataset"]) for answer in (one, many))
    for name in ("rows", "bad_rows", "train_rows", "holdout_rows"):
        assert getattr(whole, name) == getattr(parts, name), name
    assert good_rows(world, whole, tmp_path) == good_rows(world, parts, tmp_path)
    seen = [judgement(world, item.claim) for item in (whole, parts)]
    assert [(f.rule, f.column, f.count) for f in seen[0].findings] == [
        (f.rule, f.column, f.count) for f in seen[1].findings
    ]
    profiles = [Profile.from_json(world.objects.get(item.profile)) for item in (whole, parts)]
    assert profiles[0].numbers["y"].positive == profiles[1].numbers["y"].positive
    assert profiles[0].texts == profiles[1].texts
    # The reasons name the file and the row in it, also in the report.
    assert b"<bdi>set/b.csv</bdi>, row 1" in world.objects.get(seen[1].files["report"])
    table = list(csv.DictReader(io.StringIO(world.objects.get(seen[1].files["violations"]).decode())))
    assert {(row["file"], row["row"], row["rule"]) for row in table} >= {
        ("set/b.csv", "1", "type"),
        ("set/b.csv", "2", "type"),
    }
    quarantined = [
        [line.split(b",", 1)[1] for ref in world.objects.listed(item.files["bad_rows"])
         for line in world.objects.get(ref).splitlines()[1:]]
        for item in seen
    ]  # fmt: skip
    # Numbered in its own file each, and else the same.
    assert quarantined[0] == quarantined[1]
    if doubled:
        assert [(row["file"], row["row"]) for row in table if row["rule"] == "primary_key"] == [
            ("set/b.csv", "21"), *(("set/c.csv", str(row)) for row in (21, 22, 23, 24))
        ]  # fmt: skip


def test_what_a_whole_must_be_is_held_against_the_sum(world: World) -> None:
    # Each file alone has too few rows, and the second far too many bad ones.
    answer = world.run(world.upload_set(files({"a.csv": lines(0, 30), "b.csv": lines(30, 10, bad=8)})))
    assert answer["outcome"] == "admitted"
    answer = world.run(world.upload_set(files({"a.csv": lines(0, 30), "b.csv": lines(30, 10, bad=9)}), "worse"), "e2")
    found = judgement(world, answer["claim"])
    assert [problem.rule for problem in found.problems] == ["bad_row_share"]
    assert "9 of 40 rows are bad" in found.problems[0].found
    assert "train" not in found.files
    assert (found.train_rows, found.holdout_rows) == (0, 0)
    answer = world.run(world.upload_set(files({"a.csv": lines(0, 20), "b.csv": lines(20, 19)}), "few"), "e3")
    assert [problem.rule for problem in judgement(world, answer["claim"]).problems] == ["row_count"]


def test_one_file_that_cannot_be_read_rejects_the_set_and_is_named(world: World) -> None:
    broken = files(three()) | {"b.csv": b"something,else\n1,2\n"}
    answer = world.run(world.upload_set(broken))
    found = judgement(world, answer["claim"])
    assert found.verdict == "reject"
    assert {problem.rule for problem in found.problems} == {"missing_column"}
    assert all(problem.found.startswith("set/b.csv: ") for problem in found.problems)
    assert not world.datasets
    assert world.claim(answer["claim"]).status is ClaimStatus.REJECTED


def test_a_file_that_is_not_what_the_manifest_says_rejects_the_set(world: World) -> None:
    answer = world.run(world.upload_set(files(three()), sha256=hashlib.sha256(files(three())["a.csv"]).hexdigest()))
    problems = judgement(world, answer["claim"]).problems
    assert [(problem.rule, problem.found.split(":")[0]) for problem in problems] == [
        ("checksum", "set/b.csv"), ("checksum", "set/c.csv")
    ]  # fmt: skip


def test_the_same_file_twice_in_a_set_is_no_set(world: World) -> None:
    doubled = files(three()) | {"d.csv": files(three())["a.csv"]}
    problems = judgement(world, world.run(world.upload_set(doubled))["claim"]).problems
    assert [problem.found for problem in problems] == ["set/d.csv is the same bytes as set/a.csv"]


def test_the_same_files_under_other_names_are_the_same_dataset(world: World) -> None:
    first = world.run(world.upload_set(files(three())))
    renamed = {f"renamed-{name}": body for name, body in files(three()).items()}
    assert world.run(world.upload_set(renamed, "other"), "e2") == {"dataset": first["dataset"], "outcome": "duplicate"}
    # In another order they are other data: the first row of a key counts.
    backwards = dict(reversed(files(three()).items()))
    assert world.run(world.upload_set(backwards, "backwards"), "e3")["outcome"] == "admitted"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "no manifest of a set"),
        (b"[]", "no manifest of a set"),
        (b'{"entries": []}', "entries: List should have at least 1 item"),
        (b'{"entries": [{"key": "x"}]}', r"entries\.0\.url: Field required"),
        (b'{"entries": [{"url": "s3://data/incoming/small/a.csv"}]}', "do not lie under s3://data/parts/small/"),
        (b'{"entries": [{"url": "s3://other/parts/small/a.csv"}]}', "do not lie under"),
        (b'{"entries": [{"url": "s3://data/parts/other/a.csv"}]}', "do not lie under"),
        (b'{"entries": [{"url": "s3://data/parts/small/a.csv"}]}', "do not exist: s3://data/parts/small/a.csv"),
        (b'{"entries": [{"url": "s3://data/parts/small/a.csv", "sha256": "x"}]}', "sha256"),
        (json.dumps({"entries": [{"url": "s3://data/parts/small/a.csv"}] * 2}).encode(), "names files twice"),
    ],
)
def test_a_manifest_that_cannot_be_followed_is_refused_and_told(world: World, text: bytes, said: str) -> None:
    with pytest.raises(InvalidUpload, match=said):
        world.run(world.upload(text, "incoming/small/set.manifest.json"))
    ((subject, told),) = world.alerts.sent
    assert subject == "Upload not taken"
    assert "set.manifest.json" in told
    # Nothing was judged, and the manifest can be sent again.
    assert not world.datasets
    (claim,) = (key[0].removeprefix("claim#") for key in world.state.items if key[0].startswith("claim#"))
    assert world.claim(claim).status is ClaimStatus.FAILED


def test_a_manifest_without_versions_takes_the_newest_once(world: World) -> None:
    bodies = files(three())
    for name, body in bodies.items():
        world.objects.put(f"parts/small/set/{name}", body)
    entries = [
        {"url": f"s3://data/parts/small/set/{name}", "mandatory": True, "meta": {"content_length": 9}}
        for name in bodies
    ]
    event = world.upload(json.dumps({"entries": entries}).encode(), "incoming/small/set.manifest.json")
    subject = world.step("claim", **event, execution="e1")
    about = {name: subject[name] for name in ("claim", "model")}
    planned = world.step("plan", **event, **about)
    # Changed after the plan: not what is judged.
    world.objects.put("parts/small/set/a.csv", b"nonsense")
    results = world.files(about, planned["items"], "first")
    world.step("doubles", **about, results=results)
    assert world.step("merge", **event, **about, results=results, again={})["verdict"] == "admit"


def test_every_step_of_a_set_may_be_repeated(world: World) -> None:
    event = world.upload_set(files(three()))
    world.run(event, until="conclude")
    world.executions.ended.add("e1")
    answer = world.run(event, "e2")
    assert answer["outcome"] == "admitted"
    (dataset,) = world.datasets
    assert isinstance(dataset.train, ObjectRef)
    assert len(FileList.from_json(world.objects.get(dataset.train)).files) == 3
    assert world.ledger.actions("small") == ["dataset admitted"]


def quality(metric: Metric, operator: Operator, value: float, **more: Any) -> QualityRule:
    return QualityRule(id=metric.value, metric=metric, limits=(Limit(operator=operator, value=(value,)),), **more)


@pytest.mark.parametrize(("last", "verdict", "highest"), [(79, "admit", "79"), (99, "reject", "99")])
def test_rules_about_whole_files_are_held_against_the_whole_set(
    monkeypatch: pytest.MonkeyPatch, last: int, verdict: str, highest: str
) -> None:
    rules = (
        quality(Metric.SQL, Operator.MUST_BE_LESS_THAN, 90, query='SELECT max("n") FROM "upload"'),
        # Two of each file, four of all: each file alone would pass.
        quality(Metric.NULL_VALUES, Operator.MUST_BE_LESS_THAN, 4, columns=("s",), severity=Severity.WARNING),
    )
    world = World(monkeypatch, model(column("n", INTEGER), column("s"), quality=rules))
    bodies = {
        name: b"n,s,y\n" + b"".join(b"%d,%s,1\n" % (i, b"" if i % 20 < 2 and (i < 2 or i > 59) else b"a") for i in span)
        for name, span in (("a.csv", range(60)), ("b.csv", range(60, last + 1)))
    }
    world.run(world.upload_set(bodies))
    (key,) = (key for key in world.objects.keys("reports/small/ingest/") if key.endswith("report.json"))
    found = Judgement.from_json(world.objects.read(key))
    assert found.verdict == verdict
    outcomes = {outcome.rule: (outcome.status.value, outcome.value) for outcome in found.outcomes}
    assert outcomes["sql"][1] == float(highest)
    assert outcomes["nullValues"] == ("warn", 4.0 if last == 79 else 6.0)


def test_two_rules_of_a_kind_over_one_column_are_told_apart_in_a_set(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = (Limit(operator=Operator.MUST_BE_LESS_THAN, value=(100,)),)
    rules = tuple(
        QualityRule(id=pattern, metric=Metric.INVALID_VALUES, columns=("s",), limits=limits, pattern=pattern)
        for pattern in ("a", "b")
    )
    world = World(monkeypatch, model(column("s"), quality=rules))
    world.run(world.upload_set({"1.csv": b"s,y\na,1\nb,2\nb,3\n", "2.csv": b"s,y\na,4\nab,5\n"}))
    (key,) = (key for key in world.objects.keys("reports/small/ingest/") if key.endswith("report.json"))
    found = Judgement.from_json(world.objects.read(key))
    assert {finding.quality: finding.count for finding in found.findings} == {"a": 2, "b": 2}
    assert [outcome.value for outcome in found.outcomes] == [2, 2]

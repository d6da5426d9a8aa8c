"""Ingest's steps: told twice, told late, killed half-way."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from ingest import validate as validating
from ingest.judgement import Judgement
from interlock.aws.claims import conclude, take
from interlock.errors import AlreadyClaimed, DependencyUnavailable, InvalidUpload, UnknownModel
from interlock.events import DatasetAdmitted, DatasetRejected
from interlock.keys import upload
from interlock.records import ClaimStatus, ObjectRef
from tests.unit.fakes import FakeExecutions, FakeState
from tests.unit.ingest.made import INTEGER, column, model
from tests.unit.ingest.world import World

BODY = b"n,s,y\n" + b"".join(b"%d,a,1\n" % i for i in range(50)) + b"x,b,1\n"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch, model(column("n", INTEGER), column("s"), max_bad_row_share=0.1))


def test_an_upload_becomes_a_dataset(world: World) -> None:
    answer = world.run(world.upload(BODY, "incoming/small/first part+ä.csv"))
    (dataset,) = world.datasets
    assert answer == {"dataset": dataset.id, "outcome": "admitted"}
    assert (dataset.rows, dataset.bad_rows, dataset.train_rows + dataset.holdout_rows) == (50, 1, 50)
    assert world.claim(dataset.claim).status is ClaimStatus.ADMITTED
    assert world.ledger.actions("small") == ["dataset admitted"]
    assert world.bus.published == [DatasetAdmitted(model="small", dataset=dataset.id, claim=dataset.claim, rows=50)]
    assert not world.alerts.sent
    assert sorted(key.rsplit("/", 1)[1] for key in world.objects.newest) == [
        *("bad-rows.csv", "first part+ä.csv", "holdout.parquet", "profile.json"),
        *("report.html", "report.json", "train.parquet", "violations.csv"),
    ]
    for ref in (dataset.train, dataset.holdout, dataset.profile, dataset.report, dataset.source):
        assert world.objects.get(ref)


def test_a_rejected_upload_is_told_with_reason_and_remedy(world: World) -> None:
    answer = world.run(world.upload(b"n,s,y\n" + b"x,a,1\n" * 5))
    assert world.claim(answer["claim"]).status is ClaimStatus.REJECTED
    assert not world.datasets
    assert world.ledger.actions("small") == ["dataset rejected"]
    (event,) = world.bus.published
    assert isinstance(event, DatasetRejected)
    assert "5 of 5 rows are bad" in event.reason
    ((subject, text),) = world.alerts.sent
    assert subject == "small: upload rejected"
    assert "mend the whole file and upload it again" in text
    assert event.report is not None
    assert event.report in text


@pytest.mark.parametrize("body", [b"", b"n,s,y\n", b"\x1f\x8b\x08", b"PAR1", b"\xff\xfen"])
def test_a_file_nobody_can_read_ends_in_a_report_too(world: World, body: bytes) -> None:
    world.run(world.upload(body))
    (event,) = world.bus.published
    assert isinstance(event, DatasetRejected)
    assert b"Rejected." in world.objects.read(next(iter(world.objects.keys("reports/small/ingest/"))))
    assert len(world.alerts.sent) == 1


@pytest.mark.parametrize("body", [BODY, b"n,s,y\nx,a,1\n"])
def test_the_same_event_twice_changes_nothing(world: World, body: bytes) -> None:
    event = world.upload(body)
    world.run(event)
    before = (dict(world.objects.versions), len(world.bus.published), len(world.alerts.sent), len(world.state.items))
    assert world.run(event, "e2") == {"already": True}
    # Also when it comes years later.
    world.state.clock = lambda: time.time() + 1e9
    assert world.run(event, "e3") == {"already": True}
    with pytest.raises(AlreadyClaimed, match=r"\(version v1\) was (admitted|rejected) at"):
        world.step("claim", **event, execution="e4")
    after = (dict(world.objects.versions), len(world.bus.published), len(world.alerts.sent), len(world.state.items))
    assert before == after
    assert len(world.ledger.actions("small")) == 1


def test_a_newer_version_of_a_key_is_another_upload_in_any_order(world: World) -> None:
    first, second = world.upload(BODY), world.upload(BODY.replace(b"a", b"c"))
    world.run(second)
    world.run(first, "e2")
    assert len({dataset.claim for dataset in world.datasets}) == 2
    assert {dataset.source.version for dataset in world.datasets} == {first["version"], second["version"]}


def test_an_event_during_the_work_is_already_claimed(world: World) -> None:
    event = world.upload(BODY)
    world.run(event, until="validate")
    assert world.run(event, "e2") == {"already": True}


def test_a_crash_between_claim_and_work_blocks_nothing(world: World) -> None:
    event = world.upload(BODY)
    world.run(event, until="validate")
    # Its execution was stopped: the next one need not wait until the claim is over.
    world.executions.ended.add("e1")
    world.run(event, "e2")
    assert len(world.datasets) == 1


def test_a_claim_whose_execution_seems_to_run_for_ever_is_free_in_the_end(world: World) -> None:
    event = world.upload(BODY)
    world.run(event, until="validate")
    world.state.clock = lambda: time.time() + 14 * 3600
    world.run(event, "e2")
    assert len(world.datasets) == 1


def test_the_same_execution_gets_its_own_claim_again(world: World) -> None:
    event = world.upload(BODY)
    first = world.step("claim", **event, execution="e1")
    assert world.step("claim", **event, execution="e1") == first


def test_every_step_may_be_repeated(world: World) -> None:
    event = world.upload(BODY)
    subject = world.step("claim", **event, execution="e1")
    once, twice = (world.step("validate", **event, **subject) for _ in range(2))
    # The same keys: a half-written first try is overwritten.
    assert once["result"]["key"] == twice["result"]["key"]
    for _ in range(2):
        world.step("admit", **subject, execution="e1", result=twice["result"])
    assert len(world.datasets) == 1
    assert world.ledger.actions("small") == ["dataset admitted"]


def test_an_upload_judged_again_after_a_crash_is_still_one_dataset(world: World) -> None:
    event = world.upload(BODY)
    answer = world.run(event, until="conclude")
    # The first execution dies after it wrote the dataset and before it ended the claim.
    before = answer["claim"], world.claim(answer["claim"])
    world.step("admit", claim=answer["claim"], model="small", execution="e1", result=answer["result"])
    world.state.acquire(f"claim#{before[0]}", "claim", before[1], owner="e1", expires_at=0)
    world.run(event, "e2")
    assert len(world.datasets) == 1
    assert world.ledger.actions("small") == ["dataset admitted"]
    assert world.claim(answer["claim"]).status is ClaimStatus.ADMITTED


def test_a_failure_gives_the_claim_back_and_the_next_try_works(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    event = world.upload(BODY)

    def down(*_: Any) -> None:
        raise DependencyUnavailable("the store is down")

    with monkeypatch.context() as patch:
        patch.setattr(validating, "validate", down)
        with pytest.raises(DependencyUnavailable):
            world.run(event)
    (claim,) = (key[0] for key in world.state.items)
    assert world.claim(claim.removeprefix("claim#")).status is ClaimStatus.FAILED
    assert world.ledger.actions("small") == ["ingest failed"]
    # The workflow ends as failed, and its alarm tells it.
    assert not world.alerts.sent
    world.run(event, "e2")
    assert len(world.datasets) == 1


def test_who_lost_the_claim_does_not_end_it(world: World) -> None:
    event = world.upload(BODY)
    found = upload(**event)
    take(world.state, world.executions, found, "e1", datetime.now(UTC))
    world.executions.ended.add("e1")
    take(world.state, world.executions, found, "e2", datetime.now(UTC))
    world.state.clock = time.time
    conclude(world.state, found.claim, ClaimStatus.FAILED, "e1", datetime.now(UTC))
    assert world.claim(found.claim).execution == "e2"
    assert world.claim(found.claim).status is ClaimStatus.CLAIMED


def test_an_ended_claim_cannot_be_taken_by_one_who_read_it_before(monkeypatch: pytest.MonkeyPatch) -> None:
    state, executions = FakeState(), FakeExecutions()
    found = upload("data", "incoming/small/a.csv", "v1")
    claimed = take(state, executions, found, "e1", datetime.now(UTC))
    conclude(state, found.claim, ClaimStatus.ADMITTED, "e1", datetime.now(UTC))
    # e2 has read the open claim, and writes only now.
    monkeypatch.setattr(state, "get", lambda *_: claimed)
    state.clock = lambda: time.time() + 3600
    with pytest.raises(AlreadyClaimed):
        take(state, executions, found, "e2", datetime.now(UTC))


@pytest.mark.parametrize(
    ("key", "error", "said"),
    [
        ("incoming/people.csv", InvalidUpload, "not of the form incoming/<model>/<file>"),
        ("incoming/Small/people.csv", InvalidUpload, "not of the form"),
        ("incoming/small/", InvalidUpload, "not of the form"),
        ("incoming/other/people.csv", UnknownModel, "no model 'other' is deployed"),
    ],
)
def test_an_upload_for_nobody_is_told_to_a_person(world: World, key: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        world.run(world.upload(BODY, key))
    ((subject, text),) = world.alerts.sent
    assert subject == "Upload not taken"
    assert key in text
    assert said in text
    assert not world.state.items


def test_an_upload_that_was_deleted_meanwhile_is_told(world: World) -> None:
    event = world.upload(BODY)
    world.objects.versions.clear()
    with pytest.raises(InvalidUpload, match="is gone"):
        world.run(event)
    assert len(world.alerts.sent) == 1
    assert world.ledger.actions("small") == ["ingest failed"]


def test_a_step_functions_cause_is_read(world: World) -> None:
    cause = json.dumps({"errorType": "UnknownModel", "errorMessage": "no model 'x'", "stackTrace": ["secret"]})
    about = {"claim": None, "model": None, "bucket": "b", "key": "k", "version": "v", "execution": "e"}
    answer = world.step("fail", **about, error="UnknownModel", cause=cause)
    assert answer == {"error": "UnknownModel", "message": "no model 'x'"}
    assert "secret" not in world.alerts.sent[0][1]


def test_metrics_are_told(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.run(world.upload(BODY))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    (told,) = (line for line in lines if "RowsJudged" in line)
    assert (told["RowsJudged"], told["BadRows"], told["model"]) == ([51.0], [1.0], "small")
    assert told["BadRowShare"] == [pytest.approx(100 / 51)]
    assert told["ValidationTime"][0] > 0


def test_the_report_is_a_document_and_a_page_that_data_cannot_break(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, model(column("n", INTEGER), column("s<b>"), max_bad_row_share=0.9))
    answer = world.run(world.upload(b"n,s<b>,y\n<script>alert(1)</script>,<i>,1\n1,<img src=x>,1\n"), until="conclude")
    judgement = Judgement.from_json(world.objects.get(ObjectRef.model_validate(answer["result"])))
    page = world.objects.get(judgement.files["report"]).decode()
    assert judgement.findings[0].examples[0].value == "<script>alert(1)</script>"
    assert "&lt;script&gt;alert(1)" in page
    for harmful in ("<script", "<img", "<i>", "s<b>"):
        assert harmful not in page

"""The same bytes again, batches that are added, and refreshes that take the place of what was before."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ingest.arrival import mode_of
from ingest.past import batches
from interlock.aws.datasets import Datasets
from interlock.aws.objects import Arrival
from interlock.errors import InvalidUpload
from interlock.events import DatasetAdmitted
from interlock.keys import upload
from interlock.records import ClaimStatus, Mode, Repeat
from tests.unit.ingest.made import INTEGER, column, model
from tests.unit.ingest.world import World

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch, model(column("n", INTEGER), column("s"), max_bad_row_share=0.1))


def body(word: str) -> bytes:
    return b"n,s,y\n" + b"".join(b"%d,%s,1\n" % (i, word.encode()) for i in range(20))


def put(world: World, word: str, minute: int, mode: Mode = Mode.APPEND, name: str = "") -> dict[str, Any]:
    """An upload that S3 took at that minute."""
    event = world.upload(body(word), f"incoming/small/{name or f'{word}-{minute}.csv'}")
    said = {} if mode is Mode.APPEND else {"interlock-mode": "refresh"}
    world.objects.arrivals[event["key"], event["version"]] = Arrival(
        NOON + timedelta(minutes=minute), said, event["version"]
    )
    return event


def trained_on(world: World) -> list[str]:
    """The words of the datasets that take part, in their order."""
    found = Datasets(world.state, "small").in_training(world.model.contract.digest())
    return [dataset.source.key.rsplit("/", 1)[1].split("-")[0] for dataset in found]


def claim(event: dict[str, Any]) -> str:
    return upload(**event).claim


def test_the_same_bytes_under_another_name_are_linked_and_not_a_second_dataset(world: World) -> None:
    first, again = put(world, "a", 0), put(world, "a", 1, name="other.csv")
    world.run(first)
    answer = world.run(again, "e2")
    (dataset,) = world.datasets
    assert answer == {"dataset": dataset.id, "outcome": "duplicate"}
    assert dataset.claim == claim(first)
    assert world.claim(claim(again)).status is ClaimStatus.DUPLICATE
    (repeat,) = world.state.query(Repeat, "model#small", "repeat#")
    assert (repeat.claim, repeat.dataset, repeat.source.key) == (claim(again), dataset.id, again["key"])
    decision = list(world.ledger.entries("small"))[-1].decision
    assert (decision.action, decision.subject) == ("upload repeated", dataset.id)
    assert decision.evidence["first_upload"] == f"s3://data/{first['key']}"
    # Nobody has anything to do.
    assert len(world.bus.published) == 1
    assert not world.alerts.sent
    # And the event of the repeat may come again as well.
    assert world.run(again, "e3") == {"already": True}


def test_of_two_identical_uploads_at_once_one_becomes_the_dataset(world: World) -> None:
    events = [put(world, "a", 0, name=f"{number}.csv") for number in range(4)]
    judged = [world.run(event, f"e{number}", until="conclude") for number, event in enumerate(events)]
    barrier, outcomes = threading.Barrier(len(judged)), []
    take = world.state.put_new

    def together(*args: Any) -> bool:
        # All have looked before any writes.
        barrier.wait(10)
        return take(*args)

    world.state.put_new = together  # type: ignore[method-assign]

    def admit(number: int) -> None:
        found = judged[number]
        known = {name: found[name] for name in ("claim", "model", "result")}
        outcomes.append(world.step("admit", **known, execution=f"e{number}")["outcome"])

    threads = [threading.Thread(target=admit, args=(number,)) for number in range(len(judged))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["admitted", "duplicate", "duplicate", "duplicate"]
    assert len(world.datasets) == 1
    assert sorted(world.ledger.actions("small")) == ["dataset admitted", *["upload repeated"] * 3]
    assert len(world.bus.published) == 1


def test_a_rejected_content_is_judged_again(world: World) -> None:
    for execution, name in (("e1", "one.csv"), ("e2", "two.csv")):
        world.run(world.upload(b"n,s,y\nx,a,1\n", f"incoming/small/{name}"), execution)
    assert world.ledger.actions("small") == ["dataset rejected"] * 2


def test_the_same_bytes_under_a_newer_contract_are_judged_anew_and_count_once(world: World) -> None:
    first, again = put(world, "a", 0), put(world, "a", 5, name="again.csv")
    world.run(first)
    world.run(put(world, "b", 1), "e2")
    contract = world.model.contract.model_copy(update={"version": "2"})
    world.model = world.model.model_copy(update={"contract": contract})
    assert world.run(again, "e3")["outcome"] == "admitted"
    assert len(world.datasets) == 3
    datasets = Datasets(world.state, "small")
    assert [item.contract_version for item in datasets.in_training(contract.digest())] == ["2", "1"]
    decision = list(world.ledger.entries("small"))[-1].decision
    assert decision.evidence["replaced"] == [item.id for item in world.datasets if item.claim == claim(first)]


def test_a_refresh_takes_the_place_of_all_before_and_appends_go_on_from_it(world: World) -> None:
    for number, (word, mode) in enumerate(
        (("a", Mode.APPEND), ("b", Mode.APPEND), ("c", Mode.REFRESH), ("d", Mode.APPEND))
    ):
        world.run(put(world, word, number, mode), f"e{number}")
    assert trained_on(world) == ["c", "d"]
    # All stay listed.
    assert len(world.datasets) == 4
    decision = list(world.ledger.entries("small"))[2].decision
    assert (decision.evidence["mode"], len(decision.evidence["replaced"])) == ("refresh", 2)


def test_a_refresh_counts_from_when_it_was_uploaded_not_from_when_it_was_admitted(world: World) -> None:
    old, refresh, newer = put(world, "a", 0), put(world, "b", 1, Mode.REFRESH), put(world, "c", 2)
    for number, event in enumerate((newer, refresh, old)):
        world.run(event, f"e{number}")
    assert trained_on(world) == ["b", "c"]
    late = list(world.ledger.entries("small"))[-1].decision
    assert (late.subject, late.evidence["in_training"]) == (world.datasets_of(claim(old)).id, False)
    # Nothing to train on that there was not before.
    assert len(world.bus.published) == 2


def test_bytes_that_a_refresh_put_out_come_back_when_they_are_uploaded_again(world: World) -> None:
    for number, (word, mode) in enumerate((("a", Mode.APPEND), ("b", Mode.REFRESH), ("a", Mode.APPEND))):
        world.run(put(world, word, number, mode), f"e{number}")
    assert trained_on(world) == ["b", "a"]
    assert len(world.datasets) == 2
    # This repeat changes what is trained on, and is told.
    assert [event.dataset for event in world.bus.published if isinstance(event, DatasetAdmitted)] == [
        *(item.id for word in "ab" for item in world.datasets if f"/{word}-" in item.source.key),
        world.datasets_of(claim(put(world, "a", 0) | {"version": "v1"})).id,
    ]
    # Back to the first state of all, by a refresh with bytes that are known.
    world.run(put(world, "a", 9, Mode.REFRESH), "e9")
    assert trained_on(world) == ["a"]


def test_an_accidental_repeat_does_not_make_old_rows_the_newest(world: World) -> None:
    for number, word in enumerate("aba"):
        world.run(put(world, word, number), f"e{number}")
    assert trained_on(world) == ["a", "b"]


@pytest.mark.parametrize(
    ("key", "said", "mode"),
    [
        ("incoming/small/a.csv", {}, Mode.APPEND),
        ("incoming/small/a.csv", {"interlock-mode": "append"}, Mode.APPEND),
        ("incoming/small/a.csv", {"interlock-mode": " Refresh"}, Mode.REFRESH),
        ("incoming/small/refresh/a.csv", {}, Mode.REFRESH),
        ("incoming/small/refresh/a.csv", {"interlock-mode": "refresh"}, Mode.REFRESH),
        ("incoming/small/refreshed/a.csv", {}, Mode.APPEND),
        ("incoming/small/refresh.csv", {}, Mode.APPEND),
    ],
)
def test_key_or_metadata_say_what_an_upload_does(key: str, said: dict[str, str], mode: Mode) -> None:
    assert mode_of(upload("data", key, "v1"), said) is mode


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("incoming/small/a.csv", {"interlock-mode": "refrsh"}),
        ("incoming/small/refresh/a.csv", {"interlock-mode": "append"}),
    ],
)
def test_an_upload_that_says_something_unknown_or_two_things_is_refused(key: str, said: dict[str, str]) -> None:
    with pytest.raises(InvalidUpload, match="interlock-mode"):
        mode_of(upload("data", key, "v1"), said)


def test_a_batch_is_held_against_those_that_were_uploaded_before_it(world: World) -> None:
    events = [put(world, word, number) for number, word in enumerate("abcd")]
    for number in (3, 0, 1, 2):
        world.run(events[number], f"e{number}")

    def before(number: int, count: int = 9) -> list[str]:
        at = NOON + timedelta(minutes=number)
        found = batches(Datasets(world.state, "small"), world.objects, claim(events[number]), at, count)
        assert all(batch.profile.rows == batch.dataset.rows for batch in found)
        return [batch.dataset.source.key.rsplit("/", 1)[1][0] for batch in found]

    assert before(0) == []
    assert before(2) == ["b", "a"]
    assert before(3) == ["c", "b", "a"]
    assert before(3, count=1) == ["c"]

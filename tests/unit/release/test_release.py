"""How the live release may change, and the probe that decides about it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.aws.live import live_release
from interlock.errors import Conflict, ProbeFailed, RevisionChanged
from interlock.events import ModelPromoted
from interlock.kind import Kind
from interlock.records import Candidate, Input, LiveRelease, ObjectRef, Probe, ServedModel
from interlock.spec import Release
from release import transitions
from release.confirm import confirm
from release.probe import probe
from release.record import change
from release.restore import put_back
from release.rollback import take_back
from release.telling import tell
from release.transitions import is_old_news, started
from tests.unit.fakes import FakeAlerts, FakeBus, FakeLedger, FakeState

REF = ObjectRef(bucket="b", key="k", version="1", sha256="0" * 64, size=1)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ALL, CANARY = Release(), Release(mode="canary", steps=(0.1, 0.5))


def candidate(version: int) -> Candidate:
    return Candidate(
        version=version, run=f"r{version}", served=REF, package_arn=f"arn/{version}", reference=REF, manifest_id="m"
    )


class Table:
    """The tables of one model and what is done with them."""

    def __init__(self) -> None:
        self.state, self.ledger, self.bus, self.alerts = FakeState(), FakeLedger(), FakeBus(), FakeAlerts()

    @property
    def live(self) -> LiveRelease:
        found = live_release(self.state, "flats")
        assert found is not None
        return found

    def start(self, version: int, plan: Release = ALL) -> LiveRelease:
        before = live_release(self.state, "flats")
        after = started(before, candidate(version), "flats", plan, "a test", "", NOW)
        assert after is not None
        change(self.state, self.ledger, before, after)
        return after

    def release(self, version: int, plan: Release = ALL) -> LiveRelease:
        return self.confirm(version, self.start(version, plan).revision)

    def confirm(self, version: int, revision: int) -> LiveRelease:
        return confirm("flats", version, revision, "a test", self.state, self.ledger, self.bus)

    def put_back(self, version: int, reason: str) -> LiveRelease | None:
        return put_back(self.state, self.ledger, "flats", version, reason, "a test")

    def take_back(self, reason: str = "why") -> LiveRelease:
        return take_back(self.state, self.ledger, "flats", "somebody", reason)


@pytest.fixture
def table() -> Table:
    return Table()


def test_nobody_is_answered_by_a_version_that_is_being_probed(table: Table) -> None:
    table.release(1)
    probing = table.start(2, CANARY)
    assert (probing.state, probing.share, probing.champion, probing.challenger) == (
        "probing", 0.0, candidate(1), candidate(2),
    )  # fmt: skip


def test_a_release_goes_up_by_two_revisions_and_remembers_the_one_before(table: Table) -> None:
    first, second = table.release(1), table.release(2)
    assert (first.revision, second.revision) == (2, 4)
    assert (second.champion, second.previous, second.challenger) == (candidate(2), candidate(1), None)
    assert second.state == "live"


def test_the_first_release_has_nobody_to_be_compared_with(table: Table) -> None:
    assert table.release(1, CANARY).state == "live"
    assert table.release(2, CANARY).state == "baking"


@pytest.mark.parametrize("version", [1, 2])
def test_what_is_there_is_not_released_again(table: Table, version: int) -> None:
    table.release(1)
    table.release(2, CANARY)
    assert started(table.live, candidate(version), "flats", ALL, "again", "", NOW) is None


def test_a_newer_version_takes_the_place_of_one_that_bakes(table: Table) -> None:
    table.release(1)
    table.release(2, CANARY)
    after = table.start(3, CANARY)
    assert (after.champion, after.challenger, after.share) == (candidate(1), candidate(3), 0.0)
    assert "takes the place of version 2" in after.reason
    # The older one does not push it out again.
    assert started(after, candidate(2), "flats", CANARY, "late", "", NOW) is None


def test_whoever_read_an_older_revision_writes_nothing(table: Table) -> None:
    first = table.release(1)
    table.release(2)
    late = started(first, candidate(3), "flats", ALL, "late", "", NOW)
    assert late is not None
    with pytest.raises(RevisionChanged):
        change(table.state, table.ledger, first, late)
    assert table.live.champion == candidate(2)


def test_a_confirmation_twice_changes_once(table: Table) -> None:
    revision = table.start(1).revision
    for _ in range(2):
        assert table.confirm(1, revision).revision == 2
    assert table.ledger.actions("flats") == ["release started", "model promoted"]
    assert table.bus.published[-1] == ModelPromoted(model="flats", version=1, revision=2)


def test_a_confirmation_after_a_rollback_changes_nothing(table: Table) -> None:
    table.release(1)
    revision = table.start(2).revision
    table.take_back()
    with pytest.raises(RevisionChanged):
        table.confirm(2, revision)
    assert table.live.champion == candidate(1)


def test_a_failed_probe_leaves_the_champion_and_is_told_once(table: Table) -> None:
    table.release(1)
    table.start(2)
    for _ in range(2):
        back = table.put_back(2, "ProbeFailed: differs")
        assert back is not None
        assert (back.champion, back.challenger, back.state) == (candidate(1), None, "live")
        tell(table.state, table.bus, table.alerts, back, NOW)
    assert len(table.alerts.sent) == 1
    assert table.ledger.actions("flats")[-2:] == ["release started", "probe failed"]


def test_the_first_release_put_back_leaves_nothing_serving(table: Table) -> None:
    table.start(1)
    back = table.put_back(1, "why")
    assert back is not None
    assert (back.champion, back.challenger) == (None, None)


def test_a_rollback_goes_back_and_forth_but_not_before_the_first(table: Table) -> None:
    table.release(1)
    with pytest.raises(Conflict):
        table.take_back()
    table.release(2)
    back = table.take_back()
    assert (back.version, back.champion) == (2, candidate(1))
    assert table.take_back("forth").champion == candidate(2)


def test_a_rollback_takes_the_challenger_back_first(table: Table) -> None:
    table.release(1)
    table.release(2)
    table.release(3, CANARY)
    assert (table.take_back().champion, table.live.version) == (candidate(2), 3)
    assert table.take_back().champion == candidate(1)


MOVES = ("start", "confirm", "advance", "fail", "rollback", "pause", "resume", "promote")


@given(st.lists(st.tuples(st.sampled_from(MOVES), st.integers(1, 5)), max_size=30))
def test_whatever_happens_a_champion_serves_and_the_ledger_is_true(moves: list[tuple[str, int]]) -> None:
    table = Table()
    table.release(1)
    for move, version in moves:
        live = table.live
        try:
            match move:
                case "start":
                    after = started(live, candidate(version), "flats", CANARY, "x", "", NOW)
                case "confirm":
                    after = transitions.probed(live, "x", NOW) if live.state == "probing" else None
                case "advance":
                    after = transitions.advanced(live, "x", "", None, NOW) if live.state == "baking" else None
                case "fail":
                    after = transitions.withdrawn(live, transitions.TAKEN_BACK, "x", "", NOW)
                case "rollback":
                    after = transitions.rolled_back(live, "flats", "x", "", NOW)
                case "pause":
                    after = transitions.paused(live, "x", "", NOW)
                case "resume":
                    after = transitions.resumed(live, "x", "", NOW)
                case _:
                    after = transitions.promoted(live, "x", "", NOW) if live.state in {"baking", "paused"} else None
        except Conflict:
            continue
        if after is not None:
            change(table.state, table.ledger, live, after)
    live = table.live
    assert live.champion is not None
    assert (live.challenger is None) == (live.state == "live")
    assert live.share == 0 or live.state in {"baking", "paused"}
    told = [entry.decision.evidence for entry in table.ledger.entries("flats")]
    assert [item["revision"] for item in told] == list(range(1, live.revision + 1))
    assert told[-1]["champion"] == live.champion.version


SERVED = ServedModel(
    model="flats", version=1, run="r", kind=Kind.BINARY, inputs=(Input(name="x", datatype="FP32", required=True),),
    classes=("no", "yes"), threshold=0.5, onnx=REF, contract_version="1",
)  # fmt: skip
QUESTIONS = Probe(rows={"x": (1.0, 2.0)}, scores=(0.2, 0.9), labels=("no", "yes"))


def answer(revision: int, scores: list[float], labels: list[str]) -> tuple[int, bytes]:
    outputs = [{"name": "label", "data": labels}, {"name": "probability", "data": scores}]
    return 200, json.dumps({"parameters": {"revision": revision}, "outputs": outputs}).encode()


def ask(*answers: tuple[int, bytes]) -> int:
    """Probe with these answers, the last one for ever; answers how often was asked."""
    asked: list[bytes] = []
    clock = iter(range(10_000))

    def post(body: bytes) -> tuple[int, bytes]:
        asked.append(body)
        return answers[min(len(asked), len(answers)) - 1]

    probe(SERVED, QUESTIONS, 5, post, lambda _seconds: None, lambda: float(next(clock)))
    return len(asked)


def test_the_probe_waits_for_its_revision() -> None:
    good = answer(5, [0.2, 0.9], ["no", "yes"])
    assert ask((503, b"{}"), answer(4, [0.1, 0.1], ["no", "no"]), good) == 3


@pytest.mark.parametrize(
    ("answers", "word"),
    [
        (answer(5, [0.2, 0.8], ["no", "yes"]), "scores"),
        (answer(5, [0.2, 0.9], ["no", "no"]), "labels"),
        (answer(5, [float("nan"), 0.9], ["no", "yes"]), "scores"),
        (answer(4, [0.2, 0.9], ["no", "yes"]), "revision 4"),
        ((500, b'{"error": "broken"}'), "500"),
    ],
)
def test_the_probe_fails_on_what_differs(answers: tuple[int, bytes], word: str) -> None:
    with pytest.raises(ProbeFailed, match=word):
        ask(answers)


def test_nothing_is_assumed_of_an_answer_that_is_no_json() -> None:
    with pytest.raises(ProbeFailed):
        ask((502, b"<html>"))


@pytest.mark.parametrize(
    ("version", "minutes", "old"),
    [
        (1, -1, True),  # followed by a newer one since
        (1, +1, False),  # approved anew
        (3, -1, False),  # newer than what serves, told while the release before was under way
    ],
)
def test_a_late_approval_brings_nothing_back(table: Table, version: int, minutes: int, old: bool) -> None:
    table.release(1)
    live = table.release(2)
    assert is_old_news(live, version, live.changed_at + timedelta(minutes=minutes)) is old


def test_a_late_approval_does_not_undo_a_rollback(table: Table) -> None:
    table.release(1)
    table.release(2)
    live = table.take_back()
    assert is_old_news(live, 2, live.changed_at - timedelta(minutes=1))
    assert not is_old_news(live, 2, live.changed_at + timedelta(minutes=1))


def test_a_release_whose_probe_failed_may_be_tried_again(table: Table) -> None:
    table.release(1)
    table.start(2)
    live = table.put_back(2, "the endpoint did not answer")
    assert not is_old_news(live, 2, NOW)

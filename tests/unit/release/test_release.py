"""How the live release may change, and the probe that decides about it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from interlock.errors import Conflict, ProbeFailed, RevisionChanged
from interlock.records import Candidate, Input, LiveRelease, ObjectRef, Probe, ServedModel
from interlock.spec import Kind
from release.confirm import confirm
from release.probe import probe
from release.record import change, read
from release.restore import put_back, tell
from release.rollback import take_back
from release.transitions import is_old_news, promoted
from tests.unit.fakes import FakeAlerts, FakeBus, FakeLedger, FakeState

REF = ObjectRef(bucket="b", key="k", version="1", sha256="0" * 64, size=1)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def candidate(version: int) -> Candidate:
    return Candidate(
        version=version, run=f"r{version}", served=REF, package_arn=f"arn/{version}", reference=REF, manifest_id="m"
    )


def released(state: FakeState, version: int) -> LiveRelease:
    """Change the record as promote and confirm do."""
    before = read(state, "flats")
    after = promoted(before, candidate(version), "flats", "a test", "", NOW)
    assert after is not None
    change(state, before, after)
    confirm("flats", version, after.revision, "a test", state, FakeLedger(), FakeBus())
    found = read(state, "flats")
    assert found is not None
    return found


def test_a_release_goes_up_by_two_revisions_and_remembers_the_one_before() -> None:
    state = FakeState()
    first, second = released(state, 1), released(state, 2)
    assert (first.revision, second.revision) == (2, 4)
    assert second.champion == candidate(2)
    assert second.previous == candidate(1)
    assert second.state == "live"


def test_the_champion_is_not_promoted_again() -> None:
    state = FakeState()
    live = released(state, 1)
    assert promoted(live, candidate(1), "flats", "again", "", NOW) is None


def test_whoever_read_an_older_revision_writes_nothing() -> None:
    state = FakeState()
    first = released(state, 1)
    released(state, 2)
    late = promoted(first, candidate(3), "flats", "late", "", NOW)
    assert late is not None
    with pytest.raises(RevisionChanged):
        change(state, first, late)
    live = read(state, "flats")
    assert live is not None
    assert live.champion == candidate(2)


def test_a_confirmation_twice_changes_once() -> None:
    state, ledger, bus = FakeState(), FakeLedger(), FakeBus()
    after = promoted(None, candidate(1), "flats", "a test", "", NOW)
    assert after is not None
    change(state, None, after)
    for _ in range(2):
        assert confirm("flats", 1, 1, "a test", state, ledger, bus) == 2
    assert ledger.actions("flats") == ["model promoted"]


def test_a_failed_probe_puts_the_old_champion_back_and_tells_once() -> None:
    state, ledger, bus, alerts = FakeState(), FakeLedger(), FakeBus(), FakeAlerts()
    live = released(state, 1)
    after = promoted(live, candidate(2), "flats", "a test", "", NOW)
    assert after is not None
    change(state, live, after)
    for _ in range(2):
        back = put_back(state, "flats", 2, "ProbeFailed: differs", "a test")
        assert back is not None
        assert back.champion == candidate(1)
        tell(back, 2, "ProbeFailed: differs", "a test", ledger, bus, alerts)
    assert ledger.actions("flats") == ["model rolled back"]


def test_the_first_release_put_back_leaves_nothing_serving() -> None:
    state = FakeState()
    after = promoted(None, candidate(1), "flats", "a test", "", NOW)
    assert after is not None
    change(state, None, after)
    back = put_back(state, "flats", 1, "why", "a test")
    assert back is not None
    assert back.champion is None


def test_a_rollback_goes_back_and_forth_but_not_before_the_first() -> None:
    state = FakeState()
    released(state, 1)
    with pytest.raises(Conflict):
        take_back(state, "flats", "somebody", "why")
    released(state, 2)
    before, after = take_back(state, "flats", "somebody", "why")
    assert (before, after.champion) == (2, candidate(1))
    assert take_back(state, "flats", "somebody", "forth")[1].champion == candidate(2)


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
def test_a_late_approval_brings_nothing_back(version: int, minutes: int, old: bool) -> None:
    state = FakeState()
    released(state, 1)
    live = released(state, 2)
    assert is_old_news(live, version, live.changed_at + timedelta(minutes=minutes)) is old


def test_a_late_approval_does_not_undo_a_rollback() -> None:
    state = FakeState()
    released(state, 1)
    released(state, 2)
    _, live = take_back(state, "flats", "somebody", "why")
    assert is_old_news(live, 2, live.changed_at - timedelta(minutes=1))
    assert not is_old_news(live, 2, live.changed_at + timedelta(minutes=1))

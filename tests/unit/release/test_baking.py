"""Releases that bake: what callers get from both versions decides, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from interlock.errors import InvalidRequest
from interlock.events import ModelPromoted, ModelRolledBack
from release.trace import trace
from tests.unit.context import Context
from tests.unit.release.world import HOUR, World, make, sigmoid

Make = Callable[..., World]


@pytest.fixture
def canary(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Make:
    def made(**release: Any) -> World:
        return make(monkeypatch, capsys, **{"mode": "canary", "steps": [0.3, 0.6], "min_calls": 40, **release})

    return made


def test_a_good_canary_goes_step_by_step_to_everybody(canary: Make) -> None:
    world = canary()
    live = world.release(2, sigmoid(1.02))
    assert (live.state, live.share, live.step, world.champion) == ("baking", 0.3, 0, 1)
    first = world.call(250)
    assert 40 <= sum(item["version"] == 2 for item in first) <= 110
    assert world.tend().startswith("pass")
    assert (world.live.share, world.live.step, world.champion) == (0.6, 1, 1)
    world.call(150)
    assert world.tend().startswith("pass")
    assert (world.live.state, world.live.mode, world.champion) == ("live", "all", 2)
    assert world.live.previous is not None
    assert world.live.previous.version == 1
    assert {item["version"] for item in world.call(20)} == {2}
    assert world.ledger.actions("flats")[-4:] == ["release started", "step begun", "step begun", "model promoted"]
    assert world.bus.published[-1] == ModelPromoted(model="flats", version=2, revision=world.live.revision)
    assert b"Shift of the scores" in world.data.read(world.live.report.split("/", 3)[3])  # type: ignore[union-attr]
    world.ledger_is_true()


def test_no_verdict_before_the_time_or_from_too_few_calls(canary: Make) -> None:
    world = canary()
    world.release(2, sigmoid())
    world.call(250)
    assert "it waits for" in world.tend(timedelta(minutes=29))
    world = canary()
    world.release(2, sigmoid(-1))
    world.call(60)
    assert "more calls of version 2" in world.tend(100 * HOUR)
    assert (world.live.state, world.champion) == ("baking", 1)


@pytest.mark.parametrize(
    ("file", "check"),
    [
        (b"no model", "errors"),
        (sigmoid(nan=True), "errors"),
        (sigmoid(work=6), "latency"),
        (sigmoid(-1.0), "agreement"),
        (sigmoid(0.1), "scores"),
        (sigmoid(by_place=-2.5), "selection:place"),
    ],
    ids=["crashes on load", "answers NaN", "is slow", "disagrees", "shifts its scores", "treats the south worse"],
)
def test_a_bad_challenger_is_taken_back_by_itself(canary: Make, file: bytes, check: str) -> None:
    world = canary(steps=[0.4])
    world.release(2, file)
    # Whatever the challenger does, every caller gets an answer.
    # Few rows would let chance make the champion look unfair, too, and that is only warned about.
    answers = world.call(2000 if check.startswith("selection") else 300)
    assert all(0 <= item["probability"] <= 1 for item in answers)
    assert world.tend().startswith("fail")
    assert world.check(check).status.value == "fail", world.verdict
    assert (world.live.state, world.champion, world.live.challenger) == ("live", 1, None)
    assert isinstance(world.bus.published[-1], ModelRolledBack)
    assert "version 2 was taken back" in world.alerts.sent[-1][0]
    assert {item["version"] for item in world.call(30)} == {1}
    world.ledger_is_true()


def test_failing_calls_do_not_wait_for_the_end_of_the_step(canary: Make) -> None:
    world = canary()
    world.release(2, b"no model")
    world.call(40)
    assert world.tend(timedelta(minutes=1)).startswith("fail")
    assert world.champion == 1


def test_a_champion_that_fails_as_well_is_no_reason(canary: Make) -> None:
    """Both fail on the same calls: whatever it is, it is not the new version."""
    world = canary()
    world.release(2, sigmoid())
    world.call(100)
    from serve.captures import failure

    lines = [
        failure("flats", version, world.live.revision, f"lost-{place}", world.now().isoformat(), ValueError())
        for place in range(20)
        for version in (1, 2)
    ]
    for line in lines:
        print(line.decode())
    world.capture()
    assert world.tend(timedelta(minutes=1)).startswith("baking")
    assert world.check("errors").status.value != "fail"


def test_labels_show_a_challenger_that_is_worse(canary: Make) -> None:
    """Its scores move little and it agrees on most rows: only the labels tell."""
    world = canary(steps=[0.5], limits={"min_agreement": 0.5, "max_score_shift": 5})
    world.release(2, sigmoid(1.0, 0.9))
    answers = world.call(900)
    world.label(answers, lambda item: "yes" if item["row"]["size"] > 0 else "no")
    assert world.tend().startswith("fail")
    assert world.check("labels:accuracy").status.value == "fail"
    assert world.check("labels:accuracy").high < -0.05


def test_a_challenger_whose_scores_promise_less_is_taken_back_before_any_label(canary: Make) -> None:
    """It says yes to many whom its own holdout has shown to be none: only the estimate tells."""
    world = canary(steps=[0.5], limits={"min_agreement": 0.1, "max_score_shift": 50})
    world.release(2, sigmoid(1.0, 2.0))
    world.call(1000)
    assert world.tend().startswith("fail")
    estimate = world.check("estimate:accuracy")
    assert estimate.status.value == "fail"
    assert estimate.high < -0.05
    assert world.check("labels:accuracy").status.value == "too_few"
    assert b"estimated without labels" in world.data.read(world.live.report.split("/", 3)[3])  # type: ignore[union-attr]


def test_where_there_are_labels_the_estimate_warns_only(canary: Make) -> None:
    world = canary(steps=[0.5], limits={"min_agreement": 0.1, "max_score_shift": 50})
    world.release(2, sigmoid(1.0, 2.0))
    answers = world.call(1000)
    # By what has become the truth, the new version is right.
    world.label(answers, lambda item: "yes" if item["row"]["size"] > -2.0 else "no")
    assert world.tend().startswith("pass")
    assert world.check("labels:accuracy").status.value == "pass"
    assert world.check("estimate:accuracy").status.value == "warn"
    assert "the labels decide" in world.check("estimate:accuracy").reason


def test_the_estimate_says_nothing_from_too_little(canary: Make) -> None:
    world = canary(steps=[0.5], limits={"min_agreement": 0.1, "max_score_shift": 50})
    world.release(2, sigmoid(1.0, 2.0))
    world.call(150)
    assert world.tend().startswith("pass")
    assert world.check("estimate:accuracy").status.value == "too_few"
    assert "200 of each are wanted" in world.check("estimate:accuracy").reason


def test_a_version_whose_training_kept_nothing_to_estimate_by_is_not_judged_so(canary: Make) -> None:
    world = canary(steps=[0.5])
    world.release(2, sigmoid(1.01))
    key = "models/flats/r2/reference.json"
    world.artefacts.versions[key, world.artefacts.newest[key]] += b" "
    world.call(500)
    assert world.tend().startswith("pass")
    assert world.check("estimate:accuracy").reason.startswith("the training of version 2 has kept nothing")


def test_a_shadow_s_answers_are_estimated_too(canary: Make) -> None:
    world = canary(mode="shadow", min_calls=60, limits={"min_agreement": 0.1, "max_score_shift": 50})
    world.release(2, sigmoid(1.0, 2.0))
    world.call(800)
    assert world.tend().startswith("fail")
    assert world.check("estimate:accuracy").status.value == "fail"


def test_a_shadow_answers_nobody_and_is_compared_all_the_same(canary: Make) -> None:
    world = canary(mode="shadow", min_calls=60)
    live = world.release(2, sigmoid(1.01))
    assert (live.mode, live.share, live.state) == ("shadow", 0.0, "baking")
    assert {item["version"] for item in world.call(120)} == {1}
    assert world.tend().startswith("pass")
    agreement = world.check("agreement")
    assert agreement.value > 0.97
    assert "120 rows" in agreement.reason
    assert world.champion == 2


@pytest.mark.parametrize("file", [b"no model", sigmoid(nan=True), sigmoid(-1.0), sigmoid(work=6)])
def test_a_bad_shadow_goes_without_anybody_having_seen_it(canary: Make, file: bytes) -> None:
    world = canary(mode="shadow", min_calls=60)
    world.release(2, file)
    # Of 120 times one that took long for a reason of the machine's would already leave open which version is slower.
    assert {item["version"] for item in world.call(200)} == {1}
    assert world.tend().startswith("fail"), world.verdict
    assert (world.champion, world.live.challenger) == (1, None)


def test_a_shadow_first_and_then_a_share(canary: Make) -> None:
    world = canary(steps=[0.0, 0.5])
    world.release(2, sigmoid(1.01))
    assert {item["version"] for item in world.call(120)} == {1}
    assert world.tend().startswith("pass")
    assert {item["version"] for item in world.call(120)} == {1, 2}


def test_a_shadow_scores_a_restricted_category_by_its_bin(canary: Make) -> None:
    """The south's rows differ under the challenger by what the place does, although no text was captured."""
    world = canary(mode="shadow", limits={"min_agreement": 0.01, "max_score_shift": 9}, min_calls=20)
    world.release(2, sigmoid(by_place=100.0))
    world.call(60, place="south", size=-3.0)
    world.call(60, place="north", size=-3.0)
    world.call(60, place="nowhere", size=-3.0)
    world.tend()
    agreement = world.check("agreement")
    assert agreement.value == pytest.approx(0.5)
    assert "120 rows" in agreement.reason
    assert "60 left out" in agreement.reason


def ab(canary: Make, effect: float = 0.1, most: int = 3000) -> World:
    return canary(mode="ab", experiment={"metric": "accuracy", "min_effect": effect, "max_rows": most})


def answered(world: World, calls: int) -> None:
    answers = world.call(calls)
    world.label(answers, lambda item: "yes" if item["row"]["size"] + world.random.normal() * 0.3 > 0 else "no")


def test_an_experiment_takes_a_worse_version_back(canary: Make) -> None:
    world = ab(canary)
    world.release(2, sigmoid(-1.0), 0.5)
    answered(world, 500)
    assert world.tend(timedelta(minutes=1)).startswith("fail")
    assert world.check("experiment").high < 0
    assert world.champion == 1


def test_an_experiment_promotes_the_winner(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    experiment = {"metric": "accuracy", "min_effect": 0.1, "max_rows": 3000}
    world = make(monkeypatch, capsys, mode="ab", experiment=experiment)
    world.release(2, sigmoid(), 0.8)
    from release.steer import steer

    steer(world.state, world.ledger, world.bus, "flats", "promote", "a person", "to have a bad champion")
    world.release(3, sigmoid(), 0.5)
    answered(world, 700)
    assert world.tend(timedelta(minutes=1)).startswith("win"), world.verdict
    check = world.check("experiment")
    assert check.low > 0
    assert world.champion == 3


def test_an_experiment_of_equals_ends_without_a_winner(canary: Make) -> None:
    world = ab(canary, effect=0.05, most=400)
    world.release(2, sigmoid(1.01))
    answered(world, 150)
    assert "undecided" in world.tend(timedelta(minutes=1))
    answered(world, 300)
    assert world.tend(timedelta(minutes=1)).startswith("no_winner")
    assert (world.champion, world.live.challenger, world.live.action) == (1, None, "no winner")
    world.ledger_is_true()


def test_without_labels_an_experiment_says_nothing(canary: Make) -> None:
    world = ab(canary)
    world.release(2, sigmoid(-1.0))
    world.call(300)
    assert "undecided: 0 and 0 labelled rows" in world.tend(100 * HOUR)


def test_captures_of_before_the_step_do_not_count(canary: Make) -> None:
    world = canary(steps=[0.5])
    world.call(200)
    world.release(2, sigmoid())
    world.call(50)
    world.tend()
    assert world.verdict.calls + world.verdict.champion_calls == 50


def test_a_call_by_number_is_no_part_of_the_sample(canary: Make) -> None:
    world = canary(steps=[0.5])
    world.release(2, sigmoid())
    world.call(100)
    world.tend(timedelta(minutes=1))
    counted = world.verdict.calls
    import json

    import serve.infer

    inputs = [
        {"name": "size", "datatype": "FP32", "shape": [1], "data": [1.0]},
        {"name": "place", "datatype": "BYTES", "shape": [1], "data": ["north"]},
    ]
    event = {
        "requestContext": {"http": {"method": "POST"}}, "rawPath": "/v2/models/flats/versions/2/infer", "headers": {},
        "body": json.dumps({"inputs": inputs}),
    }  # fmt: skip
    assert serve.infer.handler(event, Context("serve-infer", "by-number"))["statusCode"] == 200
    world.capture()
    world.tend(timedelta(minutes=1))
    assert world.verdict.calls == counted


def test_a_request_is_traced_to_its_version_and_revision(canary: Make) -> None:
    world = canary(steps=[0.5])
    world.release(2, sigmoid())
    answers = world.call(40)
    today = [world.now().date()]
    for item in answers[:10]:
        found = trace(world.data, world.state, "flats", item["id"], today)
        assert (found["version"], found["revision"], found["rows"]) == (item["version"], world.live.revision, 1)
        assert (found["role"], found["share"]) == ("champion" if item["version"] == 1 else "challenger", 0.5)
    with pytest.raises(InvalidRequest, match="no captured answer"):
        trace(world.data, world.state, "flats", "never-asked", today)

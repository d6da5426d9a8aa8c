"""What a window leads to: each brake turns the decision, everybody is told once, in words that can be acted on."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from interlock.events import DriftDetected, RetrainRequested
from interlock.ledger import Decision
from interlock.records import CheckedWindow
from interlock.spec import Monitoring, Retrain, Tell
from interlock.stats.drift.found import ColumnDrift, WindowDrift
from interlock.windows import Outcome, Performed, WindowResult
from monitor.policy import Past, decide
from monitor.wording import alert
from tests.unit.monitor.world import AT, HOUR, SEEN, World, make, model, people

NOW = datetime(2026, 3, 10, 6, 5, tzinfo=UTC)
FRESH = Past(new_datasets=("b" * 16,))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = make(monkeypatch, model())
    world.release()
    world.admit(SEEN, AT - 48 * HOUR)
    return world


def drifting(world: World, at: datetime = AT, request: str = "r") -> dict[str, Any]:
    world.answer(people(800, seed=3, age=lambda row: row["age"] + 15), at=at - HOUR, request=request)
    return world.check(at)


# The whole step


def test_a_drift_with_newer_data_asks_for_a_retraining(world: World) -> None:
    world.admit("b" * 16)
    checked = drifting(world)
    answer = world.decide(checked)
    assert answer == {"action": "retrain", "reason": "2 of 8 columns drifted; 1 newer dataset to train on"}
    drift, retrain = world.bus.published
    assert isinstance(drift, DriftDetected)
    assert set(drift.columns) == {"age", "(score)"}
    assert drift.report.endswith("/report.html")
    assert isinstance(retrain, RetrainRequested)
    assert retrain.window == checked["window"]
    assert world.ledger.actions("loans") == ["window drift: retrain"]
    evidence = world.ledger.chains["loans"][0].decision.evidence
    assert evidence["rows"] == 800
    assert evidence["reason"] == answer["reason"]
    assert len(world.alerts.sent) == 1


def test_a_drift_without_newer_data_is_told_to_a_person_and_not_trained(world: World) -> None:
    answer = world.decide(drifting(world))
    assert answer["action"] == "alert"
    assert "trained on all the data there is" in answer["reason"]
    assert [type(event) for event in world.bus.published] == [DriftDetected]
    assert "upload newer labelled data" in world.alerts.sent[0][1]


def test_a_dataset_that_the_training_had_to_skip_is_not_newer_data(world: World) -> None:
    world.admit("5" * 16)
    key = "training/loans/20260301-120000-abcdef/manifest.json"
    manifest = world.data.read(key).decode().replace('"skipped":[]', f'"skipped":["{"5" * 16}"]')
    world.data.put(key, manifest.encode())
    assert world.decide(drifting(world))["action"] == "alert"


def test_each_window_leaves_one_small_record(world: World) -> None:
    world.admit("b" * 16)
    world.decide(drifting(world))
    (kept,) = world.state.query(CheckedWindow, "model#loans", "window#")
    assert (kept.state, kept.action, kept.rows, kept.drifted, kept.metric) == ("drift", "retrain", 800, 2, "accuracy")
    assert set(kept.columns) == {*(column.name for column in model().features), "(score)"}
    assert kept.report is not None
    assert len(kept.to_json()) < 1500


def test_a_stable_window_is_written_down_and_told_to_nobody(world: World) -> None:
    world.answer(people(800, seed=2))
    assert world.decide(world.check())["action"] == "none"
    assert world.bus.published == []
    assert world.alerts.sent == []
    assert world.ledger.actions("loans") == ["window stable: none"]


def test_too_few_rows_and_no_rows_lead_to_nothing(world: World) -> None:
    assert world.decide(world.check())["reason"] == "nobody called in this window"
    world.answer(people(10, seed=2, age=99), at=AT)
    assert world.decide(world.check(AT + HOUR))["reason"] == "10 rows are too few to judge"
    assert world.bus.published == []
    assert world.alerts.sent == []


def test_deciding_twice_asks_and_tells_once(world: World) -> None:
    world.admit("b" * 16)
    checked = drifting(world)
    first = world.decide(checked)
    assert world.decide(checked) == first
    assert world.decide(drifting(world)) == first
    assert len(world.outcomes()) == 1
    assert [type(event) for event in world.bus.published] == [DriftDetected, RetrainRequested]
    assert len(world.alerts.sent) == 1
    assert len(world.ledger.chains["loans"]) == 1


def test_a_step_that_died_after_deciding_tells_what_was_decided(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.admit("b" * 16)
    checked = drifting(world)

    def dies(*_: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as context:
        context.setattr(world.bus, "publish", dies)
        with pytest.raises(RuntimeError):
            world.decide(checked)
    # Meanwhile the data is no longer new to anybody's eyes: what was decided stands.
    world.release(trained_on=[SEEN, "b" * 16])
    assert world.decide(checked)["action"] == "retrain"
    assert [type(event) for event in world.bus.published] == [DriftDetected, RetrainRequested]
    assert len(world.ledger.chains["loans"]) == 1


def test_two_checks_at_once_decide_the_same(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.admit("b" * 16)
    checked = drifting(world)
    raced = world.state.put_new
    other: list[dict[str, Any]] = []

    def lose(pk: str, sk: str, document: Any) -> bool:
        if not other:
            other.append({})
            other[0] = world.decide(checked)
        return raced(pk, sk, document)

    monkeypatch.setattr(world.state, "put_new", lose)
    assert world.decide(checked) == other[0]
    assert len(world.outcomes()) == 1
    assert sum(isinstance(event, RetrainRequested) for event in world.bus.published) == 1


def test_the_next_window_is_held_back_by_the_cool_down(world: World) -> None:
    world.admit("b" * 16)
    world.decide(drifting(world))
    answer = world.decide(drifting(world, AT + HOUR, request="next"))
    assert answer["action"] == "alert"
    assert "cool-down" in answer["reason"]


def test_the_months_money_is_counted_from_the_jobs(world: World) -> None:
    world.admit("b" * 16)
    today = datetime.now(UTC)
    # 3.60 dollars an hour, five dollars a month: two jobs of 2.40 leave no room for a third.
    world.train(2400, today.replace(day=1, hour=0))
    world.train(2400, today.replace(day=1, hour=1))
    answer = world.decide(drifting(world))
    assert answer["action"] == "alert"
    assert "the month's trainings cost $4.80, another about $2.40; model.yaml allows $5.00" in answer["reason"]


def test_the_end_of_a_drift_is_announced_once(world: World) -> None:
    world.decide(drifting(world))
    for hour, request in ((30, "a"), (60, "b")):
        at = AT + hour * HOUR
        world.answer(people(800, seed=hour), at=at - HOUR, request=request)
        world.decide(world.check(at))
    subjects = [subject for subject, _ in world.alerts.sent]
    assert subjects == ["loans: traffic has drifted in 2 of 8 columns", "loans: the drift is over"]


# The policy


def window(state: str = "drift", **more: Any) -> WindowResult:
    column = ColumnDrift(
        column="age",
        state="drift",
        psi=0.84,
        noise=0.05,
        missing_before=0.0,
        missing_now=0.0,
        new_share=0.0,
        reason="PSI 0.84 (chance alone stays below 0.05)",
        bins=("below 30", "from 30"),
        before=(0.6, 0.4),
        now=(0.1, 0.9),
    )
    columns = tuple(column.model_copy(update={"column": name}) for name in ("age", "job", "amount", "member"))
    values: dict[str, Any] = {
        "model": "loans",
        "window": "20260310T060000-v3",
        "start": NOW - timedelta(days=1),
        "end": NOW,
        "version": 3,
        "revision": 7,
        "manifest_id": "m",
        "run": "r",
        "state": state,
        "drift": WindowDrift(
            state=state if state != "silent" else "too_few",
            rows=0 if state == "silent" else 12345,
            columns=columns if state == "drift" else (),
        ),
    }
    return WindowResult(**{**values, **more})


def earlier(hours: float, state: str = "drift", action: str = "retrain") -> Outcome:
    at = NOW - timedelta(hours=hours)
    return Outcome.model_validate(
        {"model": "loans", "window": f"w{hours}", "at": at, "state": state, "action": action, "reason": "then"}
    )


def past(*outcomes: Outcome, **more: Any) -> Past:
    return Past(**{"outcomes": outcomes, "new_datasets": FRESH.new_datasets, **more})


def test_nothing_holds_a_retraining_back() -> None:
    decided = decide(window(), FRESH, Monitoring(), NOW)
    assert (decided.action, decided.remedy) == ("retrain", "")


@pytest.mark.parametrize(
    ("what", "before", "policy", "why"),
    [
        ("switched off", FRESH, Retrain(on_drift=False), "drift does not retrain"),
        ("nothing new", Past(), Retrain(), "all the data there is"),
        ("cool-down", past(earlier(23)), Retrain(), "the cool-down ends 2026-03-10 07:05 UTC"),
        (
            "daily limit",
            past(earlier(2), earlier(4)),
            Retrain(cooldown_hours=1, max_per_day=2),
            "model.yaml allows 2 a day (UTC), and 2 were requested today",
        ),
        ("never", FRESH, Retrain(max_per_day=0), "allows 0 a day"),
        (
            "budget",
            past(jobs=((NOW - timedelta(days=2), 3.0),)),
            Retrain(budget_usd_per_month=5),
            "cost $3.00, another about $3.00",
        ),
    ],
)
def test_a_brake_turns_a_retraining_into_an_alert(what: str, before: Past, policy: Retrain, why: str) -> None:
    decided = decide(window(), before, Monitoring(retrain=policy), NOW)
    assert decided.action == "alert", what
    assert why in decided.reason
    assert decided.remedy


@pytest.mark.parametrize(
    ("what", "before", "policy"),
    [
        ("the cool-down is over", past(earlier(24)), Retrain()),
        ("yesterday's do not count", past(earlier(7)), Retrain(cooldown_hours=1)),
        ("an alert is no retraining", past(earlier(1, action="alert")), Retrain()),
        (
            "last month's money is last month's",
            past(jobs=((datetime(2026, 2, 27, tzinfo=UTC), 4.0),)),
            Retrain(budget_usd_per_month=5),
        ),
        (
            "it just fits",
            past(jobs=((NOW - timedelta(days=2), 2.5),)),
            Retrain(budget_usd_per_month=5),
        ),
        (
            "the last job tells what the next one costs",
            past(jobs=((NOW - timedelta(days=2), 4.0), (NOW - timedelta(days=1), 0.5))),
            Retrain(budget_usd_per_month=5),
        ),
    ],
)
def test_a_released_brake_lets_the_retraining_through(what: str, before: Past, policy: Retrain) -> None:
    assert decide(window(), before, Monitoring(retrain=policy), NOW).action == "retrain", what


@pytest.mark.parametrize("state", ["stable", "warn", "too_few", "silent"])
def test_only_a_drift_leads_to_anything(state: str) -> None:
    decided = decide(window(state), FRESH, Monitoring(), NOW)
    assert (decided.action, decided.state) == ("none", state)
    assert decided.reason


@pytest.mark.parametrize(
    ("before", "action"),
    [
        (["drift"], "resolved"),
        (["drift", "warn"], "resolved"),
        (["drift", "silent", "too_few"], "resolved"),
        (["drift", "stable"], "none"),
        (["stable", "warn"], "none"),
        ([], "none"),
    ],
)
def test_a_drift_is_over_when_a_window_is_stable_again(before: list[str], action: str) -> None:
    outcomes = tuple(earlier(24 * (len(before) - place), state, "none") for place, state in enumerate(before))
    assert decide(window("stable"), past(*outcomes), Monitoring(), NOW).action == action


def performing(state: str, **more: Any) -> Performed:
    return Performed.model_validate(
        {"metric": "accuracy", "state": state, "reason": "Accuracy 0.7 instead of 0.85 on the holdout",
         "holdout": {"accuracy": 0.85}, **more}
    )  # fmt: skip


def test_a_loss_of_performance_retrains_as_a_drift_does() -> None:
    dropped = window("stable", performed=performing("dropped"))
    decided = decide(dropped, FRESH, Monitoring(), NOW)
    assert (decided.action, decided.performance) == ("retrain", "dropped")
    assert "Accuracy 0.7 instead of 0.85" in decided.reason
    held_back = decide(dropped, FRESH, Monitoring(retrain=Retrain(on_performance=False)), NOW)
    assert (held_back.action, "a loss of performance does not retrain" in held_back.reason) == ("alert", True)
    # Switched off for drift, it still retrains when the model is worse.
    only = Monitoring(retrain=Retrain(on_drift=False))
    assert decide(window(performed=performing("concept")), FRESH, only, NOW).action == "retrain"
    assert decide(window("stable"), past(decided), Monitoring(), NOW + timedelta(days=1)).action == "resolved"


def test_a_retraining_waits_for_bad_windows_in_a_row() -> None:
    policy = Monitoring(retrain=Retrain(after_windows=3))
    one, two = earlier(24, action="alert"), earlier(48, action="alert")
    assert "bad window 1 in a row" in decide(window(), past(), policy, NOW).reason
    assert decide(window(), past(one), policy, NOW).action == "alert"
    # Windows that say nothing do not interrupt.
    quiet = earlier(30, "silent", "none")
    assert decide(window(), past(one, quiet, two), policy, NOW).action == "retrain"
    assert decide(window(), past(one, earlier(30, "stable", "none"), two), policy, NOW).action == "alert"


@pytest.mark.parametrize(("refused", "action"), [(0, "retrain"), (1, "alert"), (2, "alert")])
def test_each_version_that_the_gate_refuses_doubles_the_cool_down(refused: int, action: str) -> None:
    decided = decide(window(), past(earlier(30), refused=refused), Monitoring(), NOW)
    assert decided.action == action
    if refused:
        times = "once" if refused == 1 else "2 times"
        assert f"longer because the gate has refused a new version {times}" in decided.reason
        assert decided.remedy.startswith("read the gate's report")
    assert decide(window(), past(earlier(24 * 2**refused), refused=refused), Monitoring(), NOW).action == "retrain"


def test_what_the_gate_refused_is_read_from_the_ledger(world: World) -> None:
    world.admit("b" * 16)
    for place, action in enumerate(["model rejected", "model registered", "model rejected"]):
        world.ledger.append(
            Decision(model="loans", key=f"k{place}", stage="train", action=action, subject="run", actor="test")
        )
    assert world.decide(drifting(world))["action"] == "retrain"
    answer = world.decide(drifting(world, AT + 30 * HOUR, request="next"))
    assert "the gate has refused a new version once" in answer["reason"]


@pytest.mark.parametrize(
    ("hours", "hour", "quiet"),
    [
        ("22-6", 23, True),
        ("22-6", 3, True),
        ("22-6", 6, False),
        ("9-17", 9, True),
        ("9-17", 17, False),
        (None, 3, False),
    ],
)
def test_quiet_hours_may_go_over_midnight(hours: str | None, hour: int, quiet: bool) -> None:
    policy = Monitoring(tell=Tell(quiet_hours=hours), retrain=Retrain(on_drift=False))
    decided = decide(window(), FRESH, policy, NOW.replace(hour=hour))
    assert (decided.action, decided.held) == ("alert", quiet)


def test_nobody_is_told_the_end_of_what_nobody_was_told() -> None:
    held = earlier(24, action="alert").model_copy(update={"held": True})
    assert decide(window("stable"), past(held), Monitoring(), NOW).held
    assert not decide(window("stable"), past(held, earlier(48, action="alert")), Monitoring(), NOW).held


def test_a_person_may_want_to_hear_later_or_of_warnings_too() -> None:
    policy = Monitoring(tell=Tell(after_windows=2, warnings=True), retrain=Retrain(on_drift=False))
    assert decide(window(), past(), policy, NOW).held
    assert not decide(window(), past(earlier(24, action="alert")), policy, NOW).held
    assert decide(window("warn"), past(), policy, NOW).action == "warn"
    subject, text = alert(decide(window("warn"), past(), policy, NOW), window("warn"))
    assert subject == "loans: traffic has begun to move"
    assert "There is nothing to do yet." in text


def test_a_held_alert_is_written_down_and_sent_to_nobody(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = model(tell={"after_windows": 9}, on_drift=False)
    monkeypatch.setattr("monitor.decide.deployed", lambda _model: silent)
    assert world.decide(drifting(world))["action"] == "alert"
    assert world.alerts.sent == []
    assert world.ledger.actions("loans") == ["window drift: alert"]


# The words


def test_an_alert_says_what_changed_by_how_much_what_was_done_and_what_to_do(world: World) -> None:
    result = world.result(drifting(world)).model_copy(update={"report": None})
    subject, text = alert(decide(result, Past(), Monitoring(), NOW), result)
    assert subject == "loans: traffic has drifted in 2 of 8 columns"
    lines = text.splitlines()
    assert lines[0] == "loans (version 1) gets other traffic than it was trained on."
    assert lines[1] == "Window: 2026-03-01 06:00 to 2026-03-02 06:00 UTC, 800 predictions."
    assert lines[2] == "What changed most:"
    score, age = sorted(lines[3:5])
    assert score.startswith("- (score): 'from 0.")
    assert age.startswith("- age: 'from 56' from 9% to 46% of the values; PSI 1.38 (chance alone")
    assert lines[5].startswith("Done: no retraining was requested, because the champion has been trained on all")
    assert lines[6].startswith("To do: upload newer labelled data")
    assert lines[7] == "Look: interlock report loans --stage monitor --open"


def test_an_alert_names_the_three_worst_columns_and_counts_the_others() -> None:
    outcome = decide(window(), FRESH, Monitoring(), NOW)
    _, text = alert(outcome, window())
    assert "- age: 'below 30' from 60% to 10% of the values; PSI 0.84" in text
    assert text.count("\n- ") == 4
    assert "- and 1 more" in text
    assert "Done: a retraining was requested (4 of 4 columns drifted; 1 newer dataset to train on)." in text
    assert "To do: nothing; the new version serves only if it passes the gate." in text


def test_the_end_of_a_drift_in_words() -> None:
    outcome = decide(window("stable"), past(earlier(24)), Monitoring(), NOW)
    subject, text = alert(outcome, window("stable"))
    assert subject == "loans: the drift is over"
    assert "looks like the training data of version 3 (12,345 rows)" in text
    assert "There is nothing to do." in text


def test_an_alert_says_what_it_probably_costs() -> None:
    estimated = {"accuracy": {"value": 0.78, "low": 0.76, "high": 0.8}}
    result = window(performed=performing("fine", estimated=estimated))
    _, text = alert(decide(result, FRESH, Monitoring(), NOW), result)
    assert "Cost: accuracy probably 0.78 (0.76 to 0.8, estimated without labels), 0.85 on the holdout." in text
    realised = {"accuracy": {"value": 0.7, "low": 0.66, "high": 0.74}}
    result = window("stable", performed=performing("dropped", realised=realised, labelled=400))
    subject, text = alert(decide(result, FRESH, Monitoring(), NOW), result)
    assert subject == "loans: accuracy has dropped"
    assert text.startswith("loans (version 3) has become worse: Accuracy 0.7 instead of 0.85 on the holdout.")
    assert "Cost: accuracy 0.7 by 400 labels, 0.85 on the holdout." in text
    result = window("stable", performed=performing("concept"))
    subject, _ = alert(decide(result, FRESH, Monitoring(), NOW), result)
    assert subject == "loans: what it has learned no longer holds"

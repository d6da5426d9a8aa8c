"""/metrics, read by prometheus_client's own parser; the window in it is one that the monitor really checked."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from console.openmetrics import CONTENT_TYPE, Family, exposition
from console.pages.metrics import Families
from infra.build import ROOT
from interlock.records import Check, CheckStatus, LiveRelease
from interlock.steps import StepVerdict
from tests.unit.console.world import NOW, World, candidate, expressions, flats, get, live
from tests.unit.monitor import world as monitored

Values = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(text: str) -> dict[str, Any]:
    return {family.name: family for family in text_string_to_metric_families(text)}


def scraped(**asked: Any) -> Values:
    """Every sample by its name and labels."""
    status, text, headers = get("/metrics", **asked)
    assert status == 200, text
    assert headers["content-type"] == CONTENT_TYPE
    assert text.endswith("\n# EOF\n")
    samples = [sample for family in parsed(text).values() for sample in family.samples]
    found = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}
    assert len(found) == len(samples), "a sample came twice"
    return found


def at(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> World:
    """A window of other people, checked by the monitor, decided upon, and shown by the console."""
    past = monitored.make(monkeypatch, monitored.model())
    past.release()
    past.admit("d1")
    past.train(120, monitored.AT)
    past.train(60, monitored.AT.replace(hour=7))
    past.answer(monitored.people(400, 7, age=lambda row: row["age"] + 30))
    past.decide(past.check())
    return World(
        {"loans": monitored.model()}, past.state, past.ledger, past.data, past.artefacts
    ).serve(monkeypatch)  # fmt: skip


def test_a_checked_window_is_told_with_every_column_s_statistics(checked: World) -> None:
    found = scraped()
    mine = {"model": "loans"}
    assert found[at("interlock_model_info", **mine, kind="binary", target="repaid")] == 1
    assert found[at("interlock_serving_version", **mine, role="champion")] == 1
    assert found[at("interlock_serving_share_ratio", **mine, role="champion")] == 1
    assert found[at("interlock_check_timestamp_seconds", **mine)] == monitored.AT.timestamp()
    assert found[at("interlock_check_predictions", **mine)] == 400
    assert found[at("interlock_drift_state", **mine, interlock_drift_state="drift")] == 1
    assert found[at("interlock_drift_state", **mine, interlock_drift_state="stable")] == 0
    assert found[at("interlock_drifted_columns", **mine)] >= 1
    states = [value for (name, labels), value in found.items() if name == "interlock_column_drift_state"
              and dict(labels)["column"] == "age"]  # fmt: skip
    assert sorted(states) == [0, 0, 0, 1]
    assert found[at("interlock_column_statistic", **mine, column="age", statistic="psi")] > 0.2
    known = {dict(labels)["statistic"] for (name, labels) in found if name == "interlock_column_statistic"}
    assert {"psi", "psi_noise", "kolmogorov_smirnov", "wasserstein", "chi_square", "missing_rate"} <= known
    assert found[at("interlock_datasets", **mine)] == 1
    assert found[at("interlock_dataset_rows", **mine, use="holdout")] == 2
    assert found[at("interlock_trainings_total", **mine, status="Completed")] == 2
    assert found[at("interlock_training_billed_seconds_total", **mine)] == 180
    assert found[at("interlock_training_running", **mine)] == 0
    assert found[at("interlock_decisions_total", **mine)] == len(list(checked.ledger.entries("loans")))


def test_a_report_that_was_removed_costs_the_columns_and_nothing_else(checked: World) -> None:
    for key in list(checked.data.keys("reports/")):
        checked.data.delete(key)
    names = {name for name, _ in scraped()}
    assert "interlock_drifted_columns" in names
    assert "interlock_column_statistic" not in names


def step(release: LiveRelease) -> StepVerdict:
    """What a release's step shows so far."""
    return StepVerdict(
        model=release.model, release="r", version=4, champion=3, mode="canary", step=0, steps=2, share=0.1, began=NOW,
        at=NOW, revision=release.revision, calls=12, champion_calls=120, outcome="wait", reason="", checks=(
            Check(id="errors", title="Failed calls", status=CheckStatus.PASS, value=0.25),
        ),
    )  # fmt: skip


def test_a_release_under_way_is_told_with_its_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World().serve(monkeypatch)
    release = live(challenger=candidate(4), share=0.1, mode="canary", state="baking")
    world.release(release)
    world.state.put("model#flats", "bake", step(release))
    found = scraped()
    assert found[at("interlock_release_state", model="flats", interlock_release_state="baking")] == 1
    assert found[at("interlock_serving_share_ratio", model="flats", role="challenger")] == 0.1
    assert found[at("interlock_serving_share_ratio", model="flats", role="champion")] == 0.9
    assert found[at("interlock_release_step_calls", model="flats", role="challenger")] == 12
    assert found[at("interlock_release_step_failed_ratio", model="flats")] == 0.25
    # Of an earlier release nothing is told.
    world.state.put("model#flats", "bake", step(release).model_copy(update={"revision": 1}))
    assert not [name for name, _ in scraped() if "step" in name]


def test_a_model_without_a_past_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    World().serve(monkeypatch)
    found = scraped()
    assert found[at("interlock_datasets", model="flats")] == 0
    assert not [name for name, _ in found if name.startswith(("interlock_serving", "interlock_check"))]


def test_a_token_tells_of_its_models_only(monkeypatch: pytest.MonkeyPatch) -> None:
    World({"flats": flats(), "rents": flats("rents")}).serve(monkeypatch)
    models = {dict(labels)["model"] for _, labels in scraped(scope="rents/read")}
    assert models == {"rents"}
    assert get("/metrics", scope="rents/infer")[0] == 403


def test_the_example_dashboard_asks_for_metrics_and_labels_that_there_are(checked: World) -> None:
    challenger = checked.state.get(LiveRelease, "model#loans", "live")
    assert challenger is not None
    release = challenger.model_copy(update={"challenger": candidate(2), "share": 0.1, "state": "baking"})
    checked.release(release)
    checked.state.put("model#loans", "bake", step(release))
    labels: dict[str, set[str]] = {}
    for name, given_ in scraped():
        labels.setdefault(name, set()).update(dict(given_))
    queries = expressions(json.loads((ROOT / "docs/grafana.json").read_text("utf-8")))
    asked = {name for query in queries for name in re.findall(r"\binterlock_\w+(?=[{,)])", query)}
    known = {family.sample for family in Families()}
    assert asked <= known, asked - known
    # What a person looks at; the rest tells what serves in words.
    assert {name for name in known - asked if not name.endswith(("_info", "_state"))} <= {
        "interlock_datasets", "interlock_decisions_total", "interlock_release_changed_timestamp_seconds"
    }  # fmt: skip
    for query in queries:
        for name, within in re.findall(r"(interlock_\w+)\{([^}]*)\}", query):
            assert set(re.findall(r"(\w+)=", within)) <= labels.get(name, {"model"}), query


@given(
    texts=st.lists(st.text(st.characters(codec="utf-8")), min_size=1, unique=True),
    value=st.floats(),
    help_=st.text(st.characters(codec="utf-8", exclude_categories=["Cc"])),
)
def test_whatever_a_column_is_called_is_read_back(texts: list[str], value: float, help_: str) -> None:
    family = Family("gauge", "interlock_test_ratio", help_, "ratio")
    for text in texts:
        family.add(value, column=text)
    state = Family("stateset", "interlock_test_state", "A state.")
    state.state("b", ("a", "b"), column=texts[0])
    found = parsed(exposition([family, state, Family("counter", "interlock_empty", "Nothing.")]))
    assert set(found) == {"interlock_test_ratio", "interlock_test_state"}
    assert found["interlock_test_ratio"].unit == "ratio"
    read = {sample.labels["column"]: sample.value for sample in found["interlock_test_ratio"].samples}
    assert list(read) == texts
    assert all(got == value or (math.isnan(got) and math.isnan(value)) for got in read.values())
    assert [sample.value for sample in found["interlock_test_state"].samples] == [0, 1]

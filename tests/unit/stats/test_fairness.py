"""Equal opportunity, judged by fairlearn and scipy."""

import numpy as np
import pytest
from fairlearn.metrics import demographic_parity_ratio, equal_opportunity_difference
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from interlock.stats.fairness import equal_opportunity


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 5), st.integers(80, 400))
def test_gap_and_ratio_equal_fairlearns(seed: int, number: int, n: int) -> None:
    generator = np.random.default_rng(seed)
    groups = np.array([f"g{i}" for i in range(number)])[
        np.concatenate([np.repeat(np.arange(number), 2), generator.integers(0, number, n)])
    ]
    y = np.concatenate([np.tile([0, 1], number), generator.integers(0, 2, n)])
    predicted = generator.random(len(y)) < generator.uniform(0.2, 0.9)
    found = equal_opportunity(y, predicted, groups, min_positives=1)
    assert found.gap == pytest.approx(equal_opportunity_difference(y, predicted, sensitive_features=groups))
    if found.selection_ratio is None:
        assert not predicted.any()
    else:
        assert found.selection_ratio == pytest.approx(demographic_parity_ratio(y, predicted, sensitive_features=groups))
    assert sum(group.rows for group in found.groups) == len(y)
    assert sum(group.positives for group in found.groups) == y.sum()
    assert found.low is not None
    assert found.high is not None
    assert found.gap is not None
    assert -1 <= found.low <= found.gap <= found.high <= 1


def two_groups(hits_one: int, one: int, hits_two: int, two: int) -> tuple[float, float, float]:
    y = np.ones(one + two, int)
    predicted = np.concatenate([np.arange(one) < hits_one, np.arange(two) < hits_two])
    found = equal_opportunity(y, predicted, np.repeat(["a", "b"], [one, two]), min_positives=1)
    assert found.gap is not None
    assert found.low is not None
    assert found.high is not None
    return found.gap, found.low, found.high


def test_the_interval_is_newcombes() -> None:
    """Newcombe 1998, Statistics in Medicine 17, table II, method 10."""
    for counts, low, high in (
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((10, 10, 0, 20), 0.6791, 1.0000),
        ((10, 10, 0, 10), 0.6075, 1.0000),
    ):
        assert two_groups(*counts)[1:] == pytest.approx((low, high), abs=5e-5)


def test_the_interval_is_made_of_wilsons() -> None:
    gap, low, high = two_groups(45, 60, 30, 70)
    one = stats.binomtest(45, 60).proportion_ci(method="wilson")
    two = stats.binomtest(30, 70).proportion_ci(method="wilson")
    assert gap == pytest.approx(45 / 60 - 30 / 70)
    assert low == pytest.approx(gap - np.hypot(45 / 60 - one.low, two.high - 30 / 70))
    assert high == pytest.approx(gap + np.hypot(one.high - 45 / 60, 30 / 70 - two.low))


def test_the_interval_covers_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    trials, covered = 400, 0
    for _ in range(trials):
        one, two = generator.binomial(120, 0.9), generator.binomial(60, 0.6)
        _, low, high = two_groups(int(one), 120, int(two), 60)
        covered += low <= 0.3 <= high
    assert stats.binomtest(covered, trials, 0.95).pvalue > 0.001


def test_a_group_with_few_positives_is_reported_and_not_judged() -> None:
    y = np.ones(149, int)
    groups = np.repeat(["a", "b", "c"], [50, 50, 49])
    predicted = np.concatenate([np.ones(50), np.arange(50) < 40, np.zeros(49)])
    found = equal_opportunity(y, predicted, groups, min_positives=50)
    assert [(group.name, group.too_few) for group in found.groups] == [("a", False), ("b", False), ("c", True)]
    assert found.groups[2].true_positive_rate == 0
    assert (found.best, found.worst) == ("a", "b")
    assert found.gap == pytest.approx(0.2)
    assert found.selection_ratio == pytest.approx(0.8)


@pytest.mark.parametrize("groups", [["a"] * 100, ["a"] * 60 + ["b"] * 40])
def test_fewer_than_two_groups_to_judge_is_no_verdict(groups: list[str]) -> None:
    found = equal_opportunity(np.ones(100, int), np.ones(100, int), np.array(groups), min_positives=50)
    assert (found.gap, found.low, found.high, found.best, found.worst, found.selection_ratio) == (None,) * 6
    assert sum(group.rows for group in found.groups) == 100


def test_a_group_without_positives_has_no_rate() -> None:
    found = equal_opportunity(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), np.array(["a", "a", "b", "b"]), 1)
    assert found.groups[0].true_positive_rate is None
    assert found.groups[0].selection_rate == 0.5


def test_nobody_is_selected() -> None:
    found = equal_opportunity(np.ones(100, int), np.zeros(100, int), np.repeat(["a", "b"], 50), 50)
    assert found.gap == 0
    assert found.selection_ratio is None

"""Metrics, judged by scikit-learn."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as judge

from interlock.kind import Kind
from interlock.models import METRIC_NAMES
from interlock.stats.metrics import METRICS, metrics_for

Array = npt.NDArray[Any]


def value(kind: Kind, name: str, y: Array, scores: Array, threshold: float = 0.5) -> float:
    return METRICS[kind, name].compute(y, scores, threshold)


@st.composite
def binary(draw: st.DrawFn) -> tuple[Array, Array]:
    """Both classes, and scores with ties, zeros and ones."""
    n = draw(st.integers(2, 60))
    y = np.array([0, 1, *draw(st.lists(st.integers(0, 1), min_size=n - 2, max_size=n - 2))])
    coarse = st.integers(0, 6).map(lambda sixth: sixth / 6)
    scores = np.array(draw(st.lists(coarse | st.floats(0, 1), min_size=n, max_size=n)))
    return y, scores


@settings(max_examples=50, deadline=None)
@given(binary())
def test_binary_metrics_equal_scikit_learns(case: tuple[Array, Array]) -> None:
    y, scores = case
    assert value(Kind.BINARY, "roc_auc", y, scores) == pytest.approx(judge.roc_auc_score(y, scores))
    assert value(Kind.BINARY, "log_loss", y, scores) == pytest.approx(judge.log_loss(y, scores))
    assert value(Kind.BINARY, "brier", y, scores) == pytest.approx(judge.brier_score_loss(y, scores))
    for threshold in (0.0, 1 / 3, 0.5, 1.0):
        found = value(Kind.BINARY, "accuracy", y, scores, threshold)
        assert found == pytest.approx(judge.accuracy_score(y, scores >= threshold))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(3, 6), st.integers(20, 200))
def test_metrics_of_several_classes_equal_scikit_learns(seed: int, classes: int, n: int) -> None:
    generator = np.random.default_rng(seed)
    y = np.concatenate([np.arange(classes), generator.integers(0, classes, n)])
    scores = generator.dirichlet(np.ones(classes), len(y))
    assert value(Kind.MULTICLASS, "roc_auc", y, scores) == pytest.approx(
        judge.roc_auc_score(y, scores, multi_class="ovr", average="macro")
    )
    assert value(Kind.MULTICLASS, "log_loss", y, scores) == pytest.approx(judge.log_loss(y, scores))
    assert value(Kind.MULTICLASS, "brier", y, scores) == pytest.approx(
        judge.brier_score_loss(y, scores, scale_by_half=False)
    )
    assert value(Kind.MULTICLASS, "accuracy", y, scores) == pytest.approx(
        judge.accuracy_score(y, scores.argmax(axis=1))
    )


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=2, max_size=60))
def test_regression_metrics_equal_scikit_learns(pairs: list[tuple[float, float]]) -> None:
    y, predicted = np.array(pairs).T
    assert value(Kind.REGRESSION, "rmse", y, predicted) == pytest.approx(judge.root_mean_squared_error(y, predicted))
    assert value(Kind.REGRESSION, "mae", y, predicted) == pytest.approx(judge.mean_absolute_error(y, predicted))
    if np.ptp(y) > 1e-3:
        assert value(Kind.REGRESSION, "r2", y, predicted) == pytest.approx(judge.r2_score(y, predicted))


def naive_calibration_error(y: Array, scores: Array) -> float:
    """Row by row: every row's bin by its mean rank, then each bin's share times its gap."""
    n = len(y)
    bins: dict[int, list[tuple[float, float]]] = {}
    for hit, score in zip(y, scores, strict=True):
        rank = (scores < score).sum() + ((scores == score).sum() + 1) / 2
        bins.setdefault(int((rank - 0.5) * 15 / n), []).append((hit, score))
    return float(sum(len(rows) / n * abs(np.mean(rows, axis=0) @ [1, -1]) for rows in bins.values()))


@settings(max_examples=50, deadline=None)
@given(binary())
def test_calibration_error_equals_the_naive_one(case: tuple[Array, Array]) -> None:
    y, scores = case
    assert value(Kind.BINARY, "calibration_error", y, scores) == pytest.approx(naive_calibration_error(y, scores))


def test_calibration_error_of_distinct_scores_equals_equal_mass_bins() -> None:
    generator = np.random.default_rng(5)
    scores = np.sort(generator.random(15 * 40))
    y = generator.random(len(scores)) < scores**2
    gaps = [abs(y[i : i + 40].mean() - scores[i : i + 40].mean()) for i in range(0, len(y), 40)]
    assert value(Kind.BINARY, "calibration_error", y, scores) == pytest.approx(np.mean(gaps))


@pytest.mark.parametrize("name", [metric.name for metric in metrics_for(Kind.BINARY)])
def test_the_order_of_rows_does_not_matter_even_when_all_scores_are_equal(name: str) -> None:
    y = np.repeat([0, 1], 500)
    scores = np.full(1000, 0.5)
    shuffled = np.random.default_rng(0).permutation(1000)
    assert value(Kind.BINARY, name, y, scores) == pytest.approx(value(Kind.BINARY, name, y[shuffled], scores))


def test_calibration_error_of_several_classes_is_that_of_the_class_named() -> None:
    scores = np.array([[0.6, 0.3, 0.1]] * 60)
    assert value(Kind.MULTICLASS, "calibration_error", np.zeros(60, int), scores) == pytest.approx(0.4)
    assert value(Kind.MULTICLASS, "calibration_error", np.full(60, 2), scores) == pytest.approx(0.6)


def test_sure_and_wrong_is_finite() -> None:
    assert np.isfinite(value(Kind.BINARY, "log_loss", np.array([0, 1]), np.array([1.0, 0.0])))
    assert np.isfinite(value(Kind.MULTICLASS, "log_loss", np.array([0]), np.array([[0.0, 1.0, 0.0]])))


def test_what_is_not_defined_is_nan() -> None:
    assert np.isnan(value(Kind.BINARY, "roc_auc", np.array([1, 1]), np.array([0.2, 0.9])))
    assert np.isnan(value(Kind.REGRESSION, "r2", np.array([2.0, 2.0]), np.array([1.0, 2.0])))
    absent = value(Kind.MULTICLASS, "roc_auc", np.array([0, 1, 0]), np.full((3, 3), 1 / 3))
    assert np.isnan(absent)


@pytest.mark.parametrize("name", ["roc_auc", "log_loss", "brier", "calibration_error"])
def test_a_score_that_is_not_a_number_is_never_a_good_one(name: str) -> None:
    assert np.isnan(value(Kind.BINARY, name, np.array([0, 0, 1, 1]), np.array([0.1, 0.2, np.nan, np.nan])))


def test_the_registry_has_what_a_gate_may_name() -> None:
    for kind in Kind:
        assert {metric.name for metric in metrics_for(kind)} == METRIC_NAMES[kind]
        assert all(METRICS[kind, metric.name] is metric for metric in metrics_for(kind))


@pytest.mark.parametrize("kind", list(Kind))
def test_better_scores_move_every_metric_the_way_it_says(kind: Kind) -> None:
    generator = np.random.default_rng(3)
    if kind is Kind.REGRESSION:
        y: Array = generator.normal(size=400)
        good, bad = y + generator.normal(0, 0.1, 400), y + generator.normal(0, 1.0, 400)
    elif kind is Kind.BINARY:
        y = generator.integers(0, 2, 400)
        good, bad = np.where(y == 1, 0.9, 0.1), generator.random(400)
    else:
        y = generator.integers(0, 3, 400)
        good, bad = 0.1 + 0.7 * np.eye(3)[y], generator.dirichlet(np.ones(3), 400)
    for metric in metrics_for(kind):
        gain = metric.compute(y, good, 0.5) - metric.compute(y, bad, 0.5)
        assert gain > 0 if metric.higher_is_better else gain < 0, metric.name

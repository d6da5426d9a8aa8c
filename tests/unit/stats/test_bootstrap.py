"""Bootstrap intervals, judged by scipy's."""

import math
import time

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from interlock.kind import Kind
from interlock.stats.bootstrap import Scored, intervals
from interlock.stats.metrics import METRICS, Compute, metrics_for

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Labels = npt.NDArray[np.bool_]
ALL = metrics_for(Kind.BINARY)


def scored(n: int, seed: int = 0) -> tuple[Labels, Floats, Floats]:
    """Labels, a calibrated model's scores, and those of a noisier one."""
    generator = np.random.default_rng(seed)
    scores = generator.beta(1, 2, n)
    return generator.random(n) < scores, scores, np.clip(scores + generator.normal(0, 0.15, n), 0.001, 0.999)


def test_intervals_agree_with_scipys() -> None:
    y, good, bad = scored(1500)
    own, difference = intervals(ALL, y, Scored(good, 0.5), Scored(bad, 0.5), resamples=600)
    for metric in ALL:

        def statistic(rows: Rows, compute: Compute = metric.compute) -> float:
            return compute(y[rows], good[rows], 0.5)

        def paired(rows: Rows, compute: Compute = metric.compute) -> float:
            return compute(y[rows], good[rows], 0.5) - compute(y[rows], bad[rows], 0.5)

        for found, function in ((own, statistic), (difference, paired)):
            expected = stats.bootstrap(
                (np.arange(len(y)),), function, n_resamples=600, method="percentile", vectorized=False, rng=9
            ).confidence_interval
            interval, width = found[metric.name], expected.high - expected.low
            # Two runs of 600 resamples differ by about a tenth of the width at each end.
            assert interval.low == pytest.approx(expected.low, abs=0.2 * width), metric.name
            assert interval.high == pytest.approx(expected.high, abs=0.2 * width), metric.name
            assert interval.value == pytest.approx(function(np.arange(len(y))))


def test_the_bounds_hold_95_of_100_resamples() -> None:
    y, good, bad = scored(200)
    own, difference = intervals(ALL, y, Scored(good, 0.5), Scored(bad, 0.4), seed=4, resamples=50)
    generator = np.random.default_rng(4)
    drawn = [generator.integers(0, 200, 200) for _ in range(50)]
    for metric in ALL:
        one = np.array([metric.compute(y[rows], good[rows], 0.5) for rows in drawn])
        two = np.array([metric.compute(y[rows], bad[rows], 0.4) for rows in drawn])
        for found, values in ((own[metric.name], one), (difference[metric.name], one - two)):
            assert (found.low, found.high) == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])))


def test_the_interval_of_a_mean_covers_as_often_as_it_says() -> None:
    brier = METRICS[Kind.BINARY, "brier"]
    # y is drawn from the scores: the expected loss is E[s(1 - s)] = 1/6 for uniform scores.
    covered, trials = 0, 150
    for seed in range(trials):
        generator = np.random.default_rng(seed)
        scores = generator.random(300)
        own, _ = intervals([brier], generator.random(300) < scores, Scored(scores, 0.5), seed=seed)
        covered += own["brier"].low <= 1 / 6 <= own["brier"].high
    assert stats.binomtest(covered, trials, 0.95).pvalue > 0.001


def test_the_same_seed_gives_the_same_interval_and_another_another() -> None:
    y, good, bad = scored(300)
    arguments = (ALL, y, Scored(good, 0.5), Scored(bad, 0.4))
    assert intervals(*arguments, seed=1) == intervals(*arguments, seed=1)
    assert intervals(*arguments, seed=1) != intervals(*arguments, seed=2)


def test_both_models_get_the_same_rows() -> None:
    y, good, _ = scored(300)
    _, difference = intervals(ALL, y, Scored(good, 0.5), Scored(good, 0.5))
    assert all((found.low, found.value, found.high) == (0, 0, 0) for found in difference.values())


def test_each_model_says_yes_from_its_own_threshold() -> None:
    y, good, _ = scored(300)
    accuracy = METRICS[Kind.BINARY, "accuracy"]
    own, difference = intervals([accuracy], y, Scored(good, 0.5), Scored(good, 0.9))
    assert own["accuracy"].value == accuracy.compute(y, good, 0.5)
    assert difference["accuracy"].value == accuracy.compute(y, good, 0.5) - accuracy.compute(y, good, 0.9)


def test_without_a_champion_there_is_no_difference() -> None:
    y, good, _ = scored(50)
    assert intervals(ALL, y, Scored(good, 0.5))[1] == {}


def test_resamples_of_one_class_say_nothing_about_the_others() -> None:
    y = np.array([True] + [False] * 9)
    own, _ = intervals([METRICS[Kind.BINARY, "roc_auc"]], y, Scored(np.linspace(0, 1, 10)[::-1], 0.5))
    assert (own["roc_auc"].low, own["roc_auc"].high) == (1.0, 1.0)


def test_what_is_never_defined_has_no_bounds() -> None:
    own, _ = intervals([METRICS[Kind.BINARY, "roc_auc"]], np.ones(10, bool), Scored(np.linspace(0, 1, 10), 0.5))
    assert all(math.isnan(found) for found in (own["roc_auc"].value, own["roc_auc"].low, own["roc_auc"].high))


@pytest.mark.parametrize("kind", [Kind.MULTICLASS, Kind.REGRESSION])
def test_other_kinds(kind: Kind) -> None:
    generator = np.random.default_rng(0)
    if kind is Kind.MULTICLASS:
        scores = generator.dirichlet(np.ones(4), 500)
        y = (scores.cumsum(axis=1) > generator.random((500, 1))).argmax(axis=1)
    else:
        scores = generator.normal(size=500)
        y = scores + generator.normal(0, 0.5, 500)
    own, _ = intervals(metrics_for(kind), y, Scored(scores, 0.5))
    for metric in metrics_for(kind):
        assert own[metric.name].low < own[metric.name].high


def test_thirteen_thousand_rows_take_seconds() -> None:
    y, good, bad = scored(13_000)
    start = time.process_time()
    intervals(ALL, y, Scored(good, 0.5), Scored(bad, 0.5))
    assert time.process_time() - start < 5

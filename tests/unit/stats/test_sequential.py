"""Tests that may be looked at at any time, judged by simulation; the quantiles' intervals by coverage and by scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from interlock.stats.quantiles import quantile_bounds
from interlock.stats.sequential import MIN_UNITS, Mean, clustered_mean, exceeds, sequential_difference
from interlock.stats.shares import newcombe, wilson

LOOKS = range(200, 5001, 100)


def peeking(random: np.random.Generator, one: float, two: float, effect: float = 0.02) -> tuple[bool, bool]:
    """One experiment looked at after every 100 rows: whether ours, and whether a z-test, ever saw a difference."""
    a, b = random.random(5000) < one, random.random(5000) < two
    ours = naive = False
    for n in LOOKS:
        means = [Mean(float(arm[:n].mean()), float(arm[:n].var(ddof=1) / n), n, n) for arm in (a, b)]
        ours |= sequential_difference(means[0], means[1], effect, 0.05).decided
        deviation = math.sqrt(means[0].variance + means[1].variance)
        naive |= abs(means[0].value - means[1].value) > 1.96 * deviation
    return ours, naive


def test_looking_early_does_no_harm() -> None:
    """Of 1,000 experiments without a difference, each looked at 49 times, at most 5% are called different."""
    random = np.random.default_rng(3)
    seen = np.array([peeking(random, 0.8, 0.8) for _ in range(1000)]).mean(axis=0)
    print(f"false positives: {seen[0]:.1%} by the sequential test, {seen[1]:.1%} by a z-test at every look")
    assert seen[0] <= 0.05
    assert seen[1] > 0.25


def test_a_real_difference_is_found() -> None:
    random = np.random.default_rng(4)
    found = np.mean([peeking(random, 0.80, 0.84)[0] for _ in range(200)])
    print(f"a difference of 0.04 is found in {found:.0%} of the experiments")
    assert found > 0.9


def test_the_interval_holds_at_every_look() -> None:
    """It is left by the true difference, at whatever look, in at most 5% of the runs."""
    random = np.random.default_rng(5)
    left = 0
    for _ in range(500):
        a, b = random.normal(1.0, 2, 4000), random.normal(0.9, 3, 4000)
        sums = [(np.cumsum(arm), np.cumsum(arm**2)) for arm in (a, b)]
        for n in range(200, 4001, 100):
            means = []
            for total, squares in sums:
                mean = total[n - 1] / n
                means.append(Mean(mean, (squares[n - 1] / n - mean**2) / (n - 1), n, n))
            found = sequential_difference(means[0], means[1], 0.1, 0.05)
            if not found.low <= 0.1 <= found.high:
                left += 1
                break
    assert left / 500 <= 0.05


def test_the_likelihood_ratio_is_one_over_alpha_at_the_interval_s_end() -> None:
    one, two = Mean(1.3, 0.01, 500, 500), Mean(1.0, 0.02, 500, 500)
    found = sequential_difference(one, two, 0.2, 0.05)
    for end in (found.low, found.high):
        distance, variance = found.value - end, 0.03
        total = variance + 0.04
        ratio = math.sqrt(variance / total) * math.exp(0.04 * distance**2 / (2 * variance * total))
        assert ratio == pytest.approx(20)


def test_too_few_units_say_nothing() -> None:
    few, many = Mean(5.0, 1e-9, MIN_UNITS - 1, 1000), Mean(0.0, 1e-9, 1000, 1000)
    assert not sequential_difference(few, many, 0.1, 0.05).decided


def test_rows_of_one_caller_are_no_more_than_one_draw() -> None:
    """The variance is that of means over repeated draws of callers, not of rows."""
    random = np.random.default_rng(6)

    def drawn() -> tuple[np.ndarray, np.ndarray]:
        sizes = random.integers(1, 20, 400)
        values = np.repeat(random.normal(0, 1, 400), sizes) + random.normal(0, 0.1, sizes.sum())
        return values, np.repeat(np.arange(400), sizes)

    runs = [clustered_mean(*drawn()) for _ in range(400)]
    true = np.var([item.value for item in runs])
    estimated = np.mean([item.variance for item in runs])
    assert estimated == pytest.approx(true, rel=0.2)
    values, _ = drawn()
    assert values.var() / len(values) < estimated / 4


def test_single_rows_give_the_textbook_s_variance() -> None:
    values = np.random.default_rng(7).normal(0, 1, 1000)
    found = clustered_mean(values, np.arange(1000))
    assert found.variance == pytest.approx(stats.sem(values) ** 2)


@pytest.mark.parametrize("rate", [0.0, 0.005, 0.01])
def test_an_allowed_failure_rate_is_hardly_ever_refused(rate: float) -> None:
    """Looked at after each of 2,000 calls."""
    random = np.random.default_rng(8)
    refused = 0
    for _ in range(300):
        events = np.cumsum(random.random(2000) < rate)
        refused += any(exceeds(int(events[n]), n + 1, 0.01) >= 20 for n in range(0, 2000, 25))
    assert refused / 300 <= 0.05


def test_a_failing_version_is_refused_within_a_few_calls() -> None:
    assert exceeds(3, 3, 0.01) >= 1000
    assert exceeds(2, 200, 0.01) < 20
    assert exceeds(20, 200, 0.01) >= 1000
    assert exceeds(0, 10_000, 0.01) < 1


def test_the_quantile_s_interval_covers() -> None:
    random = np.random.default_rng(9)
    true = stats.lognorm.ppf(0.95, 1)
    covered = 0
    for _ in range(500):
        _, low, high = quantile_bounds(random.lognormal(0, 1, 400), 0.95)
        covered += low <= true <= high
    assert 0.93 <= covered / 500 <= 0.98


def test_a_small_sample_has_no_upper_end() -> None:
    assert quantile_bounds(np.arange(20.0), 0.95)[2] == math.inf


def test_shares_have_scipy_s_interval() -> None:
    low, high = wilson(0.3, 50)
    wanted = stats.binomtest(15, 50).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx((wanted.low, wanted.high))
    assert newcombe(56 / 70, 70, 48 / 80, 80) == pytest.approx((0.0524, 0.3339), abs=5e-5)  # Newcombe 1998, table II

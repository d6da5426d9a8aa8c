"""References, statistics and verdicts, judged by scipy and by simulation."""

import time
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from interlock.spec import Drift
from interlock.stats.drift.bins import category_bin, number_bin
from interlock.stats.drift.counted import Counted
from interlock.stats.drift.found import ColumnDrift
from interlock.stats.drift.missing_rate import more_missing
from interlock.stats.drift.new_categories import more_new
from interlock.stats.drift.psi import chi_square_quantile, joined, psi, psi_noise
from interlock.stats.drift.reference import (
    MAX_CATEGORIES,
    Reference,
    category_reference,
    number_reference,
)
from interlock.stats.drift.verdict import judge
from tests.unit.stats.counting import bins_of, categorical, numeric

Array = npt.NDArray[Any]
NAN = float("nan")


def verdict(counted: Counted, **policy: Any) -> ColumnDrift:
    rows = sum(counted.now) + counted.missing_now
    return judge([counted], rows, Drift(**policy)).columns[0]


# --- references


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(-1e6, 1e6) | st.integers(0, 5).map(float) | st.just(NAN), max_size=200),
    st.lists(st.floats(-1e7, 1e7) | st.integers(-1, 6).map(float), max_size=20),
    st.integers(2, 20),
)
def test_every_value_has_its_bin(training: list[float], others: list[float], bins: int) -> None:
    values = np.array(training, dtype=np.float32).astype(np.float64)
    others = np.array(others, dtype=np.float32).tolist()
    reference = number_reference(values, bins)
    assert list(reference.edges) == sorted(set(reference.edges))
    assert len(reference.counts) == len(reference.edges) + 1
    assert reference.counts == tuple(bins_of(reference, values))
    assert reference.missing == np.isnan(values).sum()
    assert reference.rows == len(values)
    assert [number_bin(reference.edges, value) for value in others] == np.searchsorted(
        reference.edges, others, side="right"
    ).tolist()
    known = values[~np.isnan(values)]
    if len(np.unique(known)) > 1:
        assert min(reference.counts) > 0
        assert len(reference.counts) <= 2 * bins + 1
    for value in np.unique(known):
        if (known == value).sum() >= len(known) / bins:
            inside = known[np.searchsorted(reference.edges, known, side="right") == number_bin(reference.edges, value)]
            assert set(inside) == {value}


def test_bins_of_distinct_values_have_equal_mass() -> None:
    reference = number_reference(np.random.default_rng(0).permutation(1000).astype(float))
    assert reference.counts == (100,) * 10


def test_a_frequent_value_is_alone_also_when_its_neighbours_are_few() -> None:
    values = np.repeat([1.0, 2.0, 3.0, 4.0, 5.0], [10, 4, 50, 2, 34])
    reference = number_reference(values, bins=10)
    assert (reference.edges, reference.counts) == ((2.0, 3.0, 4.0, 5.0), (10, 4, 50, 2, 34))


def test_a_column_that_is_nine_tenths_zeros_shows_a_drift_of_the_rest() -> None:
    generator = np.random.default_rng(0)
    gains = np.where(generator.random(20_000) < 0.92, 0.0, generator.integers(114, 90_000, 20_000))
    reference = number_reference(gains)
    assert len(reference.counts) == 2
    assert reference.counts[0] == (gains == 0).sum()
    more = np.where(generator.random(1000) < 0.6, 0.0, 5000.0)
    assert verdict(numeric("gain", gains, more)).state == "drift"


def test_a_constant_notices_either_side() -> None:
    before = np.full(1000, 5.0)
    assert number_reference(before).counts == (0, 1000, 0)
    assert verdict(numeric("constant", before, np.full(500, 5.0))).state == "stable"
    for other in (4.999, 5.001, -7.0):
        assert verdict(numeric("constant", before, np.full(500, other))).state == "drift"


@pytest.mark.parametrize("training", [[], [NAN, NAN]])
def test_a_column_without_values_is_a_reference_too(training: list[float]) -> None:
    reference = number_reference(np.array(training))
    assert (reference.edges, reference.counts, reference.missing) == ((), (0,), len(training))


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.text(max_size=4), st.integers(1, 100), max_size=80), st.integers(0, 9))
def test_the_most_frequent_categories_are_kept(counts: dict[str, int], missing: int) -> None:
    reference = category_reference(list(counts.items()), missing)
    assert reference.rows == sum(counts.values()) + missing
    assert len(reference.categories) == min(MAX_CATEGORIES, len(counts))
    assert list(reference.counts) == sorted(reference.counts, reverse=True)
    left = [count for name, count in counts.items() if name not in reference.categories]
    assert sum(left) == reference.other
    assert max(left, default=0) <= min(reference.counts, default=0)
    assert [category_bin(reference.categories, name) for name in reference.categories] == list(
        range(len(reference.categories))
    )
    assert category_bin(reference.categories, "never seen") == len(reference.categories)


def test_a_reference_survives_json_and_is_small() -> None:
    generator = np.random.default_rng(0)
    reference = Reference(
        numbers={f"n{i}": number_reference(generator.normal(size=1000)) for i in range(7)},
        categories={f"c{i}": category_reference([(f"naïve {k}", k + 1) for k in range(60)], 3) for i in range(3)},
        score=number_reference(generator.random(1000)),
    )
    assert Reference.from_json(reference.to_json()) == reference
    assert len(reference.to_json()) < 10_000


# --- statistics

bin_counts = st.integers(2, 12).flatmap(
    lambda bins: st.tuples(*[st.lists(st.integers(0, 500), min_size=bins, max_size=bins)] * 2)
)


@settings(max_examples=50, deadline=None)
@given(bin_counts)
def test_psi_is_the_divergence_both_ways(counts: tuple[list[int], list[int]]) -> None:
    before, now = (np.array(side) for side in counts)
    # scipy's entropy(p, q) normalises its arguments and is Kullback and Leibler's divergence.
    p, q = before + 0.5, now + 0.5
    assert psi(before, now) == pytest.approx(stats.entropy(p, q) + stats.entropy(q, p), abs=1e-12)
    assert psi(before, now) == pytest.approx(psi(now, before))
    assert psi(before, now) >= 0


@settings(max_examples=50, deadline=None)
@given(bin_counts)
def test_rare_bins_are_one(counts: tuple[list[int], list[int]]) -> None:
    before, now = (np.array(side) for side in counts)
    kept_before, kept_now = joined(before, now)
    assert kept_before.sum() == before.sum()
    assert kept_now.sum() == now.sum()
    n, m = before.sum(), now.sum()
    if n and m:
        expected = stats.contingency.expected_freq(np.array([before, now])[:, before + now > 0]).min(axis=0)
        frequent = int((expected >= 5).sum())
        assert len(kept_before) == frequent + (frequent < len(expected))


def test_a_bin_is_rare_when_the_smaller_sample_expects_little() -> None:
    before, now = joined(np.array([9800, 100, 100]), np.array([96, 2, 2]))
    assert (before.tolist(), now.tolist()) == ([9800, 200], [96, 4])
    now, before = joined(np.array([96, 2, 2]), np.array([9800, 100, 100]))
    assert (before.tolist(), now.tolist()) == ([9800, 200], [96, 4])


def test_what_the_reference_found_too_rare_is_one_with_what_is_rare() -> None:
    before, now = joined(np.array([500, 300, 2, 150]), np.array([50, 30, 0, 20]), rest=True)
    assert (before.tolist(), now.tolist()) == ([500, 300, 152], [50, 30, 20])


@pytest.mark.parametrize("degrees", [1, 2, 5, 9, 20, 50])
def test_the_quantile_of_chi_square(degrees: int) -> None:
    for probability in (0.99, 0.999, 0.9998, 0.99999):
        exact = stats.chi2.ppf(probability, degrees)
        assert -0.01 < chi_square_quantile(probability, degrees) / exact - 1 < 0.12
        if degrees >= 5:
            assert chi_square_quantile(probability, degrees) == pytest.approx(exact, rel=0.04)
    assert chi_square_quantile(0.9998, 1) == pytest.approx(stats.chi2.ppf(0.9998, 1), rel=0.06)
    assert psi_noise(1000, 500, degrees + 1, 0.9998) == pytest.approx(chi_square_quantile(0.9998, degrees) * 0.003)


def test_one_bin_has_no_noise() -> None:
    assert psi_noise(100, 100, 1, 0.99) == 0


@pytest.mark.parametrize(("n", "m"), [(20_000, 1000), (1000, 1000), (500, 5000)])
def test_psi_exceeds_its_noise_as_often_as_it_should(n: int, m: int) -> None:
    generator = np.random.default_rng(n + m)
    shares = np.array([0.4, 0.2, 0.15, 0.1, 0.06, 0.04, 0.03, 0.02])
    trials = 2000
    above = sum(
        psi(before, now) > psi_noise(n, m, 8, 0.95)
        for before, now in zip(
            generator.multinomial(n, shares, trials), generator.multinomial(m, shares, trials), strict=True
        )
    )
    assert stats.binomtest(above, trials, 0.05).pvalue > 0.001


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 2000), st.integers(1, 2000), st.floats(0, 1), st.floats(0, 1))
def test_more_missing_is_fishers_exact_test(n: int, m: int, one: float, two: float) -> None:
    before, now = round(one * n), round(two * m)
    exact = stats.fisher_exact([[now, m - now], [before, n - before]], alternative="greater").pvalue
    if now / m <= before / n:
        assert not more_missing(before, n, now, m, 0.01)
    elif exact > 1e-200:
        assert more_missing(before, n, now, m, exact * (1 + 1e-6))
        assert not more_missing(before, n, now, m, exact * (1 - 1e-6))


def test_more_missing_of_a_million_rows_is_quick() -> None:
    start = time.process_time()
    assert more_missing(100_000, 1_000_000, 101_600, 1_000_000, 0.001)
    assert not more_missing(100_000, 1_000_000, 100_800, 1_000_000, 0.001)
    assert more_missing(0, 1_000_000, 1_000_000, 1_000_000, 1e-9)
    assert time.process_time() - start < 0.5


def test_nothing_to_compare_is_not_more() -> None:
    assert not more_missing(0, 0, 5, 10, 0.01)
    assert not more_missing(5, 10, 0, 0, 0.01)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 60), st.integers(60, 3000), st.integers(0, 30), st.integers(1, 20_000))
def test_more_new_never_says_yes_where_the_exact_test_says_no(new: int, m: int, once: int, n: int) -> None:
    exact = stats.binom.sf(new - 1, new + once + 1, m / (n + m))
    if more_new(new, m, once, n, 0.001):
        assert exact <= 0.001
        assert new >= 5
    elif new >= 5:
        assert exact > 1e-6


def test_more_new_takes_the_tail_by_its_bound() -> None:
    # 12 rows of 1,000 against 3 of 4,000 in training, and one more: 12 of 16 where a fifth is expected.
    bound = np.exp(-16 * stats.entropy([12 / 16, 4 / 16], [1 / 5, 4 / 5]))
    assert more_new(12, 1000, 3, 4000, bound * 1.001)
    assert not more_new(12, 1000, 3, 4000, bound * 0.999)


def test_four_rows_of_new_values_are_typing_errors() -> None:
    assert more_new(500, 500, 0, 20_000, 0.001)
    assert more_new(5, 500, 0, 20_000, 0.001)
    assert not more_new(4, 500, 0, 20_000, 0.001)


# --- verdicts


@pytest.mark.parametrize(("shift", "state"), [(0.0, "stable"), (0.35, "warn"), (1.0, "drift")])
def test_a_shift_of_the_mean(shift: float, state: str) -> None:
    generator = np.random.default_rng(1)
    found = verdict(numeric("x", generator.normal(size=20_000), generator.normal(shift, 1, 2000)))
    assert found.state == state
    assert (found.psi > found.noise) == (state != "stable")


def test_a_large_index_of_a_small_window_may_be_chance() -> None:
    before, now = (500, 500, 500, 500), (9, 2, 4, 5)
    counted = Counted(column="x", bins=("1", "2", "3", "4"), before=before, now=now, missing_before=0, missing_now=0)
    found = verdict(counted, min_rows=20)
    assert found.psi > 0.2
    assert found.state == "stable"


def test_too_few_rows_are_reported_and_not_judged() -> None:
    generator = np.random.default_rng(1)
    counted = numeric("x", generator.normal(size=1000), generator.normal(5, 1, 199))
    found = judge([counted], 199, Drift())
    assert (found.state, found.columns[0].state, found.drifted) == ("too_few", "too_few", ())
    assert found.columns[0].psi > 1
    assert judge([counted], 200, Drift()).state == "drift"


def test_no_columns_is_no_verdict() -> None:
    assert judge([], 1000, Drift()).state == "too_few"


def test_missing_values() -> None:
    generator = np.random.default_rng(1)
    before = generator.normal(size=5000)
    now = generator.normal(size=1000)
    now[:40] = NAN
    assert verdict(numeric("x", before, now)).state == "stable"
    now[:60] = NAN
    found = verdict(numeric("x", before, now))
    assert (found.state, found.missing_now) == ("drift", 0.06)
    assert "missing 6.0% instead of 0.0%" in found.reason
    now[:] = NAN
    found = verdict(numeric("x", before, now))
    assert (found.state, found.missing_now, found.psi) == ("drift", 1.0, 0.0)
    assert verdict(numeric("x", now, now)).state == "stable"


def test_values_in_a_column_that_was_always_empty() -> None:
    found = verdict(numeric("x", np.full(1000, NAN), np.ones(300)))
    assert (found.state, found.new_share) == ("drift", 1.0)


@pytest.mark.parametrize(("new", "state"), [(0, "stable"), (9, "stable"), (10, "drift"), (900, "drift")])
def test_new_categories(new: int, state: str) -> None:
    generator = np.random.default_rng(1)
    now = generator.integers(0, 4, 1000)
    now[:new] = 9
    found = verdict(categorical("x", generator.integers(0, 4, 5000), now))
    assert found.state == state
    assert found.new_share == new / 1000
    # What is new is judged once, by its share.
    assert found.psi < 0.05


def test_one_category_in_the_window() -> None:
    generator = np.random.default_rng(1)
    assert verdict(categorical("x", generator.integers(0, 4, 5000), np.zeros(300, int))).state == "drift"
    assert verdict(categorical("x", np.zeros(5000, int), np.zeros(300, int))).state == "stable"


def test_the_most_drifted_column_comes_first_whatever_drifted() -> None:
    generator = np.random.default_rng(1)
    before = generator.normal(size=5000)
    gone = generator.normal(size=1000)
    gone[:900] = NAN
    found = judge(
        [
            numeric("same", before, generator.normal(size=1000)),
            numeric("shifted", before, generator.normal(0.9, 1, 1000)),
            numeric("gone", before, gone),
        ],
        1000,
        Drift(),
    )
    assert found.state == "drift"
    assert found.drifted == ("gone", "shifted")
    assert [column.column for column in found.columns] == ["gone", "shifted", "same"]
    assert type(found).from_json(found.to_json()) == found


# --- the whole policy: how often it cries wolf


def people(generator: np.random.Generator, n: int) -> dict[str, Array]:
    """Columns as they come: smooth, whole numbers, nine tenths zeros, skewed categories, rare ones, missing values."""
    zipf = 1 / np.arange(1, 43) ** 2
    rare = 1 / np.arange(1, 2001)
    age = generator.gamma(6, 6, n)
    age[generator.random(n) < 0.05] = NAN
    return {
        "age": age,
        "hours": np.where(generator.random(n) < 0.47, 40.0, generator.integers(1, 99, n)),
        "years": np.round(generator.normal(10, 2.5, n)),
        "gain": np.where(generator.random(n) < 0.92, 0.0, generator.lognormal(8, 1, n)),
        "score": generator.beta(0.5, 1.5, n),
        "job": generator.integers(0, 14, n),
        "country": generator.choice(42, n, p=zipf / zipf.sum()),
        "town": generator.choice(2000, n, p=rare / rare.sum()),
        "member": np.where(generator.random(n) < 0.1, -1, generator.integers(0, 2, n)),
    }


def counted_pair(generator: np.random.Generator, n: int, m: int) -> list[Counted]:
    before, now = people(generator, n), people(generator, m)
    return [
        (numeric if values.dtype == np.float64 else categorical)(name, values, now[name])
        for name, values in before.items()
    ]


@pytest.mark.parametrize(("n", "m"), [(10_000, 1000), (10_000, 200), (300, 200), (300, 3000)])
def test_false_alarms_are_no_more_than_configured(n: int, m: int) -> None:
    """200 pairs without drift: at the configured 1% more than 6 alarms come once in 200 tries."""
    generator = np.random.default_rng(n * m)
    policy = Drift(false_alarm_rate=0.01)
    alarms = sum(judge(counted_pair(generator, n, m), m, policy).state == "drift" for _ in range(200))
    assert stats.binomtest(alarms, 200, policy.false_alarm_rate, "greater").pvalue > 0.005


def test_false_alarms_are_held_by_the_noise_alone() -> None:
    """The same without an effect size: the share of windows is still that of the policy."""
    generator = np.random.default_rng(7)
    policy = Drift(psi=1e-9, psi_warn=1e-9, missing_increase=1e-9, new_category_share=1e-9, false_alarm_rate=0.05)
    alarms = sum(judge(counted_pair(generator, 10_000, 1000), 1000, policy).state == "drift" for _ in range(200))
    assert stats.binomtest(alarms, 200, policy.false_alarm_rate, "greater").pvalue > 0.005

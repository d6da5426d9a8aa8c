"""Each statistic of drift, and what is kept of the training data, judged by scipy on the same two samples."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance

from interlock.spec import Drift
from interlock.stats.drift import evidently
from interlock.stats.drift.column import judge_column
from interlock.stats.drift.distribution import EDGES, Distribution, Tally, ordered
from interlock.stats.drift.numbers import kolmogorov_smirnov, wasserstein
from interlock.stats.drift.range_violations import more_outside
from interlock.stats.drift.reference import CategoryReference, NumberReference, Reference, normal_scores
from interlock.stats.drift.registry import STATISTICS, computed
from interlock.stats.drift.significance import chi_square_tail, normal_tail, smirnov_tail
from interlock.stats.drift.together import Comparison, Together, compare
from interlock.stats.drift.verdict import judge
from tests.unit.stats.counting import categorical, numeric

Array = npt.NDArray[Any]
SAMPLES = {
    "normal, shifted": lambda g, n, s: g.normal(0.2 * s, 1, n),
    "lognormal": lambda g, n, s: g.lognormal(1, 0.8 + 0.1 * s, n),
    "exponential": lambda g, n, s: g.exponential(1 + 0.3 * s, n),
    "whole numbers": lambda g, n, s: g.integers(3 * s, 100, n).astype(float),
    "nine tenths zeros": lambda g, n, s: np.where(g.random(n) < 0.9 - 0.1 * s, 0.0, g.lognormal(5, 1, n)),
    "far from zero": lambda g, n, s: 1e6 + g.normal(30 * s, 100, n),
}


def pair(name: str, n: int, m: int, shifted: int, seed: int = 0) -> tuple[Array, Array]:
    generator = np.random.default_rng(seed)
    make = SAMPLES[name]
    # Both as the model sees them.
    return make(generator, n, 0).astype(np.float32).astype(float), make(generator, m, shifted).astype(
        np.float32
    ).astype(float)


def tallied(before: Array, now: Array) -> tuple[Tally, Tally]:
    reference = Distribution.from_json(Distribution.of(ordered(before)).to_json()).tally()
    return reference, Tally.of(reference.edges, ordered(now))


# --- distributions


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("shifted", [0, 1])
def test_kolmogorov_smirnov_and_wasserstein_of_large_samples(name: str, shifted: int) -> None:
    before, now = pair(name, 100_000, 100_000, shifted)
    found = tallied(before, now)
    assert kolmogorov_smirnov(*found) == pytest.approx(stats.ks_2samp(before, now, method="asymp").statistic, abs=5e-4)
    exact = stats.wasserstein_distance(before, now)
    assert wasserstein(*found) == pytest.approx(exact, rel=0.02)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(-20, 20) | st.floats(-20, 20, width=32), min_size=1, max_size=80),
    st.lists(st.integers(-30, 30) | st.floats(-30, 30, width=32), min_size=1, max_size=80),
)
def test_kolmogorov_smirnov_is_exact_when_every_value_is_an_edge(one: list[float], two: list[float]) -> None:
    before, now = np.array(one, dtype=float), np.array(two, dtype=float)
    found = tallied(before, now)
    # scipy wants two rows a side for its probability: the same rows twice have the same distribution.
    exact = stats.ks_2samp(np.tile(before, 2), np.tile(now, 2), method="asymp").statistic
    assert kolmogorov_smirnov(*found) == pytest.approx(exact, abs=1e-12)
    assert found[1].outside == ((now < before.min()) | (now > before.max())).sum()


def test_a_distribution_is_small_and_its_tally_is_exact_on_the_edges() -> None:
    values = np.random.default_rng(0).lognormal(0, 2, 500_000)
    kept = Distribution.of(ordered(values))
    assert len(kept.to_json()) < 15_000
    assert EDGES <= len(kept.edges) <= EDGES + 40
    tally, seen = kept.tally(), np.sort(values.astype(np.float32))
    assert tally.count == len(values)
    assert tally.up_to() == pytest.approx(np.searchsorted(seen, tally.edges, "right") / len(values))
    # Tails have edges of their own, and the extremes are edges.
    assert (1 - tally.up_to() < 1 / EDGES).sum() > 8
    assert (tally.edges[0], tally.edges[-1]) == (seen[0], seen[-1])


def test_chunks_merge_to_the_same_tally_as_the_whole() -> None:
    before, now = pair("lognormal", 5000, 7001, 1)
    reference, whole = tallied(before, now)
    merged = Tally.of(reference.edges, ordered(now[:3000])).merged(Tally.of(reference.edges, ordered(now[3000:])))
    assert np.array_equal(merged.at, whole.at)
    assert np.array_equal(merged.between, whole.between)
    assert merged.sums == pytest.approx(whole.sums)
    with pytest.raises(ValueError, match="same edges"):
        merged.merged(Tally.of(reference.edges[1:], ordered(now)))


def test_a_value_that_was_rounded_to_float32_is_the_same_value() -> None:
    before = np.random.default_rng(0).choice([0.1, 0.3, 0.7, 1 / 3], 5000)
    now = before.astype(np.float32).astype(np.float64)
    found = computed(numeric("x", before, now))
    assert {name: found[name] for name in ("psi", "kolmogorov_smirnov", "wasserstein", "range_violations")} == {
        "psi": 0.0,
        "kolmogorov_smirnov": 0.0,
        "wasserstein": 0.0,
        "range_violations": 0.0,
    }


# --- the registry


def test_every_statistic_says_where_it_comes_from_and_stays_in_its_range() -> None:
    generator = np.random.default_rng(2)
    for statistic in STATISTICS.values():
        assert statistic.source
        assert statistic.low < statistic.threshold < statistic.high
        for counted in (
            numeric("x", generator.normal(size=500), generator.normal(9, 3, 400)),
            categorical("x", generator.integers(0, 4, 500), generator.integers(3, 9, 400)),
        ):
            value = statistic.compute(counted)
            kind = "number" if counted.distributions else "category"
            assert (value is not None) == (kind in statistic.kinds)
            if value is not None:
                assert statistic.low <= value <= statistic.high


@pytest.mark.parametrize("seed", range(5))
def test_distances_of_shares_are_scipys(seed: int) -> None:
    generator = np.random.default_rng(seed)
    counted = categorical("x", generator.integers(0, 6, 3000), generator.integers(seed, 7, 800))
    before, now = counted.counts
    p, q = before / before.sum(), now / now.sum()
    found = computed(counted)
    assert found["jensen_shannon"] == pytest.approx(distance.jensenshannon(p, q), abs=1e-6)
    assert found["total_variation"] == pytest.approx(distance.cityblock(p, q) / 2, abs=1e-6)
    assert found["hellinger"] == pytest.approx(distance.euclidean(np.sqrt(p), np.sqrt(q)) / math.sqrt(2), abs=1e-6)
    table = np.array([before, now])
    table = table[:, table.sum(axis=0) > 0]
    assert found["chi_square"] == pytest.approx(stats.contingency.association(table, correction=False), abs=1e-6)
    assert found["psi"] == pytest.approx(
        stats.entropy(before + 0.5, now + 0.5) + stats.entropy(now + 0.5, before + 0.5), abs=1e-6
    )


def test_shares_of_missing_new_and_outside() -> None:
    before = np.array([1.0, 2.0, 3.0, float("nan")] * 100)
    now = np.array([0.0, 2.0, 9.0, float("nan"), float("nan")] * 10)
    found = computed(numeric("x", before, now))
    assert found["missing_rate"] == pytest.approx(0.4 - 0.25)
    assert found["range_violations"] == pytest.approx(2 / 3, abs=1e-6)
    assert found["new_categories"] == 0
    assert computed(categorical("x", np.array([0, 1] * 50), np.array([0, 5] * 10)))["new_categories"] == 0.5


# --- significance


@settings(max_examples=100, deadline=None)
@given(st.floats(0, 500), st.integers(1, 200))
def test_the_tail_of_chi_square(statistic: float, degrees: int) -> None:
    assert chi_square_tail(statistic, degrees) == pytest.approx(stats.chi2.sf(statistic, degrees), rel=1e-6, abs=1e-14)


@pytest.mark.parametrize(("n", "m"), [(30, 45), (400, 400), (900, 2000)])
def test_smirnovs_tail_is_exact_for_small_samples(n: int, m: int) -> None:
    generator = np.random.default_rng(n)
    for shift in (0.0, 0.1, 0.3):
        exact = stats.ks_2samp(generator.normal(size=n), generator.normal(shift, 1, m), method="exact")
        assert smirnov_tail(exact.statistic, n, m) == pytest.approx(exact.pvalue, rel=1e-6, abs=1e-12)


def test_smirnovs_tail_of_large_samples_and_the_normal_tail() -> None:
    assert smirnov_tail(0.014, 20_000, 15_000) == pytest.approx(
        stats.kstwo.sf(0.014, round(20_000 * 15_000 / 35_000)), rel=0.02
    )
    assert smirnov_tail(0.0, 10, 10) == 1.0
    assert normal_tail(-2.5) == pytest.approx(2 * stats.norm.sf(2.5))


def test_more_outside_than_two_extremes_explain() -> None:
    assert more_outside(30, 1000, 10_000, 0.001)
    assert not more_outside(4, 1000, 10_000, 0.001)
    # Of a hundred values' range, two in a hundred fall outside.
    assert not more_outside(25, 1000, 100, 0.001)


# --- verdicts by any statistic


@pytest.mark.parametrize(
    ("statistic", "kinds"),
    [(name, STATISTICS[name].kinds) for name in ("kolmogorov_smirnov", "wasserstein", "jensen_shannon", "hellinger")],
)
def test_a_policy_may_name_another_statistic(statistic: str, kinds: tuple[str, ...]) -> None:
    generator = np.random.default_rng(3)
    policy = Drift.model_validate({"numbers": statistic, **({"categories": statistic} if "category" in kinds else {})})
    same = numeric("x", generator.normal(size=20_000), generator.normal(size=1000))
    moved = numeric("x", generator.normal(size=20_000), generator.normal(0.9, 1, 1000))
    assert judge_column(same, policy, 0.001, few=False).state == "stable"
    found = judge_column(moved, policy, 0.001, few=False)
    assert found.state == "drift"
    assert found.reason.startswith(STATISTICS[statistic].title)


def test_an_effect_that_chance_explains_is_none() -> None:
    generator = np.random.default_rng(3)
    policy = Drift(numbers="wasserstein")
    before = generator.normal(size=20_000)
    assert judge_column(numeric("x", before, generator.normal(0.12, 1, 30)), policy, 0.001, few=False).state == "stable"


def test_thresholds_are_of_statistics_that_are_used() -> None:
    with pytest.raises(ValueError, match="judge no column: hellinger"):
        Drift(thresholds={"hellinger": 0.2})
    policy = Drift(numbers="kolmogorov_smirnov", thresholds={"kolmogorov_smirnov": 0.9})
    generator = np.random.default_rng(3)
    moved = numeric("x", generator.normal(size=5000), generator.normal(1.5, 1, 1000))
    assert judge_column(moved, policy, 0.001, few=False).state == "warn"


# --- Evidently's defaults, by the functions of scipy that it calls


def by_scipy(before: Array, now: Array) -> tuple[str, float]:
    """Evidently 0.7.23, legacy/calculations/stattests/registry.py, in a few lines."""
    values = np.union1d(before, now)
    shares = [np.array([(side == value).mean() for value in values]) for side in (before, now)]
    if len(before) > 1000:
        if before.dtype == float and len(values) > 5:
            return "wasserstein", float(stats.wasserstein_distance(before, now) / max(before.std(), 0.001))
        return "jensenshannon", float(distance.jensenshannon(*shares))
    if before.dtype == float and len(values) > 5:
        return "ks", float(stats.ks_2samp(before, now)[1])
    if len(values) > 2:
        with np.errstate(divide="ignore", invalid="ignore"):
            return "chisquare", float(stats.chisquare(shares[1] * len(now), shares[0] * len(now))[1])
    if len(values) == 1:
        return "z", 1.0
    n, m = len(before), len(now)
    p, q = shares[0][1], shares[1][1]
    pooled = (p * n + q * m) / (n + m)
    return "z", float(2 * stats.norm.sf(abs(p - q) / math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))))


@pytest.mark.parametrize("n", [800, 1500])
@pytest.mark.parametrize("values", [1, 2, 4, 30])
@pytest.mark.parametrize("kind", ["number", "category"])
def test_evidentlys_choice_value_and_verdict(n: int, values: int, kind: str) -> None:
    for seed in range(4):
        generator = np.random.default_rng(seed)
        before, now = generator.integers(0, values, n), generator.integers(0, values + (seed == 3), 700)
        counted = categorical("x", before, now)
        if kind == "number":
            before, now = before.astype(float), now.astype(float)
            counted = numeric("x", before, now)
        test, value = by_scipy(before, now)
        found = evidently.test(counted)
        assert found is not None
        assert found.test == test
        assert found.value == pytest.approx(value, rel=1e-3, abs=1e-9)
        assert found.drifted == (value < 0.05 if test in {"z", "chisquare", "ks"} else value >= 0.1)


def test_the_window_drifts_by_evidentlys_rule_when_half_of_the_columns_do() -> None:
    generator = np.random.default_rng(1)
    policy = Drift(method="evidently")
    same = [numeric(f"s{i}", generator.normal(size=2000), generator.normal(size=5000)) for i in range(2)]
    moved = [numeric(f"m{i}", generator.normal(size=2000), generator.normal(1, 1, 5000)) for i in range(2)]
    assert judge(same, 500, policy).state == "stable"
    assert judge([*same, moved[0]], 500, policy).state == "warn"
    assert judge([*same, *moved], 500, policy).state == "drift"
    assert set(judge(moved, 500, policy).drifted) == {"m0", "m1"}


# --- together


def rows(generator: np.random.Generator, n: int, correlation: float) -> dict[str, Array]:
    """Skewed numbers and a category whose dependence may change while each column stays as it is."""
    shared, a, b, c = generator.normal(size=(4, n))
    weight = math.sqrt(abs(correlation))
    x, y = weight * shared + math.sqrt(1 - weight**2) * a, weight * shared + math.sqrt(1 - weight**2) * b
    town = np.digitize(0.6 * a + 0.8 * c, [0.0, 1.0]).astype(str).astype(object)
    return {"x": np.exp(x), "y": y, "town": np.ma.asarray(town)}


def described(columns: dict[str, Array]) -> Reference:
    found = {name: numeric(name, values, values) for name, values in columns.items() if name != "town"}
    names, counts = np.unique(np.asarray(columns["town"]).astype(str), return_counts=True)
    order = np.argsort(-counts)
    reference = Reference(
        numbers={
            name: NumberReference(
                edges=(), counts=counted.before, missing=0, distribution=Distribution.of(ordered(columns[name]))
            )
            for name, counted in found.items()
        },
        categories={
            "town": CategoryReference(
                categories=tuple(names[order].tolist()), counts=tuple(counts[order].tolist()), other=0, missing=0
            )
        },
    )
    return reference.model_copy(update={"together": Together.of(normal_scores(reference, columns))})


def compared(reference: Reference, columns: dict[str, Array]) -> Comparison:
    assert reference.together is not None
    found = compare(reference.together, normal_scores(reference, columns))
    assert found is not None
    return found


def test_normal_scores_are_normal_and_correlate_as_ranks_do() -> None:
    columns = rows(np.random.default_rng(0), 20_000, 0.5)
    reference = described(columns)
    scores = normal_scores(reference, columns)
    assert stats.kstest(scores["x"], "norm").statistic < 0.01
    expected = (
        stats.norm.ppf(stats.rankdata(columns["x"]) / 20_001),
        stats.norm.ppf(stats.rankdata(columns["y"]) / 20_001),
    )
    assert reference.together is not None
    pairs = dict(zip(reference.together.names(), reference.together.correlations, strict=True))
    assert pairs["x", "y"] == pytest.approx(np.corrcoef(*expected)[0, 1], abs=0.005)


def test_a_changed_dependence_is_seen_though_every_column_is_as_it_was() -> None:
    generator = np.random.default_rng(1)
    reference = described(rows(generator, 10_000, 0.7))
    window = rows(generator, 1000, 0.1)
    columns = [numeric(name, rows(generator, 10_000, 0.7)[name], window[name]) for name in ("x", "y")]
    found = judge(columns, 1000, Drift(), compared(reference, window))
    assert found.drifted == ()
    assert found.state == "drift"
    assert found.together is not None
    assert found.together.pair == ("x", "y")
    assert "x and y correlate by 0.05 instead of 0.71" in found.together.reason


def test_rows_that_lie_elsewhere_are_farther_from_the_main_directions() -> None:
    generator = np.random.default_rng(1)
    base = generator.normal(size=5000)
    near = {name: base + 0.1 * generator.normal(size=5000) for name in ("x", "y")}
    reference = described({**near, "town": rows(generator, 5000, 0)["town"]})
    other = rows(generator, 1000, 0.0)
    assert compared(reference, other).effect > 0.5
    assert (
        compared(reference, {name: values[:800] for name, values in {**near, "town": other["town"]}.items()}).error_z
        < 4
    )


@pytest.mark.parametrize("m", [200, 2000])
def test_together_cries_wolf_no_more_often_than_it_may(m: int) -> None:
    generator = np.random.default_rng(m)
    policy = Drift(false_alarm_rate=0.05, correlation_change=1e-9, reconstruction_change=1e-9, min_rows=1)
    alarms = 0
    for _ in range(150):
        reference = described(rows(generator, 3000, 0.3))
        alarms += judge([], m, policy, compared(reference, rows(generator, m, 0.3))).together.state == "drift"  # type: ignore[union-attr]
    assert stats.binomtest(alarms, 150, policy.false_alarm_rate, "greater").pvalue > 0.005


def test_missing_values_and_a_constant_are_no_dependence() -> None:
    generator = np.random.default_rng(4)
    reference = described(rows(generator, 4000, 0.3))
    window = rows(generator, 600, 0.3)
    constant = {**window, "y": np.full(600, 0.5)}
    assert compared(reference, constant).z < 4
    gone = {**window, "town": np.ma.masked_all(600, dtype=object)}
    assert np.isfinite(compared(reference, gone).error_now)
    assert Together.of({"one": generator.normal(size=50)}) is None
    assert compare(reference.together, {}) is None if reference.together else False


def test_the_page_on_monitoring_lists_every_statistic() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "monitoring.md").read_text("utf-8")
    for statistic in STATISTICS.values():
        kinds = ", ".join(statistic.kinds)
        row = f"| `{statistic.name}` | {statistic.title} | {kinds} | {statistic.threshold} | {statistic.source} |"
        assert row in page

"""Two profiles compared: the statistics are those of the samples themselves, and chance alone is no drift."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from interlock.contract import ColumnType
from interlock.spec import Drift
from interlock.stats.drift.counted import Counted
from interlock.stats.drift.profiled import counted
from interlock.stats.drift.registry import computed
from interlock.stats.drift.verdict import judge
from interlock.stats.profile import GAMMA, NumberProfile, Profile, TextProfile
from tests.unit.ingest.made import INTEGER, NUMBER, column, judged, model

POLICY = Drift()


def profiled(tmp_path: Path, name: str, kind: ColumnType, values: Any, **rules: Any) -> Profile:
    """One column through ingest's engine."""
    by = model(column("c", kind, **rules))
    lines = "".join(f"{value},1\n" for value in values)
    answer = judged(f"c,y\n{lines}".encode(), by, tmp_path, name)
    assert answer.profile is not None
    return answer.profile


def both(tmp_path: Path, kind: ColumnType, before: Any, now: Any, **rules: Any) -> Counted:
    folder = tmp_path / "restricted" if rules else tmp_path
    one, two = (profiled(folder, name, kind, of, **rules) for name, of in (("one", before), ("two", now)))
    found = counted("c", one, two, restricted=bool(rules), whole=kind is INTEGER)
    assert found is not None
    return found


SAMPLES = {
    "normal": lambda random, n: random.normal(0.3, 1, n),
    "far from zero": lambda random, n: random.normal(2000, 3, n),
    "skewed": lambda random, n: random.lognormal(3, 1, n),
    "many zeros": lambda random, n: random.exponential(10, n) * (random.random(n) < 0.3),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_numbers_against_scipy(tmp_path: Path, name: str) -> None:
    random = np.random.default_rng(5)
    before, now = (SAMPLES[name](random, 8000).round(6) for _ in range(2))
    now = now * 1.1 + 0.1 * before.std()
    found = both(tmp_path, NUMBER, before, now)
    assert found.distributions is not None
    assert found.known == (8000, 8000)
    said = computed(found)
    assert said["kolmogorov_smirnov"] == pytest.approx(stats.ks_2samp(before, now).statistic, abs=0.01)
    exact = stats.wasserstein_distance(before, now) / before.std()
    assert said["wasserstein"] == pytest.approx(exact, rel=0.05)
    outside = float(((now < before.min()) | (now > before.max())).mean())
    # Of the buckets that hold the ends, nothing counts as outside: never told too much.
    assert 0 <= outside - said["range_violations"] < 0.002


def test_bins_are_counted_exactly(tmp_path: Path) -> None:
    random = np.random.default_rng(6)
    before, now = random.integers(18, 90, 5000), random.integers(30, 99, 3000)
    found = both(tmp_path, INTEGER, before, now)
    assert 8 <= len(found.bins) <= 12
    edges = [int(label.split()[0]) for label in found.bins[1:-1]] + [int(found.bins[-1].split()[1])]
    assert found.before == tuple(np.histogram(before, [-np.inf, *edges, np.inf])[0].tolist())
    assert found.now == tuple(np.histogram(now, [-np.inf, *edges, np.inf])[0].tolist())
    expected, observed = np.array(found.before), np.array(found.now)
    chi2 = stats.chi2_contingency([expected, observed], correction=False).statistic
    assert computed(found)["chi_square"] == pytest.approx((chi2 / 8000) ** 0.5, abs=1e-6)


def test_a_constant_has_both_sides_for_news(tmp_path: Path) -> None:
    found = both(tmp_path, NUMBER, [7.5] * 500, [7.5] * 400 + [9.0] * 100)
    assert (found.before, found.now) == ((0, 500, 0), (0, 400, 100))
    assert judge([found], 500, POLICY).drifted == ("c",)


def test_categories_are_exact_and_restricted_ones_have_no_names(tmp_path: Path) -> None:
    before, now = ["a"] * 600 + ["b"] * 400, ["a"] * 300 + ["b"] * 650 + ["new"] * 50
    found = both(tmp_path, ColumnType.STRING, before, now)
    assert dict(zip(found.bins, found.now, strict=True)) == {"a": 300, "b": 650, "(other)": 50}
    assert (found.new, found.before) == (50, (600, 400, 0))
    hidden = both(tmp_path, ColumnType.STRING, before, now, restricted=True)
    assert hidden.bins == ("group 1", "group 2", "(other)")
    assert (hidden.before, hidden.now, hidden.new) == (found.before, found.now, found.new)


def test_free_text_and_restricted_numbers_are_judged_by_what_is_missing(tmp_path: Path) -> None:
    found = both(tmp_path, NUMBER, range(500), [*range(300), *[""] * 200], restricted=True)
    verdict = judge([found], 500, POLICY)
    assert verdict.drifted == ("c",)
    assert verdict.columns[0].reason == "missing 40.0% instead of 0.0%"


def test_a_column_of_another_type_or_that_is_new_is_left_out() -> None:
    number, text = Profile(rows=1, numbers={"c": NumberProfile()}), Profile(rows=1, texts={"c": TextProfile()})
    assert counted("c", number, text, restricted=False, whole=False) is None
    assert counted("d", number, number, restricted=False, whole=False) is None


def test_a_column_that_was_empty(tmp_path: Path) -> None:
    found = both(tmp_path, NUMBER, [""] * 500, list(range(500)))
    verdict = judge([found], 500, POLICY)
    assert "never seen in training" in verdict.columns[0].reason


def test_chance_alone_is_no_drift_and_a_shift_is() -> None:
    """Of 300 undrifted pairs of 5,000 and 1,000 rows, six columns each, at 1%: at most what chance gives."""
    random = np.random.default_rng(7)
    alarms, seen = 0, 0
    for _ in range(300):
        before, now, moved = (_rows(random, rows, shift) for rows, shift in ((5000, 0.0), (1000, 0.0), (1000, 0.8)))
        alarms += _verdict(before, now) == "drift"
        seen += _verdict(before, moved) == "drift"
    print(f"{alarms} false alarms in 300, {seen} of 300 shifts seen")
    assert alarms <= stats.binom.ppf(0.999, 300, 0.01)
    assert seen >= 295


def _rows(random: np.random.Generator, count: int, shift: float) -> Profile:
    numbers = {f"n{place}": random.normal(place, 1, count) + shift for place in range(3)}
    words = {f"t{place}": random.choice(list("abcd"), count, p=[0.6, 0.3, 0.08, 0.02]) for place in range(3)}
    return Profile(
        rows=count,
        numbers={name: _number_profile(values) for name, values in numbers.items()},
        texts={
            name: TextProfile(count=count, categories=dict(zip(*_counts(values), strict=True)))
            for name, values in words.items()
        },
    )


def _number_profile(values: Any) -> NumberProfile:
    """The sketch by its definition."""
    return NumberProfile(
        count=len(values),
        minimum=float(values.min()),
        maximum=float(values.max()),
        mean=float(values.mean()),
        m2=float(((values - values.mean()) ** 2).sum()),
        positive=_buckets(values[values > 0]),
        negative=_buckets(-values[values < 0]),
    )


def _buckets(sizes: Any) -> dict[int, int]:
    places, counts = np.unique(np.ceil(np.log(sizes) / np.log(GAMMA)).astype(int), return_counts=True)
    return dict(zip(places.tolist(), counts.tolist(), strict=True))


def _counts(values: Any) -> tuple[list[str], list[int]]:
    names, counts = np.unique(values, return_counts=True)
    return names.tolist(), counts.tolist()


def _verdict(before: Profile, now: Profile) -> str:
    names = (*before.numbers, *before.texts)
    found = [counted(name, before, now, restricted=False, whole=False) for name in names]
    return judge([item for item in found if item is not None], now.rows, POLICY).state

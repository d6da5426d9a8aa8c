"""Mergeable profiles, judged by numpy on the data itself."""

import json
import math
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.stats.profile import (
    ACCURACY,
    GAMMA,
    MAX_CATEGORIES,
    TINY,
    NumberProfile,
    Profile,
    TextProfile,
    cell_step,
)


def bucket(value: float) -> int:
    return math.ceil(math.log(abs(value)) / math.log(GAMMA))


def of_numbers(values: list[float], missing: int = 0) -> NumberProfile:
    """What an engine would count."""
    if not values:
        return NumberProfile(missing=missing)
    step = cell_step(min(values), max(values))
    return NumberProfile(
        step=step,
        cells=Counter(math.floor(value / 2.0**step) for value in values) if step is not None else {},
        count=len(values),
        missing=missing,
        minimum=min(values),
        maximum=max(values),
        mean=float(np.mean(values)),
        m2=float(np.var(values) * len(values)),
        zero=sum(abs(value) < TINY for value in values),
        positive=Counter(bucket(value) for value in values if value >= TINY),
        negative=Counter(bucket(value) for value in values if value <= -TINY),
    )


def of_texts(values: list[str], missing: int = 0) -> TextProfile:
    kept = dict(sorted(Counter(values).items(), key=lambda item: (-item[1], item[0]))[:MAX_CATEGORIES])
    return TextProfile(
        count=len(values),
        missing=missing,
        categories=kept,
        other=len(values) - sum(kept.values()),
        shortest=min(map(len, values), default=None),
        longest=max(map(len, values), default=None),
    )


def same(one: NumberProfile, two: NumberProfile, scale: float) -> bool:
    """Equal up to the rounding of sums of values as large as `scale`."""
    exact = {"mean", "m2"}
    return (
        one.model_dump(exclude=exact) == two.model_dump(exclude=exact)
        and one.mean == pytest.approx(two.mean, abs=1e-9 * scale)
        and one.m2 == pytest.approx(two.m2, abs=1e-9 * scale**2 * (one.count + 1))
    )


numbers = st.lists(st.floats(-1e9, 1e9) | st.sampled_from([0.0, 1.0, -1.0, 40.0, 1e-12, -1e-9]), max_size=40)
texts = st.lists(st.sampled_from(["", "a", "b", "naïve", "<b>"]) | st.text(max_size=5), max_size=40)


@settings(max_examples=50, deadline=None)
@given(numbers, numbers, numbers)
def test_merged_numbers_are_the_numbers_of_all(one: list[float], two: list[float], three: list[float]) -> None:
    a, b, c = of_numbers(one, 1), of_numbers(two, 2), of_numbers(three)
    scale = max((abs(value) for value in one + two + three), default=0.0) + 1
    assert same(a.merged(b), of_numbers(one + two, 3), scale)
    assert same(a.merged(b), b.merged(a), scale)
    assert same(a.merged(b).merged(c), a.merged(b.merged(c)), scale)


close = st.floats(-1e9, 1e9).flatmap(
    lambda middle: st.lists(st.floats(0, 0.1).map(lambda share: middle * (1 + share)), max_size=40)
)


@settings(max_examples=50, deadline=None)
@given(close, close, close)
def test_merged_cells_are_the_cells_of_all(one: list[float], two: list[float], three: list[float]) -> None:
    """Also of parts that lie close together and far from each other."""
    a, b, c = of_numbers(one), of_numbers(two), of_numbers(three)
    every = of_numbers(one + two + three)
    for merged in (a.merged(b).merged(c), a.merged(b.merged(c)), c.merged(b).merged(a)):
        assert (merged.step, merged.cells) == (every.step, every.cells)


@settings(max_examples=50, deadline=None)
@given(close, st.floats(0, 1))
def test_close_values_are_told_apart(values: list[float], share: float) -> None:
    profile = of_numbers(values)
    if profile.step is None:
        return
    spread = max(values) - min(values)
    assert sum(profile.cells.values()) == len(values)
    assert len(profile.cells) <= 130
    found, ordered = profile.quantile(share), sorted(values)
    rank = share * (len(values) - 1)
    near = {ordered[math.floor(rank - 1e-9) if rank >= 1 else 0], ordered[math.floor(rank + 1e-9)]}
    assert found is not None
    assert min(abs(found - value) for value in near) <= spread / 64 + 1e-9 * abs(found)


@settings(max_examples=50, deadline=None)
@given(texts, texts, texts)
def test_merged_texts_are_the_texts_of_all(one: list[str], two: list[str], three: list[str]) -> None:
    a, b, c = of_texts(one, 1), of_texts(two), of_texts(three, 2)
    assert a.merged(b) == of_texts(one + two, 1)
    assert a.merged(b) == b.merged(a)
    assert a.merged(b).merged(c) == a.merged(b.merged(c))


@settings(max_examples=50, deadline=None)
@given(numbers.filter(bool), st.floats(0, 1))
def test_quantiles_are_right_to_one_percent_of_themselves(values: list[float], share: float) -> None:
    found = of_numbers(values).quantile(share)
    rank, ordered = share * (len(values) - 1), sorted(values)
    # The rank's float may fall to either side of a whole number.
    near = {ordered[math.floor(rank - 1e-9) if rank >= 1 else 0], ordered[math.floor(rank + 1e-9)]}
    assert any(found == pytest.approx(value, rel=ACCURACY * 1.001, abs=TINY) for value in near)


def test_quantiles_of_a_large_sample() -> None:
    values = np.random.default_rng(0).lognormal(3, 2, 50_000)
    profile = of_numbers(values.tolist())
    for share in (0.01, 0.25, 0.5, 0.75, 0.99, 0.999):
        assert profile.quantile(share) == pytest.approx(np.quantile(values, share, method="lower"), rel=ACCURACY)
    assert profile.quantile(0) == pytest.approx(values.min(), rel=ACCURACY)
    assert profile.quantile(1) == pytest.approx(values.max(), rel=ACCURACY)
    assert profile.deviation == pytest.approx(np.std(values, ddof=1))


@settings(max_examples=50, deadline=None)
@given(numbers, st.integers(2, 40))
def test_a_histogram_counts_every_value_once(values: list[float], bins: int) -> None:
    found = of_numbers(values).histogram(bins)
    assert sum(count for *_, count in found) == len(values)
    if values:
        assert len(found) == bins
        assert found[0][0] == min(values)
        assert found[-1][1] >= max(values) - 1e-6 * (abs(max(values)) + abs(min(values)))


def test_a_histogram_of_well_separated_values_is_exact() -> None:
    values = [*np.repeat(1.0, 5), *np.repeat(50.0, 7), *np.repeat(100.0, 3)]
    counts = [count for *_, count in of_numbers(values).histogram(10)]
    assert (counts[0], counts[4], counts[9], sum(counts)) == (5, 7, 3, 15)


def test_nothing_and_one_value() -> None:
    nothing = NumberProfile(missing=7)
    assert (nothing.quantile(0.5), nothing.deviation, nothing.histogram()) == (None, None, [])
    one = of_numbers([3.0])
    assert (one.quantile(0.5), one.deviation) == (3.0, None)
    assert nothing.merged(one) == one.merged(nothing) == one.model_copy(update={"missing": 7})


@pytest.mark.parametrize("huge", [1e200, sys.float_info.max])
def test_the_largest_floats_are_a_profile_too(huge: float) -> None:
    profile = NumberProfile(
        count=2,
        minimum=-huge,
        maximum=huge,
        mean=0,
        m2=math.inf,
        positive={bucket(huge): 1},
        negative={bucket(huge): 1},
    )
    twice = profile.merged(profile).merged(of_numbers([huge]).merged(of_numbers([-huge])))
    assert NumberProfile.from_json(twice.to_json()) == twice
    assert twice.quantile(0) == pytest.approx(-huge, rel=ACCURACY)
    assert twice.quantile(1) == pytest.approx(huge, rel=ACCURACY)
    assert sum(count for *_, count in twice.histogram()) == 6


def test_more_categories_than_are_kept_are_counted_together() -> None:
    one, two = (of_texts([f"{name}{i}" for i in range(MAX_CATEGORIES)] * 2) for name in "ab")
    rare = of_texts([f"c{i}" for i in range(600)])
    for merged in (one.merged(two), two.merged(one), one.merged(rare), one.merged(two).merged(rare)):
        assert len(merged.categories) == MAX_CATEGORIES
        assert sum(merged.categories.values()) + merged.other == merged.count
    assert one.merged(rare).categories == one.categories
    assert one.merged(rare).other == 600


def test_a_dataset_is_merged_by_column_and_survives_json() -> None:
    one = Profile(rows=3, numbers={"age": of_numbers([1.5, -2.0, 0.0])}, texts={"job": of_texts(["smith", "naïve"], 1)})
    two = Profile(rows=2, numbers={"age": of_numbers([7.0], 1)}, texts={"city": of_texts(["<b>", ""])})
    both = one.merged(two)
    assert both.rows == 5
    assert set(both.texts) == {"job", "city"}
    assert both.numbers["age"].count == 4
    assert both.numbers["age"].missing == 1
    assert Profile.from_json(both.to_json()) == both
    assert json.loads(both.to_json())["numbers"]["age"]["negative"] == {str(bucket(-2.0)): 1}


def test_a_profile_is_small() -> None:
    values = np.random.default_rng(0).lognormal(0, 3, 200_000)
    profile = NumberProfile(
        count=len(values), positive=dict(Counter(np.ceil(np.log(values) / np.log(GAMMA)).astype(int).tolist()))
    )
    assert len(profile.to_json()) < 20_000

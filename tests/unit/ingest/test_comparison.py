"""The columns beside the last admitted dataset's."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from ingest.comparison import compare
from ingest.judgement import ColumnReport
from interlock.contract import ColumnType, Contract
from interlock.stats.profile import NumberProfile, Profile, TextProfile
from tests.unit.ingest.made import INTEGER, NUMBER, STRING, column, judged, model

DATE, BOOLEAN, TIMESTAMP = ColumnType.DATE, ColumnType.BOOLEAN, ColumnType.TIMESTAMP


def profiled(tmp_path: Path, name: str, by: Any, rows: list[str]) -> Profile:
    header = ",".join(by.contract.names)
    answer = judged(("\n".join([header, *rows]) + "\n").encode(), by, tmp_path, name)
    assert answer.profile is not None
    return answer.profile


def both(tmp_path: Path, kind: ColumnType, before: list[Any], now: list[Any], **rules: Any) -> ColumnReport:
    """One column before and now, judged by the engine."""
    by = model(column("c", kind, **rules))
    one, two = (
        profiled(tmp_path, name, by, [f"{value},1" for value in values])
        for name, values in (("before", before), ("now", now))
    )
    return compare(by.contract, two, one)[0]


def test_the_first_dataset_has_nothing_beside_it(tmp_path: Path) -> None:
    by = model(column("n", INTEGER), column("s"))
    number, text, _ = compare(by.contract, profiled(tmp_path, "a", by, ["1,a,1", "5,b,1", ",a,1"]), None)
    assert [bar.label for bar in number.bars] == ["1", "2", "3", "4", "5"]
    assert [bar.now for bar in number.bars] == [0.5, 0, 0, 0, 0.5]
    assert [(bar.label, bar.now) for bar in text.bars] == [("a", pytest.approx(2 / 3)), ("b", pytest.approx(1 / 3))]
    assert (number.missing, text.missing, number.missing_before) == (pytest.approx(1 / 3), 0, None)
    assert {bar.before for bar in (*number.bars, *text.bars)} == {None}
    assert not any(item.changed or item.moved or item.new_share for item in (number, text))


def test_both_are_drawn_in_the_same_bins(tmp_path: Path) -> None:
    found = both(tmp_path, NUMBER, [x / 10 for x in range(100)], [x / 10 for x in range(50, 150)])
    assert (found.low, found.high) == ("0", "14.9")
    assert len(found.bars) == 24
    assert sum(bar.now for bar in found.bars) == pytest.approx(1)
    assert sum(bar.before or 0 for bar in found.bars) == pytest.approx(1)
    assert found.bars[0].now == found.bars[-1].before == 0
    # Half of each lies where the other has nothing.
    assert found.moved == pytest.approx(0.5, abs=0.03)
    assert found.changed


def test_a_few_far_away_do_not_flatten_the_picture(tmp_path: Path) -> None:
    dice = random.Random(1)
    values = [dice.gauss(50, 10) for _ in range(500)]
    found = both(tmp_path, NUMBER, values, [*values, 1e9])
    assert found.high is not None
    assert found.high.endswith("and more")
    assert sum(bar.now > 0.01 for bar in found.bars) > 10
    assert "to 1,000,000,000" in found.summary
    assert not found.changed


def test_years_and_days_lie_close_together_and_are_drawn(tmp_path: Path) -> None:
    """A sketch that is right to 1% of a value cannot tell two years apart, nor two days since 1970."""
    years = both(tmp_path, INTEGER, list(range(2000, 2020)), list(range(2001, 2021)))
    assert [bar.label for bar in years.bars[:2]] == ["2,000", "2,001"]
    assert [bar.now for bar in years.bars] == [0] + [0.05] * 20
    days = both(tmp_path / "days", DATE, [f"2024-{m:02}-01" for m in range(1, 13)], ["2024-06-01"] * 50)
    assert days.shape == "histogram"
    assert (days.low, days.high) == ("2024-01-01", "2024-12-01")
    assert days.summary == "median 2024-06-01"
    assert max(bar.now for bar in days.bars) == 1
    assert days.changed


def test_a_picture_is_as_fine_as_the_profile() -> None:
    """A profile from before close values were counted apart: no picture, rather than a wrong one."""
    contract = Contract(id="c", version="1", columns=(column("d", DATE),))
    old = NumberProfile(count=2, minimum=19_700, maximum=20_000, positive={495: 2})
    found = compare(contract, Profile(rows=2, numbers={"d": old}), None)[0]
    assert (found.shape, found.summary) == ("none", "from 2023-12-09 to 2024-10-04")


def test_missing_values_then_and_now(tmp_path: Path) -> None:
    found = both(tmp_path, STRING, ["a"] * 90 + [""] * 10, ["a"] * 50 + [""] * 50)
    assert (found.missing_before, found.missing) == (0.1, 0.5)
    assert found.changed
    assert both(tmp_path / "less", STRING, ["a"] * 50 + [""] * 50, ["a"] * 90 + [""] * 10).changed


def test_new_categories_are_named(tmp_path: Path) -> None:
    found = both(tmp_path, STRING, ["a"] * 60 + ["b"] * 40, ["a"] * 60 + ["b"] * 30 + ["<c>"] * 9 + ["d"])
    assert found.new_share == 0.1
    assert found.new_values == ("<c>", "d")
    assert {bar.label for bar in found.bars if bar.new} == {"<c>", "d"}
    assert found.changed


def test_a_category_that_has_gone_is_shown(tmp_path: Path) -> None:
    found = both(tmp_path, STRING, ["a"] * 50 + ["b"] * 50, ["a"] * 100)
    gone = {bar.label: bar for bar in found.bars}["b"]
    assert (gone.now, gone.before, gone.new) == (0, 0.5, False)
    assert found.moved == 0.5


@pytest.mark.parametrize("rules", [{"unique": True}, {}])
def test_keys_and_free_text_are_not_categories(tmp_path: Path, rules: dict[str, Any]) -> None:
    found = both(tmp_path, STRING, [f"id{i}" for i in range(100)], [f"id{i}" for i in range(100, 200)], **rules)
    assert (found.new_share, found.moved, found.changed) == (None, None, False)
    assert (found.shape, found.summary) == ("none", "100 values, each once")


def test_the_next_numbers_of_a_key_are_no_change(tmp_path: Path) -> None:
    found = both(tmp_path, INTEGER, list(range(500)), list(range(500, 900)), unique=True)
    assert (found.shape, found.moved, found.changed) == ("histogram", None, False)
    assert both(tmp_path / "other", INTEGER, list(range(500)), list(range(500, 900))).changed


def test_free_text_is_known_by_its_length() -> None:
    contract = Contract(id="c", version="1", columns=(column("s"),))
    profile = Profile(rows=9, texts={"s": TextProfile(count=9, other=9, shortest=3, longest=1200)})
    found = compare(contract, profile, profile)[0]
    assert (found.shape, found.summary, found.changed) == ("none", "free text of 3 to 1,200 characters", False)
    alike = Profile(rows=9, texts={"s": TextProfile(count=9, other=9, shortest=5, longest=5)})
    assert compare(contract, alike, None)[0].summary == "free text of 5 characters"


def test_values_of_restricted_columns_are_compared_and_not_named(tmp_path: Path) -> None:
    before, now = ["Anna"] * 50 + ["Bertha"] * 50, ["Anna"] * 50 + ["Clara"] * 50
    found = both(tmp_path, STRING, before, now, restricted=True)
    assert found.new_share == 0.5
    assert found.changed
    assert {bar.label for bar in found.bars} == {None}
    text = found.to_json()
    assert not any(name in text for name in ("Anna", "Bertha", "Clara"))
    numbers = both(tmp_path / "n", INTEGER, [1, 2, ""], [77, 77, 77], restricted=True)
    assert (numbers.shape, numbers.summary, numbers.bars) == ("none", "not shown", ())
    assert numbers.missing_before == pytest.approx(1 / 3)
    assert "77" not in numbers.to_json()


def test_a_column_of_another_type_or_of_none_before_is_not_compared() -> None:
    contract = Contract(id="c", version="1", columns=(column("a", INTEGER), column("b")))
    now = Profile(
        rows=2,
        numbers={"a": NumberProfile(count=2, minimum=1, maximum=2, positive={1: 1, 35: 1})},
        texts={"b": TextProfile(count=2, categories={"x": 2})},
    )
    before = Profile(rows=2, texts={"a": TextProfile(count=2, categories={"1": 2})})
    for found in compare(contract, now, before):
        assert (found.missing_before, found.moved, found.new_share, found.changed) == (None, None, None, False)


def test_nothing_changed_is_seldom_called_changed(tmp_path: Path) -> None:
    """The rate that the module promises, 1% of the reports, over 300 pairs from the same population."""
    dice = np.random.default_rng(5)
    columns = (column("n", NUMBER), column("i", INTEGER), column("s"), column("t"))
    contract = Contract(id="c", version="1", columns=columns)

    def drawn(rows: int) -> Profile:
        def numbers(values: Any) -> NumberProfile:
            keys, counts = np.unique(np.ceil(np.log(values) / np.log(1.01 / 0.99)).astype(int), return_counts=True)
            return NumberProfile(
                count=rows,
                minimum=float(values.min()),
                maximum=float(values.max()),
                positive=dict(zip(keys.tolist(), counts.tolist(), strict=True)),
            )

        def texts(kinds: int, missing: float) -> TextProfile:
            gone = int(dice.binomial(rows, missing))
            keys, counts = np.unique(dice.geometric(0.4, rows - gone).clip(max=kinds), return_counts=True)
            named = dict(zip(map(str, keys), counts.tolist(), strict=True))
            return TextProfile(count=rows - gone, missing=gone, categories=named)

        return Profile(
            rows=rows,
            numbers={"n": numbers(dice.lognormal(3, 1, rows)), "i": numbers(dice.integers(1, 20, rows))},
            texts={"s": texts(5, 0.1), "t": texts(50, 0.0)},
        )

    wrong = sum(
        any(found.changed for found in compare(contract, drawn(int(n)), drawn(int(m))))
        for n, m in dice.integers(50, 3000, (300, 2))
    )
    assert wrong <= 9  # binomial(300, 1%): more than 9 in one of 1,000 runs


shares = st.lists(st.integers(0, 1000), min_size=3, max_size=8).filter(lambda counts: sum(counts) > 0)


@settings(max_examples=60, deadline=None)
@given(shares, shares)
def test_what_moved_is_a_distance(one: list[int], two: list[int]) -> None:
    """Between 0 and 1, nothing for equal shares, and by Pinsker's inequality at least the JS divergence."""
    size = min(len(one), len(two))
    profiles = [
        Profile(rows=sum(counts), texts={"s": TextProfile(count=sum(counts), categories=named)})
        for counts in (one[:size], two[:size])
        for named in [{str(i): count for i, count in enumerate(counts) if count}]
    ]
    if not all(profile.rows for profile in profiles):
        return
    contract = Contract(id="c", version="1", columns=(column("s"),))
    found = compare(contract, profiles[1], profiles[0])[0].moved
    assert compare(contract, profiles[0], profiles[0])[0].moved is None
    if found is not None:
        assert 0 < found <= 1 + 1e-9
        assert found >= jensenshannon(one[:size], two[:size], base=2) ** 2 - 1e-9


@pytest.mark.parametrize("kind", [BOOLEAN, TIMESTAMP])
def test_other_types(tmp_path: Path, kind: ColumnType) -> None:
    values = ["true", "0", "1"] if kind is BOOLEAN else ["2024-02-29T10:00:00", "2024-02-29T11:30"]
    found = both(tmp_path, kind, values, values)
    assert (
        found.summary
        == {
            BOOLEAN: "2 different values",
            TIMESTAMP: "median 2024-02-29 10:00",
        }[kind]
    )

"""Keys that came before are found as a plain set finds them, in memory and on disk, of one half and of two."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import dense, uniqueness
from ingest.uniqueness import KeyFile, Keys, Seen


@settings(max_examples=60, deadline=None)
@given(
    batches=st.lists(
        st.lists(st.tuples(st.integers(0, 12), st.integers(0, 3)), min_size=1, max_size=40), min_size=1, max_size=12
    ),
    wide=st.booleans(),
    limit=st.sampled_from([5, 50, 1_000_000]),
    bits=st.sampled_from([64, 1 << 12]),
)
def test_keys_that_came_before_are_those_of_a_set(
    batches: list[list[tuple[int, int]]], wide: bool, limit: int, bits: int
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        # Small pages and a filter that is full at once: files are looked into, and what they hold is exact.
        patch.setattr(uniqueness, "_PAGE", 4)
        patch.setattr(uniqueness, "_FEWEST_BITS", bits)
        seen, known = Seen(Path(folder), limit=limit), set()
        for batch in batches:
            pairs = np.array(batch, dtype=np.uint64)
            keys = Keys(pairs[:, 0].copy(), pairs[:, 1].copy() if wide else None)
            expected = []
            for high, low in batch:
                key = (high, low if wide else 0)
                expected.append(key in known)
                known.add(key)
            assert seen.repeated(keys).tolist() == expected
        seen.close()
        assert not list(Path(folder).iterdir())


@given(
    batches=st.lists(
        st.lists(
            st.integers(-5, 5) | st.integers(2**20 - 5, 2**20 + 5) | st.sampled_from([-(2**63), 2**63 - 1, 10**8]),
            min_size=1,
            max_size=30,
        ),
        min_size=1,
        max_size=6,
    ),
    few=st.booleans(),
)
def test_whole_numbers_that_came_before_are_those_of_a_set(batches: list[list[int]], few: bool) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        # Where hardly any bits are kept, numbers go on as keys after a while.
        patch.setattr(dense, "_FIRST_BITS", 0 if few else 1 << 24)
        patch.setattr(dense, "_BITS_A_NUMBER", 1 << 16 if few else 16)
        seen, known = Seen(Path(folder)), set()
        for batch in batches:
            expected = []
            for number in batch:
                expected.append(number in known)
                known.add(number)
            assert seen.repeated(Keys.of(np.array(batch, dtype=np.int64))).tolist() == expected
        seen.close()


def test_values_of_eight_bytes_are_keys_that_lose_nothing() -> None:
    values = np.concatenate((np.arange(-50_000, 50_000), [2**63 - 1, -(2**63)]))
    assert len(np.unique(Keys.of(values).high)) == len(values)


def test_a_file_of_keys_is_sorted_and_names_the_rows(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys")
    file.add(Keys(np.array([9, 3], dtype=np.uint64), np.array([1, 2], dtype=np.uint64)), np.array([1, 2]))
    file.add(Keys(np.array([3], dtype=np.uint64), np.array([1], dtype=np.uint64)), np.array([7]))
    written = np.fromfile(file.close(), dtype="<u8").reshape(-1, 3)
    assert written.tolist() == [[3, 1, 7], [3, 2, 2], [9, 1, 1]]

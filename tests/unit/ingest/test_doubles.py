"""Keys that are in several files, against a naive account of them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingest.doubles import doubles
from ingest.uniqueness import KeyFile, Keys

# Few different halves, among them those at the ends of their range and of the pieces.
half = st.sampled_from([0, 1, 2**56 - 1, 2**56, 2**63, 2**64 - 2**56, 2**64 - 1])
tables = st.lists(st.lists(st.tuples(half, half), max_size=12), max_size=5)


@given(tables, st.sampled_from([1, 3, 1000]))
def test_every_row_whose_key_is_in_an_earlier_file_is_found_once(
    files: list[list[tuple[int, int]]], in_memory: int
) -> None:
    expected, before = [], set()
    for number, keys in enumerate(files):
        expected += [(number, row) for row, key in enumerate(keys, start=1) if key in before]
        before |= set(keys)
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for number, keys in enumerate(files):
            file = KeyFile(Path(folder) / str(number))
            # As the engine adds them: a block at a time.
            for first in range(0, len(keys), 5):
                block = np.array(keys[first : first + 5], dtype=np.uint64).reshape(-1, 2)
                file.add(Keys(block[:, 0], block[:, 1]), np.arange(first + 1, first + 1 + len(block)))
            paths.append(file.close())
        with mock.patch("ingest.doubles._IN_MEMORY", in_memory):
            assert sorted(doubles(paths)) == expected

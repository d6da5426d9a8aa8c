"""Which of a list of known texts each text is, held against a dictionary."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingest import parsing
from ingest.categories import Categories
from ingest.parsing import PAD, Fields

# Few signs and the lengths around a word's, so that texts differ by a last sign, by a zero or by their length alone.
_TEXT = st.one_of(
    st.text(st.sampled_from("a\0é"), max_size=3),
    st.integers(0, PAD + 8).flatmap(lambda size: st.text(st.sampled_from("ab\0"), min_size=size, max_size=size)),
)


@given(st.lists(_TEXT, unique=True, max_size=20), st.lists(_TEXT, max_size=20))
def test_each_text_has_its_number(known: list[str], others: list[str]) -> None:
    categories = Categories(known)
    assert categories.texts == [text for text in known if len(text.encode()) < PAD]
    looked_for = [*others, *known]
    written = [text.encode() for text in looked_for]
    data = np.frombuffer(b"".join([bytes(PAD), *written, b"\xff" * PAD]), dtype=np.uint8)
    lengths = np.array([len(text) for text in written], dtype=np.int64)
    ends = PAD + np.cumsum(lengths)
    found = categories.find(Fields(data, parsing.words_of(data), ends - lengths, ends))
    numbers = {text: number for number, text in enumerate(categories.texts)}
    assert found.tolist() == [numbers.get(text, -1) for text in looked_for]

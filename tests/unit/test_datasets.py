"""What a model trains on, told by a plain account of the uploads in their order."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from interlock.datasets import training_set
from interlock.records import Dataset, Mode, ObjectRef, Repeat

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
# (content, mode) of each upload, a minute apart.
uploads = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(list(Mode))), max_size=12)


def ref(content: str) -> ObjectRef:
    return ObjectRef(bucket="data", key=content, version="v", sha256=content, size=1)


def dataset(content: str, number: int, mode: Mode) -> Dataset:
    return Dataset(
        id=content, model="small", claim=str(number), source=ref(content), train=ref(content), holdout=ref(content),
        profile=ref(content), report=ref(content), rows=1, train_rows=1, holdout_rows=0, bad_rows=0,
        contract_version="1", contract_sha256="c", admitted_at=NOON, mode=mode,
        uploaded_at=NOON + timedelta(minutes=number),
    )  # fmt: skip


@given(uploads, st.randoms(use_true_random=False))
def test_it_is_what_was_uploaded_since_the_last_refresh_each_content_once(
    came: list[tuple[str, Mode]], dice: random.Random
) -> None:
    # Told by hand, in the order of the uploads.
    expected: list[str] = []
    for content, mode in came:
        if mode is Mode.REFRESH:
            expected = [content]
        elif content not in expected:
            expected.append(content)
    # Admitted in any order: whichever upload of a content was admitted first is the dataset.
    admitted = list(enumerate(came))
    dice.shuffle(admitted)
    datasets: dict[str, Dataset] = {}
    repeats = []
    for number, (content, mode) in admitted:
        if content in datasets:
            at = NOON + timedelta(minutes=number)
            repeats.append(Repeat(model="small", claim=str(number), dataset=content, source=ref(content), mode=mode,
                                  uploaded_at=at))  # fmt: skip
        else:
            datasets[content] = dataset(content, number, mode)
    assert [item.id for item in training_set(list(datasets.values()), repeats, "c")] == expected


def test_of_one_second_a_refresh_comes_first() -> None:
    same = {"uploaded_at": NOON}
    found = [
        dataset("a", 1, Mode.APPEND).model_copy(update=same),
        dataset("b", 2, Mode.REFRESH).model_copy(update=same),
    ]
    assert [item.id for item in training_set(found, [], "c")] == ["b", "a"]


def test_a_record_without_the_time_of_its_upload_stands_where_it_was_admitted() -> None:
    old = dataset("a", 1, Mode.APPEND).model_copy(
        update={"uploaded_at": None, "admitted_at": NOON + timedelta(minutes=3)}
    )
    found = training_set([old, dataset("b", 2, Mode.APPEND), dataset("c", 4, Mode.APPEND)], [], "c")
    assert [item.id for item in found] == ["b", "a", "c"]

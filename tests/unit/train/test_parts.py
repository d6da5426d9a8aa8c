"""A dataset in several files is trained on like the same rows in one."""

from __future__ import annotations

import pytest

from interlock.errors import ChecksumMismatch
from interlock.records import FileList, ObjectRef, TrainingManifest
from tests.unit.train.world import World, model, parquet, people


def in_parts(world: World, values: list[tuple[object, ...]], name: str, count: int) -> ObjectRef:
    """The rows in files of their own, and the list of them."""
    size = -(-len(values) // count)
    files = tuple(
        world.data.put(f"datasets/people/9/part-{number}-{name}.parquet", parquet(model(), values[begin:][:size]))
        for number, begin in enumerate(range(0, len(values), size))
    )
    assert len(files) == count
    ref: ObjectRef = world.data.put(f"datasets/people/9/{name}.json", FileList(files=files).to_json().encode())
    return ref


def test_many_parts_freeze_to_the_same_bytes_as_one() -> None:
    values = people(count=400)
    one, many = World(), World()
    one.admit(model(), values, 9)
    many.admit(model(), values, 9, train=in_parts(many, values[::2], "train", 7),
               holdout=in_parts(many, values[1::2], "holdout", 3))  # fmt: skip
    frozen = [TrainingManifest.from_json(world.data.get(world.freeze(model()))) for world in (one, many)]
    assert (frozen[0].train.sha256, frozen[0].holdout.sha256) == (frozen[1].train.sha256, frozen[1].holdout.sha256)
    assert frozen[0].reference.sha256 == frozen[1].reference.sha256
    assert frozen[1].train_rows + frozen[1].holdout_rows == 400


def test_a_part_that_was_altered_is_not_trained_on() -> None:
    world, values = World(), people(count=40)
    parts = in_parts(world, values[::2], "train", 2)
    world.admit(model(), values, 9, train=parts)
    (_, second) = world.data.listed(parts)
    world.data.versions[second.key, second.version] = parquet(model(), values[:1])
    with pytest.raises(ChecksumMismatch, match="part-1-train"):
        world.freeze(model())

"""What was admitted before an upload: what its rules between batches and its report compare with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from interlock.aws.datasets import Datasets
from interlock.aws.objects import Objects
from interlock.datasets import place
from interlock.records import Dataset
from interlock.stats.profile import Profile


@dataclass(frozen=True)
class Batch:
    """An admitted dataset with the profile of its rows."""

    dataset: Dataset
    profile: Profile


def batches(datasets: Datasets, data: Objects, claim: str, uploaded_at: datetime, count: int) -> list[Batch]:
    """The last batches that were uploaded before this one, newest first.

    A batch that was uploaded later is left out, so that judging an old upload again compares with what it met then.

    Args:
        datasets: the model's.
        data: where their profiles lie.
        claim: of the upload that is judged; its own dataset is none of the batches.
        uploaded_at: when it was uploaded.
        count: how many batches at most.
    """
    before = [item for item in datasets.admitted() if item.claim != claim and place(item)[0] <= uploaded_at]
    return [Batch(item, Profile.from_json(data.get(item.profile))) for item in before[::-1][:count]]

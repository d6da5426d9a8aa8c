"""What a model trains on: which of its datasets, in which order, whatever the order in which they were admitted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from interlock.records import Dataset, Mode, Repeat


def place(upload: Dataset | Repeat) -> tuple[datetime, bool, str]:
    """Where an upload stands among a model's uploads: by S3's time.

    That counts whole seconds: of the same second a refresh comes first, so that nothing that was added is lost.
    """
    at = upload.uploaded_at or (upload.admitted_at if isinstance(upload, Dataset) else None)
    assert at is not None  # noqa: S101 - a repeat always has its time
    return at, upload.mode is Mode.APPEND, upload.claim


def training_set(datasets: Sequence[Dataset], repeats: Iterable[Repeat], contract_sha256: str) -> list[Dataset]:
    """The datasets that take part, oldest first.

    All that were uploaded since the last refresh, it included. The same bytes count once, where they first came since
    then: sent again they change nothing, unless a refresh had put them out. Of the same bytes judged under several
    contracts, today's judgement counts, or else the newest.

    Args:
        datasets: all that were admitted.
        repeats: uploads of the same bytes again.
        contract_sha256: of today's contract.
    """
    known = {dataset.id: dataset for dataset in datasets}
    found: list[Dataset | Repeat] = [*datasets, *(repeat for repeat in repeats if repeat.dataset in known)]
    uploads = sorted(found, key=place)
    last = max((number for number, upload in enumerate(uploads) if upload.mode is Mode.REFRESH), default=0)
    judged: dict[str, Dataset] = {}
    for upload in uploads[last:]:
        dataset = known[upload.dataset] if isinstance(upload, Repeat) else upload
        before = judged.get(dataset.content)
        if before is None or _counts_rather(dataset, before, contract_sha256):
            # A known key keeps its place.
            judged[dataset.content] = dataset
    return list(judged.values())


def _counts_rather(one: Dataset, other: Dataset, contract_sha256: str) -> bool:
    today = one.contract_sha256 == contract_sha256, other.contract_sha256 == contract_sha256
    return one.admitted_at > other.admitted_at if today[0] == today[1] else today[0]

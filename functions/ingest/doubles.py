"""Finds the rows of a set whose keys are in an earlier file; these files are judged once more, without them.

The engine has written a file of keys for each rule that asks for uniqueness; `ingest.uniqueness` has their format.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from aws_lambda_powertools.utilities.typing import LambdaContext

from ingest.sets import JudgedPart, Repeated, as_items, judged
from interlock import keys
from interlock.aws.objects import Objects
from interlock.observability import logger, observed
from interlock.settings import DataBucket

# Keys are compared in so many pieces, each of one range of their high bits: memory is that of the largest.
_PIECES = 256


@observed
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """{claim, model, results} → {items, files}: which files are judged again, and how many they are."""
    logger.append_keys(model=event["model"], claim=event["claim"])
    data = Objects(DataBucket.load().data_bucket)
    found = judged(data, [event["results"]])
    repeated = across(data, found)
    again = [
        document.part.model_copy(
            update={
                "repeated": data.put(
                    keys.work(event["model"], event["claim"], keys.part(document.part.index, "repeated.json")),
                    repeated[document.part.index].to_json().encode(),
                    "application/json",
                )
            }
        )
        for document in found
        if document.part.index in repeated
    ]
    ref = data.put(keys.work(event["model"], event["claim"], "again.json"), as_items(again), "application/json")
    return {"items": {"key": ref.key, "version": ref.version}, "files": len(again)}


def across(data: Objects, found: Sequence[JudgedPart]) -> dict[int, Repeated]:
    """By file, the rows whose key is in an earlier file, for each rule that asks for uniqueness."""
    rows: dict[int, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for rule in sorted({rule for document in found for rule in document.keys}):
        # One rule after the other, so that the keys of one must fit on the disk.
        scratch = Path(tempfile.mkdtemp(prefix="ingest-"))
        try:
            holding = [document for document in found if rule in document.keys]
            files = data.get_files((document.keys[rule] for document in holding), scratch / "keys")
            for number, row in doubles(files):
                rows[holding[number].part.index][rule].append(row)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return {
        index: Repeated(rows={rule: tuple(sorted(listed)) for rule, listed in by_rule.items()})
        for index, by_rule in rows.items()
    }


def doubles(files: Sequence[Path]) -> Iterator[tuple[int, int]]:
    """(number of the file, row) of every row whose key is in an earlier one of these files of keys."""
    kept = [
        (number, np.memmap(path, dtype="<u8", mode="r").reshape(-1, 3))
        for number, path in enumerate(files)
        if path.stat().st_size
    ]
    ends = [int(piece * 2**64 // _PIECES) for piece in range(1, _PIECES)]
    bounds = [(number, keys_, np.searchsorted(keys_[:, 0], np.array(ends, np.uint64))) for number, keys_ in kept]
    for piece in range(_PIECES):
        found = [
            (number, keys_[(ends_[piece - 1] if piece else 0) : (ends_[piece] if piece < len(ends_) else len(keys_))])
            for number, keys_, ends_ in bounds
        ]
        if not any(len(keys_) for _, keys_ in found):
            continue
        every = np.concatenate([keys_ for _, keys_ in found])
        file = np.concatenate([np.full(len(keys_), number) for number, keys_ in found])
        order = np.lexsort((every[:, 2], file, every[:, 1], every[:, 0]))
        every, file = every[order], file[order]
        begins = np.concatenate(([True], (every[1:, :2] != every[:-1, :2]).any(axis=1)))
        # The file in which each key comes first, at each of its rows.
        first = file[np.flatnonzero(begins)][np.cumsum(begins) - 1]
        yield from zip(file[file > first].tolist(), every[file > first, 2].tolist(), strict=True)

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

# Of a key with its row.
_BYTES = 24
# Keys are compared in pieces of about so many, each of one range of their high bits.
_IN_MEMORY = 4_000_000


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
    lengths = [path.stat().st_size // _BYTES for path in files]
    pieces = 1 + sum(lengths) // _IN_MEMORY
    ends = np.array([piece * 2**64 // pieces for piece in range(1, pieces)], np.uint64)
    # Where the pieces of each file begin and end. No file is kept open: there may be more of them than a function may.
    bounds = [
        [0, *np.searchsorted(np.memmap(path, "<u8", "r").reshape(-1, 3)[:, 0], ends).tolist(), length]
        if length
        else None
        for path, length in zip(files, lengths, strict=True)
    ]
    for piece in range(pieces):
        found = [
            (
                number,
                np.fromfile(files[number], "<u8", 3 * (bound[piece + 1] - bound[piece]), offset=_BYTES * bound[piece]),
            )
            for number, bound in enumerate(bounds)
            if bound is not None
        ]
        every = np.concatenate([keys_.reshape(-1, 3) for _, keys_ in found]) if found else np.zeros((0, 3), np.uint64)
        if not len(every):
            continue
        file = np.concatenate([np.full(len(keys_) // 3, number) for number, keys_ in found])
        order = np.lexsort((every[:, 2], file, every[:, 1], every[:, 0]))
        every, file = every[order], file[order]
        begins = np.concatenate(([True], (every[1:, :2] != every[:-1, :2]).any(axis=1)))
        # The file in which each key comes first, at each of its rows.
        first = file[np.flatnonzero(begins)][np.cumsum(begins) - 1]
        yield from zip(file[file > first].tolist(), every[file > first, 2].tolist(), strict=True)

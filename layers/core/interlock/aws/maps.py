"""Distributed maps: what their runs answered."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from interlock.aws.objects import Objects


def map_answers(data: Objects, written: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The answers of a map's runs, in no order.

    Args:
        data: the bucket they were written to.
        written: where, as Step Functions says (`ResultWriterDetails`).
    """
    manifest = json.loads(data.raw(written["Key"]))
    for file in manifest["ResultFiles"]["SUCCEEDED"]:
        yield from json.loads(data.raw(file["Key"]))

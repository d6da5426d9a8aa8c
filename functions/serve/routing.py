"""Which version answers a request: a sticky hash of its routing key. Pure, and the same on every instance."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

_SPACE = 1 << 64


def routing_key(
    how: str | None, headers: Mapping[str, str], parameters: Mapping[str, Any], values: Mapping[str, Sequence[Any]]
) -> bytes:
    """What decides: the named header or parameter, or the first row where there is none, or the request lacks it.

    Args:
        how: `header:<name>`, `parameter:<name>` or None.
        headers: by lower-case name.
        parameters: the request's own.
        values: the inputs, each [rows].
    """
    place, _, name = (how or "").partition(":")
    found = headers.get(name.lower()) if place == "header" else parameters.get(name) if place == "parameter" else None
    if found is not None:
        return f"{place}:{found}".encode()
    return json.dumps([column[0] for column in values.values()], separators=(",", ":")).encode()


def place(split: str, key: bytes) -> int:
    """Where a key lies among 2**64 places; another split mixes the keys anew."""
    return int.from_bytes(hashlib.blake2b(key, digest_size=8, key=split.encode()[:64]).digest(), "big")


def is_challengers(share: float, found: int) -> bool:
    """Whether this place is the challenger's; a larger share takes none away that a smaller one had."""
    return found < share * _SPACE

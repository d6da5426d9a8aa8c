"""The prediction cache: scores that were computed before. It is there only where the deployment gives it memory."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from threading import Lock

from serve.protocol.response import encode
from serve.protocol.tensors import Array

# What an entry takes beside its scores, by tracemalloc: the key, the array's own object, and their place in the order.
_BYTES_AN_ENTRY = 400


class Cache:
    """Scores by who computes them and of what, at most so many bytes; the least recently used go."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._scores: OrderedDict[bytes, Array] = OrderedDict()
        self._asked = self._found = 0
        self._lock = Lock()

    def scores(self, owner: bytes, tensors: Mapping[str, Array], run: Callable[[Mapping[str, Array]], Array]) -> Array:
        """The scores of these tensors, [rows, classes] or [rows, 1], by the session's run where they are not known.

        The tensors are the canonical form of a request: however a number was spelled, it is one number in them.
        `owner` names the model, its version and the sha256 of its file, so that nothing is found across them.
        """
        key = _key(owner, tensors)
        with self._lock:
            self._asked += 1
            if (known := self._scores.get(key)) is not None:
                self._scores.move_to_end(key)
                self._found += 1
                return known
        found = run(tensors)
        found.flags.writeable = False
        with self._lock:
            if key not in self._scores:
                self._scores[key] = found
                self._held += _size(found)
            while self._held > self._limit:
                _, gone = self._scores.popitem(last=False)
                self._held -= _size(gone)
        return found

    def told(self) -> dict[str, float]:
        """How often something was asked for and found since this was asked last; the metrics' ratio is the hit rate."""
        with self._lock:
            told: dict[str, float] = {"CacheLookups": self._asked, "CacheHits": self._found}
            self._asked = self._found = 0
        return told


def _size(scores: Array) -> int:
    return int(scores.nbytes) + _BYTES_AN_ENTRY


def _key(owner: bytes, tensors: Mapping[str, Array]) -> bytes:
    digest = hashlib.blake2b(owner, digest_size=16)
    for tensor in tensors.values():
        # Texts as JSON, in which none can be taken for a part of another; numbers by their bytes.
        digest.update(encode(tensor[:, 0].tolist()) if tensor.dtype == object else tensor.tobytes())
    return digest.digest()

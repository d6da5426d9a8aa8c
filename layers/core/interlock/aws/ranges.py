"""An object read in ranges: a few at a time ahead of the reader, never the whole of it in memory or on disk."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from interlock.records import ObjectRef

_RANGE = 8 << 20
_AHEAD = 3

# (first byte, byte after the last) → these bytes.
Fetch = Callable[[int, int], bytes]


class RangedObject:
    """One version of an object, read once from its beginning to its end."""

    def __init__(self, fetch: Fetch, bucket: str, key: str, version: str, size: int) -> None:
        self.size = size
        self._fetch, self._place = fetch, (bucket, key, version)
        self._digest = hashlib.sha256()
        self._pool = ThreadPoolExecutor(_AHEAD, thread_name_prefix="range")
        self._coming: deque[Future[bytes]] = deque()
        self._asked = 0
        self._rest = memoryview(b"")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def open(self) -> Self:
        """The reader itself; there is one reading."""
        return self

    def part(self, first: int, end: int) -> bytes:
        """Some bytes (`end` not included), apart from the reading in order.

        Raises:
            DependencyUnavailable: they could not be read.
        """
        return self._fetch(first, end)

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes, none at the end.

        Raises:
            DependencyUnavailable: the object could not be read on.
        """
        if not self._rest and not (self._asked >= self.size and not self._coming):
            while len(self._coming) < _AHEAD and self._asked < self.size:
                first, self._asked = self._asked, min(self._asked + _RANGE, self.size)
                self._coming.append(self._pool.submit(self._fetch, first, self._asked))
            body = self._coming.popleft().result()
            self._digest.update(body)
            self._rest = memoryview(body)
        found, self._rest = self._rest[:size], self._rest[size:]
        return bytes(found)

    def ref(self) -> ObjectRef:
        """What was read; what nobody wanted to read is read now, for its hash."""
        while self.read(_RANGE):
            pass
        bucket, key, version = self._place
        return ObjectRef(bucket=bucket, key=key, version=version, sha256=self._digest.hexdigest(), size=self.size)

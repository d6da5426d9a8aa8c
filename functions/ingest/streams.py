"""Bytes of an upload in order: unpacked while they are read, within limits, and as UTF-8."""

from __future__ import annotations

import codecs
import gzip
import sys
import zlib
from pathlib import Path
from typing import Protocol

from ingest import rules
from ingest.failure import WholeFile
from ingest.records import Stream

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
# What a function can judge in its 15 minutes, and what no table of values packs better than.
_MAX_BYTES = 32 << 30
_MAX_GROWTH = 200


class Upload(Protocol):
    """The bytes of an upload, wherever they are."""

    @property
    def size(self) -> int:
        """How many there are."""

    def open(self) -> Stream:
        """Read them from the first on."""


class LocalFile:
    """An upload that is a file on this machine."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.path.stat().st_size

    def open(self) -> Stream:
        """The file itself."""
        return self.path.open("rb", buffering=0)


class Peeked:
    """A stream whose beginning was looked at."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._start = b""

    def peek(self, size: int) -> bytes:
        """The next bytes, fewer only at the end; they are read again."""
        while len(self._start) < size and (more := self._stream.read(size - len(self._start))):
            self._start += more
        return self._start[:size]

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes."""
        found, self._start = self._start[:size], self._start[size:]
        if len(found) < size:
            found += self._stream.read(size - len(found))
        return found

    def line(self, limit: int) -> bytes:
        """The next line with its end, cut off at a limit."""
        size = 4096
        while b"\n" not in (start := self.peek(size)) and len(start) == size < limit:
            size = min(size * 2, limit)
        return self.read(start.index(b"\n") + 1 if b"\n" in start else max(len(start), 1))


def unpacked(upload: Upload) -> tuple[Peeked, bool]:
    """The upload's bytes, and whether they were packed.

    Raises:
        WholeFile: it is empty; later, while reading: it is cut off, damaged or a bomb.
    """
    if upload.size == 0:
        raise WholeFile(rules.EMPTY, "the file has 0 bytes")
    stream = Peeked(upload.open())
    start = stream.peek(4)
    if not start.startswith((_GZIP, _ZSTD)):
        if upload.size > _MAX_BYTES:
            raise WholeFile(rules.TOO_LARGE, f"it has {upload.size / 1e6:,.0f} MB; allowed: {_MAX_BYTES / 1e6:,.0f} MB")
        return stream, False
    packing = "gzip" if start.startswith(_GZIP) else "zstd"
    plain = Peeked(_Unpacked(stream, packing, min(_MAX_BYTES, upload.size * _MAX_GROWTH + (1 << 20))))
    if not plain.peek(1):
        raise WholeFile(rules.EMPTY, "the unpacked file has 0 bytes")
    return plain, True


class _Unpacked:
    """What a packed stream holds, up to a limit."""

    def __init__(self, stream: Peeked, packing: str, limit: int) -> None:
        self._packing, self._limit, self._written = packing, limit, 0
        self._plain: Stream
        if packing == "gzip":
            self._plain = gzip.GzipFile(fileobj=stream, mode="rb")  # type: ignore[call-overload]
            self._damages: tuple[type[Exception], ...] = (gzip.BadGzipFile, zlib.error)
        else:
            if sys.version_info >= (3, 14):
                from compression import zstd
            else:
                from backports import zstd
            self._plain = zstd.ZstdFile(stream)  # type: ignore[call-overload]
            self._damages = (zstd.ZstdError,)

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes."""
        try:
            found = self._plain.read(size)
        except EOFError:
            what = f"the {self._packing} stream is cut off: the upload or the export broke"
            raise WholeFile(rules.UNREADABLE, what) from None
        except self._damages as error:
            raise WholeFile(rules.UNREADABLE, f"the {self._packing} stream is damaged: {error}") from None
        self._written += len(found)
        if self._written > self._limit:
            raise WholeFile(rules.TOO_LARGE, f"it unpacks to more than {self._limit / 1e6:,.0f} MB")
        return found


class Utf8:
    """A text in another encoding as UTF-8. Bytes that mean nothing in it stay as they are, and are no UTF-8 either."""

    def __init__(self, stream: Stream, encoding: str) -> None:
        self._stream, self._encoding = stream, encoding
        self._decoder = codecs.getincrementaldecoder(encoding)(
            "strict" if encoding.startswith("utf-16") else "surrogateescape"
        )

    def read(self, size: int, /) -> bytes:
        """About as many bytes as `size` bytes of the file mean."""
        while True:
            found = self._stream.read(size)
            try:
                text = self._decoder.decode(found, final=not found)
            except UnicodeDecodeError as error:
                what = f"it is not {self._encoding.upper()}: {error.reason}"
                raise WholeFile(rules.UNREADABLE, what) from None
            if text or not found:
                return text.encode("utf-8", "surrogateescape")

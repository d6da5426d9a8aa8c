"""Bytes of a file in order: unpacked while they are read, within limits, recognised by themselves, and as UTF-8.

What is wrong with a file is raised as whoever reads it wants it told: by the `refuse` that is given along.
"""

from __future__ import annotations

import codecs
import gzip
import sys
import zlib
from collections.abc import Callable
from enum import Enum
from typing import Protocol

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
# RFC 8878 lets frames without content come first, as pzstd writes them.
_SKIPPED = tuple(bytes([low]) + b"\x2a\x4d\x18" for low in range(0x50, 0x60))
# What a function can read in its 15 minutes, and what no table of values packs better than.
_MAX_BYTES = 32 << 30
_MAX_GROWTH = 200


class Fault(Enum):
    """What can be wrong with a file's bytes."""

    EMPTY = "it holds nothing"
    UNREADABLE = "it is damaged, or something else than what is read"
    TOO_LARGE = "it, or something in it, is larger than what is read"


# The error for a fault, with what was found.
Refuse = Callable[[Fault, str], Exception]


class Stream(Protocol):
    """Bytes in order."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; none at the end."""


class File(Protocol):
    """The bytes of a file, wherever they are."""

    @property
    def size(self) -> int:
        """How many there are."""

    def open(self) -> Stream:
        """Read them from the first on."""


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


def unpacked(file: File, refuse: Refuse) -> tuple[Peeked, bool]:
    """The file's bytes, and whether they were packed; a fault may also show later, while they are read."""
    if file.size == 0:
        raise refuse(Fault.EMPTY, "the file has 0 bytes")
    stream = Peeked(file.open())
    start = stream.peek(4)
    if not start.startswith((_GZIP, _ZSTD, *_SKIPPED)):
        if file.size > _MAX_BYTES:
            allowed = f"it has {file.size / 1e6:,.0f} MB; allowed: {_MAX_BYTES / 1e6:,.0f} MB"
            raise refuse(Fault.TOO_LARGE, allowed)
        return stream, False
    packing = "gzip" if start.startswith(_GZIP) else "zstd"
    plain = Peeked(_Unpacked(stream, packing, min(_MAX_BYTES, file.size * _MAX_GROWTH + (1 << 20)), refuse))
    if not plain.peek(1):
        raise refuse(Fault.EMPTY, "the unpacked file has 0 bytes")
    return plain, True


class _Unpacked:
    """What a packed stream holds, up to a limit."""

    def __init__(self, stream: Peeked, packing: str, limit: int, refuse: Refuse) -> None:
        self._packing, self._limit, self._refuse, self._written = packing, limit, refuse, 0
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
            raise self._refuse(Fault.UNREADABLE, what) from None
        except self._damages as error:
            raise self._refuse(Fault.UNREADABLE, f"the {self._packing} stream is damaged: {error}") from None
        self._written += len(found)
        if self._written > self._limit:
            much = f"it unpacks to more than {self._limit / 1e6:,.0f} MB"
            if self._limit < _MAX_BYTES:
                much += f", {_MAX_GROWTH} times its size, as a bomb does"
            raise self._refuse(Fault.TOO_LARGE, much)
        return found


class Utf8:
    """A text in another encoding as UTF-8. Bytes that mean nothing in it stay as they are, and are no UTF-8 either."""

    def __init__(self, stream: Stream, encoding: str, refuse: Refuse) -> None:
        self._stream, self._encoding, self._refuse = stream, encoding, refuse
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
                raise self._refuse(Fault.UNREADABLE, what) from None
            if text or not found:
                return text.encode("utf-8", "surrogateescape")


_FOREIGN = {
    b"PK\x03\x04": "a ZIP archive or an Excel workbook",
    b"BZh": "compressed with bzip2",
    b"\xfd7zXZ": "compressed with xz",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"ARROW1": "an Arrow file",
    b"Obj\x01": "an Avro file",
    b"%PDF": "a PDF",
    b"[": "one JSON array, not JSON Lines",
}
_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def is_parquet(stream: Peeked) -> bool:
    """Whether a file of this beginning is a Parquet file."""
    return stream.peek(4) == b"PAR1"


def as_utf8(stream: Peeked, encoding: str | None, refuse: Refuse) -> Peeked:
    """A file of text as UTF-8 without its mark; UTF-16 is known by its mark, another encoding must be declared."""
    start = stream.peek(4096)
    encoding = encoding or next((name for mark, name in _MARKS.items() if start.startswith(mark)), "utf-8")
    if encoding == "utf-16" and not any(start.startswith(mark) for mark in _MARKS):
        # Nearly every text begins with a sign of the first 256.
        encoding = "utf-16-be" if start.startswith(b"\x00") else "utf-16-le"
    if encoding != "utf-8":
        stream = Peeked(Utf8(stream, encoding, refuse))
        start = stream.peek(4096)
    if start.startswith(codecs.BOM_UTF8):
        stream.read(len(codecs.BOM_UTF8))
        start = stream.peek(4096)
    for mark, meaning in _FOREIGN.items():
        if start.startswith(mark):
            raise refuse(Fault.UNREADABLE, f"it is {meaning}")
    # One in a value is a value's; a text of two bytes a sign is half of them, and so is much that is no text.
    if b"\x00" in start.partition(b"\n")[0] or start.count(0) > len(start) // 10:
        raise refuse(Fault.UNREADABLE, "it is binary, or UTF-16 without a byte order mark and undeclared")
    return stream

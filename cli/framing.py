"""The body of a request as HTTP/1.1 frames it (RFC 9112, 6 and 7); the standard library's server leaves that to us."""

from __future__ import annotations

from collections.abc import Iterator
from email.message import Message
from io import BufferedIOBase

from interlock.errors import InvalidRequest, PayloadTooLarge

# The quota of HTTP APIs, which cannot be raised.
LARGEST = 10 * 1024 * 1024
_LINE = 64 * 1024


def framed(file: BufferedIOBase, headers: Message) -> Iterator[bytes]:
    """A request's body, in pieces.

    Raises:
        InvalidRequest: its length is not said, or in two ways; it breaks off.
        PayloadTooLarge: it is longer than the API takes.
    """
    lengths, coding = headers.get_all("content-length", []), headers.get("transfer-encoding", "").lower()
    if (coding and lengths) or coding not in {"", "chunked"} or len(lengths) > 1:
        raise InvalidRequest("the length of the body must be said once")
    if not coding:
        if lengths:
            yield _exactly(file, _length(lengths[0], 10))
        return
    total = 0
    while size := _length(file.readline(_LINE).split(b";")[0].strip().decode("latin-1"), 16):
        total += size
        _length(str(total), 10)
        yield _exactly(file, size)
        file.readline(_LINE)
    while file.readline(_LINE).strip():
        continue


def _length(text: str, base: int) -> int:
    if not text.isalnum() or not text.isascii():
        raise InvalidRequest("the length of the body is not a number")
    try:
        found = int(text, base)
    except ValueError:
        raise InvalidRequest("the length of the body is not a number") from None
    if found > LARGEST:
        raise PayloadTooLarge(f"the body is larger than {LARGEST >> 20} MB")
    return found


def _exactly(file: BufferedIOBase, size: int) -> bytes:
    found = file.read(size)
    if len(found) < size:
        raise InvalidRequest("the body breaks off")
    return found

"""Records of a text: lines of JSON, or of CSV, whose quoted fields may hold line breaks.

A malformed record neither hides nor moves the others: where a quote is left open, or a quoted line break gives a
record the wrong number of fields, the record ends with its line. That is how ingest reads, so that rows have the same
numbers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from interlock.streams import Fault, Stream
from serve.score.documents import unreadable

_CHUNK = 1 << 20
# A record that spans lines may be this long before its quote counts as left open.
_LONGEST = 1 << 20
_MAX_LINE = 16_000_000
_BLANK = {b"\n", b"\r\n"}


class Line(NamedTuple):
    """A physical line with its end; `number` counts from 1."""

    number: int
    data: bytes


class Record(NamedTuple):
    """One record: the line it begins in, its bytes with their end, and its fields, or why it has none."""

    line: int
    data: bytes
    fields: list[str]
    wrong: str | None = None


def lines(stream: Stream, first: int = 1) -> Iterator[Line]:
    """The lines of a stream; the last has an end whether the file gives it one or not.

    Raises:
        InvalidUpload: one is too long to be a row.
    """
    rest, number = b"", first
    while chunk := stream.read(_CHUNK):
        *whole, rest = (rest + chunk).split(b"\n")
        if len(rest) > _MAX_LINE:
            raise unreadable(Fault.TOO_LARGE, f"a row has more than {_MAX_LINE / 1e6:.0f} MB")
        for line in whole:
            yield Line(number, line + b"\n")
            number += 1
    if rest:
        yield Line(number, rest + b"\n")


def json_records(given: Iterator[Line]) -> Iterator[Record]:
    """Each line that is not blank."""
    return (Record(line.number, line.data, []) for line in given if line.data not in _BLANK)


class Csv:
    """How records of CSV are written: one character between fields, one (or none) around them, so many fields."""

    def __init__(self, delimiter: str, quote: str, fields: int) -> None:
        self.delimiter, self.quote, self.fields = delimiter, quote, fields
        self._quote = quote.encode()

    def records(self, given: Iterator[Line]) -> Iterator[Record]:
        """The records of these lines."""
        waiting: deque[Line] = deque()
        while waiting or (line := next(given, None)) is not None:
            if waiting:
                line = waiting.popleft()
            assert line is not None  # noqa: S101 - narrows the type
            if line.data in _BLANK:
                continue
            if self._quote and self._quote in line.data:
                yield self._quoted(line, given, waiting)
            else:
                yield self._checked(line, line.data, _text(line.data[:-1].removesuffix(b"\r")).split(self.delimiter))

    def split(self, text: str) -> list[str] | None:
        """The fields of one line; None when a quote is not closed in it, or not at a field's end."""
        return self._fields(text, iter(()))[0]

    def _quoted(self, line: Line, given: Iterator[Line], waiting: deque[Line]) -> Record:
        taken: deque[Line] = deque()

        def more() -> Iterator[Line]:
            size = len(line.data)
            while size < _LONGEST and (following := waiting.popleft() if waiting else next(given, None)) is not None:
                taken.append(following)
                size += len(following.data)
                yield following

        fields, read = self._fields(_text(line.data), more())
        if fields is None or (taken and len(fields) != self.fields):
            # What was read on belongs to the records after this one.
            waiting.extendleft(reversed(taken))
            return Record(line.number, line.data, [], "a quote is not closed, or text follows it")
        return self._checked(line, read, fields)

    def _fields(self, text: str, more: Iterator[Line]) -> tuple[list[str] | None, bytes]:
        """The fields, and the bytes that hold them; lines are taken on while a quote is open."""
        quote, found, at = self.quote, [], 0
        while True:
            if quote and text.startswith(quote, at):
                end = search = at + 1
                while True:
                    end = text.find(quote, search)
                    if end < 0:
                        search = len(text)
                        following = next(more, None)
                        if following is None:
                            return None, b""
                        text += _text(following.data)
                    elif text.startswith(quote, end + 1):
                        search = end + 2
                    else:
                        break
                found.append(text[at + 1 : end].replace(quote * 2, quote))
                at = end + 1
            else:
                cuts = [cut for cut in (text.find(self.delimiter, at), text.find("\n", at)) if cut >= 0]
                end = min(cuts, default=len(text))
                field = text[at:end]
                found.append(field if text.startswith(self.delimiter, end) else field.removesuffix("\r"))
                at = end
            if text[at:] in {"", "\n", "\r\n"}:
                return found, text.encode("utf-8", "surrogateescape")
            if not text.startswith(self.delimiter, at):
                return None, b""
            at += 1

    def _checked(self, line: Line, data: bytes, fields: list[str]) -> Record:
        if not data.isascii() and not _is_utf8(data):
            return Record(line.number, data, [], "bytes that are not UTF-8")
        if len(fields) != self.fields:
            return Record(line.number, data, [], f"{len(fields)} fields instead of {self.fields}")
        return Record(line.number, data, fields)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True

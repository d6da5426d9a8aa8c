"""Bytes of an upload in order (`interlock.streams`); what is wrong with them is a rule that the file violates."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from ingest import rules
from ingest.failure import WholeFile
from ingest.records import Stream
from interlock import streams
from interlock.streams import Fault, Peeked

__all__ = ["LocalFile", "Peeked", "Upload", "as_utf8", "refused", "unpacked"]
_RULES = {Fault.EMPTY: rules.EMPTY, Fault.UNREADABLE: rules.UNREADABLE, Fault.TOO_LARGE: rules.TOO_LARGE}


class Upload(streams.File, Protocol):
    """The bytes of an upload, wherever they are."""

    def part(self, first: int, end: int) -> bytes:
        """Some of them, `end` not included; does not count as reading."""


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

    def part(self, first: int, end: int) -> bytes:
        """Some of its bytes."""
        with self.path.open("rb") as file:
            file.seek(first)
            return file.read(end - first)


def unpacked(upload: Upload) -> tuple[Peeked, bool]:
    """The upload's bytes, and whether they were packed.

    Raises:
        WholeFile: it is empty; later, while reading: it is cut off, damaged or a bomb.
    """
    return streams.unpacked(upload, refused)


def as_utf8(stream: Peeked, encoding: str | None) -> Peeked:
    """An upload of text as UTF-8 without its mark.

    Raises:
        WholeFile: it is no text, or none in the declared encoding; the latter perhaps later, while reading.
    """
    return streams.as_utf8(stream, encoding, refused)


def refused(fault: Fault, found: str) -> WholeFile:
    """The rule that a fault violates."""
    return WholeFile(_RULES[fault], found)

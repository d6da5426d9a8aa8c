"""What serving reads of the stored records, decoded without the library that defines them.

Building `interlock.records` takes a cold function longer than opening a model does. These are the same documents, with
the fields that serving needs and no others; a test reads what `interlock.records` wrote.
"""

from __future__ import annotations

from functools import cached_property
from typing import Literal

import msgspec

from interlock.errors import IntegrityError
from interlock.kind import Kind


class Ref(msgspec.Struct, frozen=True):
    """Exactly these bytes in S3 (`interlock.records.ObjectRef`)."""

    bucket: str
    key: str
    version: str
    sha256: str
    size: int


class Input(msgspec.Struct, frozen=True):
    """One input of a served model; `edges` or `categories` are the bins in which a restricted value is captured."""

    name: str
    datatype: Literal["FP32", "INT64", "BOOL", "BYTES"]
    required: bool
    restricted: bool = False
    edges: tuple[float, ...] | None = None
    categories: tuple[str, ...] | None = None


class ServedModel(msgspec.Struct, frozen=True, dict=True):
    """All that serving needs beside the ONNX file."""

    schema_version: Literal[1]
    model: str
    version: int
    kind: Kind
    inputs: tuple[Input, ...]
    classes: tuple[str, ...]
    threshold: float | None
    onnx: Ref

    @cached_property
    def restricted(self) -> tuple[Input, ...]:
        """The inputs whose values never leave the function."""
        return tuple(item for item in self.inputs if item.restricted)


class Candidate(msgspec.Struct, frozen=True):
    """A registered version."""

    version: int
    served: Ref


class LiveRelease(msgspec.Struct, frozen=True):
    """What serves now; the challenger answers `share` of the calls, split by a hash of `key` that `split` seeds."""

    schema_version: Literal[1]
    model: str
    revision: int
    champion: Candidate | None
    challenger: Candidate | None = None
    share: float = 0.0
    key: str | None = None
    split: str = ""


_RELEASE, _SERVED = msgspec.json.Decoder(LiveRelease), msgspec.json.Decoder(ServedModel)


def live_release(document: bytes) -> LiveRelease:
    """The live record of a model.

    Raises:
        IntegrityError: the stored text is no such record.
    """
    try:
        return _RELEASE.decode(document)
    except msgspec.DecodeError as error:
        raise IntegrityError(f"the stored live release cannot be read: {error}") from None


def served_model(document: bytes) -> ServedModel:
    """A version's description.

    Raises:
        IntegrityError: the stored text is no such record.
    """
    try:
        return _SERVED.decode(document)
    except msgspec.DecodeError as error:
        raise IntegrityError(f"a stored served.json cannot be read: {error}") from None

"""A request of the protocol as it is sent: what each datatype may hold, said once, as types that decode and check."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

# What float32 cannot hold would be answered with NaN.
_LARGEST = 3.4028234663852886e38
Long = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Number = Annotated[float, msgspec.Meta(ge=-_LARGEST, le=_LARGEST)]


class _Given(msgspec.Struct, tag_field="datatype"):
    name: str
    shape: list[int]


class _Bool(_Given, tag="BOOL"):
    data: list[bool | None]


class _Bytes(_Given, tag="BYTES"):
    data: list[str | None]


class _Fp32(_Given, tag="FP32"):
    data: list[Number | None]


class _Fp64(_Given, tag="FP64"):
    data: list[Number | None]


class _Int8(_Given, tag="INT8"):
    data: list[Annotated[int, msgspec.Meta(ge=-(2**7), lt=2**7)] | None]


class _Int16(_Given, tag="INT16"):
    data: list[Annotated[int, msgspec.Meta(ge=-(2**15), lt=2**15)] | None]


class _Int32(_Given, tag="INT32"):
    data: list[Annotated[int, msgspec.Meta(ge=-(2**31), lt=2**31)] | None]


class _Int64(_Given, tag="INT64"):
    data: list[Long | None]


class _Uint8(_Given, tag="UINT8"):
    data: list[Annotated[int, msgspec.Meta(ge=0, lt=2**8)] | None]


class _Uint16(_Given, tag="UINT16"):
    data: list[Annotated[int, msgspec.Meta(ge=0, lt=2**16)] | None]


class _Uint32(_Given, tag="UINT32"):
    data: list[Annotated[int, msgspec.Meta(ge=0, lt=2**32)] | None]


class Uint64(_Given, tag="UINT64"):
    """Its upper bound is one that the decoder cannot keep."""

    data: list[Annotated[int, msgspec.Meta(ge=0)] | None]


Input = _Bool | _Bytes | _Fp32 | _Fp64 | _Int8 | _Int16 | _Int32 | _Int64 | _Uint8 | _Uint16 | _Uint32 | Uint64


class _Asked(msgspec.Struct):
    name: str


class Form(msgspec.Struct, kw_only=True):
    """What every request may hold beside its inputs."""

    id: str | None = None
    outputs: list[_Asked] | None = None
    parameters: dict[str, Any] = {}


class Document(Form):
    """A request with its inputs in any order, of any datatype."""

    inputs: list[Input]


# What a value of each of the signature's datatypes may be.
VALUE: dict[str, Any] = {"FP32": Number, "INT64": Long, "BOOL": bool, "BYTES": str}
DATATYPE = {kind: str(kind.__struct_config__.tag) for kind in Input.__args__}

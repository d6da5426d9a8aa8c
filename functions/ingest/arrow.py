"""Hands numpy arrays to the engine without copying them, and takes its answers as such: the Arrow C stream interface.

The structures are those of https://arrow.apache.org/docs/format/CDataInterface.html and CStreamInterface.html. A text
column goes in as a column of views (format `vu`): its bytes stay where they are in the block of the file. It comes out
with the places of its ends (format `u`).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ingest.parsing import PAD

if TYPE_CHECKING:
    import duckdb

Array = npt.NDArray[Any]
# The engine works on vectors of 2,048 rows and takes 60 of them at a time.
_BATCH = 122_880
_NULLABLE = 2


class _Schema(ctypes.Structure):
    pass


class _Array(ctypes.Structure):
    pass


class _Stream(ctypes.Structure):
    pass


_ReleaseSchema = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Schema))
_ReleaseArray = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Array))
_ReleaseStream = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Stream))
_GetSchema = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_Stream), ctypes.POINTER(_Schema))
_GetNext = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_Stream), ctypes.POINTER(_Array))
_GetError = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.POINTER(_Stream))

_Schema._fields_ = [
    ("format", ctypes.c_char_p),
    ("name", ctypes.c_char_p),
    ("metadata", ctypes.c_char_p),
    ("flags", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("children", ctypes.POINTER(ctypes.POINTER(_Schema))),
    ("dictionary", ctypes.c_void_p),
    ("release", _ReleaseSchema),
    ("private_data", ctypes.c_void_p),
]
_Array._fields_ = [
    ("length", ctypes.c_int64),
    ("null_count", ctypes.c_int64),
    ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(_Array))),
    ("dictionary", ctypes.c_void_p),
    ("release", _ReleaseArray),
    ("private_data", ctypes.c_void_p),
]
_Stream._fields_ = [
    ("get_schema", _GetSchema),
    ("get_next", _GetNext),
    ("get_last_error", _GetError),
    ("release", _ReleaseStream),
    ("private_data", ctypes.c_void_p),
]


# The memory is Python's: a released structure is only marked as such, and freed with the relation that made it.
def _marked(kind: Any) -> Callable[[Any], None]:
    def release(structure: Any) -> None:
        structure.contents.release = kind(0)

    return release


_release_schema = _ReleaseSchema(_marked(_ReleaseSchema))
_release_array = _ReleaseArray(_marked(_ReleaseArray))
_release_stream = _ReleaseStream(_marked(_ReleaseStream))
_no_error = _GetError(lambda _stream: None)

_new_capsule = ctypes.pythonapi.PyCapsule_New
_new_capsule.restype = ctypes.py_object
_new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype = ctypes.c_void_p
_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]

# What comes out, by its format, as it lies in memory: texts' ends, whole numbers, decimals, days, microseconds.
_TYPES = {b"u": "<i4", b"l": "<i8", b"g": "<f8", b"tdD": "<i4", b"tsu:": "<i8"}


@dataclass(frozen=True)
class Field:
    """A column: Arrow's format string and its buffers, the first of them the bits of what is there (None: all is)."""

    name: str
    format: str
    buffers: tuple[Array | None, ...]


def numbers(name: str, values: Array, there: npt.NDArray[np.bool_] | None = None) -> Field:
    """Whole numbers (int64), decimals (float64) or truths (bool) [rows]."""
    if values.dtype == np.bool_:
        return Field(name, "b", (_bits(there), np.packbits(values, bitorder="little")))
    return Field(name, {"i": "l", "f": "g"}[values.dtype.kind], (_bits(there), values))


def days(name: str, values: npt.NDArray[np.int64], there: npt.NDArray[np.bool_]) -> Field:
    """Dates as days since 1970 [rows]."""
    return Field(name, "tdD", (_bits(there), values.astype(np.int32)))


def moments(name: str, values: npt.NDArray[np.int64], there: npt.NDArray[np.bool_]) -> Field:
    """Times without a zone as microseconds since 1970 [rows]."""
    return Field(name, "tsu:", (_bits(there), values))


def texts(name: str, views: Array, data: npt.NDArray[np.uint8], there: npt.NDArray[np.bool_]) -> Field:
    """UTF-8 texts as views [rows, 2] of 8 bytes each into `data`; see `ingest.parsing.views`."""
    return Field(name, "vu", (_bits(there), views, data, np.array([len(data)], dtype=np.int64)))


def _bits(there: npt.NDArray[np.bool_] | None) -> Array | None:
    return None if there is None or there.all() else np.packbits(there, bitorder="little")


class Relation:
    """Columns of one length as a relation that the engine can scan again and again.

    Register it under a name, and keep it as long as that name is used.
    """

    def __init__(self, rows: int, fields: Sequence[Field]) -> None:
        self.rows = rows
        self._fields: Sequence[Field] = fields
        self._kept: list[Any] = []
        children = [self._schema(field) for field in fields]
        self._children = (ctypes.POINTER(_Schema) * len(children))(*map(ctypes.pointer, children))
        self._kept += [children]

    def release(self) -> None:
        """Let go of the arrays: the engine is done with them. The callbacks know their relation, and it knows them."""
        self._kept.clear()
        self._fields = ()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """A capsule of the rows; the engine asks for one a scan."""
        batches = self._batches()

        def get_schema(_stream: Any, out: Any) -> int:
            schema = out.contents
            schema.format, schema.name, schema.metadata = b"+s", b"", None
            schema.flags, schema.dictionary, schema.private_data = 0, None, None
            schema.n_children, schema.children, schema.release = len(self._fields), self._children, _release_schema
            return 0

        def get_next(_stream: Any, out: Any) -> int:
            first, rows = next(batches, (0, 0))
            if rows:
                self._fill(out.contents, first, rows)
            else:
                out.contents.release = _ReleaseArray(0)
            return 0

        callbacks = _GetSchema(get_schema), _GetNext(get_next)
        stream = _Stream(*callbacks, _no_error, _release_stream, None)
        self._kept += [callbacks, stream]
        capsule: object = _new_capsule(ctypes.addressof(stream), b"arrow_array_stream", None)
        return capsule

    def _batches(self) -> Iterator[tuple[int, int]]:
        return ((first, min(_BATCH, self.rows - first)) for first in range(0, self.rows, _BATCH))

    def _schema(self, field: Field) -> _Schema:
        return _Schema(format=field.format.encode(), name=field.name.encode(), flags=_NULLABLE, release=_release_schema)

    def _fill(self, out: Any, first: int, rows: int) -> None:
        children = []
        for field in self._fields:
            buffers = (ctypes.c_void_p * len(field.buffers))(
                *(None if buffer is None else buffer.ctypes.data for buffer in field.buffers)
            )
            children.append(
                _Array(
                    length=rows,
                    null_count=0 if field.buffers[0] is None else -1,
                    offset=first,
                    n_buffers=len(field.buffers),
                    buffers=buffers,
                    release=_release_array,
                )
            )
            self._kept.append(buffers)
        listed = (ctypes.POINTER(_Array) * len(children))(*map(ctypes.pointer, children))
        nothing = (ctypes.c_void_p * 1)(None)
        self._kept += [children, listed, nothing]
        out.length, out.null_count, out.offset, out.n_buffers = rows, 0, 0, 1
        out.n_children, out.buffers, out.children = len(children), nothing, listed
        out.dictionary, out.private_data, out.release = None, None, _release_array


@dataclass(frozen=True)
class Column:
    """A column of an answer [rows]: what is there, and the values (int64, float64 or bool).

    Dates are days and times microseconds since 1970; of texts, `values` are the places where they end in `data`
    [rows + 1], behind the place where the first begins; `data` has `PAD` more bytes at both ends.
    """

    there: npt.NDArray[np.bool_]
    values: Array
    data: npt.NDArray[np.uint8] | None = None


class _Memory:
    """Some of an answer's memory as numpy's array interface; the array made of it keeps the answer by it."""

    def __init__(self, answer: _Answer, address: int, kind: str, length: int) -> None:
        self._answer = answer
        self.__array_interface__ = {
            "version": 3,
            "data": (address, True),
            "shape": (length,),
            "typestr": np.dtype(kind).str,
        }


class _Answer:
    """Rows in the engine's memory, given back when no array looks at them any more."""

    def __init__(self) -> None:
        self.array = _Array()

    def __del__(self) -> None:
        if self.array.release:
            self.array.release(ctypes.byref(self.array))

    def memory(self, address: int | None, kind: str, length: int) -> Array:
        if not address or not length:
            return np.zeros(length, dtype=kind)
        return np.asarray(_Memory(self, address, kind, length))

    def column(self, place: int, kind: bytes) -> Column:
        array = self.array.children[place].contents
        rows, first = array.length, array.offset
        there = self._truths(array.buffers[0], first, rows) if array.buffers[0] else np.ones(rows, dtype=bool)
        if kind == b"b":
            return Column(there, self._truths(array.buffers[1], first, rows))
        values = self.memory(array.buffers[1], _TYPES[kind], first + rows + (kind == b"u"))[first:]
        if kind != b"u":
            return Column(there, values.astype(np.int64) if kind == b"tdD" else values)
        data = np.empty(int(values[-1] - values[0]) + 2 * PAD, dtype=np.uint8)
        data[:PAD] = data[-PAD:] = 0
        data[PAD:-PAD] = self.memory(array.buffers[2], "u1", int(values[-1]))[values[0] :]
        return Column(there, values + (PAD - values[0]), data)

    def _truths(self, address: int, first: int, rows: int) -> npt.NDArray[np.bool_]:
        packed = self.memory(address, "u1", (first + rows + 7) // 8)
        return np.unpackbits(packed, count=first + rows, bitorder="little")[first:].view(bool)


def answers(con: duckdb.DuckDBPyConnection, query: str) -> Iterator[list[Column]]:
    """What a query answers, some 100,000 rows at a time, computed while it is asked for.

    Its columns are of the types VARCHAR, BIGINT, DOUBLE, BOOLEAN, DATE and TIMESTAMP. The connection is busy meanwhile.

    Raises:
        duckdb.Error: the engine's own.
    """
    capsule = con.sql(query).__arrow_c_stream__()
    stream = _Stream.from_address(_pointer(capsule, b"arrow_array_stream"))
    schema = _Schema()
    _ask(stream, stream.get_schema, schema)
    formats = [schema.children[place].contents.format for place in range(schema.n_children)]
    schema.release(ctypes.byref(schema))
    while True:
        answer = _Answer()
        _ask(stream, stream.get_next, answer.array)
        if not answer.array.release:
            return
        yield [answer.column(place, kind) for place, kind in enumerate(formats)]


def _ask(stream: _Stream, ask: Callable[..., int], structure: ctypes.Structure) -> None:
    if ask(ctypes.byref(stream), ctypes.byref(structure)):
        import duckdb

        what = (ctypes.string_at(stream.get_last_error(ctypes.byref(stream)) or b"")).decode("utf-8", "replace")
        raise (duckdb.OutOfMemoryException if what.startswith("Out of Memory") else duckdb.Error)(what)

"""The versions in memory: opened on demand, bounded in bytes, the least recently used goes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import onnxruntime as ort

from serve.cache import Cache
from serve.protocol.request import Reader, Request
from serve.protocol.signature import Signature, Tensor
from serve.protocol.tensors import Array, Row, tensors
from serve.stored import ServedModel

# Measured on tree ensembles: a session takes 12 bytes of memory for each of its file's, and some for itself.
_BYTES_A_BYTE, _BYTES_A_SESSION = 12, 2_000_000

# Left out, they would be made anew for each run.
_AS_ALWAYS = ort.RunOptions()


class Loaded:
    """A version in memory."""

    def __init__(self, served: ServedModel, onnx: bytes, cache: Cache | None = None) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.served = served
        self.session = ort.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
        self._output = [self.session.get_outputs()[-1].name]
        self.size = _BYTES_A_BYTE * len(onnx) + _BYTES_A_SESSION
        self.signature = Signature(
            model=served.model,
            version=served.version,
            kind=served.kind,
            inputs=(Tensor(item.name, item.datatype, item.required) for item in served.inputs),
            classes=served.classes,
            threshold=served.threshold,
        )
        self.read = Reader(self.signature).read
        self._kept: list[Row] = []
        self._cache = cache
        self._owner = f"{served.model}/{served.version}/{served.onnx.sha256}".encode()

    def answer(self, request: Request) -> Array:
        """The scores of a request that `read` has checked. Of one row, the tensors are kept for the next call."""
        columns = list(request.values.values())
        if request.rows > 1:
            return self._found(tensors(columns, request.rows, self.signature, request.packed))
        try:
            kept = self._kept.pop()
        except IndexError:
            # The first call, or another thread has them.
            kept = Row(self.signature)
        try:
            return self._found(kept.fill(columns))
        finally:
            self._kept.append(kept)

    def _found(self, tensors: Mapping[str, Array]) -> Array:
        # Chosen at each call: a method kept in the object would hold it in memory when the version has to go.
        cache = self._cache
        return self.scores(tensors) if cache is None else cache.scores(self._owner, tensors, self.scores)

    def scores(self, tensors: Mapping[str, Array]) -> Array:
        """The file's last output, which `interlock.inference.scores` reads too: [rows, classes] or [rows, 1].

        The session's own `run` checks the inputs' names once more before it does just this call, which takes half as
        long again as the model.
        """
        found: Array = self.session._sess.run(self._output, tensors, _AS_ALWAYS)[0]
        return found


class Memory:
    """At most so many bytes of versions, by estimate; the one that was asked for last is always there."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._loaded: OrderedDict[str, Loaded] = OrderedDict()

    def get(self, key: str) -> Loaded | None:
        """The version of that key, if it is there; it counts as used."""
        found = self._loaded.get(key)
        if found is not None:
            self._loaded.move_to_end(key)
        return found

    def put(self, key: str, loaded: Loaded) -> Loaded:
        """Keep a version, for which others may have to go."""
        self._loaded[key] = loaded
        while len(self._loaded) > 1 and sum(item.size for item in self._loaded.values()) > self._limit:
            self._loaded.popitem(last=False)
        return loaded

    def __len__(self) -> int:
        return len(self._loaded)

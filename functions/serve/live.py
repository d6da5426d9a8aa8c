"""What serves now, and the models it names: read when needed, kept in the function's memory."""

from __future__ import annotations

import time
from collections.abc import Callable

import onnxruntime as ort

from interlock.aws.objects import Objects
from interlock.aws.state import State
from interlock.errors import DependencyUnavailable, UnknownModel, UnknownVersion
from interlock.records import Candidate, LiveRelease, ServedModel
from serve.protocol.infer import Signature, Tensor

# Nobody is answered under a release that is older than this.
FRESH_SECONDS = 5.0
# The one that serves and the one before it.
_KEPT_SESSIONS = 2


class Loaded:
    """A version in memory."""

    def __init__(self, served: ServedModel, onnx: bytes) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.served = served
        self.session = ort.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
        self.signature = Signature(
            model=served.model,
            version=served.version,
            kind=served.kind,
            inputs=tuple(Tensor(item.name, item.datatype, item.required) for item in served.inputs),
            classes=served.classes,
            threshold=served.threshold,
        )


class Live:
    """The live releases of all models, each read again when it is older than five seconds."""

    def __init__(
        self,
        state: State,
        artefacts: Objects,
        unreadable: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._state = state
        self._artefacts = artefacts
        self._unreadable = unreadable
        self._clock = clock
        self._releases: dict[str, tuple[float, LiveRelease]] = {}
        self._loaded: dict[tuple[str, str], Loaded] = {}

    def release(self, model: str) -> LiveRelease:
        """The model's live release. If it cannot be read, the last one serves on and that is counted.

        Raises:
            UnknownModel: nothing serves under this name.
            DependencyUnavailable: it cannot be read and never was.
        """
        now = self._clock()
        known = self._releases.get(model)
        if known is not None and now - known[0] < FRESH_SECONDS:
            return known[1]
        try:
            found = self._state.get(LiveRelease, f"model#{model}", "live")
        except Exception as error:
            # Whatever the reason, callers are owed an answer, and somebody must hear of it.
            self._unreadable()
            if known is None:
                raise DependencyUnavailable(f"the live release of '{model}' cannot be read: {error}") from error
            return known[1]
        if found is None or (found.champion is None and found.challenger is None):
            self._releases.pop(model, None)
            raise UnknownModel(f"no version of '{model}' serves yet", remedy="`interlock status` shows what does.")
        self._releases[model] = (now, found)
        return found

    def version(self, release: LiveRelease, version: int | None) -> Loaded:
        """The asked version, which may be a challenger's, or the champion.

        Raises:
            UnknownModel: a first version is being probed, and it was not asked for by its number.
            UnknownVersion: that version is not one that serves.
            ChecksumMismatch: its stored bytes are not what was registered; it is not used.
        """
        if version is None and release.champion is None:
            raise UnknownModel(f"version {release.version} of '{release.model}' is still being probed")
        there = [candidate for candidate in (release.champion, release.challenger) if candidate is not None]
        for candidate in there:
            if version in {None, candidate.version}:
                return self._load(candidate)
        serving = " and ".join(str(candidate.version) for candidate in there)
        raise UnknownVersion(f"version {version} of '{release.model}' does not serve; version {serving} does")

    def _load(self, candidate: Candidate) -> Loaded:
        key = (candidate.served.key, candidate.served.sha256)
        if key not in self._loaded:
            served = ServedModel.from_json(self._artefacts.get(candidate.served))
            loaded = Loaded(served, self._artefacts.get(served.onnx))
            while len(self._loaded) >= _KEPT_SESSIONS:
                del self._loaded[next(iter(self._loaded))]
            self._loaded[key] = loaded
        return self._loaded[key]

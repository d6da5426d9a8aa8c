"""What serves now, and the models it names: read when needed, kept in the function's memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from interlock.aws.direct import Ref
from interlock.errors import DependencyUnavailable, Unavailable, UnknownModel, UnknownVersion
from serve.cache import Cache
from serve.loaded import Loaded, Memory
from serve.stored import Candidate, LiveRelease, live_release, served_model

# Nobody is answered under a release that is older than this.
FRESH_SECONDS = 5.0


class Source(Protocol):
    """Where releases and models are read: `interlock.aws.direct.Direct`."""

    def document(self, pk: str, sk: str) -> bytes | None:
        """A document of the state table; None when there is none."""

    def get(self, ref: Ref) -> bytes:
        """Exactly these bytes."""


class Live:
    """The live releases of all models, each read again when it is older than five seconds."""

    def __init__(
        self,
        source: Source,
        memory: Memory,
        unreadable: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
        cache: Cache | None = None,
    ) -> None:
        self._source = source
        self._memory = memory
        self._unreadable = unreadable
        self._clock = clock
        self.cache = cache
        self._releases: dict[str, tuple[float, LiveRelease]] = {}
        self._broken: dict[str, tuple[float, Exception]] = {}

    def release(self, model: str) -> LiveRelease:
        """The model's live release. If it cannot be read, the last one serves on and that is counted.

        Raises:
            UnknownModel: nothing serves under this name.
            DependencyUnavailable: it cannot be read and never was.
        """
        now = self._clock()
        known = self._releases.get(model)
        # While nothing serves, a first release is awaited: nobody is told so for longer than it is true.
        if known is not None and known[1].champion is not None and now - known[0] < FRESH_SECONDS:
            return known[1]
        try:
            stored = self._source.document(f"model#{model}", "live")
            found = live_release(stored) if stored is not None else None
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
        if version is None:
            if release.champion is None:
                raise UnknownModel(
                    f"no version of '{release.model}' serves yet", remedy="`interlock status` shows what does."
                )
            return self._load(release.champion)
        there = [candidate for candidate in (release.champion, release.challenger) if candidate is not None]
        for candidate in there:
            if version == candidate.version:
                return self._load(candidate)
        serving = " and ".join(str(candidate.version) for candidate in there)
        raise UnknownVersion(f"version {version} of '{release.model}' does not serve; version {serving} does")

    def _load(self, candidate: Candidate) -> Loaded:
        key = candidate.served.sha256
        found = self._memory.get(key)
        if found is None:
            broken = self._broken.get(key)
            if broken is not None and self._clock() - broken[0] < FRESH_SECONDS:
                # Fetching and opening it for every call would cost each of them what the first one lost.
                raise broken[1]
            try:
                served = served_model(self._source.get(candidate.served))
                found = self._memory.put(key, Loaded(served, self._source.get(served.onnx), self.cache))
            except Unavailable:
                raise
            except Exception as error:
                self._broken[key] = (self._clock(), error)
                raise
        return found

"""In-memory stand-ins for `interlock.aws`: the same methods, the same conditions, no network.

They subclass the adapters, so that a type checker takes one for the other, and never build a client.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from interlock.aws.alerts import AlertTopic
from interlock.aws.bus import EventBus
from interlock.aws.executions import Executions
from interlock.aws.ledger import Ledger
from interlock.aws.objects import Arrival, Objects
from interlock.aws.ranges import RangedObject
from interlock.aws.state import State
from interlock.errors import ChecksumMismatch, InvalidUpload
from interlock.events import Event
from interlock.ledger import Decision, Entry, Stage, entry
from interlock.records import ObjectRef
from interlock.schema import Model

M = TypeVar("M", bound=Model)


class FakeObjects(Objects):
    """A versioned bucket; versions are "v1", "v2" … over all keys. Change `versions` to damage what is stored."""

    def __init__(self, bucket: str = "data") -> None:
        self.bucket = bucket
        self.versions: dict[tuple[str, str], bytes] = {}
        self.arrivals: dict[tuple[str, str], Arrival] = {}
        self.newest: dict[str, str] = {}

    def put(self, key: str, body: bytes, content_type: str = "application/octet-stream") -> ObjectRef:
        version = f"v{len(self.versions) + 1}"
        self.versions[key, version] = body
        self.arrivals[key, version] = Arrival(datetime.now(UTC), {}, version, len(body))
        self.newest[key] = version
        return self._ref(key, version)

    def put_file(self, key: str, path: Path, content_type: str = "application/octet-stream") -> ObjectRef:
        return self.put(key, path.read_bytes(), content_type)

    def get(self, ref: ObjectRef) -> bytes:
        body = self.versions.get((ref.key, ref.version))
        if body is None:
            raise ChecksumMismatch(f"{ref.uri} (version {ref.version}) is gone")
        if hashlib.sha256(body).hexdigest() != ref.sha256:
            raise ChecksumMismatch(f"{ref.uri} (version {ref.version}) is not the recorded {ref.sha256[:12]}…")
        return body

    def get_file(self, ref: ObjectRef, path: Path) -> Path:
        path.write_bytes(self.get(ref))
        return path

    def download_version(self, key: str, version: str, path: Path) -> ObjectRef:
        if (key, version) not in self.versions:
            raise InvalidUpload(f"s3://{self.bucket}/{key} (version {version}) is gone")
        path.write_bytes(self.versions[key, version])
        return self._ref(key, version)

    def reader(self, key: str, version: str) -> RangedObject:
        self.arrival(key, version)
        body = self.versions[key, version]
        return RangedObject(lambda first, end: body[first:end], self.bucket, key, version, len(body))

    def arrival(self, key: str, version: str | None) -> Arrival:
        found = self.arrivals.get((key, version or self.newest.get(key, "")))
        if found is None or (key, found.version) not in self.versions:
            raise InvalidUpload(f"s3://{self.bucket}/{key} (version {version or 'any'}) is gone")
        return found

    def raw(self, key: str, version: str | None = None) -> bytes:
        return self.versions[key, self.arrival(key, version).version]

    def describe(self, key: str) -> ObjectRef | None:
        return self._ref(key, self.newest[key]) if key in self.newest else None

    def keys(self, prefix: str, since: datetime | None = None) -> Iterator[str]:
        return iter(sorted(key for key in self.newest if key.startswith(prefix)))

    def download(self, key: str, path: Path) -> Path:
        path.write_bytes(self.read(key))
        return path

    def delete(self, key: str) -> None:
        self.newest.pop(key, None)

    def read(self, key: str) -> bytes:
        """For a test's eyes: the newest bytes under a key."""
        return self.versions[key, self.newest[key]]

    def _ref(self, key: str, version: str) -> ObjectRef:
        body = self.versions[key, version]
        return ObjectRef(
            bucket=self.bucket, key=key, version=version, sha256=hashlib.sha256(body).hexdigest(), size=len(body)
        )


@dataclass
class _Item:
    document: str
    owner: str | None = None
    expires_at: int | None = None
    revision: int | None = None


class FakeState(State):
    """The state table. `clock` answers seconds since the epoch; a test may move it."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.items: dict[tuple[str, str], _Item] = {}
        self.clock = clock

    def get(self, kind: type[M], pk: str, sk: str) -> M | None:
        item = self.items.get((pk, sk))
        return kind.from_json(item.document) if item else None

    def query(
        self,
        kind: type[M],
        pk: str,
        prefix: str = "",
        *,
        newest_first: bool = False,
        limit: int | None = None,
        beyond: str | None = None,
    ) -> Iterator[M]:
        found = sorted((key for key in self.items if key[0] == pk and key[1].startswith(prefix)), reverse=newest_first)
        if beyond is not None:
            found = [key for key in found if (key[1] < beyond if newest_first else key[1] > beyond)]
        return (kind.from_json(self.items[key].document) for key in found[:limit])

    def put(self, pk: str, sk: str, document: Model) -> None:
        self.items[pk, sk] = _Item(document.to_json())

    def put_new(self, pk: str, sk: str, document: Model) -> bool:
        if (pk, sk) in self.items:
            return False
        self.put(pk, sk, document)
        return True

    def acquire(self, pk: str, sk: str, document: Model, *, owner: str, expires_at: float) -> bool:
        held = self.items.get((pk, sk))
        # An item without expires_at fails DynamoDB's comparison.
        over = held is None or (held.expires_at is not None and held.expires_at < int(self.clock()))
        if held is not None and held.owner != owner and not over:
            return False
        self.items[pk, sk] = _Item(document.to_json(), owner=owner, expires_at=int(expires_at))
        return True

    def replace_revision(
        self, pk: str, sk: str, document: Model, *, revision: int, expected: int | None, kept: str, force: bool = False
    ) -> bool:
        held = self.items.get((pk, sk))
        differs = (held is not None) if expected is None else (held is None or held.revision != expected)
        if differs and not force:
            return False
        if (pk, kept) in self.items:
            return False
        self.items[pk, sk] = self.items[pk, kept] = _Item(document.to_json(), revision=revision)
        return True

    def delete(self, pk: str, sk: str, *, owner: str | None = None) -> bool:
        held = self.items.get((pk, sk))
        if held is not None and owner is not None and held.owner != owner:
            return False
        self.items.pop((pk, sk), None)
        return True


class FakeExecutions(Executions):
    """Executions are at work until they are in `ended`."""

    def __init__(self) -> None:
        self.ended: set[str] = set()

    def runs(self, arn: str) -> bool:
        return arn not in self.ended


class FakeLedger(Ledger):
    """Chains of decisions, one a model, hashed as the real ones."""

    def __init__(self) -> None:
        self.chains: dict[str, list[Entry]] = {}

    def append(self, decision: Decision) -> None:
        chain = self.chains.setdefault(decision.model, [])
        if all(item.decision.key != decision.key for item in chain):
            chain.append(entry(decision, chain[-1] if chain else None, datetime.now(UTC)))

    def entries(self, model: str) -> Iterator[Entry]:
        return iter(self.chains.get(model, []))

    def newest_first(self, model: str, *, without: Stage | None = None) -> Iterator[Entry]:
        return (item for item in reversed(self.chains.get(model, [])) if item.decision.stage != without)

    def last(self, model: str) -> Entry | None:
        return next(iter(self.newest_first(model)), None)

    def actions(self, model: str) -> list[str]:
        """For a test's eyes: what was decided, in order."""
        return [item.decision.action for item in self.chains.get(model, [])]


@dataclass
class FakeBus(EventBus):
    """Keeps the events that were published."""

    published: list[Event] = field(default_factory=list)

    def publish(self, event: Event) -> None:
        self.published.append(event)


@dataclass
class FakeAlerts(AlertTopic):
    """Keeps the messages that were sent, as (subject, text)."""

    sent: list[tuple[str, str]] = field(default_factory=list)

    def send(self, subject: str, text: str) -> None:
        self.sent.append((subject, text))

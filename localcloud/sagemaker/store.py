"""What the service keeps between its starts: one JSON file a thing, written whole or not at all."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

Record = dict[str, Any]


class Store:
    """Records of one kind by name. Safe to use from several threads of the service."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.RLock()
        folder.mkdir(parents=True, exist_ok=True)

    def get(self, name: str) -> Record | None:
        """The record, if there is one."""
        with self._lock:
            path = self._path(name)
            return json.loads(path.read_text()) if path.exists() else None

    def put(self, name: str, record: Record) -> Record:
        """Write the record and answer it."""
        with self._lock:
            draft = self._path(name).with_suffix(".draft")
            draft.write_text(json.dumps(record))
            draft.rename(self._path(name))
            return record

    def add(self, name: str, record: Record) -> bool:
        """Write the record unless the name is taken."""
        with self._lock:
            if self._path(name).exists():
                return False
            self.put(name, record)
            return True

    def edit(self, name: str, change: Callable[[Record], Record]) -> Record:
        """Write what `change` makes of the record; nobody else changes it meanwhile."""
        with self._lock:
            return self.put(name, change(self.get(name) or {}))

    def delete(self, name: str) -> None:
        """Forget the record."""
        with self._lock:
            self._path(name).unlink(missing_ok=True)

    def all(self) -> list[Record]:
        """Every record, oldest first."""
        with self._lock:
            records = [json.loads(path.read_text()) for path in self._folder.glob("*.json")]
        return sorted(records, key=lambda record: record.get("CreationTime", 0))

    def _path(self, name: str) -> Path:
        return self._folder / f"{quote(name, safe='')}.json"


def now() -> float:
    """Seconds since 1970, as the API writes times; to the millisecond."""
    return round(time.time(), 3)

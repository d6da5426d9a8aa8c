"""What is written down of a local cloud, in its folder: where it listens and which processes it is."""

from __future__ import annotations

import contextlib
import fcntl
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from localcloud.processes import Process

_FILE = "local.json"


@dataclass
class Record:
    """The last local cloud of a folder, running or not; `processes` by their names, in the order of their start."""

    endpoint: str
    sagemaker: str
    port: int
    sagemaker_port: int
    processes: dict[str, Process] = field(default_factory=dict)

    @classmethod
    def load(cls, home: Path) -> Record | None:
        """What is written in that folder; None where nothing is."""
        try:
            found = json.loads((home / _FILE).read_text())
        except FileNotFoundError:
            return None
        processes = {name: Process(**child) for name, child in found.pop("processes").items()}
        return cls(**found, processes=processes)

    def save(self, home: Path) -> None:
        """Write it down, whole or not at all."""
        draft = home / f"{_FILE}.draft"
        document = {**vars(self), "processes": {name: vars(process) for name, process in self.processes.items()}}
        draft.write_text(json.dumps(document, indent=1))
        draft.rename(home / _FILE)


def free_ports(*wanted: int | None) -> list[int]:
    """Free ports of the loopback address: the wanted ones as far as nobody else has them."""
    found = []
    with contextlib.ExitStack() as held:
        for port in wanted:
            probe = held.enter_context(socket.socket())
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port or 0))
            except OSError:
                probe.bind(("127.0.0.1", 0))
            found.append(int(probe.getsockname()[1]))
    return found


@contextlib.contextmanager
def locked(home: Path) -> Iterator[None]:
    """One `up` or `down` at a time."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield

"""Child processes that may outlive who started them: recognised by id and start time, ended in good order."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A leader of its own process group; `started` guards against a recycled process id."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Process:
        """The process that now has this id."""
        return cls(pid, _started(pid) or "")

    def alive(self) -> bool:
        """Whether it still runs."""
        return bool(self.started) and _started(self.pid) == self.started

    def end(self, grace: float) -> None:
        """Ask it and its children to stop; after `grace` seconds they have no choice."""
        for how, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
            if not self.alive():
                return
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, how)
            deadline = time.monotonic() + seconds
            while self.alive() and time.monotonic() < deadline:
                time.sleep(0.05)


def _started(pid: int) -> str | None:
    """When the process with this id started, as the system writes it; None when there is none (or a zombie)."""
    status = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            # After the name, which may hold anything: state is field 3, the start in ticks since boot field 22.
            fields = status.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] == "Z" else fields[19]
    done = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, started = done.stdout.strip().partition(" ")
    return None if not state or state.startswith("Z") else started.strip()

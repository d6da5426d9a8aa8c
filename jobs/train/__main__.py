"""The container's entry point: `python3 <this zip>`.

Puts the pinned libraries in place, then runs the job. Uses the standard library alone, since nothing else is certain
to be there yet. Whatever goes wrong ends up in the failure file, whose beginning SageMaker shows as FailureReason.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import traceback
import zipfile
from importlib import metadata
from pathlib import Path

BASE = Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)\s*(;[^\\]*)?", re.MULTILINE)
# One thread: sums come out in the same order on every machine, so the same data gives the same model, bit for bit.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def satisfied(requirements: str) -> bool:
    """Whether the running Python has exactly the pinned versions.

    A pin with a marker is for other machines perhaps: it may be absent, never different.
    """
    for name, version, marker in _PIN.findall(requirements):
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            if marker:
                continue
            return False
        if found != version:
            return False
    return True


def install(wheelhouse: Path) -> None:
    """Install the wheelhouse channel's pins from its own wheels, without a network, hashes checked.

    Args:
        wheelhouse: the channel's folder, holding one zip with requirements.txt and wheels; without wheels, the
            environment must satisfy the pins already.

    Raises:
        RuntimeError: there is no such zip, or the wheels do not fit this Python.
    """
    archives = sorted(wheelhouse.glob("*.zip"))
    if len(archives) != 1:
        raise RuntimeError(f"the wheelhouse channel {wheelhouse} holds {len(archives)} zip files instead of one")
    with zipfile.ZipFile(archives[0]) as archive:
        if satisfied(archive.read("requirements.txt").decode()):
            return
        folder = Path(tempfile.mkdtemp(prefix="interlock-"))
        archive.extractall(folder / "wheels")
    target = folder / "site"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"),
            *("--find-links", str(folder / "wheels"), "--require-hashes", "--no-deps", "--target", str(target)),
            *("-r", str(folder / "wheels" / "requirements.txt")),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(
            f"the pinned wheels do not install under Python {sys.version.split()[0]}: {done.stderr.strip()[-500:]} "
            "(the wheelhouse must be built for the training image's Python: infra/build.py)"
        )
    sys.path.insert(0, str(target))


def main() -> int:
    """Run the job; answers the process's exit code."""
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        install(BASE / "input/data/wheelhouse")
        # Only now, because it imports what was just installed.
        from jobs.train import job

        job.run(BASE)
    except Exception as error:  # noqa: BLE001 - the container's last word
        traceback.print_exc()
        reason = str(error) if getattr(error, "for_people", False) else f"{type(error).__name__}: {error}"
        failure = BASE / "output/failure"
        failure.parent.mkdir(parents=True, exist_ok=True)
        failure.write_text(" ".join(reason.split()), "utf-8")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

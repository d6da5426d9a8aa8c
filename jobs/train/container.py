"""SageMaker's container contract: where things lie, what the request said, how a failure is told.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class JobError(Exception):
    """Why there is no model, in one paragraph that says who, what and how to mend it."""

    for_people = True


@dataclass(frozen=True)
class Container:
    """The folders under `base` (/opt/ml) and the request's hyperparameters, which are always strings."""

    base: Path
    hyperparameters: dict[str, str]
    channels: tuple[str, ...]

    @classmethod
    def read(cls, base: Path) -> Container:
        """Read input/config first; the SM_* variables of SageMaker's own images where a file is missing."""
        channels = _config(base, "inputdataconfig.json", "SM_INPUT_DATA_CONFIG")
        return cls(base, _config(base, "hyperparameters.json", "SM_HPS"), tuple(sorted(channels)))

    def channel(self, name: str) -> Path:
        """The folder of an input channel.

        Raises:
            JobError: the request names no such channel, or nothing was downloaded for it.
        """
        folder = self.base / "input/data" / name
        if not folder.is_dir():
            raise JobError(
                f"the job has no channel '{name}'; the request names {', '.join(self.channels) or 'none'}. "
                "Launch it through the train workflow, which sends all channels."
            )
        return folder

    def folder(self, name: str) -> Path:
        """An output folder (`model` or `output/data`), made when missing."""
        folder = self.base / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def progress(name: str, value: float | str) -> None:
    """One line on stdout; the request's MetricDefinitions read the numbers."""
    print(f"interlock: {name}={value}", flush=True)


def _config(base: Path, name: str, variable: str) -> dict[str, Any]:
    path = base / "input/config" / name
    text = path.read_text("utf-8") if path.exists() else os.environ.get(variable, "{}")
    read: dict[str, Any] = json.loads(text)
    return read

"""What stands before a command's name, and holds for every command."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from cli.target import Target
from cli.view import console
from localcloud.supervisor import ROOT


@dataclass
class Options:
    """What stands before the command's name."""

    environment: str = "dev"
    profile: str | None = None
    json: bool = False
    verbose: bool = False

    def target(self) -> Target:
        """The cloud that is meant; AWS is named, so that nobody takes it for the laptop."""
        target = Target.find(self.environment, self.profile)
        if target.profile is not None and not self.json:
            console.print(f"[dim]{target.name}[/]")
        return target


options = Options()


def models_folder() -> Path:
    """The folder of models that cdk.json names."""
    context = json.loads((ROOT / "cdk.json").read_text("utf-8")).get("context", {})
    return ROOT / str(context.get("interlock", {}).get("models", "models"))


Model = Annotated[str | None, typer.Argument(help="The model's id; may be left out when there is only one.")]

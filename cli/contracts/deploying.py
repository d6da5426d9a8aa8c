"""Looks at what a deployment would mean for the versions that serve, before it is made."""

from __future__ import annotations

from rich.markup import escape

from cli.contracts import stored
from cli.target import Target
from cli.view import console
from interlock import evolving
from interlock.errors import DependencyUnavailable
from interlock.evolving import Consequence
from interlock.models import DeployedModel


def foreseen(target: Target, models: list[DeployedModel]) -> dict[str, list[Consequence]]:
    """What follows for each model that serves; nothing when nothing is deployed yet."""
    try:
        there = target.models
    except DependencyUnavailable:
        return {}
    serving = {name: found for name in there if (found := stored.champion(target, name)) is not None}
    return evolving.foreseen(serving, models)


def tell(found: dict[str, list[Consequence]]) -> None:
    """Say what follows, what breaks first."""
    for model, items in found.items():
        console.print(f"[bold]{model}[/]: this deployment means for the version that serves")
        for item in sorted(items, key=lambda item: not item.breaks):
            tone = "[red]breaks[/]" if item.breaks else "[dim]tells[/]"
            console.print(f"  {tone} {item.about}: {escape(item.says)}", soft_wrap=True)

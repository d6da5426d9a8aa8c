"""Looks at what a deployment would mean for the versions that serve, before it is made."""

from __future__ import annotations

from rich.markup import escape

from cli.contracts import stored
from cli.contracts.evolving import Consequence, consequences
from cli.target import Target
from cli.view import console
from interlock.errors import DependencyUnavailable, Refused
from interlock.models import DeployedModel


def foreseen(target: Target, models: list[DeployedModel]) -> dict[str, list[Consequence]]:
    """What follows for each model that serves; nothing when nothing is deployed yet."""
    try:
        there = target.models
    except DependencyUnavailable:
        return {}
    by_id = {model.id: model for model in models}
    found: dict[str, list[Consequence]] = {}
    for name in there:
        serving = stored.champion(target, name)
        if serving is None:
            continue
        old, served = serving
        if name in by_id:
            found[name] = consequences(old, by_id[name], served)
        else:
            gone = Consequence("callers", f"version {served.version} is taken away from its callers", breaks=True)
            found[name] = [gone]
    return {name: items for name, items in found.items() if items}


def tell(found: dict[str, list[Consequence]]) -> None:
    """Say what follows, what breaks first."""
    for model, items in found.items():
        console.print(f"[bold]{model}[/]: this deployment means for the version that serves")
        for item in sorted(items, key=lambda item: not item.breaks):
            tone = "[red]breaks[/]" if item.breaks else "[dim]tells[/]"
            console.print(f"  {tone} {item.about}: {escape(item.says)}", soft_wrap=True)


def refuse(found: dict[str, list[Consequence]]) -> None:
    """Keep a deployment from breaking what serves.

    Raises:
        Refused: something would break.
    """
    broken = [f"{model}: {item.says}" for model, items in found.items() for item in items if item.breaks]
    if broken:
        raise Refused(
            "the deployment would break what serves:\n  " + "\n  ".join(broken),
            remedy="Keep the old columns and classes beside the new ones until a new version serves, or deploy with "
            "--break-champion and train at once.",
        )

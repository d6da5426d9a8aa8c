"""A model's life by hand: trained, checked, taken back; its runs followed and started again."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from cli import executions, history
from cli.commands import releases
from cli.options import Model, options
from cli.view import as_json, console
from cli.watching import show
from interlock.events import SOURCE, TrainingRequested

PANEL = "A model's life"
app = typer.Typer()
command = partial(app.command, rich_help_panel=PANEL)


@command()
def train(model: Model = None, reason: Annotated[str, typer.Option(help="Why, for the ledger.")] = "by hand") -> None:
    """Train on everything that was admitted."""
    target = options.target()
    event = TrainingRequested(model=target.model(model), reason=reason, requested_by=target.caller())
    document = {"source": SOURCE, "detail-type": event.name, "detail": event.model_dump(mode="json")}
    started = executions.start(target, "train", document)
    console.print(f"[bold]train[/] {started.name}")
    if show(target, started).status != "SUCCEEDED":
        raise typer.Exit(4)


@command()
def check(model: Model = None) -> None:
    """Check the served traffic for drift now, without waiting for the schedule."""
    target = options.target()
    name = target.model(model)
    run = show(target, executions.start(target, "monitor", {"model": name}))
    if run.status != "SUCCEEDED":
        raise typer.Exit(4)
    history.show_drift(target, name)


# The same word as of `interlock release`, for whoever is in a hurry.
command()(releases.rollback)


@command()
def status() -> None:
    """What serves, what was uploaded, what runs."""
    target = options.target()
    found = history.status(target)
    if options.json:
        as_json(found)
    else:
        history.show_status(found)


@command()
def watch(
    run: Annotated[str | None, typer.Argument(help="A run's name or stage; the newest without one.")] = None,
) -> None:
    """Follow a run until it has ended."""
    target = options.target()
    found = executions.find(target, run)
    console.print(f"[bold]{found.workflow}[/] {found.name}")
    show(target, found)
    if found.status != "SUCCEEDED":
        raise typer.Exit(4)


@command()
def retry(run: Annotated[str, typer.Argument(help="The failed run's name.")]) -> None:
    """Start a failed run again with the same input."""
    target = options.target()
    started = executions.again(target, executions.find(target, run))
    console.print(f"[bold]{started.workflow}[/] {started.name}")
    if show(target, started).status != "SUCCEEDED":
        raise typer.Exit(4)

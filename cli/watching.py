"""A run shown while it happens: a live list of states on a terminal, a line a state elsewhere."""

from __future__ import annotations

from rich.live import Live
from rich.table import Table

from cli.executions import Run, Step, follow
from cli.target import Target
from cli.view import console

# States that only name or choose; people look for the ones that do something.
_QUIET = {"Start", "Judge", "Kept", "OneOrMany", "AnyDoubles", "Needed", "Passed", "Changed", "Ended", "WhoseFault"}


def show(target: Target, run: Run) -> Run:
    """Follow a run to its end and show its states."""
    if console.is_terminal:
        with Live(console=console, refresh_per_second=4) as live:
            for seen in follow(target, run):
                live.update(_drawn(seen))
    else:
        shown = 0
        for seen in follow(target, run):
            done = [step for step in _loud(seen) if step.ended is not None or seen.status != "RUNNING"]
            for step in done[shown:]:
                console.print(f"  {seen.workflow:8} {_line(step)}")
            shown = len(done)
    if run.status == "FAILED" and run.message:
        console.print(f"  [red]{run.error}[/]: {run.message}")
    return run


def _drawn(run: Run) -> Table:
    drawn = Table(box=None, show_header=False, pad_edge=False)
    for step in _loud(run):
        running = step.ended is None and run.status == "RUNNING"
        mark = "[cyan]·[/]" if running else ("[red]x[/]" if step.error else "[green]✓[/]")
        more = step.error or _items(step)
        drawn.add_row(f"  {run.workflow:8}", mark, step.name, f"[dim]{step.seconds:6.1f} s[/]", more)
    return drawn


def _line(step: Step) -> str:
    more = step.error or _items(step)
    return f"{step.name:14} {step.seconds:6.1f} s{'   ' + more if more else ''}"


def _items(step: Step) -> str:
    what = "pieces" if step.name == "Pieces" else "files"
    return f"{step.items[0]:,} of {step.items[1]:,} {what}" if step.items else ""


def _loud(run: Run) -> list[Step]:
    return [step for step in run.steps if step.name not in _QUIET]
